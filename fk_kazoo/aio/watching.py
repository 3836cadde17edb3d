"""Async iterators over changes: `Watch`, `States`, `DataWatch`, `ChildrenWatch`. None has a task or leaves a watch.

It is over with the client, where ``async with`` ends, with `aclose`, and when it is forgotten (a ``break`` out of an
``async for`` forgets it). To cancel ``anext`` ends nothing: nothing is lost, and the next one goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, AsyncIterator, Deque, Generic, List, Optional, Tuple, Type, TypeVar, Union

from kazoo.exceptions import ConnectionClosedError, NoNodeError
from kazoo.protocol.paths import _prefix_root
from kazoo.protocol.states import EventType, KazooState, KeeperState, WatchedEvent, ZnodeStat
from kazoo.retry import ForceRetryError

from fk_backend.core.watches import CHILD, DATA

from . import retrying
from .wakeup import Wakeup
from .watches import Armed

if TYPE_CHECKING:
    from kazoo.protocol.states import _State
    from typing_extensions import Self

    from .operations import Operations

T = TypeVar("T")
FOR_EVER = retrying.FOR_EVER
SET_AGAIN = WatchedEvent(EventType.NONE, KeeperState.CONNECTED, None)


class Mailbox(Generic[T]):
    """What the client hands to an iterator. The client has this and not the iterator, which may be forgotten."""

    __slots__ = ("armed", "left", "wakeup")

    def __init__(self) -> None:
        self.wakeup = Wakeup()
        self.left: Deque[T] = deque()
        self.armed = False


class Iterated(AsyncIterator[T]):
    """An async iterator of a client's; an async context manager, too."""

    def __init__(self, client: Operations) -> None:
        self._client = client
        self._closed = False
        self._wakeup = Wakeup()
        self.event: Optional[WatchedEvent] = None
        """What led to what was given last, if the deployment told."""

    async def __aenter__(self) -> Self:
        try:
            await self._ready()
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        self._close()

    async def aclose(self) -> None:
        """Ends it: whoever waits for it gets no more."""
        self._close()

    async def __anext__(self) -> T:
        try:
            return await self._next()
        except ConnectionClosedError:
            self._close()
            raise StopAsyncIteration from None

    async def _ready(self) -> None:
        """Before the body of an ``async with``."""

    async def _next(self) -> T:
        raise NotImplementedError

    def _over(self) -> bool:
        return self._closed or self._client._stopped

    async def _wait(self, mailbox: Optional[Mailbox[T]] = None) -> None:
        """Until something may have happened since it waited last.

        ConnectionClosedError when it is over, and nothing that was told is left.
        """
        if not self._over():
            await self._wakeup.wait()
        by = self._wakeup.by
        self.event = by if isinstance(by, WatchedEvent) and by.type != EventType.NONE else None
        self._wakeup.clear()
        if self._over() and not (mailbox and mailbox.left):
            raise ConnectionClosedError("Connection has been closed")

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._wakeup.wake()
            self._let_go()

    def _let_go(self) -> None:
        raise NotImplementedError

    def __del__(self) -> None:
        """It may be any thread's garbage collector that calls this."""
        with contextlib.suppress(RuntimeError, AttributeError):  # there is no loop any more; it was never made
            loop = self._client._loop
            if loop is not None and not self._closed:
                if asyncio._get_running_loop() is loop:
                    self._close()
                else:
                    loop.call_soon_threadsafe(self._close)


class _WatchMailbox(Mailbox[WatchedEvent]):
    """Of a `Watch`."""

    __slots__ = ()

    def event(self, event: WatchedEvent) -> None:
        """A watcher."""
        if event.type != EventType.NONE:
            self.left.append(event)
        self.wakeup.wake()

    def state(self, state: _State) -> None:
        """A listener."""
        if state == KazooState.CONNECTED and self.armed:
            self.left.append(SET_AGAIN)
        if state == KazooState.LOST:
            self.armed = False
        self.wakeup.wake()


