"""The event loop of a process: its lock, its selector, and how threads wake it.

Whoever gives it something wakes it once in each of its sleeps. To wake it is to write to a socket, which is dear, and
gives another thread the interpreter: a thousand requests that are made one after the other would be a thousand
wake-ups, and as many messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import sys
from typing import Any, Callable, Iterator, Optional, TypeVar

from fk_backend.providers.descriptors import Descriptor

T = TypeVar("T")

LOOK_S = 1.0
"""How long it may take until it is noticed that somebody else closed files, if nothing happens meanwhile."""


def unpatched(module: str, name: str) -> Any:
    """A function or class of the standard library as it was before gevent or eventlet replaced it."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_object_patched(module, name):
        return gevent.get_original(module, name)
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None:
        return getattr(eventlet.original(module), name)
    return getattr(sys.modules.get(module) or __import__(module), name)


def real_lock() -> Any:
    """A lock that blocks the thread, whatever has been patched. Hold it for moments only."""
    return unpatched("_thread", "allocate_lock")()


def start_thread(function: Callable[..., object], *args: Any) -> None:
    """Runs it in a real thread, for which nothing waits."""
    unpatched("_thread", "start_new_thread")(function, args)


class LoopLock:
    """Who has it has the loop to itself, for moments. Whoever is interrupted while taking it still gives it back.

    A signal's handler may raise between any two instructions, so also between a lock's being taken and the next
    instruction: only a lock that knows its owner can tell afterwards.
    """

    def __init__(self) -> None:
        lock = unpatched("_thread", "RLock")()
        self.acquire: Callable[[], bool] = lock.acquire
        self.release: Callable[[], None] = lock.release
        self.is_held: Callable[[], bool] = lock._is_owned
        self._try: Callable[[bool], bool] = lock.acquire
        self.times_released = 0
        """How often somebody let others have it in the middle of what he took it for."""
        self._greenlet: Any = None
        """Which took it last, in a thread that has several: the lock knows threads only."""
        self.ident: Callable[[], int] = unpatched("_thread", "get_ident")
        self.loop_thread = 0
        """The loop's own thread, by its ident: what it has, it has not borrowed."""

    def run_if_free(self, function: Callable[..., T], *args: Any) -> Optional[T]:
        """What the function returns, called in this turn; None if the turn is not to be had at once."""
        if self.is_held():  # a signal's handler, in the middle of another one
            return None
        self._greenlet = _greenlet()
        try:
            try:
                return function(*args) if self._try(False) else None
            finally:
                self._release()
        except BaseException:  # it may have been that giving back was interrupted
            self._release()
            raise

    def _release(self) -> None:
        try:
            self.release()
        except RuntimeError as error:  # it has been given back already
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:  # a handler raised it
                raise

    def release_in_handler(self) -> None:
        """Of whoever calls the client: if that is a signal's handler, in the middle of what somebody has the turn for.

        What it asks for needs the loop, so the turn is given back here. What was interrupted goes on without it, sees
        that by `times_released`, and has changed nothing or is done.
        """
        if self._is_held_by_caller():
            self.times_released += 1
            self.release()

    def _is_held_by_caller(self) -> bool:
        """Not of a callback that kazoo runs in the loop's thread, as it does when its handler has been stopped."""
        return self.is_held() and self.ident() != self.loop_thread and self._greenlet is _greenlet()

    @contextlib.contextmanager
    def release_temporarily(self) -> Iterator[None]:
        """For a signal's handler that waits for the loop, and may have interrupted who has the turn: others have it.

        What was interrupted sees by `times_released` that it did not have the loop to itself all the time. What another
        greenlet took is left alone: it goes on while this one waits, and gives it back itself.
        """
        mine = self._is_held_by_caller()
        if mine:
            self.times_released += 1
            self.release()
        try:
            yield
        finally:
            if mine:
                self.acquire()


