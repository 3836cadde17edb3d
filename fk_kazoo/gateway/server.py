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


class NamespaceFrontend:
    """One namespace of the deployment, on a port of its own: `connection.Frontend`. ``port``: once it is `open`."""

    def __init__(self, gateway: Gateway, settings: Settings, crowd: "ConnectionLimits[Connection]") -> None:
        self.settings = settings
        self.port = settings.port
        self.figures = Figures()
        self.single_writes = SingleWrites()
        self.words = Words(gateway, settings, self.figures, lambda: [each for each in crowd if each.frontend is self])
        self._gateway = gateway
        self._limits = crowd
        self._acceptor: Optional[Acceptor] = None

    async def open(self) -> None:
        """Listens. OSError if the port is taken."""
        door = self._acceptor = Acceptor(self.settings, lambda address, port: Connection(self, address, port))
        await door.open()
        self.port = door.port

    def close(self) -> None:
        """Lets nobody in any more."""
        if self._acceptor is not None:
            self._acceptor.close()

    def admit(self, connection: Connection) -> bool:
        """`connection.Frontend.admit`."""
        admitted = self._limits.admit(connection)
        self.figures.rejected += not admitted
        return admitted

    def left(self, connection: Connection) -> None:
        """`connection.Frontend.left`."""
        self._limits.left(connection)

    def view_for(self, address: str, subject: Optional[str]) -> ClientView:
        """`connection.Frontend.view_for`."""
        return ClientView(self._gateway, address, subject)

    async def answer_word(self, word: str) -> str:
        """`connection.Frontend.answer_word`."""
        return await self.words.answer(word)


class Server:
    """One gateway in the running event loop: `start` it, `drain` it."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self.settings = settings
        self.connections: ConnectionLimits[Connection] = ConnectionLimits(settings.max_connections, settings.max_total)
        self.frontends = [NamespaceFrontend(gateway, each, self.connections) for each in settings.each()]
        self.admin: Optional[Admin] = None

    @property
    def port(self) -> int:
        """Of the first namespace."""
        return self.frontends[0].port

    async def start(self) -> None:
        """Listens. OSError if a port is taken."""
        try:
            for frontend in self.frontends:
                await frontend.open()
            if self.settings.admin is not None:
                admin = Admin(
                    {frontend.settings.namespace: frontend.words for frontend in self.frontends}, *self.settings.admin
                )
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
        for frontend in self.frontends:
            frontend.close()
        if self.admin is not None:
            self.admin.close()
