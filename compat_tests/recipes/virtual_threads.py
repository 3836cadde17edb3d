"""Threads, locks, queues and sockets on a loop with virtual time, for the simulation: same seed, same order.

A thread here is a greenlet. It goes on when what it waits for has happened, a moment later, drawn from the seed: so
that threads meet in every order. Nothing else interrupts it.
"""

from __future__ import annotations

import os
import queue
from collections import deque
from random import Random
from types import SimpleNamespace
from typing import Any, Callable, Deque, List, Optional, Sequence, Tuple

from greenlet import GreenletExit, getcurrent, greenlet
from kazoo.handlers import utils
from kazoo.handlers.threading import KazooTimeoutError, SequentialThreadingHandler

MOMENT_S = 0.001
"""A thread goes on so long after it could have, at most, and now and then much later."""
DAWDLES, LATE_S = 0.02, 0.03


class Threads:
    """The threads of one run."""

    def __init__(self, loop: Any, seed: int) -> None:
        self.loop = loop
        self.random = Random("%d threads" % seed)
        self.hub = getcurrent()
        self.all: List[Thread] = []
        self.over = False

    def moment(self) -> float:
        """How long it takes until a thread that could go on does."""
        most = LATE_S if self.random.random() < DAWDLES else MOMENT_S
        return self.random.random() * most

    def sleep(self, seconds: float) -> None:
        """Of the current thread."""
        WaitQueue(self).wait(seconds + self.moment())

    def end(self) -> None:
        """Nobody goes on after this."""
        self.over = True
        for thread in self.all:
            while thread.is_alive():
                thread.throw(GreenletExit)

    def as_threading(self) -> Any:
        """What stands for the module."""
        return SimpleNamespace(
            Thread=lambda target, daemon: Thread(self, target), Event=lambda: Event(self), Lock=lambda: Lock(self)
        )

    def as_time(self) -> Any:
        """What stands for the module."""
        return SimpleNamespace(monotonic=self.loop.time, time=self.loop.time, sleep=self.sleep)


class Thread(greenlet):  # type: ignore[misc]
    """As threading's. ``process``: whose it is, if it is somebody's: it stands still when that does."""

    def __init__(self, threads: Threads, target: Callable[[], Any], process: Any = None) -> None:
        super().__init__(parent=threads.hub)
        self.turns = 0
        """How often it began and ended to wait, so that it is woken once."""
        self._threads, self._target, self._process = threads, target, process
        self._started = False
        self._ended = Event(threads)
        threads.all.append(self)

    def run(self) -> None:
        """What it was made for."""
        try:
            self._target()
        finally:
            self._ended.set()

    def start(self) -> None:
        """As threading's."""
        self._started = True
        self._threads.loop.call_later(self._threads.moment(), self.go_on, 0)

    def go_on(self, turn: int) -> None:
        """In the loop: unless it has gone on since."""
        loop, process = self._threads.loop, self._process
        if process is not None and process.paused_until > loop.time():
            loop.call_at(process.paused_until, self.go_on, turn)
        elif self.turns == turn and not self.dead and not self._threads.over:
            self.switch()

    def is_alive(self) -> bool:
        """As threading's."""
        return self._started and not self.dead

    def join(self, timeout: Optional[float] = None) -> None:
        """As threading's."""
        self._ended.wait(timeout)


class WaitQueue:
    """Threads that wait to be woken."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._here: List[Tuple[Thread, int]] = []

    def wait(self, timeout: Optional[float] = None) -> None:
        """Until it is woken, or the time is up."""
        threads, me = self._threads, getcurrent()
        if threads.over:
            raise GreenletExit
        assert isinstance(me, Thread), "the loop itself may not wait"
        me.turns += 1
        turn = me.turns
        self._here.append((me, turn))
        timer = None if timeout is None else threads.loop.call_later(timeout, me.go_on, turn)
        try:
            threads.hub.switch()
        finally:
            me.turns += 1
            if timer is not None:
                timer.cancel()
            self._here = [waiting for waiting in self._here if waiting != (me, turn)]

    def wake(self) -> None:
        """Everybody who is here. From anywhere."""
        here, self._here = self._here, []
        for thread, turn in here:
            self._threads.loop.call_later(self._threads.moment(), thread.go_on, turn)


class Waitable:
    """For what can be waited for with a bound."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._waiters = WaitQueue(threads)

    def _until(self, true: Callable[[], bool], timeout: Optional[float]) -> bool:
        deadline = None if timeout is None else self._threads.loop.time() + max(0.0, timeout)
        while not true():
            left = None if deadline is None else deadline - self._threads.loop.time()
            if left is not None and left <= 0:
                return False
            self._waiters.wait(left)
        return True


class Event(Waitable):
    """As threading's."""

    _set = False

    def is_set(self) -> bool:
        """As threading's."""
        return self._set

    def set(self) -> None:
        """As threading's."""
        self._set = True
        self._waiters.wake()

    def clear(self) -> None:
        """As threading's."""
        self._set = False

    def wait(self, timeout: Optional[float] = None) -> bool:
        """As threading's."""
        return self._until(self.is_set, timeout)


class Lock(Waitable):
    """As threading's RLock, and its Lock where nobody takes it twice."""

    _owner: Any = None
    _depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As threading's."""
        me = getcurrent()
        bound = 0.0 if not blocking else None if timeout < 0 else timeout
        if not self._until(lambda: self._owner in (None, me), bound):
            return False
        self._owner, self._depth = me, self._depth + 1
        return True

    def release(self) -> None:
        """As threading's."""
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._waiters.wake()

    def locked(self) -> bool:
        """As threading's."""
        return self._owner is not None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


