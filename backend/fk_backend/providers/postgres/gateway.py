"""The client's end on PostgreSQL: reads and registrations go to the tables, writes to the writer, by the link."""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Optional, Tuple

from ...errors import WentBack
from ...mac import inbox_name
from ...messages import split_id
from ...ports import Direct, Queue
from ..clock import AwakeClock
from .direct import DirectWrites
from .link import Link
from .place import Place
from .server import History
from .store import PostgresStore

MOST_SESSIONS = 100_000
"""Of so many it is remembered which server has answered them."""


class PostgresGateway:
    """`ports.Gateway` and `ports.Queue` of one process for one deployment."""

    blobs = None

    def __init__(self, link: Link, queued: bool = False) -> None:
        """``queued``: every write goes to the elected writer."""
        self._keys: Dict[str, Tuple[str, bytes]] = {}
        """Inbox → namespace, and the key of the session that asked for it and does not listen yet."""
        self._seen: Dict[bytes, History] = {}
        """Session's key → the history of the server that has answered it."""
        self.link = link
        self.address: Optional[str] = link.address
        """As the server sees it."""
        self.store = PostgresStore(link.connections)
        self.clock = AwakeClock()
        self.direct: Optional[Direct] = None
        if not queued:
            self.direct = direct = DirectWrites(link.writer_for, self.clock)
            link.on_contended = direct.contended

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
        inbox = inbox_name(ns, key, nonce)
        self._keys[inbox] = ns, key
        return inbox

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`. WentBack if the server may not have what the session was answered by another one.

        That it has a later zxid says nothing: others may have gone on there. NoPermission if the namespace is not this
        role's.
        """
        ns, key = self._keys.pop(inbox, ("", b""))
        if ns:
            await self.link.admit(ns)
        await self.link.listen(inbox, receive, lost)
        now = self.link.history
        before = self._seen.pop(key, now)
        if before.identity != now.identity and not before.keeps:
            await self.link.unsubscribe(inbox)
            raise WentBack("%s: the server took over from one whose answers it may not have" % self.link.shown)
        self._seen[key] = now
        if len(self._seen) > MOST_SESSIONS:
            del self._seen[next(iter(self._seen))]

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        await self.link.unsubscribe(inbox)

    async def check(self) -> None:
        """`ports.Gateway.check`."""
        await self.link.check()

    async def close(self) -> None:
        """`ports.Gateway.close`."""
        await self.link.close()
