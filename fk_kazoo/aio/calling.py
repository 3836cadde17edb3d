"""kazoo's DataWatch and ChildrenWatch: a function that is called with what goes on being watched.

Each has a task, which ends with the client. The function may be a coroutine function; one call is over before the next.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Callable, Generator, List, Optional, Tuple, TypeVar

from kazoo.exceptions import ConnectionClosedError, KazooException
from kazoo.protocol.states import KazooState, WatchedEvent

from .watching import ChildrenWatch, DataWatch

if TYPE_CHECKING:
    from kazoo.protocol.states import _State

    from .operations import Operations

F = TypeVar("F", bound=Callable[..., object])


class Calls:
    """Calls one function, now and after each change, until it returns False, `stop` is called, or the client ends.

    Without a function it is a decorator, as kazoo's. ``await`` it to wait for the first call. What the function raises
    is logged, and it goes on.
    """

    def __init__(self, client: Operations, iterator: Any, func: Optional[Callable[..., object]]) -> None:
        self._client = client
        self._iterator: Any = iterator
        self._first: "Optional[asyncio.Future[None]]" = None
        self._task: "Optional[asyncio.Task[None]]" = None
        self._takes_event = False
        if func is not None:
            self(func)

    def __call__(self, func: F) -> F:
        """Begins to call it. ConnectionClosedError if the client is not started."""
        if self._task is not None:
            raise KazooException("A function has already been associated with this watch.")
        if self._client._stopped:
            raise ConnectionClosedError("Connection has been closed")
        self._first = asyncio.get_running_loop().create_future()
        self._first.add_done_callback(_retrieve_error)
        self._takes_event = self._wants_event(func)
        self._task = self._client._spawn(self._run(func, self._first), self._client._tasks)
        return func

    def __await__(self) -> Generator[Any, None, Calls]:
        return self._called().__await__()

    async def _called(self) -> Calls:
        """After the first call. NoNodeError for the children of a node that is not there.

        ConnectionClosedError if it was stopped before, or the client was.
        """
        if self._first is not None:
            await asyncio.shield(self._first)
        return self

    def stop(self) -> None:
        """It is not called any more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, func: Callable[..., object], first: "asyncio.Future[None]") -> None:
        try:
            async with self._iterator as iterator:
                async for found in iterator:
                    keep = await self._call(func, self._arguments(found))
                    if not first.done():
                        first.set_result(None)
                    if keep is False:
                        return
        except Exception as error:
            if first.done():
                self._client.logger.exception("a watch ends")
            else:
                first.set_exception(error)
        finally:
            if not first.done():
                first.set_exception(ConnectionClosedError("the watch ended before it was called"))

    async def _call(self, func: Callable[..., object], arguments: Tuple[Any, ...]) -> object:
        try:
            result = func(*arguments)
            return await result if inspect.isawaitable(result) else result
        except Exception:
            self._client.logger.exception("Exception in a watch function")
            return None

    def _arguments(self, found: Any) -> Tuple[Any, ...]:
        raise NotImplementedError

    def _wants_event(self, func: Callable[..., object]) -> bool:
        raise NotImplementedError

    def _event(self) -> Optional[WatchedEvent]:
        event: Optional[WatchedEvent] = self._iterator.event
        return event


class DataCalls(Calls):
    """``func(data, stat)``, or ``func(data, stat, event)`` if it takes three; (None, None) where there is no node."""

    def __init__(self, client: Operations, path: str, func: Optional[Callable[..., object]]) -> None:
        super().__init__(client, DataWatch(client, path), func)

    def _arguments(self, found: Any) -> Tuple[Any, ...]:
        return (*found, self._event()) if self._takes_event else tuple(found)

    def _wants_event(self, func: Callable[..., object]) -> bool:
        try:
            inspect.signature(func).bind(None, None, None)
            return True
        except (TypeError, ValueError):  # it takes two, or nobody knows
            return False


class ChildrenCalls(Calls):
    """``func(children)``, or ``func(children, event)`` with ``send_event``. It ends when the node is deleted."""

    def __init__(
        self,
        client: Operations,
        path: str,
        func: Optional[Callable[..., object]],
        allow_session_lost: bool,
        send_event: bool,
    ) -> None:
        self._ends_when_lost, self._sends_event = not allow_session_lost, send_event
        super().__init__(client, ChildrenWatch(client, path), func)

    def _arguments(self, found: List[str]) -> Tuple[Any, ...]:
        return (found, self._event()) if self._sends_event else (found,)

    def _wants_event(self, func: Callable[..., object]) -> bool:
        return self._sends_event

    async def _run(self, func: Callable[..., object], first: "asyncio.Future[None]") -> None:
        if self._ends_when_lost:
            self._client.add_listener(self._changed)
        try:
            await super()._run(func, first)
        finally:
            self._client.remove_listener(self._changed)

    def _changed(self, state: _State) -> None:
        if state == KazooState.LOST:
            self.stop()


def _retrieve_error(first: "asyncio.Future[None]") -> None:
    """Nobody need ask for its error."""
    if not first.cancelled():
        first.exception()
