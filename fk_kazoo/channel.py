"""The channel between the event loop's thread and kazoo's: requests one way, replies and watch events the other.

An answer finds its request by construction. What kazoo's own thread sent is in kazoo's ``_pending``, and its answers
wait for that thread. What a caller sent is a `CallerRequest`: it travels with its answer, never enters ``_pending``,
and is answered by whoever takes it out of `Channel.open_requests`, which only one can. No lock is held while anything
waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple, Union, cast

from kazoo.exceptions import ConnectionDropped, SessionExpiredError
from kazoo.protocol.connection import PING_XID, WATCH_XID
from kazoo.protocol.serialization import ReplyHeader

from fk_backend.core.model import Error, Id
from fk_backend.core.requests import Result
from fk_backend.errors import BackendError, Unknown
from fk_backend.providers.descriptors import Descriptor
from fk_backend.session.engine import EXPIRED, LOST, Opened, Session
from fk_backend.session.ops import Done
from fk_backend.session.watchlist import Event

from . import loop_thread, values, wire
from .attaching import attach
from .wakeup_socket import WakeupSocket

log = logging.getLogger(__name__)

CALLER_XID = 0
"""Of an answer that comes with its request: kazoo's thread counts from 1."""


class CallerRequest:
    """A request that its caller sent, beside kazoo's queues. Its answer comes with it."""

    __slots__ = ("request", "result")

    def __init__(self, request: Any, result: Any) -> None:
        self.request = request
        self.result = result


Body = Union[bytes, values.Value]
Reply = Tuple[int, int, int, Body, Optional[CallerRequest]]
"""xid, zxid, error, body, and what was asked if a caller sent it."""


