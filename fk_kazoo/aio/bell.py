"""An event that one task waits for, with a time limit and without a task of its own."""

from __future__ import annotations

import asyncio
from typing import Optional


class Bell:
    """As asyncio.Event for one waiter. Made anywhere; rung in the loop."""

    __slots__ = ("_waiter", "by", "rung")

    def __init__(self) -> None:
        self.rung = False
        self.by: object = None
        """What the watch function or listener was given that rang last."""
        self._waiter: "Optional[asyncio.Future[None]]" = None

    def ring(self, by: object = None) -> None:
        """Wakes who waits. It stays rung until it is cleared. A watch function and a state listener, too."""
        self.rung, self.by = True, by
        _wake(self._waiter)

    def clear(self) -> None:
        """It has to be rung again."""
        self.rung = False

    async def wait(self, timeout: Optional[float] = None) -> bool:
        """Whether it was rung within so many seconds (None: however long that takes)."""
        if self.rung:
            return True
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        alarm = None if timeout is None else loop.call_later(max(0.0, timeout), _wake, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if alarm is not None:
                alarm.cancel()
        return self.rung


def _wake(waiter: "Optional[asyncio.Future[None]]") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
