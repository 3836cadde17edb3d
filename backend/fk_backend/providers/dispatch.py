"""Order within a namespace, independence between them: what a FIFO queue with a trigger does, inside one process.

One task for each namespace that has messages. It hands the writer everything that waits, and hands it the same again
until the writer returns; messages that came meanwhile wait. A message that makes the writer fail again and again is
found by handing over one at a time, and set aside with its sender told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import islice
from typing import Awaitable, Callable, Deque, Dict, List, NamedTuple, Optional, Protocol, Sequence, Set

from ..codec import Malformed
from ..core.model import Error
from ..errors import Conflict, Unavailable, Unknown
from ..functions.heartbeat import TICK_S
from ..functions.writer import Writer
from ..messages import Position, decode, trigger_log_of
from ..ports import Clock, Delivery, Inboxes, Pushed
from ..writer.distributor import answer_notes
from .ticking import Ticking

log = logging.getLogger(__name__)

MAX_BATCH = 1000
"""Messages handed over at once."""
MAX_WAITING = 100_000
"""Messages that may wait in a namespace; more are refused, and the sender tries again."""
TRIES = 3
"""Failures of the writer after which messages are tried one at a time, and then set aside."""
RETRY_S = 0.05
MAX_RETRY_S = 2.0
"""The first and the longest pause between tries."""


NO_NUMBER = Position()


class AnyTime:
    """A turn, where nobody else takes turns."""

    async def __aenter__(self) -> None:
        """At once."""

    async def __aexit__(self, *error: object) -> None:
        """Nothing is to be given back."""


class Turn(Protocol):
    """Whose commits are all that there are, as long as it lasts: ``async with``."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *error: object) -> None: ...


async def nobody(ns: str) -> None:
    """Whom to tell that a namespace is contended, where nobody writes beside the queue without asking it."""


class Waiting(NamedTuple):
    """A message in the queue."""

    message_id: str
    delivery: Delivery


