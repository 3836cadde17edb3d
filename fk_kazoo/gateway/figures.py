"""What a gateway counts of itself, and what its connections tell of theirs."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, Protocol, Tuple


class Figures:
    """Since the start, or since `reset`. Requests and replies are what ZooKeeper calls packets."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.rejected = 0
        """Connections that were one too many."""
        self.auth_failed = 0
        self.too_large = 0
        """Requests over the limit, each the end of its connection."""
        self.reset()

    def reset(self) -> None:
        """As `srst` asks for it."""
        self.received = self.sent = 0
        self._answered, self._total_s, self._min_s, self._max_s = 0, 0.0, 0.0, 0.0

    def answered(self, after_s: float) -> None:
        """A request was answered so long after it was taken."""
        self._min_s = min(self._min_s, after_s) if self._answered else after_s
        self._max_s = max(self._max_s, after_s)
        self._answered += 1
        self._total_s += after_s

    def latency_ms(self) -> Tuple[int, float, int]:
        """Least, mean and most, as ZooKeeper shows them."""
        mean_s = self._total_s / self._answered if self._answered else 0.0
        return round(self._min_s * 1000), round(mean_s * 1000, 4), round(self._max_s * 1000)

    def uptime_ms(self) -> int:
        """Since the gateway began."""
        return round((time.monotonic() - self.started) * 1000)


class Seen(NamedTuple):
    """A connection as the words show it. ``session`` 0: it has none yet."""

    address: str
    port: int
    session: int
    timeout_ms: int
    outstanding: int
    received: int
    sent: int
    watched: Tuple[str, ...]


class Connected(Protocol):
    """A connection that can be looked at."""

    def seen(self) -> Seen:
        """Now."""
        ...

    def recount(self) -> Any:
        """As `crst` asks for it: what was counted is forgotten."""
        ...
