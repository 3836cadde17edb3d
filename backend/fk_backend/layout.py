"""Where everything of a namespace is kept: keys and item bodies, in one place, for readers and writers alike.

| table | partition | sort | rev, body |
| --- | --- | --- | --- |
| state | ``ns:`` | ``head`` | zxid, :class:`Head` |
| state | ``ns:/path`` | ``!`` | mzxid, :class:`Node` |
| state | ``ns:/path`` | ``#`` | pzxid, :class:`Family` |
| state | ``ns:/path`` | ``/name`` | czxid of that child, empty |
| sessions | ``ns:sessions`` | id (16 hex digits) | zxid, :class:`Session` |
| sessions | ``ns:`` + id | ``/path`` | zxid, empty: an ephemeral that it owns |
| sessions | ``ns:reapable`` | ``/path`` | zxid, empty: a container or TTL node |
| interest | ``ns:/path`` | mode ``:`` inbox | id of the registration, empty |
| interest | ``ns:*`` | ``/path:`` inbox | the same, for recursive watches |
| interest | ``ns:beats`` | id | the beat counter |

One query over ``ns:/path`` shows a node, its family and its children; creating a child rewrites the
family and never the data.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from . import codec
from .core import paths
from .core.model import Acl, Family, Id, Node, Session, Trigger
from .core.snapshot import Ended
from .core.watches import RECURSIVE
from .ports import INTEREST, SESSIONS, STATE, Item, Key

NODE = "!"
FAMILY = "#"
CHILDREN = "/"
AFTER_CHILDREN = "0"
"""The first sort key after every child's (the character after the slash)."""


class Head(NamedTuple):
    """The small item that every commit is conditional on.

    ``answers`` are those of the last commit: (inbox, number of the first, results). One without results says that
    everything of that inbox below the number is done and answered. Triggers after ``confirmed`` may not have been
    fanned out yet; every trigger after ``since`` is in ``triggers``.
    """

    zxid: int
    namespace_id: int
    confirmed: int
    since: int
    triggers: Tuple[Trigger, ...]
    answers: Tuple[Tuple[str, int, List[Any]], ...]
    ended: Tuple[Ended, ...]
    moved: Tuple[str, ...]


# --- keys ---------------------------------------------------------------------------------------


def head_key(ns: str) -> Key:
    """Of the head."""
    return Key(STATE, ns + ":", "head")


def node_partition(ns: str, path: str) -> str:
    """Of everything about a node."""
    return "%s:%s" % (ns, path)


def node_keys(ns: str, path: str) -> Tuple[Key, Key]:
    """Of a node and its family."""
    partition = node_partition(ns, path)
    return Key(STATE, partition, NODE), Key(STATE, partition, FAMILY)


def child_key(ns: str, path: str) -> Key:
    """Of the entry by which a node's parent lists it."""
    return Key(STATE, node_partition(ns, paths.parent(path)), CHILDREN + paths.name(path))


def session_name(session: int) -> str:
    """16 hex digits."""
    return "%016x" % session


def sessions_partition(ns: str) -> str:
    """Of all sessions."""
    return ns + ":sessions"


def session_key(ns: str, session: int) -> Key:
    """Of a session."""
    return Key(SESSIONS, sessions_partition(ns), session_name(session))


def ephemerals_partition(ns: str, session: int) -> str:
    """Of the paths that a session owns."""
    return "%s:%s" % (ns, session_name(session))


def reapable_partition(ns: str) -> str:
    """Of the containers and TTL nodes."""
    return ns + ":reapable"


def beats_partition(ns: str) -> str:
    """Of all beat counters."""
    return ns + ":beats"


def beat_key(ns: str, session: int) -> Key:
    """Of a session's beat counter."""
    return Key(INTEREST, beats_partition(ns), session_name(session))


def recursive_partition(ns: str) -> str:
    """Of the registrations that cover a whole subtree."""
    return ns + ":*"


def registration_key(ns: str, path: str, mode: str, inbox: str) -> Key:
    """Of a watch registration: one for each inbox, path and mode, overwritten when made again."""
    if mode == RECURSIVE:
        return Key(INTEREST, recursive_partition(ns), "%s:%s" % (path, inbox))
    return Key(INTEREST, node_partition(ns, path), "%s:%s" % (mode, inbox))


def registration_of(sort: str) -> Tuple[str, str]:
    """(mode or path, inbox) of a registration's sort key."""
    what, _, inbox = sort.rpartition(":")
    return what, inbox


# --- items --------------------------------------------------------------------------------------


def head_item(head: Head) -> Item:
    """As stored."""
    return Item(head.zxid, codec.dumps(head[1:]))


def head_of(item: Item) -> Head:
    """As loaded."""
    namespace_id, confirmed, since, triggers, answers, ended, moved = codec.loads(item.body)
    return Head(
        item.rev,
        namespace_id,
        confirmed,
        since,
        tuple(Trigger(*t) for t in triggers),
        tuple((inbox, first, results) for inbox, first, results in answers),
        tuple(Ended(*e) for e in ended),
        tuple(moved),
    )


def node_item(node: Node) -> Item:
    """As stored."""
    return Item(node.mzxid, codec.dumps(node))


def node_of(item: Item) -> Node:
    """As loaded."""
    fields = codec.loads(item.body)
    fields[7] = tuple(Acl(*entry) for entry in fields[7])
    return Node(*fields)


def family_item(family: Family) -> Item:
    """As stored."""
    return Item(family.pzxid, codec.dumps(family))


def family_of(item: Item) -> Family:
    """As loaded."""
    return Family(*codec.loads(item.body))


def session_item(session: Session, zxid: int) -> Item:
    """As stored."""
    return Item(zxid, codec.dumps(session))


def session_of(item: Item) -> Session:
    """As loaded."""
    number, password_hash, timeout_ms, identities, inbox = codec.loads(item.body)
    return Session(number, password_hash, timeout_ms, tuple(Id(*i) for i in identities), inbox)


def pair_of(items: Sequence[Optional[Item]]) -> Optional[Tuple[Node, Family]]:
    """Node and family of the two items of `node_keys`, or None where there is no node."""
    node, family = items
    if node is None or family is None:
        return None
    return node_of(node), family_of(family)