class Dispatcher:
    """Runs the functions of any number of namespaces in this event loop.

    ``heartbeat``: as `Heartbeat.__call__`; None: somebody else looks after the namespaces.
    """

    def __init__(
        self,
        writer: Writer,
        heartbeat: Optional[Callable[[str], Awaitable[bool]]],
        inboxes: Inboxes,
        clock: Clock,
        tick_s: float = TICK_S,
        contended: Callable[[str], Awaitable[None]] = nobody,
        turn: Optional[Turn] = None,
    ) -> None:
        """``contended`` is called when others were first again and again: they have to leave off, or a batch might
        never have its turn. ``turn``: for each batch, until it is done.
        """
        self._turn = turn or AnyTime()
        self._contended = contended
        self._writer = writer
        self._ticking = None if heartbeat is None else Ticking(heartbeat, self._is_at_work, clock, tick_s)
        self._inboxes = inboxes
        self._clock = clock
        self._waiting: Dict[str, Deque[Waiting]] = {}
        self._known: Set[str] = set()
        """Ids of the messages that wait or are being handled."""
        self._workers: Dict[str, "asyncio.Task[None]"] = {}
        self._pending_fan_outs: Set[str] = set()
        """Namespaces whose last commit is still to be fanned out, by a batch of nothing."""
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        """Where it runs, since there is something to watch."""
        self.halted = False

    def accept(
        self, ns: str, message_id: str, body: bytes, internal: bool = False, position: Position = NO_NUMBER
    ) -> None:
        """Takes a message, once. Unavailable if the functions are halted or too much waits.

        ``position``: where others write beside the queue.
        """
        if self.halted:
            raise Unavailable("the functions of this deployment are halted")
        if message_id in self._known:
            return
        queue = self._waiting.setdefault(ns, deque())
        if len(queue) >= MAX_WAITING:
            raise Unavailable("%d messages wait in namespace %s" % (len(queue), ns))
        self._known.add(message_id)
        queue.append(Waiting(message_id, Delivery(body, internal, position)))
        self._handle_soon(ns)
        self.watch(ns)

    def is_free(self, ns: str) -> bool:
        """Whether nothing of a namespace waits or is being handled, and its heartbeat looks after it: in its turn."""
        busy = self.halted or self._waiting.get(ns) or ns in self._workers or ns in self._pending_fan_outs
        return not busy and (self._ticking is None or self._ticking.is_on(ns))

    @property
    def is_at_work(self) -> bool:
        """Whether something of any namespace is being handled."""
        return bool(self._workers)

    def _is_at_work(self, ns: str) -> bool:
        return ns in self._workers

    def schedule_fan_out(self, ns: str) -> None:
        """Has the last commit of a namespace fanned out, which may be done already. From any thread."""
        self._pending_fan_outs.add(ns)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._handle_soon, ns)

    def _handle_soon(self, ns: str) -> None:
        queue = self._waiting.setdefault(ns, deque())
        if (queue or ns in self._pending_fan_outs) and ns not in self._workers and not self.halted:
            self._workers[ns] = asyncio.ensure_future(self._work(ns, queue))

    def watch(self, ns: str) -> None:
        """Has the heartbeat look after a namespace, until it says that there is nothing to look after."""
        self.begin()
        if self._ticking is not None:
            self._ticking.start(ns)

    def begin(self) -> None:
        """It runs in this event loop."""
        self._loop = asyncio.get_running_loop()

    @property
    def writer(self) -> Writer:
        """Who handles what comes."""
        return self._writer

    @property
    def watched(self) -> List[str]:
        """The namespaces that the heartbeat looks after."""
        return [] if self._ticking is None else self._ticking.namespaces

    async def replace_writer(self, writer: Writer) -> None:
        """Ends the writer in the middle of whatever it does; the other one is handed the same messages again."""
        self._writer = writer
        workers = dict(self._workers)
        for worker in workers.values():
            worker.cancel()
        await asyncio.gather(*workers.values(), return_exceptions=True)
        for ns, worker in workers.items():
            if self._workers.get(ns) is worker:  # it was cancelled before it began
                del self._workers[ns]
            self._handle_soon(ns)

    async def stop(self) -> None:
        """Halts: nothing more is taken, and what the writer has in hand is finished or dropped whole."""
        self.halted = True
        ticks = [] if self._ticking is None else self._ticking.cancel()
        workers = list(self._workers.values())
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, *ticks, return_exceptions=True)
        self._workers.clear()

    async def _work(self, ns: str, queue: Deque[Waiting]) -> None:
        try:
            while queue or ns in self._pending_fan_outs:
                async with self._turn:
                    self._pending_fan_outs.discard(ns)
                    batch = list(islice(queue, MAX_BATCH))
                    await self._handle(ns, batch)
                for _ in batch:
                    queue.popleft()
                self._known.difference_update(waiting.message_id for waiting in batch)
        finally:
            self._workers.pop(ns, None)

    async def _handle(self, ns: str, batch: List[Waiting]) -> None:
        failure = await self._attempt(ns, batch)
        if failure is None:
            return
        if len(batch) == 1:
            await self._set_aside(ns, batch[0], failure)
            return
        for waiting in batch:
            await self._handle(ns, [waiting])

    async def _attempt(self, ns: str, batch: List[Waiting]) -> Optional[Exception]:
        """None when the writer is done with the batch; what it failed with if it can't be."""
        failures = 0
        pause = RETRY_S
        while True:
            try:
                await self._writer(ns, [waiting.delivery for waiting in batch])
                return None
            except (Unavailable, Unknown) as error:
                log.warning("namespace %s: %s; trying again", ns, error)
            except Conflict:  # where others write beside the queue
                log.debug("namespace %s: others were first, again and again", ns)
                await self._contended(ns)
                pause = RETRY_S  # the longer it waits, the longer they keep it from its turn
            except Exception as error:  # a bug met with this very input: isolate it, keep the namespace going
                log.exception("namespace %s: the writer failed", ns)
                failures += 1
                if failures >= TRIES:
                    return error
            await self._clock.sleep(pause)
            pause = min(2 * pause, MAX_RETRY_S)

    async def _set_aside(self, ns: str, waiting: Waiting, failure: Exception) -> None:
        log.error("namespace %s: message %s set aside: %r", ns, waiting.message_id, failure)
        try:
            message = decode(waiting.delivery.body)
        except Malformed:
            return
        results = [(Error.DEAD_LETTERED, None, 0)] * len(message.requests)
        await self._tell(ns, answer_notes([(message.inbox, message.first, results)], trigger_log_of(0, 0, [])))

    async def _tell(self, ns: str, notes: Sequence[Pushed]) -> None:
        """Pushes, until it succeeds: who is not told waits forever."""
        pause = RETRY_S
        while True:
            try:
                return await self._inboxes.push(notes)
            except Exception as error:
                log.warning("namespace %s: %r; trying again", ns, error)
            await self._clock.sleep(pause)
            pause = min(2 * pause, MAX_RETRY_S)
