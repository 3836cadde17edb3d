"""One session over one connection: does what its state machine says, one thing at a time.

`machine` says what comes next, `lease` how long the session is its own. The parts do it: `sending` and `direct` write,
`reads` reads, `events` shows, `opening`, `inbox`, `beats` and `leaving` keep the connection.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from .. import messages
from ..eager import begin
from ..errors import BackendError
from ..messages import PING
from .beats import Beats
from .direct import DirectWrites
from .events import Events
from .inbox import Inbox
from .lease import OUT_OF_TOUCH as OUT_OF_TOUCH
from .leaving import Leaving
from .listener import CLOSED as CLOSED
from .listener import EXPIRED as EXPIRED
from .listener import LOST as LOST
from .machine import DO_READ, DO_WRITE, SEND, TAKE_NOTE
from .opening import NoSession as NoSession
from .opening import Opened as Opened
from .opening import Opening
from .ops import Op
from .packing import sendable
from .reads import Reads
from .sending import QueuedWrites

log = logging.getLogger(__name__)


class Session(Opening, Inbox, DirectWrites, QueuedWrites, Reads, Events, Beats, Leaving):
    """One connection of one session. Make it, `open` or `attach` it, `submit` to it, until it is over."""

    __slots__ = ()

    def submit(self, tag: Any, op: Op) -> None:
        """Queues an op; its answer comes to the listener with the tag."""
        machine = self._machine
        machine.submit(tag, op, sendable(op, self._gateway))
        if machine.in_flight:
            self._wake_soon()  # with what comes until then, it makes one message
        else:
            self._wake()

    def _receive(self, body: bytes) -> None:
        if body == PING:  # nothing that it could come before or after
            return self._beat_once()
        self._machine.receive(body)
        self._note_wakeup.set()
        self._wake()

    @property
    def busy(self) -> bool:
        """Whether something is being done or waits to be: until then, nothing may be shown at once."""
        return self._is_running or self._machine.is_busy

    def _wake(self) -> None:
        """Goes on with what is to be done, if it is not at it."""
        self._is_scheduled = False
        machine = self._machine
        if machine.has_begun and not self._is_running and not machine.is_over:
            self._is_running = True
            start = asyncio.ensure_future if self._gateway.store.capabilities.has_latency else begin
            running = start(self._run())
            self._run_task = None if running.done() else running

    def _wake_soon(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._wake)

    async def _run(self) -> None:
        try:
            while not self._machine.is_over:
                if self.overdue():
                    self.end(LOST, OUT_OF_TOUCH)
                elif not await self._do_next():
                    return
        except BackendError as error:
            self.end(LOST, str(error))
        except Exception as error:  # a bug must end the connection, not hang it
            log.exception("session 0x%x failed", self.id)
            self.end(LOST, "internal error: %r" % error)
        finally:
            self._is_running = False
            if not self._machine.is_busy:
                self._machine.clear()

    async def _do_next(self) -> bool:
        """Does the next step. False if there is none that may be done now."""
        machine = self._machine
        step = machine.next_step()
        if step == TAKE_NOTE:
            await self._take_note(messages.decode_note(machine.notes.popleft()))
        elif step == DO_READ:
            await self._read(*machine.requested.popleft())
        elif step == SEND or (step == DO_WRITE and not await self._write_direct()):
            await self._send()
        elif step != DO_WRITE:
            return False
        return True
