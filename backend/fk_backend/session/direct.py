"""A session's writes that need no queue: nothing of the session is on its way there, so nothing is overtaken.

They are done by whoever asks (`ports.Direct`). What was not done goes to the queue; what may have been done is not
asked for again: the connection ends, and attaching anew fences what is late.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Union, cast

from ..core.model import Error, Id
from ..core.requests import DIRECT, INVOKED, Auth, Close, Request, Result, WatchSubtrees
from ..eager import Waits, at_once
from ..errors import BackendError, Unknown
from ..messages import Message, TriggerLog, trigger_log_of
from ..ports import Direct, Gateway, Written
from .flag import Flag
from .ops import WRITES, Done, Fail, Op
from .owned import OwnedEphemerals
from .packing import sendable, size_of
from .queues import Queues
from .watchlist import WatchList

MAX_DIRECT_BYTES = 64 << 10
"""Of a request that goes directly, so that its answer fits into a response, whatever it is."""
LOST = "lost"
EXPIRED = "expired"
CLOSED = "closed"
NO_TAG = object()
"""The tag of what the session itself submits."""
OUT_OF_TOUCH = "out of touch for two thirds of the session timeout"


class DirectWrites(Queues):
    """The part of `engine.Session` that does them."""

    __slots__ = ()

    id: int
    _gateway: Gateway
    _ns: str
    _inbox: str
    _key: bytes
    _beating: Flag
    _next: int
    _answered: int
    _watermark: int
    _watches: WatchList
    _holdings: OwnedEphemerals
    _over: bool
    _read_only: bool

    @property
    def busy(self) -> bool:
        """Of the session."""
        raise NotImplementedError

    def overdue(self) -> bool:
        """Of the session."""
        raise NotImplementedError

    def end(self, reason: str, why: str) -> None:
        """Of the session."""
        raise NotImplementedError

    def _hold(self, op: Any) -> bool:
        """Of the session."""
        raise NotImplementedError

    async def _send_beat(self) -> None:
        """Of the session."""
        raise NotImplementedError

    @property
    def _hint(self) -> int:
        """Up to where it has its answers, for whoever may know less. Elsewhere one instance serves everybody."""
        return self._answered if self._gateway.store.limits.has_latency else 0

    async def _show(self, tag: Any, result: Result, trigger_log: Optional[TriggerLog] = None) -> None:
        raise NotImplementedError

    async def _write_direct(self) -> bool:
        """Has the first write that waits done without the queue. Whether it was; else it is still the first."""
        direct, (tag, op) = self._gateway.direct, self._todo[0]
        if direct is None or self._flight or not self._goes_alone() or not self._may_go_direct(op):
            return False
        if direct.at_once and isinstance(op, DIRECT):  # who waits for it has tried; what nobody waits for gets company
            return False
        self._todo.popleft()
        written, number = None, self._next
        try:
            if await self._may_own(op):
                written = await self._ask(direct, self._one(op))
        except Unknown as error:
            self.end(LOST, "a write has no answer: %s" % error)
            return True
        if written is None:
            self._holdings.unasked(op)
            self._next = number
            self._todo.appendleft((tag, op))
            return False
        await self._arrived(tag, op, written)
        self._answered = max(self._answered, written.zxid)
        return True

    async def _ask(self, direct: Direct, message: Message) -> Optional[Written]:
        """What a direct write came to; None if it was not done, and will not be. Unknown."""
        writing = direct.write(self._ns, message, self._key)
        try:
            return at_once(writing) if direct.at_once else await writing
        except Unknown:
            raise
        except (BackendError, Waits):
            return None

    async def _arrived(self, tag: Any, op: Op, written: Written) -> None:
        trigger_log = trigger_log_of(written.zxid, written.since, written.triggers) if len(self._watches) else None
        await self._landed(tag, op, written.result, trigger_log)

    async def _landed(self, tag: Any, op: Any, result: Result, trigger_log: Optional[TriggerLog]) -> None:
        """The answer to a write, in its turn."""
        code, value, zxid = result
        if self._has_ended(code):
            return
        self._holdings.settled(op, code, value)
        if isinstance(op, WatchSubtrees) and code:  # the watch behind it would never hear of anything
            self._todo[0] = (self._todo[0][0], Fail(code))
        if isinstance(op, Auth) and code == Error.OK:
            self._watches.became(zxid, [Id(*i) for i in value])
        await self._show(tag, result, trigger_log)
        if isinstance(op, Close) and code == Error.OK:
            self.end(CLOSED, "closed")

    @property
    def _invokes(self) -> bool:
        """Whether all that a session asks for may be invocations: where a queue is paid for, and need not be."""
        direct = self._gateway.direct
        return self._gateway.beats_only_if_owning and direct is not None and not direct.at_once

    def _is_single(self) -> bool:
        """Whether no other write waits behind the first one: what waits for its answer anyway is no company."""
        return len(self._todo) == 1 or not isinstance(self._todo[1][1], WRITES)

    def _may_go_direct(self, op: Op) -> bool:
        """Whether the queue need not have it: nothing of it is to be laid down anywhere before."""
        if not isinstance(op, INVOKED) or not sendable(op, self._gateway):
            return False
        blobs = self._gateway.blobs
        return blobs is None or size_of(op, None) <= min(blobs.inline_bytes, MAX_DIRECT_BYTES)

    def _goes_alone(self) -> bool:
        """Whether the first write that waits is to be done before another one is asked for."""
        return self._is_single() or self._go_singly()

    def _go_singly(self) -> bool:
        """Whether writes with company are done one after the other, since what answers them together is not there."""
        raise NotImplementedError

    async def _may_own(self, op: Op) -> bool:
        """As before a message with it is sent: who begins to own something is heard first. Whether that was so."""
        if self._hold(op):
            try:
                await self._send_beat()
            except BackendError:
                return False  # the queue's way is to try that again
            self._beating.set()
        return True

    def _one(self, op: Op) -> Message:
        """A message with this alone. Its number is used up, whatever becomes of it."""
        number = self._next
        self._next += 1
        return Message(self._inbox, self.id, number, (cast(Request, op),), self._hint)

    def write_now(self, op: Op, has_turn: Optional[Callable[[], bool]] = None) -> Union[Result, Done, None]:
        """Does a write at once, where that needs nobody else. None if it was not done: submit it.

        A Done, if it was done and events come before its answer: submit that, before anything else. For whoever has
        the event loop to itself, in any thread: see `ports.Direct.at_once`. Unknown: it may have been done, and the
        session must not go on.
        """
        direct = self._gateway.direct
        if direct is None or not direct.at_once or self._over or self._read_only or self.busy:
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
        if len(self._watches) and self._comes_before(written):
            return Done(written.result, trigger_log_of(written.zxid, written.since, written.triggers))
        self._watermark = max(self._watermark, written.result.zxid)
        return written.result

    def _comes_before(self, written: Written) -> bool:
        """Whether the session may have events to tell before that answer: its own, and what others did before it."""
        seen, zxid = self._watermark, written.result.zxid
        if written.since > seen:
            return zxid > seen
        return any(seen < trigger.zxid <= zxid and self._watches.hit_by(trigger) for trigger in written.triggers)

    def finish_fan_out(self) -> None:
        """In the event loop, after a `write_now` was interrupted: whoever was to hear of it does."""
        if self._gateway.direct is not None:
            self._gateway.direct.told(self._ns)

    def _has_ended(self, code: int) -> bool:
        """Whether an answer says that the session is over, or is another connection's. It ends here then."""
        if code == Error.SESSION_EXPIRED:
            self.end(EXPIRED, "the session has expired")
        if code == Error.SESSION_MOVED:
            self.end(LOST, "the session moved to another connection")
        return code in (Error.SESSION_EXPIRED, Error.SESSION_MOVED)
