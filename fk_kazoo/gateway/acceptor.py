"""Where clients come in: each is counted before it costs more than a socket, so that a handshake of TLS counts, too."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import List, Protocol, Set

from .settings import Settings

log = logging.getLogger(__name__)

BACKLOG = 1000
HANDSHAKE_S = 20.0
"""So long a handshake of TLS may take."""
PAUSE_S = 1.0
"""So long nobody is let in where the system has no more files, or no memory for one."""


class AcceptedConnection(asyncio.Protocol):
    """A connection as the door sees it."""

    def admitted(self) -> bool:
        """Takes its place among the others. False if there is none: it is hung up on."""
        raise NotImplementedError

    def gone(self) -> None:
        """Its handshake failed: its place is free again."""
        raise NotImplementedError


class ConnectionFactory(Protocol):
    """What makes a connection."""

    def __call__(self, address: str, port: int) -> AcceptedConnection:
        """For who comes from there."""
        ...


class Acceptor:
    """Listens: `open` it, `close` it. ``port``: where, once it is open."""

    def __init__(self, settings: Settings, make: ConnectionFactory) -> None:
        self._settings = settings
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._sockets: List[socket.socket] = []
        self._coming: Set["asyncio.Task[None]"] = set()
        self.port = settings.port

    async def open(self) -> None:
        """Listens on each address that the host's name has. OSError if one can't be had."""
        settings = self._settings
        found = await self._loop.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, address in dict.fromkeys((each[0], each[4]) for each in found):
                made = socket.create_server(address, family=family, backlog=BACKLOG)
                made.setblocking(False)
                self._sockets.append(made)
        except OSError:
            self.close()
            raise
        self.port = int(self._sockets[0].getsockname()[1])
        for each in self._sockets:
            self._loop.add_reader(each, self._accept, each)

    def close(self) -> None:
        """Lets nobody in any more, and who is not through it yet is hung up on."""
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            self._loop.remove_reader(each)
            each.close()
        for task in self._coming:
            task.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(BACKLOG):
            try:
                come, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("nobody is let in for %d s: %s", PAUSE_S, error)
                self._loop.remove_reader(listening)
                self._loop.call_later(PAUSE_S, self._listen_again, listening)
                return
            guest = self._make(str(address[0]), int(address[1]))
            if not guest.admitted():
                come.close()
                continue
            come.setblocking(False)
            task = self._loop.create_task(self._greet(come, guest))
            self._coming.add(task)
            task.add_done_callback(self._coming.discard)

    def _listen_again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    async def _greet(self, come: socket.socket, guest: AcceptedConnection) -> None:
        tls = self._settings.tls
        try:
            # asyncio does so only where a socket names its protocol, which those of `socket.create_server` don't.
            come.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                lambda: guest, come, ssl=tls, ssl_handshake_timeout=None if tls is None else HANDSHAKE_S
            )
        except OSError as error:  # of TLS, too
            log.info("no handshake: %s", error)
            guest.gone()
        except BaseException:
            guest.gone()
            raise