def _greenlet() -> Any:
    """The greenlet that runs; None where there are none."""
    greenlet = sys.modules.get("greenlet")
    return None if greenlet is None else greenlet.getcurrent()


class FilesClosed(Exception):
    """Somebody else closed the files of this process, or some of them. The loop ends."""


class YieldingSelector:
    """A selector that gives the loop's turn away for as long as it waits: the loop does nothing then.

    Who holds ``turn`` has everything in the loop to itself, as a callback of the loop has.
    """

    loop: Loop

    def __init__(self, selector: selectors.BaseSelector, whole: Callable[[], bool]) -> None:
        self._selector = selector
        self._whole = whole
        self.loop_lock = LoopLock()

    def select(self, timeout: Optional[float] = None) -> Any:
        """As the selector's, in `LOOK_S` at most. FilesClosed if somebody else closed what the loop needs.

        That is looked at when it has waited: what is done at once is done in the same moment.
        """
        loop = self.loop
        loop.falls_asleep()
        if loop.has_callbacks():  # by who saw it awake, and did not ring
            timeout = 0
        self.loop_lock.release()
        try:
            ready = self._selector.select(LOOK_S if timeout is None else min(timeout, LOOK_S))
        except OSError as error:
            raise FilesClosed from error
        finally:
            self.loop_lock.acquire()
            loop.asleep = False
        if timeout != 0 and not self._whole():
            raise FilesClosed
        return ready

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)


_SelectorEventLoop: Any = asyncio.SelectorEventLoop


class Loop(_SelectorEventLoop):  # type: ignore[misc] # as typed, it needs a TypeVarTuple, which came with Python 3.11
    """A loop that knows whether it was given something to do."""

    touched = False
    broken = False
    """Whether it can't be woken any more."""
    wakes: Optional[Descriptor] = None
    """What it is woken by: any thread writes to that."""
    asleep = False
    sleep = 0
    """Which one it is, or was."""
    woken_in = -1
    """The sleep in which somebody has rung, to the end."""

    def falls_asleep(self) -> None:
        """From here on it has to be woken."""
        self.sleep += 1
        self.asleep = True

    def has_callbacks(self) -> bool:
        """Whether there is something to do."""
        return bool(self._ready)

    def _write_to_self(self) -> None:
        """As asyncio's, which rings each time, does not look whom it writes to, and keeps errors to itself.

        What is to be done is there before this is asked, and the loop looks for it after it says that it sleeps: if it
        is awake here, it finds it. If somebody has rung in this sleep, it wakes, and finds it. Who is interrupted here
        has not rung, so others do.
        """
        sleep = self.sleep
        if not self.asleep or self.woken_in == sleep:
            return
        bell = self._csock
        if bell is None or self.wakes is None:
            return
        self.broken = self.broken or not self.wakes.is_ours()
        if not self.broken:
            try:
                bell.send(b"\0")
            except (BlockingIOError, InterruptedError):  # it is full of wake-ups
                pass
            except OSError:
                self.broken = True
                return
            self.woken_in = sleep

    def _read_from_self(self) -> None:
        try:
            super()._read_from_self()
        except OSError:
            self.broken = True

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        """As asyncio's, whose threads gevent or eventlet may have replaced by what never runs here."""
        found = self.create_future()

        def settle(addresses: Any, error: Optional[BaseException]) -> None:
            if not found.done():
                found.set_result(addresses) if error is None else found.set_exception(error)

        def look_up() -> None:
            addresses, failed = None, None
            try:
                addresses = unpatched("socket", "getaddrinfo")(host, port, family, type, proto, flags)
            except Exception as error:  # whatever it is, it is for who asked
                failed = error
            with contextlib.suppress(RuntimeError):  # the loop ended meanwhile
                self.call_soon_threadsafe(settle, addresses, failed)

        start_thread(look_up)
        return await found

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        """As asyncio's."""
        self.touched = True
        return super().call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        """As asyncio's."""
        self.touched = True
        return super().call_at(when, callback, *args, context=context)
