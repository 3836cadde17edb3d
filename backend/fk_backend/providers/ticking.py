"""The heartbeat of each namespace, for as long as there is something to look after.

Sessions are opened by the queue, which says so, or beside it, where nobody does. So before the heartbeat of a namespace
rests, that is left to the queue alone, and it looks once more.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Awaitable, Callable, Dict, List, Set

from ..errors import BackendError
from ..ports import Clock

log = logging.getLogger(__name__)


class Ticking:
    """Runs the heartbeats of any number of namespaces in this event loop."""

    def __init__(
        self,
        heartbeat: Callable[[str], Awaitable[bool]],
        is_busy: Callable[[str], bool],
        clock: Clock,
        tick_s: float,
    ) -> None:
        """``heartbeat``: as `Heartbeat.__call__`; ``is_busy``: whether the queue's writer is at work in a namespace."""
        self._heartbeat = heartbeat
        self._is_busy = is_busy
        self._clock = clock
        self._tick_s = tick_s
        self._tasks: Dict[str, "asyncio.Task[None]"] = {}
        self._resting: Set[str] = set()
        """Namespaces where it looks once more: whoever uses the queue meanwhile ends that."""

    def start(self, ns: str) -> None:
        """Has the heartbeat look after a namespace: something was asked for there."""
        self._resting.discard(ns)
        if ns not in self._tasks:
            self._tasks[ns] = asyncio.ensure_future(self._tick(ns))

    def is_on(self, ns: str) -> bool:
        """Whether a namespace is looked after, and a session that is opened there now will be."""
        return ns in self._tasks and ns not in self._resting

    @property
    def namespaces(self) -> List[str]:
        """Those that are looked after."""
        return list(self._tasks)

    def cancel(self) -> "List[asyncio.Task[None]]":
        """Ends all of it; the tasks that end."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        return tasks

    async def _tick(self, ns: str) -> None:
        was_idle = False
        try:
            while True:
                try:
                    is_idle = not (await self._heartbeat(ns) or self._is_busy(ns))
                    # Not at once: who has not heard yet that the last session is over may beat once more.
                    if is_idle and was_idle and await self._may_rest(ns):
                        return
                    was_idle = is_idle and not was_idle
                except BackendError as error:
                    log.warning("namespace %s: heartbeat: %s", ns, error)
                except Exception:  # a bug; without a heartbeat nothing would ever expire again
                    log.exception("namespace %s: the heartbeat failed", ns)
                self._resting.discard(ns)
                await self._clock.sleep(self._tick_s)
        finally:
            self._tasks.pop(ns, None)
            self._resting.discard(ns)

    async def _may_rest(self, ns: str) -> bool:
        """Looks once more. Whether there is nothing more to look after."""
        self._resting.add(ns)
        return not await self._heartbeat(ns) and ns in self._resting
