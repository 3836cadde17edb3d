"""A deployment's time, which a test can have go by."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import List, Tuple

from fk_backend.providers.clock import SystemClock

TURNS = 50
"""Turns of the event loop after each moment: whoever slept until then has done what it does before the next one."""


class DrivenClock(SystemClock):
    """`ports.Clock` that goes on as the system's does, and further when it is told to.

    It is the deployment's: of its heartbeat, of TTL nodes, and of the beats of every client. It is not the one of the
    app under test, nor of kazoo's retries.
    """

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._numbers = itertools.count()
        self._sleepers: List[Tuple[float, int, "asyncio.Future[None]"]] = []

    def now_ms(self) -> int:
        """Wall clock, ms since the epoch."""
        return super().now_ms() + round(self._ahead_s * 1000)

    def monotonic(self) -> float:
        """Seconds; never goes back."""
        return super().monotonic() + self._ahead_s

    async def sleep(self, seconds: float) -> None:
        """Lets others run for so long."""
        loop = asyncio.get_running_loop()
        waker: "asyncio.Future[None]" = loop.create_future()
        heapq.heappush(self._sleepers, (self.monotonic() + seconds, next(self._numbers), waker))
        timer = loop.call_later(seconds, _wake, waker)
        try:
            await waker
        finally:
            waker.cancel()
            timer.cancel()

    async def advance(self, seconds: float) -> None:
        """Has so many seconds go by. Whoever sleeps is woken at his time, one moment after the other."""
        end = self._ahead_s + seconds
        while True:
            due = self._next_due()
            if due is None or due - self.monotonic() > end - self._ahead_s:
                break
            self._ahead_s += max(0.0, due - self.monotonic())
            _wake(heapq.heappop(self._sleepers)[2])
            for _ in range(TURNS):
                await asyncio.sleep(0)
        self._ahead_s = max(self._ahead_s, end)

    def _next_due(self) -> "float | None":
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None


def _wake(waker: "asyncio.Future[None]") -> None:
    if not waker.done():
        waker.set_result(None)
