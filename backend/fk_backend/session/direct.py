"""A session's writes that need no queue: nothing of the session is on its way there, so nothing is overtaken.

They are done by whoever asks (`ports.Direct`). What was not done goes to the queue; what may have been done is not
asked for again: the connection ends, and attaching anew fences what is late.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, cast

from ..core.model import Error
from ..core.requests import Request, Result
from ..eager import Waits, at_once
from ..errors import BackendError, Unknown
from ..messages import Bulletin, Message, bulletin
from ..ports import Gateway
from .holdings import Holdings, makes_ephemeral
from .ops import DIRECT, Op
from .packing import sendable
from .queues import Queues
from .watchlist import WatchList

LOST = "lost"
EXPIRED = "expired"
OUT_OF_TOUCH = "out of touch for two thirds of the session timeout"


class DirectWrites(Queues):
    """The part of `engine.Session` that does them."""

    __slots__ = ()

    id: int
    _gateway: Gateway
    _ns: str
    _inbox: str
    _next: int
    _answered: int
    _watermark: int
    _watches: WatchList
    _holdings: Holdings
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

    async def _show(self, tag: Any, result: Result, board: Optional[Bulletin] = None) -> None:
        raise NotImplementedError

    async def _write_alone(self) -> bool:
        """Has a write with no company done without the queue. Whether it was; else it is still the first that waits."""
        direct, (tag, op) = self._gateway.direct, self._todo[0]
        if direct is None or direct.at_once or self._flight or len(self._todo) > 1 or not self._may_go_alone(op):
            return False
        self._todo.popleft()
        try:
            written = await direct.write(self._ns, self._one(op))
        except Unknown as error:
            self.end(LOST, "a write has no answer: %s" % error)
            return True
        except BackendError:  # definite: nothing was done
            written = None
        if written is None:
            self._next -= 1
            self._todo.appendleft((tag, op))
            return False
        code, value, _ = written.result
        if self._has_ended(code):
            return True
        self._holdings.settled(op, code, value)
        board = bulletin(written.zxid, written.since, written.triggers) if len(self._watches) else None
        await self._show(tag, written.result, board)
        self._answered = max(self._answered, written.zxid)
        return True

    def _may_go_alone(self, op: Op) -> bool:
        """Whether the queue need not have it. Where beats are paid for, it is asked there for what it will own."""
        thrifty = self._gateway.thrifty and makes_ephemeral(op)
        return isinstance(op, DIRECT) and not thrifty and sendable(op, self._gateway)

    def _one(self, op: Op) -> Message:
        """A message with this alone. Its number is used up, whatever becomes of it."""
        number = self._next
        self._next += 1
        return Message(self._inbox, self.id, number, (cast(Request, op),))

    def write_now(self, op: Op, has_turn: Optional[Callable[[], bool]] = None) -> Optional[Result]:
        """Does a write at once, where that needs nobody else. None if it was not done: submit it.

        For whoever has the event loop to itself, in any thread: see `ports.Direct.at_once`. Unknown: it may have been
        done, and the session must not go on.
        """
        direct = self._gateway.direct
        if direct is None or not direct.at_once or self._over or self._read_only or self.busy or len(self._watches):
            return None
        if self.overdue() or not self._may_go_alone(op):
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
        self._watermark = max(self._watermark, written.result.zxid)
        return written.result

    def tell_rest(self) -> None:
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
