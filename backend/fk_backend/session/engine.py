"""One thing at a time, in request order: a session shows nothing newer than the events it has delivered.

Consecutive writes share messages and may be in flight together; a read waits until every earlier write is answered,
and a later write until the read is shown. Everything shown carries a zxid. Before something above the watermark is
shown, the triggers in between are looked at (from the trigger log that came along, or the head), and the session's own
events are delivered. A push is therefore only a wake-up.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, cast

from .. import layout, messages
from ..core.model import Error, Id
from ..core.requests import Attach, Auth, Open, Request, Result, WatchSubtrees
from ..core.watches import RECURSIVE
from ..eager import begin, current_task
from ..errors import BackendError, Conflict, Refused, StorageFull, Unavailable, Unknown
from ..mac import NONCE_BYTES, key_of
from ..messages import PING, Answers, Ended, Fired, Message, TriggerLog, message_id, trigger_log_of
from ..ports import Gateway, Key, Remove
from .beats import beat
from .direct import CLOSED as CLOSED
from .direct import EXPIRED as EXPIRED
from .direct import LOST as LOST
from .direct import NO_TAG as NO_TAG
from .direct import OUT_OF_TOUCH as OUT_OF_TOUCH
from .flag import Flag
from .listener import Listener
from .opening import Opening
from .ops import READS, WRITES, AddWatch, Done, Fail, Look, Op, RemoveWatches, Sync
from .owned import OwnedEphemerals
from .packing import MAX_MESSAGE_BYTES, MAX_MESSAGE_REQUESTS, sendable, size_of, with_uploads
from .queues import Pending
from .reading import Reader
from .watchlist import Event, WatchList

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 2000
"""Writes that may be unanswered."""
RETRY_S, MAX_RETRY_S = 0.02, 0.5
MAX_TRIES_S = 240.0
"""So long a message may be sent again: a queue knows for five minutes that it has it already."""
MAX_LEAVE_S = 10.0
"""So long a connection that is over tries to remove what it registered."""
MOMENT_S = 0.001
"""So much after something is due, it is due whatever the clock's resolution."""


class Opened(NamedTuple):
    """What a connection starts with."""

    session: int
    password: bytes
    timeout_ms: int
    zxid: int = 0


class NoSession(Refused):
    """The session has expired, or the password is not its own."""


