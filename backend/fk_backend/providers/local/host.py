"""What one process does for all: it looks after the sessions of every namespace, and removes what killed ones left.

It is the process with the host lock, as long as it moves: whoever sees that nobody has done this for a while does it,
too. Two at a time do no harm: an expiry carries the count that it was judged by. A namespace where nothing was to be
looked after twice is left alone until its head moves.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Optional, Set, Tuple

from ... import layout
from ...errors import BackendError
from ...functions.heartbeat import TICK_S, Heartbeat
from ...ports import Clock
from ...writer.fanout import FanOutProgress
from ..dispatch import Dispatcher
from .event_sockets import remove_left
from .files import Place
from .lock import Lock
from .progress import TICKS_AT
from .store import LocalStore, namespaces

log = logging.getLogger(__name__)

WATCH_S = 1.0
"""So often whoever is not the host looks whether there is one."""
STILL_S = 3.0
"""If the host did nothing for so long, it may be stopped; then somebody else does its work, each at a time of his own.
"""
SWEEP_S = 5.0
"""So often the host looks for what killed processes left."""


class Host:
    """Of one process, which may be the host or not, in its event loop."""

    def __init__(
        self,
        place: Place,
        store: LocalStore,
        words: Any,
        told: FanOutProgress,
        functions: Dispatcher,
        heartbeat: Heartbeat,
        clock: Clock,
    ) -> None:
        self._place = place
        self._store = store
        self._words = words
        self._told = told
        self._functions = functions
        self._heartbeat = heartbeat
        self._clock = clock
        self.lock: Optional[Lock] = None
        self._seen, self._since_s = -1, 0.0
        """What the word of ticks showed last, and since when."""
        self._patience_s = STILL_S + int.from_bytes(clock.random_bytes(1), "big") / 256.0
        self._swept_s = float("-inf")
        self._changes: Optional[Tuple[int, int, int]] = None
        self._heads: Dict[str, int] = {}
        """The zxid of each namespace's head, as of these changes."""
        self._idle: Dict[str, int] = {}
        """That at which nothing was to be looked after."""
        self._resting: Set[str] = set()
        """Where that was so twice."""

    async def run(self, before: Callable[[], None]) -> None:
        """For as long as the process has the deployment open. ``before`` is called each time."""
        while True:
            is_due = False
            try:
                before()
                is_due = self._is_due()
                if is_due:
                    await self._tick()
            except (BackendError, OSError) as error:
                log.warning("%s: %s", self._place.directory, error)
            except Exception:  # a bug; without this nothing would ever expire again
                log.exception("%s: the host failed", self._place.directory)
            await self._clock.sleep(TICK_S if is_due else WATCH_S)

    def _is_due(self) -> bool:
        """Whether to look after the namespaces now."""
        now = self._clock.monotonic()
        if self.lock is not None and not self.lock.descriptor.is_ours():
            self.stop()
        if self.lock is None:
            self.lock = Lock.acquire(self._place.lock)
        moved = int(self._words[TICKS_AT])
        if self.lock is None:
            if moved != self._seen:
                self._seen, self._since_s = moved, now
                return False
            if now - self._since_s < self._patience_s:
                return False
        self._words[TICKS_AT] = self._seen = (moved + 1) & 0xFFFFFFFF
        return True

    async def _tick(self) -> None:
        if self.lock is not None and self._clock.monotonic() - self._swept_s > SWEEP_S:
            self._swept_s = self._clock.monotonic()
            remove_left(self._place)
        changes = self._store.changes()
        if changes != self._changes:
            found = await namespaces(self._store)
            items = [(await self._store.get([layout.head_key(ns)]))[0] for ns in found]
            self._heads = {ns: item.rev for ns, item in zip(found, items) if item is not None}
            self._changes = changes
        for ns, zxid in self._heads.items():
            try:
                await self._look_after(ns, zxid)
            except BackendError as error:
                log.warning("namespace %s: heartbeat: %s", ns, error)

    async def _look_after(self, ns: str, zxid: int) -> None:
        if ns in self._resting and self._idle.get(ns) == zxid:
            return
        if self._told.upto(ns) != zxid:  # who wrote it may have been killed, or stopped, before he told of it
            self._functions.schedule_fan_out(ns)
        is_busy = await self._heartbeat(ns)
        was_idle = self._idle.get(ns) == zxid
        if is_busy:
            self._idle.pop(ns, None)
        else:
            self._idle[ns] = zxid
        # Not at once: who has not heard yet that the last session is over may beat once more.
        (self._resting.add if was_idle and not is_busy else self._resting.discard)(ns)

    def stop(self) -> None:
        """Another process may be the host."""
        lock, self.lock = self.lock, None
        if lock is not None:
            lock.release()
