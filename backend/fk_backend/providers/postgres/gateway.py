"""The client's end on PostgreSQL: reads and registrations go to the tables, writes to the writer, by the link."""

from __future__ import annotations

from typing import Callable, Mapping, Optional

from ...mac import inbox_name
from ...messages import split_id
from ...ports import Direct, Queue
from ..clock import AwakeClock
from .direct import DirectWrites
from .link import Link
from .place import Place
from .store import PostgresStore


class PostgresGateway:
    """`ports.Gateway` and `ports.Queue` of one process for one deployment."""

    thrifty = False
    blobs = None

    def __init__(self, link: Link, queued: bool = False) -> None:
        """``queued``: every write goes to the elected writer."""
        self.link = link
        self.address: Optional[str] = link.address
        """As the server sees it."""
        self.store = PostgresStore(link.connections)
        self.clock = AwakeClock()
        self.direct: Optional[Direct] = None if queued else DirectWrites(link.writer_for, self.clock)

    @classmethod
    async def open(cls, name: str, options: Mapping[str, str]) -> "PostgresGateway":
        """Opens the deployment. DeploymentError if it is not there, or not for this role; Unavailable."""
        link = Link(Place(name, options))
        try:
            await link.open()
        except BaseException:
            await link.close()
            raise
        return cls(link, options.get("via") == "queue")

    @property
    def queue(self) -> Queue:
        """`ports.Gateway.queue`."""
        return self

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`: the link keeps it until it is answered."""
        inbox, first = split_id(message_id)
        self.link.send(group, inbox, first, body)

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return inbox_name(ns, key, nonce)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""
        await self.link.listen(inbox, receive, lost)

    async def hush(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.hush`."""
        await self.link.hush(inbox)

    async def check(self) -> None:
        """`ports.Gateway.check`."""
        await self.link.check()

    async def close(self) -> None:
        """`ports.Gateway.close`."""
        await self.link.close()
