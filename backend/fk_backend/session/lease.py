"""How long a session is its own: whether it may own something that goes with it, and when it was last in touch.

No clock: every moment is given, in seconds of a clock that never goes back.
"""

from __future__ import annotations

from typing import Any

from .owned import OwnedEphemerals

OUT_OF_TOUCH = "out of touch for two thirds of the session timeout"
MOMENT_S = 0.001
"""So much after something is due, it is due whatever the clock's resolution."""


class Lease:
    """A session's claim to what it owns. It ends where two thirds of the timeout pass without a beat."""

    __slots__ = ("beaten_s", "contact_s", "owned", "timeout_s")

    def __init__(self, always: bool) -> None:
        """``always``: whether it beats though it owns nothing."""
        self.owned = OwnedEphemerals(always)
        self.timeout_s = 0.0
        self.contact_s = 0.0
        """When it was last in touch: the start of a call that was answered."""
        self.beaten_s = float("-inf")
        """When the last beat that was heard began."""

    def begin(self, timeout_s: float, contact_s: float) -> None:
        """The session was opened or attached by a call that began then."""
        self.timeout_s, self.contact_s = timeout_s, contact_s

    @property
    def bound_s(self) -> float:
        """So long a session may be out of touch: what is left of the timeout is for who is told."""
        return self.timeout_s * 2 / 3

    @property
    def interval_s(self) -> float:
        """Between two beats."""
        return self.timeout_s / 3

    def is_overdue(self, now_s: float) -> bool:
        """Whether it was out of touch for too long. Never, if nobody could get anything of its own."""
        return bool(self.owned) and now_s - self.contact_s > self.bound_s

    def begins_to_own(self, op: Any) -> bool:
        """A write is about to be sent: whether it may own something from now on, and did not before."""
        before = bool(self.owned)
        self.owned.asked(op)
        return not before and bool(self.owned)

    def renew(self, now_s: float) -> bool:
        """It begins to own something. Whether it has beaten just now: then no counter that stood still is its own."""
        is_fresh = now_s - self.beaten_s < self.timeout_s / 6
        self.contact_s = self.beaten_s if is_fresh else now_s
        return is_fresh

    def beat(self, began_s: float) -> None:
        """A beat was heard that began then."""
        self.contact_s = self.beaten_s = began_s

    def left_s(self, now_s: float) -> float:
        """So long a beat may take; a little even where it is late."""
        return max(self.contact_s + self.bound_s - now_s, self.timeout_s / 24) + MOMENT_S
