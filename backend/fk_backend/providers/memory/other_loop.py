"""A deployment in memory from another event loop: everything is done in the loop that it lives in.

The store and the functions are of one loop; two threads in them at once would break both. So a loop that comes later
asks the first one. What comes back is heard in the loop that asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Awaitable, Callable, Coroutine, List, Optional, Sequence, Tuple, TypeVar

from ...errors import Unavailable
from ...ports import Capabilities, Clock, Gateway, Item, Key, Listing, Page, Queue, Store
from .deployment import MemoryDeployment

T = TypeVar("T")


class OtherLoopGateway:
    """`ports.Gateway`, `ports.Queue` and `ports.Store` by way of the loop in which the deployment lives."""

    address: Optional[str]
    blobs = None
    direct = None
    """Only who has the turn of the loop in which the deployment lives may write in place."""
    waits = True
    """Every call waits for the other loop."""
    capabilities: Capabilities

    def __init__(
        self, there: MemoryDeployment, home: asyncio.AbstractEventLoop, again: Callable[[], Awaitable[Gateway]]
    ) -> None:
        """``again`` opens the deployment anew, where it is then."""
        self._there = there
        self._home = home
        self._again = again
        self._here = asyncio.get_running_loop()
        self.address, self.capabilities = there.address, there.store.capabilities

    async def _follow(self) -> None:
        """To where the deployment is now."""
        found: Any = await self._again()
        if isinstance(found, OtherLoopGateway):
            self._there, self._home = found._there, found._home
        else:
            self._there, self._home = found, self._here

    async def _do(self, ask: Callable[[MemoryDeployment], Coroutine[Any, Any, T]]) -> T:
        if self.given_up:
            await self._follow()
        coroutine = ask(self._there)
        if self._home is self._here:
            return await coroutine
        try:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._home))
        except RuntimeError as error:  # the loop is closed
            coroutine.close()
            raise Unavailable("the event loop in which the deployment lived is closed") from error

    @property
    def given_up(self) -> bool:
        """Whether it goes on in yet another loop, or will: who comes here opens it anew."""
        return self._there.given_up or self._there.stopped or self._home.is_closed()

    @property
    def queue(self) -> Queue:
        """`ports.Gateway.queue`."""
        return self

    @property
    def store(self) -> Store:
        """`ports.Gateway.store`."""
        return self

    @property
    def clock(self) -> Clock:
        """`ports.Gateway.clock`."""
        return self._there.clock

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        await self._do(lambda there: there.send(group, message_id, body))

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return self._there.inbox(ns, key, nonce)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""
        await self._do(lambda there: there.listen(inbox, self._from_there(receive), self._from_there(lost)))

    def _from_there(self, function: Callable[..., None]) -> Callable[..., None]:
        def call(*args: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop that listened is closed
                self._here.call_soon_threadsafe(function, *args)

        return call

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        with contextlib.suppress(Unavailable):  # then nobody listens there any more
            await self._do(lambda there: there.unsubscribe(inbox, keep))

    async def check(self) -> None:
        """`ports.Gateway.check`."""
        await self._do(lambda there: there.check())

    async def close(self) -> None:
        """`ports.Gateway.close`: the deployment is another loop's."""

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`."""
        return await self._do(lambda there: there.store.get(keys))

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.load`."""
        return await self._do(lambda there: there.store.load(keys))

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """`ports.Store.query`."""
        return await self._do(lambda there: there.store.query(table, partition, start, end, limit))

    async def listing(self, table: str, partition: str, start: str, prefix: str, limit: int) -> Listing:
        """`ports.Store.listing`."""
        return await self._do(lambda there: there.store.listing(table, partition, start, prefix, limit))

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""
        await self._do(lambda there: there.store.commit(writes))

    async def increment(self, key: Key, by: int = 1) -> int:
        """`ports.Store.increment`."""
        return await self._do(lambda there: there.store.increment(key, by))

    async def purge(self, table: str, owner: str) -> int:
        """`ports.Store.purge`."""
        return await self._do(lambda there: there.store.purge(table, owner))

    async def scan(
        self, table: str, prefix: str = "", after: Optional[Tuple[str, str]] = None, limit: int = 1000
    ) -> List[Tuple[Key, Item]]:
        """`ports.Store.scan`."""
        return await self._do(lambda there: there.store.scan(table, prefix, after, limit))
