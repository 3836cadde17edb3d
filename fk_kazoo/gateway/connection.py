"""One client's connection: frames become operations of its session, answers and events become frames.

Replies leave in the order of the requests, and events before what they explain, because the session answers in that
order. Memory is bounded: while a client does not read, or has asked for enough, nothing more is read from it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, List, Optional, Protocol, Tuple, cast

from fk_backend.core.model import Error
from fk_backend.core.requests import DIRECT, Close, Multi, Result
from fk_backend.errors import BackendError, Unknown
from fk_backend.session import ops
from fk_backend.session.beats import beat
from fk_backend.session.engine import CLOSED, LOST, Opened
from fk_backend.session.served import SLICE_S, ServedSession
from fk_backend.session.watchlist import Event

from .. import jute
from .acceptor import AcceptedConnection
from .certificates import subject
from .client_view import ClientView
from .figures import Figures, Seen
from .settings import Settings
from .single_writes import SingleWrites

log = logging.getLogger(__name__)

MAX_OUTSTANDING = 256
"""What may be unanswered of one connection. A read counts as `READ_COSTS`: its answer may be as large as a node."""
READ_COSTS = 16
READ_ALL_COSTS = 64
"""A multiRead's answer may be as large as four nodes."""
BYTES_COST = 1 << 14
"""A request counts once more for so many bytes of it, and one that names many paths for each of them: it is kept."""
MAX_CONNECT_BYTES = 1 << 10
"""Of what a connection begins with, when nobody knows yet who it is."""
HIGH_BYTES = 1 << 20
"""While more than this waits for a client that does not read, no more requests of its are taken."""
MAX_UNSENT_BYTES = 1 << 26
"""A client that lets more than this wait is hung up on: its watches make events, whether it reads or not."""
CONNECT_S = 20.0
"""So long a connection may take to say what it wants."""
GRACE = 0.1
"""Of its timeout, so much longer a client may be silent: what it sent may not be read yet after a pause of ours."""
_READS = (*ops.READS, ops.ReadAll, ops.GetEphemerals, ops.CountBelow)
PASSWORD_BYTES = 16
_INTERNAL = object()
"""The tag of what the gateway itself asks for."""


PendingRequest = Tuple[int, int, Any, int, float]
"""xid, opcode, operation, cost, and when it was taken."""


class Frontend(Protocol):
    """What a connection needs of the server."""

    settings: Settings
    figures: Figures
    single_writes: SingleWrites

    def admit(self, connection: "Connection") -> bool:
        """Whether the client may have one more connection."""
        ...

    def left(self, connection: "Connection") -> None:
        """It is over."""
        ...

    def view_for(self, address: str, subject: Optional[str]) -> ClientView:
        """The deployment as seen from an address, by whom a certificate names."""
        ...

    async def answer_word(self, word: str) -> str:
        """The answer to a four letter word."""
        ...


