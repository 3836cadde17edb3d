"""A session's writes that need no queue: nothing of the session is on its way there, so nothing is overtaken.

They are done by whoever asks (`ports.Direct`). What was not done goes to the queue; what may have been done is not
asked for again: the connection ends, and attaching anew fences what is late.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Tuple, Union, cast

from ..core.model import Error
from ..core.requests import DIRECT, INVOKED, Request, Result
from ..eager import Waits, at_once
from ..errors import BackendError, Unknown
from ..messages import Message, trigger_log_of
from ..ports import Direct, Written
from .base import SessionBase
from .lease import OUT_OF_TOUCH
from .listener import LOST
from .ops import Done, Op
from .packing import sendable, size_of

MAX_DIRECT_BYTES = 64 << 10
"""Of a request that goes directly, so that its answer fits into a response, whatever it is."""


class DirectWrites(SessionBase):
    """The part of `engine.Session` that does them."""

    __slots__ = ()

    async def _write_direct(self) -> bool:
        """Has the first write that waits done without the queue. Whether it was; else it is still the first."""
        machine, direct = self._machine, self._gateway.direct
        tag, op = machine.requested[0]
        if direct is None or not self._goes_alone() or not self._may_go_direct(op):
            return False
        if direct.never_waits and isinstance(op, DIRECT):  # who waits has tried; the rest gets company
            return False
        machine.requested.popleft()
        written, number = None, machine.next_number
        try:
            if await self._may_own(op):
                written = await self._ask(direct, self._one(op))
        except Unknown as error:
            self.end(LOST, "a write has no answer: %s" % error)
            return True
        if written is None:
            self._lease.owned.unasked(op)
            machine.put_back(number, tag, op)
            return False
        await self._arrived(tag, op, written)
        machine.answered_by(written.zxid)
        return True

    async def _ask(self, direct: Direct, message: Message) -> Optional[Written]:
        """What a direct write came to; None if it was not done, and will not be. Unknown."""
        writing = direct.write(self._ns, message, self._key)
        try:
            return at_once(writing) if direct.never_waits else await writing
        except Unknown:
            raise
        except (BackendError, Waits):
            return None

    async def _arrived(self, tag: Any, op: Op, written: Written) -> None:
        watches = self._machine.watches
        trigger_log = trigger_log_of(written.zxid, written.since, written.triggers) if len(watches) else None
        await self._landed(tag, op, written.result, trigger_log)

    async def _written_directly(self, direct: Direct, request: Request, number: int) -> Optional[Tuple[Result, int]]:
        """What a request comes to that needs no queue; None if that was not to be had. Unknown."""
        written = await self._ask(direct, Message(self.inbox, self.id, number, (request,), self._hint))
        return None if written is None else (written.result, written.zxid)

    @property
    def _invokes(self) -> bool:
        """Whether all that a session asks for may be invocations: where a queue is paid for, and need not be."""
        direct = self._gateway.direct
        return self._gateway.store.capabilities.charges_for_beats and direct is not None and not direct.never_waits

    def _may_go_direct(self, op: Op) -> bool:
        """Whether the queue need not have it: nothing of it is to be laid down anywhere before."""
        if not isinstance(op, INVOKED) or not sendable(op, self._gateway):
            return False
        blobs = self._gateway.blobs
        return blobs is None or size_of(op, None) <= min(blobs.inline_bytes, MAX_DIRECT_BYTES)

    def _goes_alone(self) -> bool:
        """Whether the first write that waits is to be done before another one is asked for."""
        return self._machine.is_single() or self._sends_singly()

    async def _may_own(self, op: Op) -> bool:
        """As before a message with it is sent: who begins to own something is heard first. Whether that was so."""
        if self._begins_to_own(op):
            try:
                await self._send_beat()
            except BackendError:
                return False  # the queue's way is to try that again
            self._beat_wakeup.set()
        return True

    def _one(self, op: Op) -> Message:
        """A message with this alone. Its number is used up, whatever becomes of it."""
        return Message(self.inbox, self.id, self._machine.number(), (cast(Request, op),), self._hint)

    def write_now(self, op: Op, has_turn: Optional[Callable[[], bool]] = None) -> Union[Result, Done, None]:
        """Does a write at once, where that needs nobody else. None if it was not done: submit it.

        A Done, if it was done and events come before its answer: submit that, before anything else. For whoever has
        the event loop to itself, in any thread: see `ports.Direct.never_waits`. Unknown: it may have been done, and the
        session must not go on.
        """
        direct = self._gateway.direct
        if direct is None or not direct.never_waits or self._machine.is_over or self._machine.read_only or self.busy:
            return None
        if self.overdue() or not isinstance(op, DIRECT) or not self._may_go_direct(op):
            return None
        if has_turn is not None:
            direct.in_turn(has_turn)
        try:
            written = at_once(direct.write(self._ns, self._one(op)))
        except Unknown:
            raise
        except (BackendError, Waits):  # definite; `submit` finds out whether it passes
            return None
        if written is None or written.result.code in (Error.SESSION_EXPIRED, Error.SESSION_MOVED):
            return None
        if self.overdue():
            raise Unknown(OUT_OF_TOUCH)
        return self._outcome(written)

    def _outcome(self, written: Written) -> Union[Result, Done]:
        """Its answer, or what is to be submitted. In one step either way, since a signal's handler may raise.

        If it does, the events come by their push, whether this was submitted or not.
        """
        if len(self._machine.watches) and self._machine.has_events_before(written):
            return Done(written.result, trigger_log_of(written.zxid, written.since, written.triggers))
        self._machine.shown(written.result.zxid)
        return written.result

    def finish_fan_out(self) -> None:
        """In the event loop, after a `write_now` was interrupted: whoever was to hear of it does."""
        if self._gateway.direct is not None:
            self._gateway.direct.finish_fan_out(self._ns)