class Condition:
    """As much of threading's as results need: nobody is interrupted between asking and waiting."""

    def __init__(self, threads: Threads) -> None:
        self._waiters = WaitQueue(threads)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None

    def wait(self, timeout: Optional[float] = None) -> None:
        """As threading's."""
        self._waiters.wait(timeout)

    def notify_all(self) -> None:
        """As threading's."""
        self._waiters.wake()


class Queue(Waitable):
    """As queue's."""

    def __init__(self, threads: Threads) -> None:
        super().__init__(threads)
        self._items: Deque[Any] = deque()

    def put(self, item: Any) -> None:
        """As queue's."""
        self._items.append(item)
        self._waiters.wake()

    def get(self, block: bool = True, timeout: Optional[float] = None) -> Any:
        """As queue's."""
        if not self._until(lambda: bool(self._items), timeout if block else 0.0):
            raise queue.Empty
        return self._items.popleft()

    def task_done(self) -> None:
        """As queue's."""

    def qsize(self) -> int:
        """As queue's."""
        return len(self._items)


_NOTHING = os.open(os.devnull, os.O_RDONLY)


class SocketEnd:
    """One end of a pair of connected sockets that never block."""

    def __init__(self) -> None:
        self.peer: SocketEnd
        self._bytes = b""
        self._shut = False
        self.waiters: List[WaitQueue] = []

    @classmethod
    def pair(cls) -> "Tuple[SocketEnd, SocketEnd]":
        """Two that are connected."""
        one, other = cls(), cls()
        one.peer, other.peer = other, one
        return one, other

    def _ring(self) -> None:
        for waiter in self.waiters:
            waiter.wake()

    @property
    def readable(self) -> bool:
        """Whether `recv` has something to say."""
        return bool(self._bytes) or self._shut or self.peer._shut

    def fileno(self) -> int:
        """Of something that nobody closes: these have no descriptors of their own."""
        return _NOTHING

    def send(self, data: bytes) -> int:
        """As a socket's."""
        if self._shut or self.peer._shut:
            raise BrokenPipeError
        self.peer._bytes += data
        self.peer._ring()
        return len(data)

    def recv(self, size: int) -> bytes:
        """As a socket's."""
        found, self._bytes = self._bytes[:size], self._bytes[size:]
        if not found and not self.readable:
            raise BlockingIOError
        return found

    def shutdown(self, how: int = 0) -> None:
        """As a socket's."""
        self._shut = True
        self._ring()
        self.peer._ring()

    close = shutdown

    def setblocking(self, flag: bool) -> None:
        """It never does."""

    def __enter__(self) -> "SocketEnd":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncResult(utils.AsyncResult):  # type: ignore[misc]
    """kazoo's."""

    def __init__(self, handler: "Handler") -> None:
        super().__init__(handler, lambda: Condition(handler.threads), KazooTimeoutError)

    def get(self, block: bool = True, timeout: Optional[float] = None) -> Any:
        """As kazoo's. Time passes: who asks again and again for what fails at once must not stop the world."""
        if getcurrent() is not self._handler.threads.hub:
            self._handler.threads.sleep(0)
        return super().get(block, timeout)


class Handler(SequentialThreadingHandler):  # type: ignore[misc]
    """kazoo's threaded handler, whose threads are these."""

    def __init__(self, threads: Threads, process: Any) -> None:
        self.threads = threads
        self.process = process
        super().__init__()
        self._state_change = self.lock_object()

    def queue_impl(self) -> Queue:
        """As kazoo's."""
        return Queue(self.threads)

    def sleep_func(self, seconds: float) -> None:
        """As kazoo's."""
        self.threads.sleep(seconds)

    def select(
        self, readers: Sequence[Any], writers: Sequence[Any], _: Sequence[Any], timeout: Optional[float] = None
    ) -> Tuple[List[Any], List[Any], List[Any]]:
        """As kazoo's; everything can be written to."""
        waiting = Waitable(self.threads)
        for reader in readers:
            reader.waiters.append(waiting._waiters)
        try:
            waiting._until(lambda: bool(writers) or any(reader.readable for reader in readers), timeout)
        finally:
            for reader in readers:
                reader.waiters.remove(waiting._waiters)
        return [reader for reader in readers if reader.readable], list(writers), []

    def create_socket_pair(self) -> Tuple[SocketEnd, SocketEnd]:
        """As kazoo's."""
        return SocketEnd.pair()

    def event_object(self) -> Event:
        """As kazoo's."""
        return Event(self.threads)

    def lock_object(self) -> Lock:
        """As kazoo's."""
        return Lock(self.threads)

    rlock_object = lock_object

    def async_result(self) -> AsyncResult:
        """As kazoo's."""
        return AsyncResult(self)

    def spawn(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Thread:
        """As kazoo's."""
        thread = Thread(self.threads, lambda: func(*args, **kwargs), self.process)
        thread.start()
        return thread


class Uncontended:
    """In place of a lock that real threads would hold for moments: here nobody may ever wait for it."""

    def __init__(self) -> None:
        self._held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As a lock's."""
        assert not (self._held and blocking), "a real lock is held while its thread waits"
        taken, self._held = not self._held, True
        return taken

    def release(self) -> None:
        """As a lock's."""
        self._held = False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()