class Connection(AcceptedConnection):
    """`asyncio.Protocol` on one side, `Listener` of its session on the other. ``address``, ``port``: the client's."""

    def __init__(self, frontend: Frontend, address: str, port: int) -> None:
        self.address = address
        self._port = port
        self._subject: Optional[str] = None
        self.frontend = frontend
        self._figures = frontend.figures
        self._received = self._sent = 0
        self._loop = asyncio.get_running_loop()
        self._transport: Optional[asyncio.Transport] = None
        self._session: Optional[ServedSession] = None
        self._in = bytearray()
        self._out: List[bytes] = []
        self._out_bytes = 0
        self._has_greeted = False
        """Whether the first bytes were understood."""
        self._takes_requests = False
        """Whether requests are taken."""
        self._writes_in_process = False
        """Whether reads and commits are done in this very process, so that one may be while nothing else is."""
        self._single_write: Optional[PendingRequest] = None
        """A write that came while nothing else was asked for: whether others came with it shows in the next turn."""
        self._cost = 0
        self._client_is_slow = False
        """Whether the client does not read what it is sent."""
        self._unsent = 0
        """What waited for it when it was last looked at, while nothing was read from it."""
        self._paused = False
        self._draining = False
        self._waits = False
        """Whether it has had its turn."""
        self._flushes = False
        """Whether what is being done ends with a `_flush`."""
        self._is_over = False
        self._timeout_s = CONNECT_S
        self._last_received_s = self._loop.time()
        self._timeout_timer: Optional[asyncio.TimerHandle] = None
        self._task: Optional["asyncio.Future[None]"] = None

    # --- asyncio's side -------------------------------------------------------------------------

    def admitted(self) -> bool:
        """`acceptor.AcceptedConnection.admitted`."""
        if self.frontend.admit(self):
            return True
        log.info("one connection too many from %s", self.address)
        return False

    def gone(self) -> None:
        """`acceptor.AcceptedConnection.gone`."""
        self.frontend.left(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """`asyncio.Protocol.connection_made`."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_BYTES)
        tls = transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        if certificate:  # one that nobody asked for is not sent
            try:
                self._subject = subject(certificate)
            except ValueError as error:
                log.warning("%s: its certificate can't be read: %s", self.address, error)
                return self._abort()
        self._timeout_timer = self._loop.call_later(CONNECT_S, self._tick, False)

    def data_received(self, data: bytes) -> None:
        """`asyncio.Protocol.data_received`."""
        self._last_received_s = self._loop.time()
        self._in += data
        self._process_input()

    def pause_writing(self) -> None:
        """`asyncio.Protocol.pause_writing`."""
        self._client_is_slow = True

    def resume_writing(self) -> None:
        """`asyncio.Protocol.resume_writing`."""
        self._client_is_slow = False
        self._process_input()

    def connection_lost(self, error: Optional[Exception]) -> None:
        """`asyncio.Protocol.connection_lost`: the session lives on for its timeout, from now."""
        self._finish()
        session, self._session = self._session, None
        if session is not None and session.id:
            keeps = session.keeps
            session.end(LOST, "the client hung up")
            self._task = asyncio.ensure_future(self._leave(session, keeps))
            return
        if self._task is not None:
            self._task.cancel()
        self.frontend.left(self)

    async def _leave(self, session: ServedSession, keeps: bool) -> None:
        """A client may come back within its timeout after it was last heard, wherever the last beat was in it."""
        frontend = self.frontend
        try:
            if keeps:
                await beat(frontend.view_for(self.address, None), frontend.settings.namespace, session.id)
        except BackendError as error:
            log.debug("session 0x%x: the last beat: %s", session.id, error)
        finally:
            await session.left()
            frontend.left(self)

    # --- frames ---------------------------------------------------------------------------------

    def _process_input(self) -> None:
        """Takes the requests that are there and may be taken now."""
        until = self._loop.time() + SLICE_S
        self._flushes = True
        try:
            while not self._is_over and self._may_take() and self._handle_next():
                if self._loop.time() > until:  # the others' turn
                    self._waits = True
                    self._loop.call_soon(self._next_iteration)
        except jute.Malformed as error:
            log.info("%s: %s", self.address, error)
            self._abort()
        except Exception:  # whatever it is, it is this connection's alone
            log.exception("the connection of %s failed", self.address)
            self._abort()
        self._flushes = False
        self._flush()
        self._hold(not self._may_take() and len(self._in) > 0)

    def _next_iteration(self) -> None:
        self._waits = False
        self._process_input()

    def _may_take(self) -> bool:
        if not self._has_greeted:
            return True
        if self._waits or self._client_is_slow or self._draining:
            return False
        return self._takes_requests and self._cost < MAX_OUTSTANDING

    def _hold(self, hold: bool) -> None:
        """No more is read from a client than one frame beyond what may be taken."""
        if hold != self._paused and self._transport is not None and not self._is_over:
            self._paused = hold
            (self._transport.pause_reading if hold else self._transport.resume_reading)()

    def _handle_next(self) -> bool:
        """Whether there was a whole frame."""
        if len(self._in) < 4:
            return False
        if not self._has_greeted and self._is_word():
            return False
        size = int.from_bytes(self._in[:4], "big", signed=True)
        most = self.frontend.settings.max_request_bytes
        if not 0 <= size <= (most if self._has_greeted else min(most, MAX_CONNECT_BYTES)):
            self._figures.too_large += size > 0
            raise jute.Malformed("a frame of %d bytes" % size)
        if len(self._in) < 4 + size:
            return False
        frame = bytes(self._in[4 : 4 + size])
        del self._in[: 4 + size]
        self._received += 1
        self._figures.received += 1
        if self._has_greeted:
            self._request(frame)
        else:
            self._begin(jute.connect(frame))
        return True

    def _is_word(self) -> bool:
        """ZooKeeper's words are lengths that no request has."""
        try:
            word = bytes(self._in[:4]).decode("ascii")
        except UnicodeDecodeError:
            return False
        if not (word.isalpha() and word.islower()):
            return False
        self._has_greeted = True
        self._task = asyncio.ensure_future(self._answer_word(word))
        return True

    async def _answer_word(self, word: str) -> None:
        answer = await self.frontend.answer_word(word)
        self._send(answer.encode("utf-8", "replace"))
        self._hang_up()

    # --- the session ----------------------------------------------------------------------------

    def _begin(self, asked: jute.Connect) -> None:
        self._has_greeted = True
        self._task = asyncio.ensure_future(self._open_session(asked))

    async def _open_session(self, asked: jute.Connect) -> None:
        view = self.frontend.view_for(self.address, self._subject)
        session = self._session = ServedSession(view, self.frontend.settings.namespace, self, view.subject)
        read_only = False
        try:
            if asked.session:
                can_be = asked.session > 0 and len(asked.password) == PASSWORD_BYTES
                opened = await session.attach(asked.session, asked.password) if can_be else None
            else:
                opened = await session.open(asked.timeout_ms)
        except (BackendError, OSError) as error:
            if not asked.read_only:
                log.info("no session for %s: %s", self.address, error)
                return self._abort()
            read_only = True
        except Exception:
            log.exception("no session for %s", self.address)
            return self._abort()
        if read_only:
            opened = await self._observe(session, asked)
        if self._is_over:
            return
        if opened is None:
            self._send(jute.framed(jute.connected(0, 0, bytes(16), False, asked.old)))
            return self._hang_up()
        timeout_ms, number, password = opened.timeout_ms, opened.session, opened.password
        self._send(jute.framed(jute.connected(timeout_ms, number, password, read_only, asked.old)))
        self._timeout_s = timeout_ms / 1000.0
        self._takes_requests = True
        self._writes_in_process = not read_only and not view.store.capabilities.has_latency
        self._restart_timer()
        self._process_input()

    async def _observe(self, session: ServedSession, asked: jute.Connect) -> Optional[Opened]:
        """Reads only. A client whose session can't be gone on with keeps its number, as at a read-only server."""
        try:
            opened = await session.observe(max(1000, asked.timeout_ms))
        except BackendError as error:
            log.info("not even read-only for %s: %s", self.address, error)
            self._abort()
            return None
        return opened._replace(session=asked.session, password=asked.password or bytes(16))

    def _request(self, frame: bytes) -> None:
        xid, opcode = jute.header(frame)
        session = self._session
        assert session is not None
        if opcode == jute.PING:
            if not session.overdue():
                self._send(jute.reply(jute.PING_XID, session.watermark, Error.OK))
        elif opcode == jute.SASL:  # what a server without SASL says: nothing, and no error
            self._send(jute.reply(xid, session.watermark, Error.OK, jute.buffer(None)))
        else:
            try:
                op = jute.operation(opcode, frame, 8)
                if opcode == jute.CHECK:  # the writer knows it in a transaction only
                    op = Multi((op,))
            except KeyError:
                op, opcode = ops.Fail(Error.UNIMPLEMENTED), _UNKNOWN
            except jute.Malformed:
                op = ops.Fail(Error.MARSHALLING)
            self._ask(session, xid, opcode, op, len(frame))

    def _ask(self, session: ServedSession, xid: int, opcode: int, op: Any, size: int) -> None:
        """Has it done: here and now if nothing comes before it and it need not wait, else in its turn."""
        taken = self._loop.time()
        may_be_alone = self._writes_in_process and self._single_write is None
        if self._single_write is not None:
            self._flush_to_queue(session)
        elif self._writes_in_process and isinstance(op, ops.READS) and not getattr(op, "watch", False):
            result = session.read_now(op)
            if result is not None:
                return self._answer(session, (xid, opcode, op, 0, taken), result)
        cost = _cost(op, size)
        self._cost += cost
        asked = (xid, opcode, op, cost, taken)
        if may_be_alone and isinstance(op, DIRECT) and not session.busy:
            self._single_write = asked
            self.frontend.single_writes.take(self._write_single, session.id, taken, may_wait=len(self._in) > 0)
        else:
            session.submit(asked, op)

    def _flush_to_queue(self, session: ServedSession) -> None:
        """The write that waited goes the way of all others, in front of what comes next."""
        asked, self._single_write = self._single_write, None
        if asked is not None:
            session.submit(asked, asked[2])

    def _write_single(self, alone: bool) -> None:
        """Whether others came with the write is known now."""
        asked, session = self._single_write, self._session
        if asked is None or session is None or self._is_over:
            return
        try:
            result = session.write_now(asked[2]) if alone else None
        except Unknown as error:  # whoever comes back finds out
            return session.end(LOST, str(error))
        if result is None:
            return self._flush_to_queue(session)
        self._single_write = None
        if isinstance(result, ops.Done):
            return session.submit(asked, result)
        self.replied(asked, result)
        self._flush()

    # --- the session's listener -----------------------------------------------------------------

    def replied(self, tag: Any, result: Result) -> None:
        """`Listener.replied`."""
        session = self._session
        if tag is _INTERNAL or session is None:
            return
        asked = cast(PendingRequest, tag)
        self._cost -= asked[3]
        self._answer(session, asked, result)
        if self._draining:
            self._end_if_drained()
        elif self._paused:
            self._loop.call_soon(self._process_input)

    def _answer(self, session: ServedSession, asked: PendingRequest, result: Result) -> None:
        xid, opcode, op, _, taken = asked
        self._figures.answered(self._loop.time() - taken)
        code = result.code
        if code == Error.DEAD_LETTERED:  # nobody knows whether it was done, which only a lost connection says
            return self._hang_up()
        if opcode == jute.CHECK and not code:
            code = result.value[0][0]
            result = result._replace(code=code)
        elif opcode == jute.MULTI and not code:
            result = result._replace(value=[(_code_on_the_wire(part[0]), *part[1:]) for part in result.value])
        self._send(
            jute.reply(xid, max(session.watermark, result.zxid), _code_on_the_wire(code), jute.body(opcode, op, result))
        )
        if opcode == _UNKNOWN or (opcode == jute.AUTH and code):
            self._figures.auth_failed += opcode == jute.AUTH
            self._hang_up()

    def fired(self, event: Event) -> None:
        """`Listener.fired`."""
        self._send(jute.reply(jute.NOTIFICATION_XID, -1, Error.OK, jute.event(event)))

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""
        log.log(logging.DEBUG if reason == CLOSED else logging.INFO, "%s: %s: %s", self.address, reason, why)
        self._hang_up()  # one whose session has expired is told so when it connects again

    # --- out ------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        if not self._out and not self._flushes:
            self._loop.call_soon(self._flush)
        self._sent += 1
        self._figures.sent += 1
        self._out.append(data)
        self._out_bytes += len(data)
        if self._out_bytes > HIGH_BYTES:  # now, so that it is known whether the client reads it
            self._flush()

    def _flush(self) -> None:
        out, self._out, self._out_bytes = self._out, [], 0
        if not out or self._transport is None or self._transport.is_closing():
            return
        self._transport.write(b"".join(out))
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            log.warning("%s does not read what it is sent", self.address)
            self._abort()

    def _finish(self) -> None:
        self._is_over = True
        if self._timeout_timer is not None:
            self._timeout_timer.cancel()
            self._timeout_timer = None

    def _hang_up(self) -> None:
        """When everything is sent, or the client does not read it in time."""
        if self._transport is None or self._is_over:
            return
        self._flush()
        self._finish()
        self._transport.close()
        self._timeout_timer = self._loop.call_later(CONNECT_S, self._transport.abort)

    def _abort(self) -> None:
        if self._transport is not None:
            self._finish()
            self._transport.abort()

    # --- what is shown of it --------------------------------------------------------------------

    def seen(self) -> Seen:
        """`figures.Connected.seen`. What waits is counted in requests, a read as several."""
        session, timeout_ms = self._session, round(self._timeout_s * 1000)
        number, watched = (0, ()) if session is None or not self._takes_requests else (session.id, session.watched())
        counts = (self._cost, self._received, self._sent)
        return Seen(self.address, self._port, number, timeout_ms if number else 0, *counts, watched)

    def recount(self) -> None:
        """`figures.Connected.recount`."""
        self._received = self._sent = 0

    # --- silence and the end --------------------------------------------------------------------

    def _restart_timer(self, after_s: Optional[float] = None, last: bool = False) -> None:
        if self._timeout_timer is not None:
            self._timeout_timer.cancel()
        due = self._last_received_s + self._timeout_s - self._loop.time() if after_s is None else after_s
        self._timeout_timer = self._loop.call_later(max(due, 0.0), self._tick, last)

    def _tick(self, last: bool) -> None:
        """A client that is silent for its whole timeout has lost its session, as at a server of ZooKeeper's."""
        if self._is_over:
            return
        if self._loop.time() - self._last_received_s < self._timeout_s and self._takes_requests:
            return self._restart_timer()
        if not self._takes_requests or self._session is None:
            return self._abort()
        if not last and not self._paused:  # what it sent may wait in the system's buffer
            return self._restart_timer(self._timeout_s * GRACE, last=True)
        if not last:  # it is we who do not read, because the client does not
            unsent = 0 if self._transport is None else self._transport.get_write_buffer_size()
            if self._client_is_slow and unsent >= self._unsent > 0:
                return self._abort()
            self._unsent = unsent
            return self._restart_timer(self._timeout_s)
        log.info("%s: session 0x%x was silent for its timeout", self.address, self._session.id)
        self._session.submit(_INTERNAL, Close())

    def drain(self) -> None:
        """Takes no more requests, answers those that were taken, and hangs up: the session moves on."""
        self._draining = True
        self._end_if_drained()

    def _end_if_drained(self) -> None:
        if self._cost == 0:
            self._hang_up()

    def cut(self) -> None:
        """Hangs up at once."""
        self._abort()


def _cost(op: Any, size: int) -> int:
    """Of a request, in terms of `MAX_OUTSTANDING`."""
    paths = sum(map(len, op[1:])) if isinstance(op, ops.SetWatches) else 0
    least = READ_ALL_COSTS if isinstance(op, ops.ReadAll) else READ_COSTS if isinstance(op, _READS) else 1
    return least + size // BYTES_COST + paths


_UNKNOWN = 0
"""In place of an opcode that is none."""
_OURS = {
    Error.STORAGE_FULL: Error.SYSTEM,
    Error.TOO_LARGE: Error.BAD_ARGUMENTS,
    Error.PATH_TOO_LONG: Error.BAD_ARGUMENTS,
    Error.TRANSACTION_TOO_LARGE: Error.BAD_ARGUMENTS,
}
"""Errors that ZooKeeper does not have, by the nearest one that every client knows."""


def _code_on_the_wire(code: int) -> int:
    return _OURS.get(code, code)
