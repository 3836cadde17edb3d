"""A write that comes alone is made in place, in the loop's own turn; those that come together share a commit.

Whatever came while the last commit waited for the disk is there at the loop's next turn: so who writes in company finds
company, and one client that waits for each of its answers does without the queue's way there and back. Where only one
client has written lately, not even that turn is waited for.
"""

from __future__ import annotations

import asyncio
from typing import Callable, List

COMPANY_S = 0.05
"""Who writes so soon after somebody else is not alone."""

Go = Callable[[bool], None]
"""Told whether it is alone."""


class SingleWrites:
    """The writes that came in this turn of the loop, to one namespace. For one event loop's thread."""

    def __init__(self) -> None:
        self._came: List[Go] = []
        self._last = 0
        self._last_s = self._company_s = float("-inf")

    def take(self, go: Go, session: int, now_s: float, may_wait: bool = False) -> None:
        """Calls it, at once if nobody but that session writes, or in the next turn, when all that was there has come.

        ``now_s``: the loop's time. ``may_wait``: in the next turn in any case.
        """
        if session != self._last and now_s - self._last_s < COMPANY_S:
            self._company_s = now_s
        self._last, self._last_s = session, now_s
        if not (may_wait or self._came) and now_s - self._company_s >= COMPANY_S:
            return go(True)
        if not self._came:
            asyncio.get_running_loop().call_soon(self._go)
        self._came.append(go)

    def _go(self) -> None:
        came, self._came = self._came, []
        for go in came:
            go(len(came) == 1)
