"""Who is called with a session's answers, events and states."""

from __future__ import annotations

from typing import Any, Protocol

from ..core.requests import Result
from .watchlist import Event

LOST, EXPIRED, CLOSED = "lost", "expired", "closed"


class Listener(Protocol):
    """Called in the event loop, in order; must not block."""

    def replied(self, tag: Any, result: Result) -> None:
        """The answer of one submitted op."""

    def fired(self, event: Event) -> None:
        """A watch event."""

    def over(self, reason: str, why: str) -> None:
        """Nothing more will come. LOST: unreachable, the session may live on; EXPIRED; CLOSED: as asked."""