class Channel:
    """Between the loop's thread and kazoo's: replies one way, requests the other. It is the session's Listener."""

    def __init__(self, opening: loop_thread.Opening, namespace: str) -> None:
        ours, self._wake_socket = loop_thread.socket_pair()
        self._wake_descriptor = Descriptor.of(self._wake_socket.fileno())
        self.socket = WakeupSocket(ours)
        self.failure: Optional[BaseException] = None
        self.opened: Optional[Opened] = None
        self.read_only = False
        self.writable = False
        self._opening = opening
        self._namespace = namespace
        self._replies: Deque[Reply] = deque()
        self._lock = loop_thread.real_lock()
        self._session: Optional[Session] = None
        self._task: Optional["asyncio.Future[None]"] = None
        self._watch: Optional["asyncio.Future[None]"] = None
        self._decided = False
        """Whether kazoo's thread was woken for the opening: what ends before that is told of after it."""
        self._ended: Optional[Tuple[str, str]] = None
        self._handles_reply = False
        """Whether kazoo's thread is busy with what it took. Set before that leaves `_replies`: one always shows it."""
        self.deliver: Optional[Callable[["Channel", ReplyHeader, Body, Optional[CallerRequest]], bool]] = None
        """Where events and answers of `asked` go in the loop's thread; None: all waits for kazoo's."""
        self.open_requests: Dict[CallerRequest, None] = {}
        """What callers sent and nobody answered yet, oldest first. Whoever takes one out is the one to answer it."""
        self.closed = False
        """Whether what is asked from now on has to be taken out again by who asks: nobody else will."""

    # --- in the loop's thread -------------------------------------------------------------------

    def begin(self, session_id: int, password: bytes, timeout_ms: int, read_only: bool, seen_zxid: int = 0) -> None:
        """Opens the session or attaches to it, not having to go back behind a zxid. Wakes kazoo's thread then."""
        self._task = asyncio.ensure_future(self._begin(session_id, password, timeout_ms, read_only, seen_zxid))

    async def _begin(self, session_id: int, password: bytes, timeout_ms: int, read_only: bool, seen_zxid: int) -> None:
        try:
            gateway = await self._opening.gateway()
            session = self._session = Session(gateway, self._namespace, self)
            try:
                if session_id:
                    opened = await attach(session, session_id, password, seen_zxid)
                    self.opened = opened or Opened(0, bytes(16), 0)
                else:
                    self.opened = await session.open(timeout_ms)
            except BackendError:
                if not read_only:
                    raise
                self.opened = await session.observe(timeout_ms)
                self.read_only = True
                self._watch = asyncio.ensure_future(self._watch_for_writers(gateway))
        except (BackendError, OSError) as error:
            self.failure = error
        except Exception as error:
            log.exception("opening the session failed")
            self.failure = error
        self._decided = True
        self._wake()
        if self._ended is not None:
            self._wake()  # the first one is for the opening

    async def _watch_for_writers(self, gateway: Any) -> None:
        while self._ended is None and not self.writable:
            await asyncio.sleep(0.5)
            try:
                await gateway.check()
                self.writable = True
            except BackendError:
                continue

    def submit(self, request: Any, xid: int) -> None:
        """Passes a request on, or answers a ping."""
        if request.type == wire.PING:
            if self._session is not None and not self._session.overdue():
                self._pass_reply(PING_XID, 0, Error.OK, b"")
        elif self._session is not None:
            self._session.submit((xid, request), wire.operation(request))

    def ask(self, asked: CallerRequest, done: Optional[Done] = None) -> None:
        """Passes on what a caller sent; or, given what it came to, has it answered in its turn."""
        if self._session is not None:
            self._session.submit(asked, wire.operation(asked.request) if done is None else done)

    def replied(self, tag: Any, result: Result) -> None:
        """`Listener.replied`."""
        if isinstance(tag, CallerRequest):
            self._pass_reply(CALLER_XID, result.zxid, result.code, values.answer(tag.request, result), tag)
            return
        xid, request = tag
        self._pass_reply(xid, result.zxid, result.code, wire.reply(request, result))

    def fired(self, event: Event) -> None:
        """`Listener.fired`."""
        self._pass_reply(WATCH_XID, event.zxid, Error.OK, wire.event(event))

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""
        self._ended = (reason, why)
        if self._decided:
            self._wake()

    def hang_up(self) -> None:
        """Kazoo is done with the connection."""
        if self._task is not None:
            self._task.cancel()
        if self._session is not None and self.opened is not None:
            self._session.end(LOST, "hung up")
        self._ended = self._ended or (LOST, "hung up")
        self.stop_waking()

    def stop_waking(self) -> None:
        """It wakes nobody any more."""
        loop_thread.end(self._wake_socket, self._wake_descriptor)

    def _pass_reply(self, xid: int, zxid: int, code: int, body: Body, asked: Optional[CallerRequest] = None) -> None:
        """kazoo's thread answers what it sent; the rest goes there only if something waits there that came before."""
        with self._lock:
            waits = self._replies or self._handles_reply or (asked is None and xid != WATCH_XID)
            deliver = None if waits else self.deliver
            if deliver is None:
                self._queue_reply(xid, zxid, code, body, asked)
        if deliver is not None and not deliver(self, ReplyHeader(xid, zxid, code), body, asked):
            with self._lock:  # it is kazoo's thread's turn after all
                self._queue_reply(xid, zxid, code, body, asked)

    def _queue_reply(self, *reply: Any) -> None:
        self._replies.append(cast(Reply, reply))
        if len(self._replies) == 1:
            self._wake()

    def _wake(self) -> None:
        try:
            if self._wake_descriptor.is_ours():
                self._wake_socket.send(b"\0")
        except OSError:
            pass  # hung up, or full of wake-ups already

    # --- in kazoo's thread ----------------------------------------------------------------------

    def next_reply(self) -> Tuple[ReplyHeader, Body, Optional[CallerRequest]]:
        """The next reply; the socket is readable. ConnectionDropped or SessionExpiredError when it is over."""
        with self._lock:
            if self._replies:
                self._handles_reply = True
                xid, zxid, code, body, asked = self._replies.popleft()
                if not self._replies and self._ended is None:
                    self.clear_wakeups()
                return ReplyHeader(xid, zxid, code), body, asked
        if self._ended is None:
            self.clear_wakeups()
            raise BlockingIOError
        reason, why = self._ended
        raise SessionExpiredError(why) if reason == EXPIRED else ConnectionDropped(why)

    def done_with_reply(self) -> None:
        """What was taken is dealt with."""
        self._handles_reply = False

    def close(self) -> List[CallerRequest]:
        """Nothing is delivered in the loop's thread any more, or asked. What was asked and is not answered."""
        self.closed, self.deliver = True, None
        left = []
        for asked in list(self.open_requests):
            if self.claim(asked):
                left.append(asked)
        return left

    # --- in any thread --------------------------------------------------------------------------

    def claim(self, asked: CallerRequest) -> bool:
        """Whether it is the caller's to answer: one only gets it, whatever happens at the same time."""
        try:
            del self.open_requests[asked]
        except KeyError:
            return False
        return True

    @property
    def identities(self) -> Tuple[Id, ...]:
        """Of its session, as of what was shown last."""
        return () if self._session is None else self._session.identities

    def read_now(self, request: Any) -> Optional[Result]:
        """The result of a read, if everything before it was shown and the loop is idle; None if it has to wait."""
        loop_lock = loop_thread.known().loop_lock
        times = loop_lock.times_released
        result = loop_lock.run_if_free(self._read_now, request)
        return result if loop_lock.times_released == times else None  # a signal's handler stopped the client meanwhile

    def _read_now(self, request: Any) -> Optional[Result]:
        """In the loop's turn, so that nothing is put. Without the lock: a signal's handler may run here, and stop()
        waits for the loop, which needs it."""
        session = self._session
        if session is None or self._replies or self._handles_reply or self._ended is not None:
            return None
        return session.read_now(wire.operation(request))

    def write_now(self, request: Any) -> Union[Result, Done, None]:
        """The answer of a write that is done in this very thread; None if it was not done, and has to be asked for.

        A Done: it was done, and that is to be asked for. Unknown: it may have been done, and the session does not go
        on. Raises what a signal's handler raises, too: then it is done or not, and the loop sees to what is left of it.
        """
        thread = loop_thread.known()
        try:
            return thread.loop_lock.run_if_free(self._write_now, request, thread.loop_lock.is_held)
        except Unknown as error:
            thread.call(self.break_off, str(error))
            raise
        except BaseException:
            thread.call(self._complete_write)
            raise

    def _write_now(self, request: Any, has_turn: Callable[[], bool]) -> Union[Result, Done, None]:
        """In the loop's turn. It may be interrupted at any line, and lose the turn: see `fk_backend.ports.Direct`."""
        session = self._session
        if session is None or self._replies or self._handles_reply or self._ended is not None:
            return None
        return session.write_now(wire.operation(request), has_turn)

    def _complete_write(self) -> None:
        if self._session is not None:
            self._session.finish_fan_out()

    def break_off(self, why: str) -> None:
        """In the loop's thread: the session ends here, and is attached to anew."""
        if self._session is not None:
            self._session.end(LOST, why)

    def clear_wakeups(self) -> None:
        """Takes the ring off the bell."""
        try:
            if self.socket.recv(1) == b"":
                raise ConnectionDropped("the connection was closed")
        except BlockingIOError:
            pass
