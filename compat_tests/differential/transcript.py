"""What a program saw, as plain JSON in which nothing depends on the server that it ran on.

Zxids become their rank among all that the program saw, sessions their place in it; times are left out. So two
servers that mean the same say the same.
"""

from __future__ import annotations

from typing import Any, Dict, List, Set

from kazoo.protocol.states import ZnodeStat
from kazoo.security import ACL


class Zxid(int):
    """Marks what has to become a rank."""


class Encoder:
    """Values of kazoo's, as JSON, except for zxids, which `ranked` turns into ranks."""

    def __init__(self, chroot: str) -> None:
        self._chroot = chroot
        self.sessions: Dict[int, str] = {0: ""}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, BaseException):
            return {"error": type(value).__name__}
        if isinstance(value, ZnodeStat):
            return self._stat(value)
        if isinstance(value, ACL):
            return [value.perms, value.id.scheme, value.id.id]
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if isinstance(value, str):
            return self.path(value)
        if isinstance(value, (list, tuple)):
            return [self(each) for each in value]
        return value

    def path(self, path: str) -> str:
        """Without the program's own place."""
        return path[len(self._chroot) :] or "/" if (path + "/").startswith(self._chroot + "/") else path

    def _stat(self, stat: ZnodeStat) -> List[Any]:
        zxids = [Zxid(stat.czxid), Zxid(stat.mzxid), Zxid(stat.pzxid)]
        counts = [stat.version, stat.cversion, stat.aversion, stat.dataLength, stat.numChildren]
        return [*zxids, *counts, self.sessions.get(stat.ephemeralOwner, "a stranger")]


def ranked(value: Any) -> Any:
    """The value with ranks for its zxids."""
    found: Set[int] = set()
    _collect(value, found)
    ranks = {zxid: rank for rank, zxid in enumerate(sorted(found))}
    return _replace(value, ranks)


def _collect(value: Any, found: Set[int]) -> None:
    if isinstance(value, Zxid):
        found.add(int(value))
    elif isinstance(value, dict):
        _collect(list(value.values()), found)
    elif isinstance(value, list):
        for each in value:
            _collect(each, found)


def _replace(value: Any, ranks: Dict[int, int]) -> Any:
    if isinstance(value, Zxid):
        return ranks[int(value)]
    if isinstance(value, dict):
        return {key: _replace(each, ranks) for key, each in value.items()}
    if isinstance(value, list):
        return [_replace(each, ranks) for each in value]
    return value
