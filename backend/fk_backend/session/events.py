"""What is shown: answers and events in order, and nothing newer than the events that were delivered.

Everything shown carries a zxid. Before something above the watermark is shown, the triggers in between are looked at
(from the trigger log that came along, or the head), and the session's own events are delivered. A push is therefore
only a wake-up.
"""

from __future__ import annotations

from typing import Any, Iterable, Optional

from ..core.model import Error
from ..core.requests import Close, Result
from ..messages import Answers, Ended, Fired, TriggerLog, trigger_log_of
from .base import SessionBase
from .lease import OUT_OF_TOUCH
from .listener import CLOSED, EXPIRED, LOST
from .machine import NO_TAG
from .watchlist import Event


class Events(SessionBase):
    """The part of `engine.Session` that shows them."""

    __slots__ = ()

    @property
    def watermark(self) -> int:
        """The zxid up to which everything was shown: what a server tells as its last one."""
        return self._machine.watermark

    # --- what was pushed ------------------------------------------------------------------------

    async def _take_note(self, note: Any) -> None:
        machine = self._machine
        if isinstance(note, Answers):
            machine.keep(note)
            answers = machine.next_answers()
            while answers is not None and not machine.is_over:
                await self._land(answers)
                answers = machine.next_answers()
            for fired in machine.deferred():
                await self._take_fired(fired)
        elif isinstance(note, Fired):
            await self._take_fired(note)
        elif isinstance(note, Ended) and note.session == self.id:
            self.end(EXPIRED, "the session has expired")

    async def _take_fired(self, note: Fired) -> None:
        if self._machine.defer(note):
            return
        await self._catch_up(note.trigger_log.zxid, note.trigger_log)
        for event in self._machine.watches.late(note.trigger_log.triggers()):
            self._fire(event)
        for path, mode, number in note.registrations:
            await self._rearm(path, mode, number)

    async def _land(self, answers: Answers) -> None:
        for pending, result in self._machine.answers(answers):
            await self._landed(pending.tag, pending.op, result, answers.trigger_log)

    async def _landed(self, tag: Any, op: Any, result: Result, trigger_log: Optional[TriggerLog]) -> None:
        """The answer to a write, in its turn."""
        if self._has_ended(result.code):
            return
        self._lease.owned.settled(op, result.code, result.value)
        self._machine.learn(op, result)
        await self._show(tag, result, trigger_log)
        if isinstance(op, Close) and result.code == Error.OK:
            self.end(CLOSED, "closed")

    async def _rearm(self, path: str, mode: str, number: int) -> None:
        """A trigger that the watch's read had shown already consumed its registration: make it again, then look."""
        watches = self._machine.watches
        watch = watches.get(path, mode)
        if watch is None or watch.number != number or self._machine.is_over:
            return
        again, zxid = await self._reader.register_again(watch)
        if again is None:
            return
        await self._catch_up(zxid)
        if watches.get(path, mode) == watch:
            watches.arm(again)

    # --- up to a zxid ---------------------------------------------------------------------------

    async def _catch_up(self, zxid: int, trigger_log: Optional[TriggerLog] = None) -> None:
        """Delivers the session's own events up to ``zxid``, in zxid order, and moves the watermark there."""
        machine = self._machine
        if zxid <= machine.watermark:
            return
        if len(machine.watches):
            if trigger_log is None or trigger_log.zxid < zxid:
                head = await self._reader.head()
                trigger_log = trigger_log_of(head.zxid, head.since, head.triggers)
            if trigger_log.since > machine.watermark:
                await self._take_pushed()
            armed = machine.skip(trigger_log)
            events: Iterable[Event]
            if armed is None:
                events = machine.events(zxid, trigger_log)
            else:
                events = await self._reader.reconcile(zxid, trigger_log)
                self._passed_over(armed)
            for event in events:
                self._fire(event)
        machine.shown(zxid)

    async def _take_pushed(self) -> None:
        """Delivers what was pushed and is here already, before the trigger log's end is passed over."""
        take = getattr(self._gateway, "take_pushed", None)
        if take is None:
            return
        take()
        for fired in self._machine.take_fired():
            await self._take_fired(fired)

    # --- to the listener ------------------------------------------------------------------------

    async def _show(self, tag: Any, result: Result, trigger_log: Optional[TriggerLog] = None) -> None:
        await self._catch_up(result.zxid, trigger_log)
        if tag is not NO_TAG:
            self._reply(tag, result)

    def _may_show(self) -> bool:
        """Not after a pause in which somebody else may have got what this session held: that is told first."""
        if self.overdue():
            self.end(LOST, OUT_OF_TOUCH)
        return not self._machine.is_over

    def _reply(self, tag: Any, result: Result) -> None:
        if self._may_show():
            self._listener.replied(tag, result)

    def _fire(self, event: Event) -> None:
        if self._may_show():
            self._listener.fired(event)
