"""The real clock and the real randomness: the only place in the backend where they come from."""

from __future__ import annotations

import asyncio
import os
import time


class SystemClock:
    """`ports.Clock` over the operating system."""

    def now_ms(self) -> int:
        """Wall clock, ms since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Lets others run for so long."""
        await asyncio.sleep(seconds)

    def random_bytes(self, count: int) -> bytes:
        """From the operating system's generator."""
        return os.urandom(count)
