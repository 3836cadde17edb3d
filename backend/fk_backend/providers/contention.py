"""When to leave direct writes to the queue: two that meet cost more than the queue does, which is good at company.

After a conflict a namespace is left to the queue for a while, twice as long after each further one, up to a limit. The
first direct write that met nobody ends that.
"""

from __future__ import annotations

PAUSE_S, MAX_PAUSE_S = 0.25, 8.0


class Contention:
    """Of one namespace, as one client has met it. Times are `ports.Clock.monotonic`'s."""

    def __init__(self, max_pause_s: float = MAX_PAUSE_S) -> None:
        self._max_pause_s = max_pause_s
        self._until = float("-inf")
        self._pause_s = 0.0

    def is_due(self, now: float) -> bool:
        """Whether a direct write may be tried."""
        return now >= self._until

    def met(self, now: float) -> None:
        """Somebody else wrote at the same time, or there was no room for the invocation."""
        self._pause_s = min(max(self._pause_s * 2, PAUSE_S), self._max_pause_s)
        self._until = now + self._pause_s

    def alone(self) -> None:
        """A direct write met nobody."""
        self._pause_s = 0.0
