"""The real clock and the real randomness: the only place in the backend where they come from."""

from __future__ import annotations

import asyncio
import os
import sys
import time

NOTICED_S = 1.0
"""So long after a machine woke, who slept in it notices at the latest."""
# Linux: clock_gettime(2); macOS, whose CLOCK_MONOTONIC goes on in its sleep: clock_gettime(3). 0: none is known.
_GOES_ON: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC if sys.platform == "darwin" else 0)


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


class AwakeClock(SystemClock):
    """One that goes on while the machine is asleep, where there is one: for who is judged by others meanwhile."""

    def monotonic(self) -> float:
        """Seconds; never goes back."""
        return time.clock_gettime(_GOES_ON) if _GOES_ON else time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Lets others run for so long. The event loop's timers stand still while the machine is asleep."""
        until = self.monotonic() + seconds
        while True:
            left = until - self.monotonic()
            await asyncio.sleep(max(0.0, min(left, NOTICED_S)))
            if left <= NOTICED_S:
                return
