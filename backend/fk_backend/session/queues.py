"""What waits in a session. An idle session keeps no queues: they would be most of its size."""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, NamedTuple, Tuple

from .ops import Op

_NOTHING: Any = ()


class Pending(NamedTuple):
    """A write that was sent."""

    number: int
    tag: Any
    op: Any


class Queues:
    """The part of a session that has them. Slots, as a thousand sessions in a process are nothing special."""

    __slots__ = (
        "__dict__ __weakref__ _answered _answers _at_it _awaited _beaten_at _beating _begun _bell _contact _count"
        " _closing_task _flight _gateway _going _holdings _inbox _key _listener _listens _mail _next _nonce _ns _over"
        " _pinged _read_only _reader _soon _tasks _timeout_s _todo _unheard _watches _watermark id"
    ).split()
    _mail: Deque[bytes]
    _todo: Deque[Tuple[Any, Op]]
    _flight: Deque[Pending]

    def _rest(self) -> None:
        """Nothing waits any more. Whoever adds to a queue makes it."""
        self._mail = self._todo = self._flight = _NOTHING

    def _add_todo(self, tag: Any, op: Op) -> None:
        self._todo = self._todo or deque()
        self._todo.append((tag, op))

    def _add_incoming(self, body: bytes) -> None:
        self._mail = self._mail or deque()
        self._mail.append(body)

    def _add_flight(self, pending: Pending) -> None:
        self._flight = self._flight or deque()
        self._flight.append(pending)
