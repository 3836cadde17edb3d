"""The gateway: it listens, gives each connection a session of the deployment, and ends without ending any."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any, Optional, Set
from typing import Counter as CounterOf

from fk_backend.ports import Gateway

from .admin import Admin
from .connection import CONNECT_S, Connection
from .facing import Facing
from .figures import Figures
from .settings import Settings
from .words import Words

log = logging.getLogger(__name__)

BACKLOG = 1000


class Server:
    """One gateway in the running event loop: `start` it, `drain` it."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self.settings = settings
        self.port = settings.port
        self.figures = Figures()
        self._gateway = gateway
        self._connections: Set[Connection] = set()
        self._of_address: CounterOf[str] = Counter()
        self._listening: Optional[Any] = None
        self._empty = asyncio.Event()
        self._words = Words(gateway, settings, self.figures, lambda: list(self._connections))
        self.admin: Optional[Admin] = None

    async def start(self) -> None:
        """Listens. OSError if the port is taken."""
        settings = self.settings
        self._listening = await asyncio.get_running_loop().create_server(
            lambda: Connection(self), settings.host, settings.port, ssl=settings.tls, backlog=BACKLOG,
            ssl_handshake_timeout=None if settings.tls is None else CONNECT_S,
        )  # fmt: skip
        self.port = int(self._listening.sockets[0].getsockname()[1])
        if settings.admin is not None:
            self.admin = Admin(self._words, *settings.admin)
            await self.admin.start()

    async def drain(self) -> None:
        """Takes no more, answers what was asked, and hangs up. Clients go on elsewhere with their sessions."""
        if self._listening is not None:
            self._listening.close()
        if self.admin is not None:
            self.admin.close()
        for connection in list(self._connections):
            connection.drain()
        try:
            await asyncio.wait_for(self._until_empty(), self.settings.drain_s)
        except asyncio.TimeoutError:
            for connection in list(self._connections):
                connection.cut()
        await asyncio.sleep(0)

    async def _until_empty(self) -> None:
        while self._connections:
            self._empty.clear()
            await self._empty.wait()

    # --- for connections ------------------------------------------------------------------------

    def admit(self, connection: Connection) -> bool:
        """`connection.Home.admit`."""
        self._connections.add(connection)
        self._of_address[connection.address] += 1
        most = self.settings.max_connections
        if not most or self._of_address[connection.address] <= most:
            return True
        self.figures.rejected += 1
        return False

    def left(self, connection: Connection) -> None:
        """`connection.Home.left`."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._of_address[connection.address] -= 1
            if not self._of_address[connection.address]:
                del self._of_address[connection.address]
        self._empty.set()

    def facing(self, address: str) -> Facing:
        """`connection.Home.facing`."""
        return Facing(self._gateway, address)

    async def answer_word(self, word: str) -> str:
        """`connection.Home.answer_word`."""
        return await self._words.answer(word)
