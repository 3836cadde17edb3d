"""Writes that a process commits by itself, beside the elected writer: nothing is sent, or waited for.

Which of two that meet was first, the condition on the head decides. Nobody knows of a commit but who made it: that
process tells the others, and says nothing to the elected writer. If it dies before, whoever writes next tells it, since
the head says so; and the elected writer looks once a second whether something was left (`writer.HeartbeatLoop`).

Who always wins does not see that it keeps the elected writer from its turn: that one says so (`Link.on_contended`).

The elected writer's heartbeat rests where it knows of no session: a commit that opens one says so (`store.WATCH`).

What was sent to the elected writer may come again after somebody else's commit: each message has a number there, which
the head keeps (`messages.Position`), and what failed is committed, too (`Writer.shares`).
"""

from __future__ import annotations

import logging
from typing import Callable, Dict, Optional, Set

from ...errors import BackendError, Conflict, Unknown
from ...functions.writer import Writer
from ...messages import Message
from ...ports import Clock, Written
from ..contention import Contention

log = logging.getLogger(__name__)


class DirectWrites:
    """`ports.Direct`. Each is asked once, since whatever is asked twice may be done twice."""

    never_waits = False

    def __init__(self, writer: Callable[[str], Optional[Writer]], clock: Clock) -> None:
        """``writer``: who would do it for a namespace, now; None while it is the queue's."""
        self._writer = writer
        self._clock = clock
        self._contention: Dict[str, Contention] = {}
        """By namespace."""
        self._at_it: Set[str] = set()
        """Namespaces to which somebody of this process is writing: two would only be in each other's way."""

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`. After others' writes: the queue, for a while."""
        contention, now = self._contention.setdefault(ns, Contention()), self._clock.monotonic()
        contention.about_to(message, now)
        if ns in self._at_it or not contention.is_due(now):
            return None
        writer = self._writer(ns)
        if writer is None:
            return None
        self._at_it.add(ns)
        try:
            written, conflicts = await writer.write_for(ns, message)
        except Unknown:
            raise
        except BackendError as error:
            log.debug("namespace %s: a write goes to the queue: %s", ns, error)
            if isinstance(error, Conflict):
                contention.met(self._clock.monotonic())
            return None
        finally:
            self._at_it.discard(ns)
        if conflicts:
            contention.met(self._clock.monotonic())
        else:
            contention.alone()
        return written

    def contended(self, ns: str) -> None:
        """Somebody's writes wait in the queue because of direct ones: these go there, too, for a while.

        Who wins each time would never know. Anybody may say so: it costs speed, and nothing else.
        """
        if ns in self._contention:
            self._contention[ns].told(self._clock.monotonic())

    def in_turn(self, has_turn: Callable[[], bool]) -> None:
        """`ports.Direct.in_turn`: it waits, so nobody asks."""

    def finish_fan_out(self, ns: str) -> None:
        """`ports.Direct.finish_fan_out`: that has been seen to."""
