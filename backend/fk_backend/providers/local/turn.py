"""An event loop's turn to commit: the commit lock, for as long as it takes to be done with a batch.

Until then nobody else commits, so that a batch which is handed over again, because nobody knows what became of it or it
was not all done, finds in the head what is done, as behind a queue with one writer.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Callable

from ...errors import Unavailable
from .combining import PUBLISHED, Records

LOOK_S = 0.01
"""So often it looks whether it is its turn, in case that somebody ended who would have woken it."""
STILL_S = 1.0
"""Who has the lock for so long without doing anything may have been stopped. A commit takes ms."""
STILL_LOOK_S = 0.02
LOCKED_OUT = "another process has been writing for so long that it may have been stopped"


class Turn:
    """Of one event loop, for one batch at a time: ``async with``."""

    def __init__(
        self,
        records: Records,
        socket: Callable[[], int],
        see_off: Callable[[], None],
        locked_s: Callable[[], float],
    ) -> None:
        """``socket``: the number of the socket at which it is woken, 0 for none. ``see_off`` ends what an interrupted
        call has left; ``locked_s``: for how long the files have been locked by somebody, see `LocalStore.locked_s`.
        """
        self._records = records
        self._socket = socket
        self._see_off = see_off
        self._locked_s = locked_s
        self._batches = asyncio.Lock()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """It may be its turn."""
        self._woken.set()

    async def __aenter__(self) -> None:
        await self._batches.acquire()
        try:
            self._see_off()
            if not self._records.take():
                await self._wait()
            self._records.is_loops = True
        except BaseException:
            self._batches.release()
            raise

    async def __aexit__(self, *error: object) -> None:
        self._records.is_loops = False
        self._records.give()
        self._batches.release()

    async def _wait(self) -> None:
        records = self._records
        number = records.wait_for_turn(self._socket())
        try:
            while True:
                self._woken.clear()
                if records.take():
                    return
                if records.state(number) != PUBLISHED:  # others did not stand back any longer
                    number = records.wait_for_turn(self._socket())
                await self._sleep()
        finally:
            records.retract()

    async def _sleep(self) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), LOOK_S)
        except asyncio.TimeoutError:
            pass

    async def check(self) -> None:
        """Returns if somebody can write. Unavailable if who has the lock does not move."""
        records = self._records
        if self._locked_s() > STILL_S:
            raise Unavailable(LOCKED_OUT)
        taken, until = records.taken, monotonic() + STILL_S
        while not (records.is_loops or records.is_available() or records.taken != taken):
            if monotonic() > until:
                raise Unavailable(LOCKED_OUT)
            await asyncio.sleep(STILL_LOOK_S)
