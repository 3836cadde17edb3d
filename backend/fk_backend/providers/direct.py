"""Where the files, or the functions, are at hand, a caller need not wait for anybody: its write is made in place.

Only while nothing of the namespace waits or is being handled. Everything up to the commit is worked out and changes
nothing, and the commit is one step (see the stores), so a signal's handler may interrupt it anywhere.
"""

from __future__ import annotations

from typing import Callable, Optional

from ..eager import Waits, at_once
from ..errors import BackendError, Unknown
from ..functions.writer import Writer
from ..messages import Message
from ..ports import Written


class InProcessDirect:
    """`ports.Direct`, of a store whose commits are one step."""

    never_waits = True

    def __init__(
        self,
        writer: Callable[[], Writer],
        is_free: Callable[[str], bool],
        schedule_fan_out: Callable[[str], None],
        in_turn: Callable[[Callable[[], bool]], None] = lambda has_turn: None,
    ) -> None:
        """``is_free``: whether a namespace has nobody at work in it; ``schedule_fan_out`` has its last commit
        fanned out.
        """
        self._writer = writer
        self._is_free = is_free
        self._schedule_fan_out = schedule_fan_out
        self.in_turn = in_turn
        """`ports.Direct.in_turn`, for a store that has to know."""

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`. It waits for nothing, or it has not done anything."""
        if not self._is_free(ns):
            return None
        writer = self._writer()
        try:
            written = await writer.write(ns, message, wakes=False)
        except Unknown:
            self._schedule_fan_out(ns)
            raise
        self._see_to_fan_out(ns)
        return written

    def _see_to_fan_out(self, ns: str) -> None:
        try:
            if at_once(self._writer().is_fanned_out(ns)):
                return
        except (BackendError, Waits):
            pass
        self._schedule_fan_out(ns)

    def finish_fan_out(self, ns: str) -> None:
        """`ports.Direct.finish_fan_out`."""
        self._schedule_fan_out(ns)