class Watch(Iterated[WatchedEvent]):
    """Every change since it was set, in order, through reconnections and lost sessions.

    What happened while the client was not connected is not told, as in ZooKeeper: instead there is one event of type
    NONE, without a path, once the watch is set again. Whoever gets it looks at the nodes again.
    """

    def __init__(self, client: Operations, path: str, mode: str) -> None:
        super().__init__(client)
        self._path, self._mode = path, mode
        self._mailbox = _WatchMailbox()
        self._wakeup = self._mailbox.wakeup
        self._was_set = False

    async def _ready(self) -> None:
        """Sets it. To set it again is the connection's, unless the session is lost."""
        mailbox, client = self._mailbox, self._client
        while not mailbox.armed:
            client.add_listener(mailbox.state)
            client._watches.forget(self._armed, mailbox.event)
            mailbox.armed = True  # not after the answer: the session may be lost with it
            try:
                await retrying.retry(FOR_EVER, lambda: client.add_watch(self._path, mailbox.event, self._mode))
            except BaseException:
                mailbox.armed = False
                raise
            if self._was_set:
                mailbox.left.append(SET_AGAIN)
            self._was_set = True

    @property
    def _armed(self) -> Armed:
        return Armed(self._mode, _prefix_root(self._client.chroot, self._path))

    async def _next(self) -> WatchedEvent:
        mailbox = self._mailbox
        while not mailbox.left:
            if not self._over():
                await self._ready()
            if not mailbox.left:
                await self._wait(mailbox)
        return mailbox.left.popleft()

    def _let_go(self) -> None:
        self._mailbox.left.clear()
        self._client.remove_listener(self._mailbox.state)
        self._client._watches.forget(self._armed, self._mailbox.event)


class _States(Mailbox["_State"]):
    """Of `States`."""

    __slots__ = ()

    def state(self, state: _State) -> None:
        """A listener."""
        self.left.append(state)
        self.wakeup.wake()


class States(Iterated["_State"]):
    """The state as it is when it is first asked for, and every later one."""

    def __init__(self, client: Operations) -> None:
        super().__init__(client)
        self._mailbox = _States()
        self._wakeup = self._mailbox.wakeup

    async def _ready(self) -> None:
        if not self._mailbox.armed:
            self._mailbox.armed = True
            self._mailbox.state(self._client.state)
            self._client.add_listener(self._mailbox.state)
            self._client._at_end[self._wakeup.wake] = None

    async def _next(self) -> _State:
        if not self._over():
            await self._ready()
        while not self._mailbox.left:
            await self._wait(self._mailbox)
        return self._mailbox.left.popleft()

    def _let_go(self) -> None:
        self._mailbox.left.clear()
        self._client._at_end.pop(self._wakeup.wake, None)
        self._client.remove_listener(self._mailbox.state)


DataAndStat = Tuple[Optional[bytes], Optional[ZnodeStat]]


class DataWatch(Iterated[DataAndStat]):
    """A node's data and ZnodeStat, (None, None) where there is no node: at once, and after each change.

    Several changes that come before it is asked are one. It goes on through reconnections and lost sessions.
    """

    def __init__(self, client: Operations, path: str) -> None:
        super().__init__(client)
        self._path = path
        self._wakeup.wake()
        self._last: Union[int, str, None] = "nothing yet"

    async def _next(self) -> DataAndStat:
        while True:
            await self._wait()
            try:
                data, stat = await retrying.retry(FOR_EVER, self._read)
            except BaseException:
                self._wakeup.wake()  # it was not seen
                raise
            version = None if stat is None else stat.mzxid
            if version != self._last:
                self._last = version
                return data, stat

    async def _read(self) -> DataAndStat:
        try:
            return await self._client.get(self._path, self._wakeup.wake)
        except NoNodeError:
            if await self._client.exists(self._path, self._wakeup.wake):
                self._let_go()
                raise ForceRetryError from None
            return None, None

    def _let_go(self) -> None:
        armed = Armed(DATA, _prefix_root(self._client.chroot, self._path))
        self._client._watches.forget(armed, self._wakeup.wake)


class ChildrenWatch(Iterated[List[str]]):
    """The names of a node's children: at once, and after each change. NoNodeError if there is no node.

    Several changes that come before it is asked are one. It ends when the node is deleted.
    """

    def __init__(self, client: Operations, path: str) -> None:
        super().__init__(client)
        self._path = path
        self._wakeup.wake()
        self._last: Optional[List[str]] = None

    async def _next(self) -> List[str]:
        while True:
            await self._wait()
            try:
                names = await retrying.retry(FOR_EVER, lambda: self._client.get_children(self._path, self._wakeup.wake))
            except NoNodeError:
                if self._last is None:
                    raise
                raise ConnectionClosedError from None  # over
            except BaseException:
                self._wakeup.wake()  # it was not seen
                raise
            if names != self._last:
                self._last = names
                return names

    def _let_go(self) -> None:
        armed = Armed(CHILD, _prefix_root(self._client.chroot, self._path))
        self._client._watches.forget(armed, self._wakeup.wake)
