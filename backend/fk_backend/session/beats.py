"""Beats: the counter by which a heartbeat judges a session, and who moves it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from .. import layout
from ..errors import BackendError, TooLarge, Unavailable
from ..ports import Gateway, Item, Put
from .base import SessionBase
from .lease import OUT_OF_TOUCH
from .listener import LOST

log = logging.getLogger(__name__)

BEAT = 2
"""What a beat adds to its counter: 1 alone is what an attach adds, and takes back where nothing was before."""


async def beat(gateway: Gateway, ns: str, session: int) -> int:
    """Moves the session's counter; to what. BackendError."""
    key = layout.beat_key(ns, session)
    try:
        count = await gateway.store.increment(key, BEAT)
    except TooLarge:  # somebody wrote what can't be added to
        await gateway.store.commit([Put(key, Item(BEAT, b""))])
        count = BEAT
    await gateway.check()
    return count


class Beats(SessionBase):
    """The part of `engine.Session` that keeps its lease."""

    __slots__ = ()

    def overdue(self) -> bool:
        """Whether the deployment was out of touch for two thirds of the timeout: somebody must be told."""
        if self._machine.read_only or not self._lease.owned:
            return False  # it has nothing that somebody else could get; the gateway tells if it is out of reach
        return self._lease.is_overdue(self._gateway.clock.monotonic())

    def _begins_to_own(self, op: Any) -> bool:
        """Before a write is sent. Whether it has to beat first: it may own something from now on, and did not before.

        Not if it has beaten just now: then no counter that stood still for long is its own. The next beat is in time.
        """
        if not self._lease.begins_to_own(op):
            return False
        is_fresh = self._lease.renew(self._gateway.clock.monotonic())
        if is_fresh:
            self._beat_wakeup.set()
        return not is_fresh

    async def _beat_regularly(self) -> None:
        """Three beats in a timeout. That a beat was heard is what "in touch" means."""
        lease, clock, interval_s = self._lease, self._gateway.clock, self._lease.interval_s
        while not self._machine.is_over:
            if not lease.owned and not self._pinged:
                self._beat_wakeup.clear()
                await self._beat_wakeup.wait()
                if not self._pinged:
                    await clock.sleep(interval_s)  # it has just beaten
                continue
            if not lease.owned:  # nobody else could get anything: an answer may take its time
                lease.contact_s = clock.monotonic()
            pinged, self._pinged = self._pinged, False
            if self.overdue():  # paused: somebody else may have what this session held
                return self.end(LOST, OUT_OF_TOUCH)
            try:
                await self._send_beat()
                pause_s = interval_s
            except BackendError as error:
                log.debug("session 0x%x: beat: %s", self.id, error)
                self._pinged, pause_s = self._pinged or pinged, interval_s / 8
            if not self.overdue():  # else it is told now, whatever is under way
                self._wake_soon()
                await clock.sleep(pause_s)

    async def _send_beat(self) -> None:
        """One beat. Unavailable as soon as the session is overdue without it."""
        clock = self._gateway.clock
        started_s = clock.monotonic()
        left_s = self._lease.left_s(started_s)
        heard = asyncio.ensure_future(beat(self._gateway, self._ns, self.id))
        alarm = asyncio.ensure_future(clock.sleep(left_s))
        try:
            await asyncio.wait((heard, alarm), return_when=asyncio.FIRST_COMPLETED)
            if not heard.done():
                raise Unavailable("no answer to a beat")
            self._counted(heard.result())
        finally:
            heard.cancel()
            alarm.cancel()
        self._lease.beat(started_s)

    def _beat_once(self) -> None:
        self._pinged = True
        self._beat_wakeup.set()
