"""A session some of whose writes are done as a caller's own thread does them: see `DirectWrites.write_now`.

The answer comes to the event loop, if events come before it, after what the loop was given meanwhile.
"""

from __future__ import annotations

from typing import Any

from ...core.requests import DIRECT
from ...ports import Written
from ...session.engine import Session
from ...session.ops import Done, Op


class InTurn(Session):
    """Every second one of its direct writes."""

    __slots__ = ()

    async def _arrived(self, tag: Any, op: Op, written: Written) -> None:
        if self._machine.next_number % 2 or not isinstance(op, DIRECT):
            return await super()._arrived(tag, op, written)
        result = written.result
        if not self._has_ended(result.code):
            self._lease.owned.settled(op, result.code, result.value)
            outcome = self._outcome(written)
            if isinstance(outcome, Done):
                self._machine.requested.appendleft((tag, outcome))
            else:
                self._reply(tag, outcome)