class Session(Opening):
    """One connection of one session. Make it, `open` or `attach` it, `submit` to it, until it is over."""

    __slots__ = ()

    def __init__(self, gateway: Gateway, ns: str, listener: Listener) -> None:
        self._gateway = gateway
        self._ns = ns
        self._listener = listener
        self._nonce = gateway.clock.random_bytes(16)[-NONCE_BYTES:]
        self._inbox, self._key = "", b""
        self._bell = Flag()
        self._beating = Flag()
        self._rest()
        self._answers: Dict[int, Answers] = {}
        self._unheard: List[Fired] = []
        self._next = 0
        self._awaited = 0
        self._answered = 0
        """The zxid of the head with which the last answer came."""
        self._watermark = 0
        self._watches = WatchList()
        self._reader = Reader(gateway.store, gateway.blobs, ns, self._watches, self._listen)
        self._tasks: List["asyncio.Future[None]"] = []
        self._going: "Optional[asyncio.Future[None]]" = None
        self._pinged = False
        """Whether somebody asks if the session lives: a beat says so."""
        self._at_it = False
        """Whether something is being done: the rest waits for it."""
        self._soon = False
        self._closing_task: Optional["asyncio.Future[None]"] = None
        self._timeout_s = 0.0
        self._contact = 0.0
        self._beaten_at = float("-inf")
        self._begun = self._listens = False
        self._count = 0
        """What its beat counter stood at, as far as it knows; 0: there may be none."""
        self._over = self._read_only = False
        self._holdings = OwnedEphemerals(always=not gateway.beats_only_if_owning)
        self.id = 0

    # --- opening and ending ---------------------------------------------------------------------

    async def open(self, timeout_ms: int) -> Opened:
        """A new session. Unavailable or Unknown if the deployment can't be reached."""
        password = self._gateway.clock.random_bytes(16)
        self._identify(password)
        started = self._gateway.clock.monotonic()
        return await self._begin(Open(self._key, timeout_ms, self._inbox, *self._from()), password, started)

    async def attach(self, session: int, password: bytes) -> Optional[Opened]:
        """Goes on with a session. None if there is no such session or the password is not its own."""
        self._identify(password)
        key = layout.beat_key(self._ns, session)
        started = self._gateway.clock.monotonic()
        # An expiry that is under way was judged by a count that is over now.
        count = await self._gateway.store.increment(key)
        self._count = count
        self._holdings.unknown()
        try:
            return await self._begin(Attach(session, password, self._inbox, *self._from()), password, started)
        except NoSession:
            if count == 1:  # nobody had beaten for it before; no beat ever comes to this count
                await self._take_back(key)
            return None

    def _from(self) -> Tuple[Optional[str], Optional[str]]:
        return self._gateway.address, None

    def _identify(self, password: bytes) -> None:
        self._key = key_of(password)
        self._inbox = self._reader.inbox = self._gateway.inbox(self._ns, self._key, self._nonce)

    async def _take_back(self, key: Key) -> None:
        try:
            await self._gateway.store.commit([Remove(key, expect=1)])
        except Conflict:
            pass  # it is somebody's after all

    async def _begin(self, request: Request, password: bytes, heard: float) -> Opened:
        """``heard``: not later than what counts as a beat."""
        try:
            (code, value, zxid), answered = await self._first_answer(request)
            if code == Error.SESSION_EXPIRED:
                raise NoSession("there is no such session")
            if code:
                raise Refused("the session was not opened: error %d" % code)
            self.id, timeout_ms, identities = value
            self._timeout_s = timeout_ms / 1000.0
            self._contact = heard
            if self.overdue():  # that took long; it is a beat that says whether the deployment is in reach now
                if self._gateway.clock.monotonic() - heard > self._timeout_s:
                    # Not heard of for so long, it may be about to expire: the writer may have looked at its beats.
                    raise Unavailable("the session was opened or attached after its timeout")
                await self._send_beat()
        except BaseException:
            await self._gateway.unsubscribe(self._inbox, keep=False)
            raise
        self._watches.became(zxid, [Id(*i) for i in identities])
        self._watermark, self._answered = zxid, answered
        self._next = self._awaited = 1
        self._begun = True
        self._tasks = [asyncio.ensure_future(self._beat())]
        if self._gateway.beats_only_if_owning:
            self._tasks.append(asyncio.ensure_future(self._poll_head()))
        self._wake_soon()
        return Opened(self.id, password, timeout_ms, zxid)

    async def observe(self, timeout_ms: int) -> Opened:
        """No session, reads only: for a deployment whose functions can't be reached while its store can."""
        self._watermark = (await self._reader.head()).settled
        self._read_only = self._begun = True
        self._wake_soon()
        return Opened(0, bytes(16), timeout_ms)

    def end(self, reason: str, why: str) -> None:
        """Ends the connection (not the session). Safe to call again."""
        if self._over:
            return
        self._over = True
        self._bell.set()
        self._listener.over(reason, why)
        for task in (*self._tasks, self._going):
            if task is not None and task is not current_task():
                task.cancel()
        self._closing_task = asyncio.ensure_future(self._leave(keep=reason == LOST))

    async def _leave(self, keep: bool) -> None:
        await self._gateway.unsubscribe(self._inbox, keep)
        clock, since = self._gateway.clock, self._gateway.clock.monotonic()
        while True:
            try:
                await self._reader.leave()
                if self._gateway.beats_only_if_owning and self._next:
                    await self._gateway.store.commit([Remove(layout.hello_key(self._ns, self._inbox))])
                return
            except BackendError as error:
                tried_s = clock.monotonic() - since
                if tried_s > MAX_LEAVE_S:
                    log.debug("registrations of %s stay behind: %s", self._inbox, error)
                    return
            await clock.sleep(_retry_s(tried_s))

    # --- in and out -----------------------------------------------------------------------------

    def submit(self, tag: Any, op: Op) -> None:
        """Queues an op; its answer comes to the listener with the tag."""
        if self._read_only and isinstance(op, WRITES):
            op = Fail(Error.NOT_READ_ONLY)
        elif not sendable(op, self._gateway):
            op = Fail(Error.TOO_LARGE)
        if isinstance(op, AddWatch) and op.mode == RECURSIVE and not self._read_only:
            self._add_todo(NO_TAG, WatchSubtrees())
        self._add_todo(tag, op)
        if self._flight:
            self._wake_soon()  # with what comes until then, it makes one message
        else:
            self._wake()

    def _lost(self, why: str) -> None:
        self.end(LOST, why)

    def _receive(self, body: bytes) -> None:
        if body == PING:  # nothing that it could come before or after
            self._pinged = True
            return self._beating.set()
        self._add_incoming(body)
        self._bell.set()
        self._wake()

    @property
    def busy(self) -> bool:
        """Whether something is being done or waits to be: until then, nothing may be shown at once."""
        return bool(self._at_it or self._mail or self._todo or self._flight)

    def overdue(self) -> bool:
        """Whether the deployment was out of touch for two thirds of the timeout: somebody must be told."""
        if self._read_only or not self._holdings:
            return False  # it has nothing that somebody else could get; the gateway tells if it is out of reach
        return self._gateway.clock.monotonic() - self._contact > self._timeout_s * 2 / 3

    def _wake(self) -> None:
        """Goes on with what is to be done, if it is not at it."""
        self._soon = False
        if self._begun and not self._at_it and not self._over:
            self._at_it = True
            start = asyncio.ensure_future if self._gateway.store.limits.has_latency else begin
            going = start(self._go_on())
            self._going = None if going.done() else going

    def _wake_soon(self) -> None:
        if not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_soon(self._wake)

    async def _go_on(self) -> None:
        try:
            while not self._over:
                if self.overdue():
                    self.end(LOST, OUT_OF_TOUCH)
                elif self._mail:
                    await self._take(messages.decode_note(self._mail.popleft()))
                elif not await self._advance():
                    return
        except BackendError as error:
            self.end(LOST, str(error))
        except Exception as error:  # a bug must end the connection, not hang it
            log.exception("session 0x%x failed", self.id)
            self.end(LOST, "internal error: %r" % error)
        finally:
            self._at_it = False
            if not self.busy:
                self._rest()

    def _ready(self) -> bool:
        if not self._todo:
            return False
        if isinstance(self._todo[0][1], WRITES):
            return len(self._flight) < MAX_IN_FLIGHT
        return not self._flight

    async def _advance(self) -> bool:
        """Does the next op, or the next run of writes. False if there is none that may be done now."""
        if not self._ready():
            return False
        if isinstance(self._todo[0][1], WRITES):
            if not await self._write_direct():
                await self._send()
        else:
            tag, op = self._todo.popleft()
            await self._read(tag, op)
        return True

    # --- writes ---------------------------------------------------------------------------------

    async def _send(self) -> None:
        """Sends the writes that wait as one message, and the same again until the queue has it."""
        first = self._next
        if not self._flight:
            self._awaited = first
        requests: List[Request] = []
        size, begins = 0, False
        while self._todo and isinstance(self._todo[0][1], WRITES) and len(requests) < MAX_MESSAGE_REQUESTS:
            size += size_of(self._todo[0][1], self._gateway.blobs)
            if requests and size > MAX_MESSAGE_BYTES:
                break
            tag, op = self._todo.popleft()
            requests.append(cast(Request, op))
            self._add_flight(Pending(self._next, tag, op))
            begins = self._hold(op) or begins
            self._next += 1
        body, since = b"", self._gateway.clock.monotonic()
        while not self._over:
            try:
                if begins:  # whoever saw its counter stand still must see it move before there is what it owns
                    await self._send_beat()
                    self._beating.set()
                    begins = False
                if not body:
                    name = message_id(self._inbox, first)
                    body = self._message(first, await with_uploads(self._gateway, self._ns, self.id, name, requests))
                await self._listen()
                await self._gateway.queue.send(self._ns, message_id(self._inbox, first), body)
                return
            except (Unavailable, Unknown) as error:
                await self._pause(since, error)

    def _message(self, first: int, requests: List[Request]) -> bytes:
        return messages.encode(Message(self._inbox, self.id, first, tuple(requests), self._hint), self._key)

    async def _pause(self, since: float, why: Exception) -> None:
        """Between tries, the first of which was at ``since``. Raises when it is time to give up."""
        tried_s = self._gateway.clock.monotonic() - since
        if self.overdue() or (tried_s > min(self._timeout_s * 2 / 3, MAX_TRIES_S) and not self._read_only):
            raise Unavailable("the deployment can't be reached: %s" % why)
        await self._gateway.clock.sleep(_retry_s(tried_s))

    async def _take(self, note: Any) -> None:
        if isinstance(note, Answers):
            kept = self._answers.get(note.first)
            if kept is None or len(kept.results) < len(note.results):
                self._answers[note.first] = note
            due = self._due()
            while due is not None and not self._over:
                await self._land(due)
                due = self._due()
            waiting, self._unheard = self._unheard, []
            for fired in waiting:
                await self._hear(fired)
        elif isinstance(note, Fired):
            await self._hear(note)
        elif isinstance(note, Ended) and note.session == self.id:
            self.end(EXPIRED, "the session has expired")

    async def _hear(self, note: Fired) -> None:
        """What a credential that is on its way makes of the session decides what it may know: that is heard first."""
        if any(isinstance(pending.op, Auth) for pending in self._flight):
            self._unheard.append(note)
            return
        await self._catch_up(note.trigger_log.zxid, note.trigger_log)
        for event in self._watches.late(note.trigger_log.triggers()):
            self._fire(event)
        for path, mode, number in note.registrations:
            await self._rearm(path, mode, number)

    def _due(self) -> Optional[Answers]:
        """The answers that begin with the one waited for. A batch that came again may have been cut differently."""
        for first in sorted(self._answers):
            if first > self._awaited:
                return None
            note = self._answers.pop(first)
            results = note.results[self._awaited - first :]
            if results:
                return note._replace(first=self._awaited, results=results)
        return None

    async def _land(self, answers: Answers) -> None:
        for code, value, zxid in answers.results:
            pending = self._flight.popleft()
            self._awaited = pending.number + 1
            await self._landed(pending.tag, pending.op, Result(code, value, zxid), answers.trigger_log)
            if self._over:
                return
        self._answered = max(self._answered, answers.trigger_log.zxid)

    # --- reads ----------------------------------------------------------------------------------

    async def _read(self, tag: Any, op: Op) -> None:
        since = self._gateway.clock.monotonic()
        while not self._over:
            try:
                return await self._try_read(tag, op)
            except StorageFull:  # no room for the watch's registration
                return await self._show(tag, Result(Error.STORAGE_FULL, None, self._watermark))
            except (Unavailable, Unknown) as error:
                await self._pause(since, error)

    async def _try_read(self, tag: Any, op: Op) -> None:
        if isinstance(op, Look):
            return await self._look()
        if isinstance(op, Done):
            return await self._show(tag, op.result, op.trigger_log)
        if isinstance(op, Fail):
            return await self._show(tag, Result(op.code, None, self._watermark))
        if isinstance(op, Sync):
            return await self._show(tag, Result(Error.OK, op.path, self._watermark))
        if isinstance(op, AddWatch):
            watch = await self._reader.add(op.path, op.mode)
            await self._catch_up(watch.floor)
            # An answer that nobody asked for may have shown more than a head tells that still has a promise.
            watch = watch._replace(floor=max(watch.floor, self._watermark))
            self._watches.arm(watch)
            return await self._show(tag, Result(Error.OK, None, watch.floor))
        if isinstance(op, RemoveWatches):
            await self._catch_up((await self._reader.head()).settled)  # what has fired it and is on its way comes first
            found = await self._reader.remove(op.path, op.modes)
            return await self._show(tag, Result(Error.OK if found else Error.NO_WATCHER, None, self._watermark))
        read = await self._reader.read(op, self._watches.identities)
        await self._catch_up(read.result.zxid)
        if read.number:
            await self._reader.settle(read)
        self._reply(tag, read.result)

    @property
    def identities(self) -> Tuple[Id, ...]:
        """What its credentials and its address have proved, as of what was shown last."""
        return self._watches.identities

    def read_now(self, op: Op) -> Optional[Result]:
        """A read without a watch, where it can be shown at once. None if something comes before it: submit it.

        For whoever has the event loop to itself, in any thread, and a store whose reads don't wait.
        """
        if self._over or self.busy or len(self._watches):
            return None
        if self.overdue() or not isinstance(op, READS):
            return None
        reading = self._reader.read(op, self._watches.identities)
        try:
            reading.send(None)
        except StopIteration as done:
            result: Result = done.value.result
        except BackendError:  # `submit` finds out whether it passes; whatever a signal's handler raises is the caller's
            return None
        else:
            reading.close()  # it waits for something after all
            return None
        if self.overdue():
            return None
        self._watermark = max(self._watermark, result.zxid)
        return result

    async def _show(self, tag: Any, result: Result, trigger_log: Optional[TriggerLog] = None) -> None:
        await self._catch_up(result.zxid, trigger_log)
        if tag is not NO_TAG:
            self._reply(tag, result)

    def _may_show(self) -> bool:
        """Not after a pause in which somebody else may have got what this session held: that is told first."""
        if self.overdue():
            self.end(LOST, OUT_OF_TOUCH)
        return not self._over

    def _reply(self, tag: Any, result: Result) -> None:
        if self._may_show():
            self._listener.replied(tag, result)

    def _fire(self, event: Event) -> None:
        if self._may_show():
            self._listener.fired(event)

    # --- events ---------------------------------------------------------------------------------

    async def _catch_up(self, zxid: int, trigger_log: Optional[TriggerLog] = None) -> None:
        """Delivers the session's own events up to ``zxid``, in zxid order, and moves the watermark there."""
        if zxid <= self._watermark:
            return
        if len(self._watches):
            if trigger_log is None or trigger_log.zxid < zxid:
                head = await self._reader.head()
                trigger_log = trigger_log_of(head.zxid, head.since, head.triggers)
            if trigger_log.since > self._watermark:
                self._watches.skip(self._watermark, trigger_log.since)
                armed = self._watches.all()
                events = await self._reader.reconcile(zxid, trigger_log)
                self._passed_over(armed)
                for event in events:
                    self._fire(event)
            else:
                self._deliver(zxid, trigger_log)
        self._watermark = max(self._watermark, zxid)

    def _deliver(self, zxid: int, trigger_log: TriggerLog) -> None:
        triggers = trigger_log.triggers()
        for position in range(bisect_left(triggers, (self._watermark + 1,)), len(triggers)):
            if triggers[position].zxid > zxid:
                break
            event = self._watches.fire(triggers[position])
            if event is not None:
                self._fire(event)

    async def _rearm(self, path: str, mode: str, number: int) -> None:
        """A trigger that the watch's read had shown already consumed its registration: make it again, then look."""
        watch = self._watches.get(path, mode)
        if watch is None or watch.number != number or self._over:
            return
        again, zxid = await self._reader.register_again(watch)
        if again is None:
            return
        await self._catch_up(zxid)
        if self._watches.get(path, mode) == watch:
            self._watches.arm(again)

    # --- beats ----------------------------------------------------------------------------------

    def _hold(self, op: Any) -> bool:
        """Before a write is sent. Whether it has to beat first: it may own something from now on, and did not before.

        Not if it has beaten just now: then no counter that stood still for long is its own. The next beat is in time.
        """
        held = bool(self._holdings)
        self._holdings.asked(op)
        if held or not self._holdings:
            return False
        now = self._gateway.clock.monotonic()
        is_heard = now - self._beaten_at < self._timeout_s / 6
        self._contact = self._beaten_at if is_heard else now
        if is_heard:
            self._beating.set()
        return not is_heard

    async def _beat(self) -> None:
        """Three beats in a timeout. That a beat was heard is what "in touch" means."""
        interval = self._timeout_s / 3
        while not self._over:
            if not self._holdings and not self._pinged:
                self._beating.clear()
                await self._beating.wait()
                if not self._pinged:
                    await self._gateway.clock.sleep(interval)  # it has just beaten
                continue
            if not self._holdings:  # nobody else could get anything: an answer may take its time
                self._contact = self._gateway.clock.monotonic()
            pinged, self._pinged = self._pinged, False
            if self.overdue():  # paused: somebody else may have what this session held
                return self.end(LOST, OUT_OF_TOUCH)
            try:
                await self._send_beat()
                pause = interval
            except BackendError as error:
                log.debug("session 0x%x: beat: %s", self.id, error)
                self._pinged, pause = self._pinged or pinged, interval / 8
            if not self.overdue():  # else it is told now, whatever is under way
                self._wake_soon()
                await self._gateway.clock.sleep(pause)

    async def _send_beat(self) -> None:
        """One beat. Unavailable as soon as the session is overdue without it."""
        clock = self._gateway.clock
        started = clock.monotonic()
        left = max(self._contact + self._timeout_s * 2 / 3 - started, self._timeout_s / 24) + MOMENT_S
        heard = asyncio.ensure_future(beat(self._gateway, self._ns, self.id))
        alarm = asyncio.ensure_future(clock.sleep(left))
        try:
            await asyncio.wait((heard, alarm), return_when=asyncio.FIRST_COMPLETED)
            if not heard.done():
                raise Unavailable("no answer to a beat")
            self._counted(heard.result())
        finally:
            heard.cancel()
            alarm.cancel()
        self._contact = self._beaten_at = started


def _retry_s(tried_s: float) -> float:
    """The pause before the next try, when it has been tried for so long."""
    return min(max(RETRY_S, tried_s / 4), MAX_RETRY_S)
