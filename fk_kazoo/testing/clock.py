"""A deployment's clock, which a test can advance."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import List, Tuple

from fk_backend.providers.clock import SystemClock

LOOP_ITERATIONS = 12
"""Iterations of the event loop after each moment: who slept until then has done its work before the next one."""
MOMENT_S = 0.1
"""Who sleeps until about the same time is woken at once."""


class DrivenClock(SystemClock):
    """`ports.Clock` that goes on as the system's does, and further when it is told to.

    It is the deployment's: of its heartbeat, of TTL nodes, and of the beats of every client. It is not the one of the
    app under test, nor of kazoo's retries.
    """

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._numbers = itertools.count()
        self._sleepers: List[Tuple[float, int, "asyncio.Future[None]"]] = []

    def now_ms(self) -> int:
        """Wall clock, ms since the epoch."""
        return super().now_ms() + round(self._offset_s * 1000)

    def monotonic(self) -> float:
        """Seconds; never goes back."""
        return super().monotonic() + self._offset_s

    async def sleep(self, seconds: float) -> None:
        """Lets others run for so long."""
        until = self.monotonic() + seconds
        loop = asyncio.get_running_loop()
        while True:
            waker: "asyncio.Future[None]" = loop.create_future()
            heapq.heappush(self._sleepers, (until, next(self._numbers), waker))
            timer = loop.call_later(until - self.monotonic(), _wake, waker)
            try:
                await waker
            finally:
                waker.cancel()
                timer.cancel()
            if self.monotonic() >= until:
                return

    async def advance(self, seconds: float) -> None:
        """Has so many seconds go by. Whoever sleeps is woken at his time, one moment after the other."""
        left = seconds
        while True:
            due = self._next_due()
            passes = 0.0 if due is None else max(0.0, due - self.monotonic()) + MOMENT_S
            if due is None or passes > left:
                break
            self._offset_s += passes
            left -= passes
            now = self.monotonic()
            while self._sleepers and self._sleepers[0][0] <= now:
                _wake(heapq.heappop(self._sleepers)[2])
            for _ in range(LOOP_ITERATIONS):
                await asyncio.sleep(0)
        self._offset_s += left
        for _, _, waker in self._sleepers:
            _wake(waker)  # `sleep` looks at how late it is

    def _next_due(self) -> "float | None":
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None


def _wake(waker: "asyncio.Future[None]") -> None:
    if not waker.done():
        waker.set_result(None)
