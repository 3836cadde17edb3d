"""A ZooKeeper or a deployment as a side of a copy, read through its client with many requests on their way."""

from __future__ import annotations

import fnmatch
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, TypeVar

from kazoo.exceptions import NoAuthError, NoNodeError

from .kinds import Kinds
from .records import EPHEMERAL, PERSISTENT, Record, creates_of, is_reserved, join

AT_ONCE = 256

T = TypeVar("T")

Rule = Tuple[str, str, int]
"""(pattern of paths, kind, TTL in ms): what a ZooKeeper does not tell, said by the user."""


class ClientSide:
    """``kinds``: None where only ``rules`` say which nodes are containers or have a TTL."""

    def __init__(self, client: Any, kinds: Optional[Kinds] = None, rules: Sequence[Rule] = ()) -> None:
        self.client = client
        self._kinds = kinds
        self._rules = rules
        self.tells_kinds = kinds is not None

    def walk(self, roots: Sequence[str]) -> Iterator[Record]:
        """`Side.walk`. The tree may change meanwhile: what is gone when its turn comes is left out."""
        return (record for record, _ in self.walk_with_stats(roots))

    def walk_with_stats(self, roots: Sequence[str], acls: bool = True) -> Iterator[Tuple[Record, Any]]:
        """As `walk`, each with its Stat; without ``acls`` they are not asked for, and empty."""
        return self._walk(roots, lambda paths: self._read(paths, acls), lambda one: one[0].path, lambda one: one[1])

    def paths(self, roots: Sequence[str]) -> Iterator[str]:
        """`Side.paths`, by Stats alone: no data and no ACLs are read."""
        found = self._walk(roots, self._stats, lambda one: one[0], lambda one: one[1])
        return (path for path, stat in found if not stat.ephemeralOwner)

    def present(self, paths: Sequence[str]) -> List[bool]:
        """`Side.present`."""
        return [one is not None and not one[1].ephemeralOwner for one in self._stats(paths)]

    def _stats(self, paths: Sequence[str]) -> List[Optional[Tuple[str, Any]]]:
        asked = [(path, self.client.exists_async(path)) for path in paths]
        stats = [(path, answer.get()) for path, answer in asked]
        return [None if stat is None else (path, stat) for path, stat in stats]

    def _walk(
        self,
        roots: Sequence[str],
        read: Callable[[Sequence[str]], List[Optional[T]]],
        path_of: Callable[[T], str],
        stat_of: Callable[[T], Any],
    ) -> Iterator[T]:
        """Every node, parents first, as it is read; what is gone when its turn comes is left out. NoNodeError."""
        for root in roots:
            waiting: List[List[str]] = [[root]]
            first = True
            while waiting:
                paths = waiting[-1][: -AT_ONCE - 1 : -1]
                del waiting[-1][-AT_ONCE:]
                if not waiting[-1]:
                    waiting.pop()
                read_now = read(paths)
                if first and read_now[0] is None:
                    raise NoNodeError(root)
                first = False
                found = [one for one in read_now if one is not None]
                yield from found
                below = list(self._below([path_of(one) for one in found if stat_of(one).numChildren]))
                waiting.extend(reversed(below))

    def _below(self, parents: Sequence[str]) -> Iterator[List[str]]:
        asked = [(path, self.client.get_children_async(path)) for path in parents]
        for path, answer in asked:
            try:
                names = answer.get()
            except NoNodeError:
                continue
            except NoAuthError:
                raise NoAuthError(path) from None
            below = [join(path, name) for name in sorted(names, reverse=True)]
            below = [one for one in below if not is_reserved(one)]
            if below:
                yield below

    def lookup(self, paths: Sequence[str]) -> List[Optional[Record]]:
        """`Side.lookup`."""
        return [None if one is None else one[0] for one in self._read(paths)]

    def _read(self, paths: Sequence[str], acls: bool = True) -> List[Optional[Tuple[Record, Any]]]:
        asked = [(self.client.get_async(path), self.client.get_acls_async(path) if acls else None) for path in paths]
        read: Dict[str, Tuple[Any, Any, Any]] = {}
        for path, (node, listed) in zip(paths, asked):
            try:
                (data, stat), (acl, _) = node.get(), listed.get() if listed is not None else ((), None)
            except NoNodeError:
                continue
            except NoAuthError:
                raise NoAuthError(path) from None
            if any(one.id.scheme == "digest" and one.id.id.endswith(":x") for one in acl):
                raise NoAuthError("%s: its ACL is hidden from who may not administer it, so it can't move" % path)
            read[path] = (data, stat, acl)
        kinds = self._kinds.of(list(read)) if self._kinds is not None else [self._guessed(path) for path in read]
        made: Dict[str, Tuple[Record, Any]] = {}
        for (path, (data, stat, acl)), (kind, ttl_ms) in zip(read.items(), kinds):
            if stat.ephemeralOwner:
                kind, ttl_ms = EPHEMERAL, 0
            entries = tuple((int(one.perms), str(one.id.scheme), str(one.id.id)) for one in acl)
            record = Record(path, data, entries, kind, ttl_ms, creates_of(stat), stat.version, stat.aversion)
            made[path] = (record, stat)
        return [made.get(path) for path in paths]

    def _guessed(self, path: str) -> Tuple[str, int]:
        for pattern, kind, ttl_ms in self._rules:
            if fnmatch.fnmatchcase(path, pattern):
                return kind, ttl_ms
        return PERSISTENT, 0
