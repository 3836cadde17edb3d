"""``zk://host:port[,host:port…][/chroot]``: a real ZooKeeper, by kazoo's own client.

Rule upheld here: what kazoo has no method for (containers, TTLs, watches that stay) is asked for by the requests that
`fk_kazoo.requests` has, which are ZooKeeper's own.
"""

from __future__ import annotations

import re
import socket
from typing import Any, Dict, Optional, Tuple

from kazoo import client as _kazoo
from kazoo.exceptions import ConnectionDropped
from kazoo.protocol.connection import ConnectionHandler
from kazoo.protocol.serialization import int_struct

from fk_backend.errors import BadUrl
from fk_kazoo.client import KazooClient as _Ours
from fk_kazoo.connection import Persistent
from fk_kazoo.requests import AddWatchMode

SCHEME = "zk://"
PIECE_BYTES = 256 << 10
MOST_TOGETHER = 128
"""Requests that are sent at once."""
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
    """kazoo's own, which also hears watches that stay, and speaks in larger pieces.

    kazoo asks the system for each request and each half of an answer: at a thousand requests on their way that is most
    of what a copy costs. Here, what is waiting is sent at once, and what has come is read at once.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._come = bytearray()
        self._going: Optional[bytearray] = None

    def _connect(self, *args: Any, **options: Any) -> Any:
        self._come.clear()
        self._going = None
        return super()._connect(*args, **options)

    def _read(self, length: int, timeout: float) -> bytes:
        with self._socket_error_handling():
            while len(self._come) < length:
                if not self.handler.select([self._socket], [], [], timeout)[0]:
                    raise self.handler.timeout_exception("socket time-out during read")
                part = self._socket.recv(PIECE_BYTES)
                if not part:
                    raise ConnectionDropped("socket connection broken")
                self._come += part
        found = bytes(memoryview(self._come)[:length])
        del self._come[:length]
        return found

    def _read_socket(self, read_timeout: float) -> Any:
        answer = super()._read_socket(read_timeout)
        while answer is None and self._is_there():
            answer = super()._read_socket(read_timeout)
        return answer

    def _is_there(self) -> bool:
        """Whether a whole answer has come."""
        return len(self._come) >= 4 and len(self._come) >= 4 + int_struct.unpack_from(self._come)[0]

    def _send_request(self, read_timeout: float, connect_timeout: float) -> None:
        """As many as were announced: there is a byte for each in the socket by which kazoo's thread is woken."""
        announced = len(self._read_sock.recv(MOST_TOGETHER, socket.MSG_PEEK))
        self._going = bytearray()
        try:
            for _ in range(announced):
                super()._send_request(read_timeout, connect_timeout)
        finally:
            going, self._going = self._going, None
        self._write(going, connect_timeout)

    def _write(self, message: Any, timeout: float) -> None:
        if self._going is None:
            super()._write(message, timeout)
        else:
            self._going += message


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
