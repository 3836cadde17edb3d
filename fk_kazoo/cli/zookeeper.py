"""``zk://host:port[,host:port…][/chroot]``: a real ZooKeeper, by kazoo's own client.

Rule upheld here: what kazoo has no method for (containers, TTLs, watches that stay) is asked for by the requests that
`fk_kazoo.requests` has, which are ZooKeeper's own.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Tuple

from kazoo import client as _kazoo
from kazoo.protocol.connection import ConnectionHandler

from fk_backend.errors import BadUrl
from fk_kazoo.client import KazooClient as _Ours
from fk_kazoo.connection import Persistent
from fk_kazoo.requests import AddWatchMode

SCHEME = "zk://"
_HOST = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


def hosts_of(url: str) -> str:
    """What kazoo calls hosts. BadUrl."""
    places, slash, chroot = url[len(SCHEME) :].partition("/")
    if "@" in places:
        raise BadUrl("user names and passwords do not belong in a URL: give --auth SCHEME:CREDENTIAL")
    if "?" in url or "#" in url:
        raise BadUrl("%r: a ZooKeeper's URL has no options: zk://HOST:PORT[,HOST:PORT][/CHROOT]" % url)
    if not places or not all(_HOST.fullmatch(one) for one in places.split(",")):
        raise BadUrl("%r names no ZooKeeper: write zk://HOST:PORT[,HOST:PORT][/CHROOT]" % url)
    named = ["%s" % one if _HOST.fullmatch(one)[2] else one + ":2181" for one in places.split(",")]  # type: ignore[index] # all match
    return ",".join(named) + (slash + chroot.rstrip("/") if chroot else "")


class _Connection(Persistent, ConnectionHandler):
    """kazoo's own, which also hears watches that stay."""


class ZooKeeperClient(_kazoo.KazooClient):
    """kazoo's own client, with what our client has besides."""

    create_container = _Ours.create_container
    create_ttl = _Ours.create_ttl
    _created = _Ours._created
    _fire_persistent = _Ours._fire_persistent
    _answered: Any = _Ours._answered

    def __init__(self, *args: Any, **options: Any) -> None:
        self._persistent: Dict[Tuple[str, str], Dict[Any, None]] = {}
        super().__init__(*args, **options)
        self._connection = _Connection(self, self._conn_retry.copy(), logger=self.logger)

    def add_watch(self, path: str, watch: Any, mode: str = AddWatchMode.PERSISTENT) -> None:
        """As our client's; it does not outlive the connection: who uses it listens for that and adds it again."""
        from kazoo.protocol.paths import _prefix_root

        from fk_kazoo.requests import AddWatch

        result = self.handler.async_result()
        request = AddWatch(_prefix_root(self.chroot, path), watch, mode)
        self._call(request, result)
        result.get()
        self._answered(request)
