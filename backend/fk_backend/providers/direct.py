"""Where the functions run in this very process, a caller need not wait for another thread: its write is made in place.

Only while nothing of the namespace waits or is being handled. Everything up to the commit is worked out and changes
nothing, and the commit is one step (see the stores), so a signal's handler may interrupt it anywhere.
"""

from __future__ import annotations

from typing import Callable, Optional

from ..eager import Waits, at_once
from ..errors import BackendError, Unknown
from ..messages import Message
from ..ports import Written
from .dispatch import Dispatcher


class InPlace:
    """`ports.Direct`, of a store whose commits are one step."""

    at_once = True

    def __init__(
        self,
        functions: Dispatcher,
        may: Callable[[], bool] = lambda: True,
        in_turn: Callable[[Callable[[], bool]], None] = lambda has_turn: None,
    ) -> None:
        """``may``: whether nothing else of the provider has to come before the next commit."""
        self._functions = functions
        self._may = may
        self.in_turn = in_turn
        """`ports.Direct.in_turn`, for a store that has to know."""

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`. It waits for nothing, or it has not done anything."""
        functions = self._functions
        if not functions.is_free(ns) or not self._may():
            return None
        try:
            written = await functions.writer.write(ns, message, wakes=False)
        except Unknown:
            functions.tell_soon(ns)
            raise
        try:
            if at_once(functions.writer.is_told(ns)):
                return written
        except (BackendError, Waits):
            pass
        functions.tell_soon(ns)
        return written

    def told(self, ns: str) -> None:
        """`ports.Direct.told`."""
        self._functions.tell_soon(ns)
