"""When to leave direct writes to the queue: two that meet cost more than the queue does, which is good at company.

After a conflict a namespace is left to the queue for a while, twice as long after each further one, up to a limit, and
for as long as others are seen to write there one after the other. The first direct write that met nobody ends that.
"""

from __future__ import annotations

from typing import Dict, NamedTuple

from ..messages import Message

PAUSE_S, MAX_PAUSE_S = 0.25, 8.0
MAX_SENDERS = 1000
"""Connections of which a process remembers what they sent last."""


class Sent(NamedTuple):
    """When a connection was about to write last, the number of that, and up to which zxid it had its answers."""

    at_s: float
    number: int
    answered: int


class Contention:
    """Of one namespace, as one client has met it. Times are `ports.Clock.monotonic`'s."""

    def __init__(self, max_pause_s: float = MAX_PAUSE_S) -> None:
        self._max_pause_s = max_pause_s
        self._until = float("-inf")
        self._pause_s = 0.0
        self._sent: Dict[str, Sent] = {}
        """By connection."""

    def is_due(self, now: float) -> bool:
        """Whether a direct write may be tried."""
        return now >= self._until

    def about_to(self, message: Message, now: float) -> None:
        """Before each write that might go directly. How far the namespace came since the last one tells of others.

        While they write more often than once in `PAUSE_S`, who has met them does not try: who loses has done it for
        nothing, and who wins has a whole batch of theirs begin anew.
        """
        before = self._sent.pop(message.inbox, None)
        while len(self._sent) >= MAX_SENDERS:
            del self._sent[next(iter(self._sent))]
        self._sent[message.inbox] = Sent(now, message.first, message.answered)
        if before is not None and self._pause_s:
            others = (message.answered - before.answered) - (message.first - before.number)
            if now - before.at_s < others * PAUSE_S:
                self._until = max(self._until, now + self._pause_s)

    def met(self, now: float) -> None:
        """Somebody else wrote at the same time, or there was no room for the invocation."""
        self._pause_s = min(max(self._pause_s * 2, PAUSE_S), self._max_pause_s)
        self._until = now + self._pause_s

    def told(self, now: float) -> None:
        """Somebody waits in the queue, and is kept from its turn by direct writes that never meet anybody."""
        if self.is_due(now):
            self.met(now)

    def alone(self) -> None:
        """A direct write met nobody."""
        self._pause_s = 0.0
