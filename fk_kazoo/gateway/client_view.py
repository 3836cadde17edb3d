"""A deployment as one client of the gateway sees it: from its own address, and with its own certificate."""

from __future__ import annotations

from typing import Callable, Optional

from fk_backend.ports import Blobs, Clock, Direct, Gateway, Queue, Store


class ClientView:
    """`ports.Gateway` with the address of the client, and the subject of its certificate.

    Where the transport vouches for no address, there is neither: anybody could claim one.
    """

    def __init__(self, gateway: Gateway, address: str, subject: Optional[str] = None) -> None:
        self._gateway = gateway
        self.address: Optional[str] = None if gateway.address is None else address
        self.subject = None if gateway.address is None else subject

    @property
    def store(self) -> Store:
        """`ports.Gateway.store`."""
        return self._gateway.store

    @property
    def queue(self) -> Queue:
        """`ports.Gateway.queue`."""
        return self._gateway.queue

    @property
    def clock(self) -> Clock:
        """`ports.Gateway.clock`."""
        return self._gateway.clock

    @property
    def blobs(self) -> Optional[Blobs]:
        """`ports.Gateway.blobs`."""
        return self._gateway.blobs

    @property
    def direct(self) -> Optional[Direct]:
        """`ports.Gateway.direct`."""
        return self._gateway.direct

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return self._gateway.inbox(ns, key, nonce)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""
        await self._gateway.listen(inbox, receive, lost)

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        await self._gateway.unsubscribe(inbox, keep)

    async def check(self) -> None:
        """`ports.Gateway.check`."""
        await self._gateway.check()

    async def close(self) -> None:
        """The deployment is everybody's: it stays open."""
