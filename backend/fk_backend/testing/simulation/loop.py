"""Time is a number that the loop sets, and nothing but this loop decides what runs next: same seed, same run.

What is ready runs in the order in which it became ready, as in every asyncio loop; what is due at the same instant is
ordered by the seed. No selector, no threads: whatever waits, waits for the loop.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from random import Random
from typing import Any, Awaitable, Callable, Deque, Dict, List, Optional, Tuple


class Stuck(Exception):
    """Nobody can ever go on."""


_Loop: Any = asyncio.AbstractEventLoop


class Call:
    """What is to be called at a time. An asyncio.Handle without a context of its own, which takes most of its time."""

    __slots__ = ("args", "callback", "cancelled")

    def __init__(self, callback: Callable[..., object], args: Tuple[Any, ...]) -> None:
        self.callback = callback
        self.args = args
        self.cancelled = False

    def cancel(self) -> None:
        """It is dropped when its turn comes."""
        self.cancelled = True

    def run(self) -> None:
        """Its turn."""
        if not self.cancelled:
            self.callback(*self.args)


class SimulatedLoop(_Loop):  # type: ignore[misc] # most of what it declares is never asked for
    """As much of an event loop as futures, tasks, events and `asyncio.wait` need."""

    def __init__(self, random: Random) -> None:
        self.now = 0.0
        self.steps = 0
        self.failures: List[Dict[str, Any]] = []
        """What tasks raised that nobody asked about."""
        self._random = random
        self._ready: Deque[Tuple[Callable[..., object], Tuple[Any, ...]]] = deque()
        self._timers: List[Tuple[float, float, int, Any]] = []
        self._made = 0
        self._closed = False

    def time(self) -> float:
        """Virtual seconds."""
        return self.now

    def get_debug(self) -> bool:
        """Never: it costs time and changes nothing."""
        return False

    def is_running(self) -> bool:
        """As long as it is asked."""
        return True

    def is_closed(self) -> bool:
        """Whether `run` has returned."""
        return self._closed

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> None:
        """As asyncio's, but for good: a handle for each would take longer than the rest, and nobody asks for it."""
        self._ready.append((callback, args))

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Call:
        """As asyncio's."""
        return self.call_at(self.now + max(0.0, delay), callback, *args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Call:
        """As asyncio's."""
        call = Call(callback, args)
        self._made += 1
        heapq.heappush(self._timers, (when, self._random.random(), self._made, call))
        return call

    def due(self, when: float) -> "asyncio.Future[None]":
        """Done at that time: a sleep, without anything in between."""
        future: "asyncio.Future[None]" = asyncio.Future(loop=self)
        self._made += 1
        heapq.heappush(self._timers, (when, self._random.random(), self._made, future))
        return future

    def create_future(self) -> "asyncio.Future[Any]":
        """As asyncio's."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **named: Any) -> "asyncio.Task[Any]":
        """As asyncio's."""
        return asyncio.Task(coro, loop=self, **named)

    def call_exception_handler(self, context: Dict[str, Any]) -> None:
        """Keeps it for whoever judges the run."""
        if not self._closed:
            self.failures.append(context)

    def run(self, main: Awaitable[Any], limit: int = 5_000_000) -> Any:
        """Runs until ``main`` is done. Stuck if it can't become so, or takes more than ``limit`` steps."""
        asyncio.events._set_running_loop(self)
        ready, steps = self._ready, 0
        try:
            task = self.create_task(main)
            is_done = task.done
            while not is_done():
                if not ready:
                    self._advance()
                steps += 1
                if steps > limit:
                    raise Stuck("more than %d steps" % limit)
                callback, args = ready.popleft()
                try:
                    callback(*args)
                except Exception as error:
                    self._failed(error)
            return task.result()
        finally:
            self.steps += steps
            asyncio.events._set_running_loop(None)
            self._closed = True

    def drain(self) -> None:
        """Runs what is ready, and nothing that waits for time."""
        while self._ready:
            callback, args = self._ready.popleft()
            try:
                callback(*args)
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.call_exception_handler({"message": "a callback failed", "exception": error})

    def _advance(self) -> None:
        """To the next instant at which there is something to do."""
        timers, ready = self._timers, self._ready
        while not ready:
            if not timers:
                raise Stuck("everybody waits, and nothing is due")
            when, _, _, due = heapq.heappop(timers)
            if type(due) is Call:
                if due.cancelled:
                    continue
                ready.append((due.run, ()))
            elif due.done():  # nobody waits for it any more
                continue
            else:
                due.set_result(None)
            if when > self.now:
                self.now = when


def running(task: "Optional[asyncio.Future[Any]]") -> bool:
    """Whether there is something that is not done."""
    return task is not None and not task.done()
