"""The gateway: it listens, gives each connection a session of the deployment, and ends without ending any."""

from __future__ import annotations

import asyncio
from typing import Optional

from fk_backend.ports import Gateway

from .acceptor import Acceptor
from .admin import Admin
from .client_view import ClientView
from .connection import Connection
from .connection_limits import ConnectionLimits
from .figures import Figures
from .settings import Settings
from .single_writes import SingleWrites
from .words import Words


class Front:
    """One namespace of the deployment, on a port of its own: `connection.Home`. ``port``: once it is `open`."""

    def __init__(self, gateway: Gateway, settings: Settings, crowd: "ConnectionLimits[Connection]") -> None:
        self.settings = settings
        self.port = settings.port
        self.figures = Figures()
        self.lone = SingleWrites()
        self.words = Words(gateway, settings, self.figures, lambda: [each for each in crowd if each.home is self])
        self._gateway = gateway
        self._limits = crowd
        self._door: Optional[Acceptor] = None

    async def open(self) -> None:
        """Listens. OSError if the port is taken."""
        door = self._door = Acceptor(self.settings, lambda address, port: Connection(self, address, port))
        await door.open()
        self.port = door.port

    def close(self) -> None:
        """Lets nobody in any more."""
        if self._door is not None:
            self._door.close()

    def admit(self, connection: Connection) -> bool:
        """`connection.Home.admit`."""
        admitted = self._limits.admit(connection)
        self.figures.rejected += not admitted
        return admitted

    def left(self, connection: Connection) -> None:
        """`connection.Home.left`."""
        self._limits.left(connection)

    def facing(self, address: str, subject: Optional[str]) -> ClientView:
        """`connection.Home.facing`."""
        return ClientView(self._gateway, address, subject)

    async def answer_word(self, word: str) -> str:
        """`connection.Home.answer_word`."""
        return await self.words.answer(word)


class Server:
    """One gateway in the running event loop: `start` it, `drain` it."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self.settings = settings
        self.connections: ConnectionLimits[Connection] = ConnectionLimits(settings.max_connections, settings.max_total)
        self.fronts = [Front(gateway, each, self.connections) for each in settings.each()]
        self.admin: Optional[Admin] = None

    @property
    def port(self) -> int:
        """Of the first namespace."""
        return self.fronts[0].port

    async def start(self) -> None:
        """Listens. OSError if a port is taken."""
        try:
            for front in self.fronts:
                await front.open()
            if self.settings.admin is not None:
                admin = Admin({front.settings.namespace: front.words for front in self.fronts}, *self.settings.admin)
                await admin.start()
                self.admin = admin
        except OSError:
            self._close()
            raise

    async def drain(self) -> None:
        """Takes no more, answers what was asked, and hangs up. Clients go on elsewhere with their sessions."""
        self._close()
        for connection in self.connections:
            connection.drain()
        try:
            await asyncio.wait_for(self.connections.until_empty(), self.settings.drain_s)
        except asyncio.TimeoutError:
            for connection in self.connections:
                connection.cut()
        await asyncio.sleep(0)

    def _close(self) -> None:
        for front in self.fronts:
            front.close()
        if self.admin is not None:
            self.admin.close()
