"""A ZooKeeper or a deployment as a side of a copy, read through its client with many requests on their way."""

from __future__ import annotations

import fnmatch
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from kazoo.exceptions import NoAuthError, NoNodeError

from .kinds import Kinds
from .records import EPHEMERAL, PERSISTENT, Record, creates_of, is_reserved, join

AT_ONCE = 256

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
        for root in roots:
            waiting: List[List[str]] = [[root]]
            first = True
            while waiting:
                paths = waiting[-1][-AT_ONCE:]
                del waiting[-1][-AT_ONCE:]
                if not waiting[-1]:
                    waiting.pop()
                found = self._read(paths, acls)
                if first and found[0] is None:
                    raise NoNodeError(root)
                first = False
                yield from (one for one in found if one is not None)
                waiting.extend(self._below([one for one in found if one is not None]))

    def _below(self, found: Sequence[Tuple[Record, Any]]) -> Iterator[List[str]]:
        parents = [record.path for record, stat in found if stat.numChildren]
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
