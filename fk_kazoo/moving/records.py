"""A node as it moves: what it holds and what it is; not who looked at it, and not its zxids, which are its place's."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, List, NamedTuple, Optional, Protocol, Sequence, Tuple, TypeVar

T = TypeVar("T")

PERSISTENT, CONTAINER, TTL, EPHEMERAL = "persistent", "container", "ttl", "ephemeral"
KINDS = (PERSISTENT, CONTAINER, TTL, EPHEMERAL)
RESERVED = "/zookeeper"
"""ZooKeeper's own nodes, which are each server's."""


class Record(NamedTuple):
    """A node. ``creates``: how many children were ever created in it, which numbers its sequential children."""

    path: str
    data: Optional[bytes]
    acl: Tuple[Tuple[int, str, str], ...]
    """(permissions, scheme, id) of each entry."""
    kind: str
    """One of KINDS. Where a place does not tell a container or a TTL node from others: PERSISTENT."""
    ttl_ms: int
    creates: int
    version: int = 0
    """Of the data where it was read; no part of what moves."""
    aversion: int = 0
    """Of the ACL, likewise."""


class Endpoint(Protocol):
    """Somewhere that nodes can be read from."""

    knows_kinds: bool
    """Whether a record's kind is more than a guess."""

    def walk(self, roots: Sequence[str]) -> Iterator[Record]:
        """Every node at and below the roots, parents first. NoNodeError where a root is missing."""
        ...

    def paths(self, roots: Sequence[str]) -> Iterator[str]:
        """The paths of every node at and below the roots that is no ephemeral. NoNodeError where a root is missing."""
        ...

    def present(self, paths: Sequence[str]) -> List[bool]:
        """Whether there is a node at each of the paths that is no ephemeral."""
        ...

    def lookup(self, paths: Sequence[str]) -> List[Optional[Record]]:
        """What is there at each of the paths; None where there is nothing."""
        ...


def creates_of(stat: Any) -> int:
    """How many children a node ever had, by its Stat: ZooKeeper shows ``cversion = 2 * creates - children``."""
    return int(((stat.cversion + stat.numChildren) % (1 << 32)) // 2)


def join(parent: str, name: str) -> str:
    """The path of a child."""
    return "/" + name if parent == "/" else parent + "/" + name


def parent_of(path: str) -> str:
    """The path of the parent."""
    return path.rpartition("/")[0] or "/"


def is_reserved(path: str) -> bool:
    """Whether it is one of ZooKeeper's own nodes."""
    return path == RESERVED or path.startswith(RESERVED + "/")


def ancestors(path: str) -> List[str]:
    """The paths above, the root excluded, from the top."""
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def is_below(path: str, root: str) -> bool:
    """Whether it is the root or below it."""
    return path == root or root == "/" or path.startswith(root + "/")


def chunks(items: Iterable[T], size: int) -> Iterator[List[T]]:
    """Lists of at most ``size``."""
    now: List[T] = []
    for item in items:
        now.append(item)
        if len(now) >= size:
            yield now
            now = []
    if now:
        yield now
