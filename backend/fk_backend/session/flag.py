"""An event that one task waits for, and no other: an asyncio.Event is ten times as large."""

from __future__ import annotations

import asyncio
from typing import Optional


class Flag:
    """As asyncio.Event for one waiter, with a time limit. Made anywhere; set in the event loop."""

    __slots__ = ("_is_set", "_waiter")

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: "Optional[asyncio.Future[None]]" = None

    def set(self) -> None:
        """Wakes who waits. It stays set until it is cleared."""
        self._is_set = True
        _wake(self._waiter)

    def clear(self) -> None:
        """It has to be set again."""
        self._is_set = False

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    async def wait(self, timeout: Optional[float] = None) -> bool:
        """Whether it was set within so many seconds (None: however long that takes)."""
        if self._is_set:
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
        return self._is_set


def _wake(waiter: "Optional[asyncio.Future[None]]") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
