"""A ZooKeeper or a deployment as a side of a copy, read with many requests on their way.

A deployment is read from its store, if that may be had (`stored`); all else is read by the client.
"""

from __future__ import annotations

import fnmatch
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, TypeVar

from kazoo.exceptions import NoAuthError, NoNodeError

from .records import EPHEMERAL, PERSISTENT, Record, creates_of, is_reserved, join
from .store_reader import StoreReader

AT_ONCE = 256

T = TypeVar("T")

Rule = Tuple[str, str, int]
"""(pattern of paths, kind, TTL in ms): what a ZooKeeper does not tell, said by the user."""
_Found = Tuple[str, Optional[bytes], Tuple[Tuple[int, str, str], ...], Any, str, int]
"""Path, data, ACL, Stat, kind, TTL in ms."""


class ClientEndpoint:
    """``stored``: None where only ``rules`` say which nodes are containers or have a TTL."""

    def __init__(self, client: Any, stored: Optional[StoreReader] = None, rules: Sequence[Rule] = ()) -> None:
        self.client = client
        self._stored = stored
        self._rules = rules
        self.knows_kinds = stored is not None

    def walk(self, roots: Sequence[str]) -> Iterator[Record]:
        """`Endpoint.walk`. The tree may change meanwhile: what is gone when its turn comes is left out."""
        return (record for record, _ in self.walk_with_stats(roots))

    def walk_with_stats(self, roots: Sequence[str], acls: bool = True) -> Iterator[Tuple[Record, Any]]:
        """As `walk`, each with its Stat; without ``acls`` nobody needs them: they may be empty, or hidden."""
        return self._walk(roots, lambda paths: self._read(paths, acls), lambda one: one[0].path, lambda one: one[1])

    def paths(self, roots: Sequence[str]) -> Iterator[str]:
        """`Endpoint.paths`, by Stats alone: no data and no ACLs are read."""
        found = self._walk(roots, self._stats, lambda one: one[0], lambda one: one[1])
        return (path for path, stat in found if not stat.ephemeralOwner)

    def present(self, paths: Sequence[str]) -> List[bool]:
        """`Endpoint.present`."""
        return [stat is not None and not stat.ephemeralOwner for stat in self.stats(paths)]

    def stats(self, paths: Sequence[str]) -> List[Optional[Any]]:
        """The Stat of each; None where there is nothing."""
        if self._stored is not None:
            return list(self._stored.stats(paths))
        return [answer.get() for answer in [self.client.exists_async(path) for path in paths]]

    def _stats(self, paths: Sequence[str]) -> List[Optional[Tuple[str, Any]]]:
        return [None if stat is None else (path, stat) for path, stat in zip(paths, self.stats(paths))]

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
                paths = _taken(waiting, AT_ONCE)
                read_now = read(paths)
                if first and read_now[0] is None:
                    raise NoNodeError(root)
                first = False
                found = [one for one in read_now if one is not None]
                yield from found
                below = list(self._below([path_of(one) for one in found if stat_of(one).numChildren]))
                waiting.extend(reversed(below))

    def _below(self, parents: Sequence[str]) -> Iterator[List[str]]:
        for path, names in self._names(parents):
            below = [join(path, name) for name in sorted(names, reverse=True)]
            below = [one for one in below if not is_reserved(one)]
            if below:
                yield below

    def _names(self, parents: Sequence[str]) -> Iterator[Tuple[str, List[str]]]:
        """The names of the children of those that are still there."""
        if self._stored is not None:
            yield from zip(parents, self._stored.names(parents))
            return
        for path, answer in [(path, self.client.get_children_async(path)) for path in parents]:
            try:
                yield path, answer.get()
            except NoNodeError:
                continue
            except NoAuthError:
                raise NoAuthError(path) from None

    def lookup(self, paths: Sequence[str]) -> List[Optional[Record]]:
        """`Endpoint.lookup`."""
        return [None if one is None else one[0] for one in self._read(paths)]

    def _read(self, paths: Sequence[str], acls: bool = True) -> List[Optional[Tuple[Record, Any]]]:
        found = self._read_stored(paths) if self._stored is not None else self._asked(paths, acls)
        made: Dict[str, Tuple[Record, Any]] = {}
        for path, data, entries, stat, kind, ttl_ms in found:
            if acls and any(scheme == "digest" and name.endswith(":x") for _, scheme, name in entries):
                raise NoAuthError("%s: its ACL is hidden from who may not administer it, so it can't move" % path)
            if stat.ephemeralOwner:
                kind, ttl_ms = EPHEMERAL, 0
            record = Record(path, data, entries, kind, ttl_ms, creates_of(stat), stat.version, stat.aversion)
            made[path] = (record, stat)
        return [made.get(path) for path in paths]

    def _read_stored(self, paths: Sequence[str]) -> Iterator[_Found]:
        assert self._stored is not None
        for path, node in zip(paths, self._stored.nodes(paths)):
            if node is not None:
                yield path, node.data, node.acl, node.stat, node.kind, node.ttl_ms

    def _asked(self, paths: Sequence[str], acls: bool) -> Iterator[_Found]:
        asked = [(self.client.get_async(path), self.client.get_acls_async(path) if acls else None) for path in paths]
        for path, (node, listed) in zip(paths, asked):
            try:
                (data, stat), (acl, _) = node.get(), listed.get() if listed is not None else ((), None)
            except NoNodeError:
                continue
            except NoAuthError:
                raise NoAuthError(path) from None
            entries = tuple((int(one.perms), str(one.id.scheme), str(one.id.id)) for one in acl)
            yield (path, data, entries, stat, *self._guessed(path))

    def _guessed(self, path: str) -> Tuple[str, int]:
        for pattern, kind, ttl_ms in self._rules:
            if fnmatch.fnmatchcase(path, pattern):
                return kind, ttl_ms
        return PERSISTENT, 0


def _taken(waiting: List[List[str]], most: int) -> List[str]:
    """The next ones: from the end of the last list on, so that small families are read together."""
    taken: List[str] = []
    while waiting and len(taken) < most:
        last = waiting[-1]
        room = most - len(taken)
        taken.extend(last[: -room - 1 : -1])
        del last[-room:]
        if not last:
            waiting.pop()
    return taken
