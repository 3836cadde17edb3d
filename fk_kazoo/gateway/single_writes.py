"""A write that comes alone is made in place, in the loop's own turn; those that come together share a commit.

Whatever came while the last commit waited for the disk is there at the loop's next turn: so who writes in company finds
company, and one client that waits for each of its answers does without the queue's way there and back.
"""

from __future__ import annotations

import asyncio
from typing import Callable, List

Go = Callable[[bool], None]
"""Told whether it is alone."""


class SingleWrites:
    """The writes that came in this turn of the loop, to one namespace. For one event loop's thread."""

    def __init__(self) -> None:
        self._came: List[Go] = []

    def take(self, go: Go) -> None:
        """Calls it in the next turn, when everything has come that was there."""
        if not self._came:
            asyncio.get_running_loop().call_soon(self._go)
        self._came.append(go)

    def _go(self) -> None:
        came, self._came = self._came, []
        for go in came:
            go(len(came) == 1)
