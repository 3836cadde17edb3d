"""The gateway: it listens, gives each connection a session of the deployment, and ends without ending any."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections import Counter
from typing import Counter as CounterOf
from typing import Optional, Set

from fk_backend.ports import Gateway

from .admin import Admin
from .connection import Connection
from .door import Door
from .facing import Facing
from .figures import Figures
from .settings import Settings
from .words import Words

SPARE_FILES = 64
"""Of the files that the process may have open, so many are not for clients: the deployment takes some."""


class Server:
    """One gateway in the running event loop: `start` it, `drain` it."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self.settings = settings
        self.port = settings.port
        self.figures = Figures()
        self._gateway = gateway
        self._connections: Set[Connection] = set()
        self._of_address: CounterOf[str] = Counter()
        self._most = settings.max_total or _files()
        self._door: Optional[Door] = None
        self._empty = asyncio.Event()
        self._words = Words(gateway, settings, self.figures, lambda: list(self._connections))
        self.admin: Optional[Admin] = None

    async def start(self) -> None:
        """Listens. OSError if the port is taken."""
        settings = self.settings
        door = self._door = Door(settings, lambda address, port: Connection(self, address, port))
        await door.open()
        self.port = door.port
        if settings.admin is not None:
            self.admin = Admin(self._words, *settings.admin)
            await self.admin.start()

    async def drain(self) -> None:
        """Takes no more, answers what was asked, and hangs up. Clients go on elsewhere with their sessions."""
        if self._door is not None:
            self._door.close()
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
        address, most = connection.address, self.settings.max_connections
        if len(self._connections) >= self._most or (most and self._of_address[address] >= most):
            self.figures.rejected += 1
            return False
        self._connections.add(connection)
        self._of_address[address] += 1
        return True

    def left(self, connection: Connection) -> None:
        """`connection.Home.left`."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._of_address[connection.address] -= 1
            if not self._of_address[connection.address]:
                del self._of_address[connection.address]
        self._empty.set()

    def facing(self, address: str, subject: Optional[str]) -> Facing:
        """`connection.Home.facing`."""
        return Facing(self._gateway, address, subject)

    async def answer_word(self, word: str) -> str:
        """`connection.Home.answer_word`."""
        return await self._words.answer(word)


def _files() -> int:
    """As many clients as the process may have files open, but `SPARE_FILES`."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if most == resource.RLIM_INFINITY else max(1, most - SPARE_FILES)
