"""How a connection ends: once, whatever ends it, and what it had registered is removed."""

from __future__ import annotations

import asyncio
import logging
from typing import List

from .. import layout
from ..core.model import Error
from ..eager import current_task
from ..errors import BackendError
from ..ports import Remove
from .base import SessionBase, retry_s
from .listener import EXPIRED, LOST

log = logging.getLogger(__name__)

MAX_LEAVE_S = 10.0
"""So long a connection that is over tries to remove what it registered."""


class Leaving(SessionBase):
    """The part of `engine.Session` that does that."""

    __slots__ = ()

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended."""
        return self._machine.is_over

    def end(self, reason: str, why: str) -> None:
        """Ends the connection (not the session). Safe to call again."""
        if self._machine.is_over:
            return
        self._machine.end()
        self._note_wakeup.set()
        self._listener.over(reason, why)
        for task in (*self._tasks, self._run_task):
            if task is not None and task is not current_task():
                task.cancel()
        self._closing_task = asyncio.ensure_future(self._leave(keep=reason == LOST))

    def _lost(self, why: str) -> None:
        self.end(LOST, why)

    def _has_ended(self, code: int) -> bool:
        """Whether an answer says that the session is over, or is another connection's. It ends here then."""
        if code == Error.SESSION_EXPIRED:
            self.end(EXPIRED, "the session has expired")
        if code == Error.SESSION_MOVED:
            self.end(LOST, "the session moved to another connection")
        return code in (Error.SESSION_EXPIRED, Error.SESSION_MOVED)

    async def _leave(self, keep: bool) -> None:
        await self._gateway.unsubscribe(self.inbox, keep)
        clock, since_s = self._gateway.clock, self._gateway.clock.monotonic()
        while True:
            try:
                await self._reader.leave()
                if self._gateway.store.capabilities.charges_for_beats and self._machine.next_number:
                    await self._gateway.store.commit([Remove(layout.hello_key(self._ns, self.inbox))])
                return
            except BackendError as error:
                tried_s = clock.monotonic() - since_s
                if tried_s > MAX_LEAVE_S:
                    log.debug("registrations of %s stay behind: %s", self.inbox, error)
                    return
            await clock.sleep(retry_s(tried_s))

    async def left(self) -> None:
        """Waits until what the connection had registered is removed, once it is over."""
        if self._closing_task is not None:
            await asyncio.wait([self._closing_task])

    def running(self) -> "List[asyncio.Future[None]]":
        """What of it still runs, and ends by itself once it is over."""
        tasks = (*self._tasks, self._run_task, self._closing_task)
        return [task for task in tasks if task is not None and not task.done()]
