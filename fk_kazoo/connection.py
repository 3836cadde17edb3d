"""The seam: kazoo's own connection loop, over a session instead of a TCP socket.

kazoo selects on its socket, submits requests and reads replies. Here the socket is one end of a native socket pair: a
doorbell, which holds one byte exactly while replies wait. Requests go to the session as objects; replies come back
as ZooKeeper's bytes. Everything else (states, retries, watchers, pings, the order of things) is kazoo's code.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Tuple

from kazoo.exceptions import EXCEPTIONS, ConnectionDropped, SessionExpiredError
from kazoo.protocol import connection as kazoo_connection
from kazoo.protocol.connection import AUTH_XID, PING_XID, WATCH_XID
from kazoo.protocol.serialization import Connect, ReplyHeader
from kazoo.protocol.states import KeeperState

from fk_backend.core.model import Error
from fk_backend.core.requests import Result
from fk_backend.errors import BackendError, DeploymentError
from fk_backend.providers import provider
from fk_backend.session.engine import EXPIRED, LOST, Opened, Session
from fk_backend.session.watchlist import Event

from . import loop, primitives, wire, workers
from .doorbell import Doorbell

log = logging.getLogger(__name__)

SET_WATCHES_XID = -8
CLOSE_GRACE_S = 3.0
"""How long `stop()` waits for the answer to the close before it hangs up; the session then ends by its timeout.

Longer where a first answer may take longer: what a client that was idle has to say may be its close alone.
"""
END_S = 3.0
"""How long it waits then for what is left of the connection, if nobody says how long."""


class Line:
    """Between the loop's thread and kazoo's: replies one way, requests the other. It is the session's Listener."""

    def __init__(self, opening: loop.Opening, namespace: str) -> None:
        ours, self._bell = loop.socket_pair()
        self.socket = Doorbell(ours)
        self.failure: Optional[BaseException] = None
        self.opened: Optional[Opened] = None
        self.read_only = False
        self.writable = False
        self._opening = opening
        self._namespace = namespace
        self._replies: Deque[Tuple[int, int, int, bytes]] = deque()
        self._lock = loop.real_lock()
        self._session: Optional[Session] = None
        self._task: Optional["asyncio.Future[None]"] = None
        self._watch: Optional["asyncio.Future[None]"] = None
        self._decided = False
        """Whether it has rung for the opening: what ends before that is told of after it."""
        self._ended: Optional[Tuple[str, str]] = None
        self._handing = False
        """Whether kazoo's thread is busy with what it took."""
        self.deliver: Optional[Callable[["Line", ReplyHeader, bytes], bool]] = None
        """Where replies go directly, in the loop's thread, instead of waiting for kazoo's; None: they wait."""

    # --- in the loop's thread -------------------------------------------------------------------

    def begin(self, session_id: int, password: bytes, timeout_ms: int, read_only: bool) -> None:
        """Opens the session or attaches to it. Rings when that is decided."""
        self._task = asyncio.ensure_future(self._begin(session_id, password, timeout_ms, read_only))

    async def _begin(self, session_id: int, password: bytes, timeout_ms: int, read_only: bool) -> None:
        try:
            gateway = await self._opening.gateway()
            session = self._session = Session(gateway, self._namespace, self)
            try:
                if session_id:
                    self.opened = await session.attach(session_id, password) or Opened(0, bytes(16), 0)
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
        self._ring()
        if self._ended is not None:
            self._ring()  # the first one is for the opening

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
                self._put(PING_XID, 0, Error.OK, b"")
        elif self._session is not None:
            self._session.submit((xid, request), wire.operation(request))

    def replied(self, tag: Any, result: Result) -> None:
        """`Listener.replied`."""
        xid, request = tag
        self._put(xid, result.zxid, result.code, wire.reply(request, result))

    def fired(self, event: Event) -> None:
        """`Listener.fired`."""
        self._put(WATCH_XID, event.zxid, Error.OK, wire.event(event))

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""
        self._ended = (reason, why)
        if self._decided:
            self._ring()

    def hang_up(self) -> None:
        """Kazoo is done with the connection."""
        if self._task is not None:
            self._task.cancel()
        if self._session is not None and self.opened is not None:
            self._session.end(LOST, "hung up")
        self._ended = self._ended or (LOST, "hung up")
        self._bell.close()

    def _put(self, xid: int, zxid: int, code: int, body: bytes) -> None:
        with self._lock:
            deliver = None if xid == PING_XID or self._replies or self._handing else self.deliver
            if deliver is None:
                self._keep(xid, zxid, code, body)
        if deliver is not None and not deliver(self, ReplyHeader(xid, zxid, code), body):
            with self._lock:  # it is kazoo's thread's turn after all
                self._keep(xid, zxid, code, body)

    def _keep(self, *reply: Any) -> None:
        self._replies.append(reply)
        if len(self._replies) == 1:
            self._ring()

    def _ring(self) -> None:
        try:
            self._bell.send(b"\0")
        except OSError:
            pass  # hung up, or full of rings already

    # --- in kazoo's thread ----------------------------------------------------------------------

    def take(self) -> Tuple[ReplyHeader, bytes]:
        """The next reply; the socket is readable. ConnectionDropped or SessionExpiredError when it is over."""
        with self._lock:
            if self._replies:
                xid, zxid, code, body = self._replies.popleft()
                self._handing = True
                if not self._replies and self._ended is None:
                    self.silence()
                return ReplyHeader(xid, zxid, code), body
        if self._ended is None:
            self.silence()
            raise BlockingIOError
        reason, why = self._ended
        raise SessionExpiredError(why) if reason == EXPIRED else ConnectionDropped(why)

    def handed(self) -> None:
        """What was taken is dealt with."""
        self._handing = False

    def go_direct(self, deliver: Callable[["Line", ReplyHeader, bytes], bool]) -> None:
        """From now on replies go there, if none waits for kazoo's thread."""
        with self._lock:
            if not self._replies and not self._handing:
                self.deliver = deliver

    # --- in any thread --------------------------------------------------------------------------

    def read_now(self, request: Any) -> Optional[Result]:
        """The result of a read, if everything before it was shown and the loop is idle; None if it has to wait."""
        turn = loop.current().turn
        lent = turn.lent
        result = turn.borrow(self._read_now, request)
        return result if turn.lent == lent else None  # a signal's handler stopped the client meanwhile

    def _read_now(self, request: Any) -> Optional[Result]:
        session = self._session
        with self._lock:
            if session is None or self._replies or self._handing or self._ended is not None:
                return None
        return session.read_now(wire.operation(request))

    def silence(self) -> None:
        """Takes the ring off the bell."""
        try:
            if self.socket.recv(1) == b"":
                raise ConnectionDropped("the connection was closed")
        except BlockingIOError:
            pass


class Seam(kazoo_connection.ConnectionHandler):  # type: ignore[misc] # kazoo is untyped
    """kazoo's ConnectionHandler with `_connect`, `_submit` and `_read_header` replaced."""

    _connection_routine: Any
    _xid: Any
    _line: Optional[Line] = None
    _greeted: Optional[Line] = None
    """The line, once its greetings are answered, where reads need not wait for anything else."""
    _opening: Optional[loop.Opening] = None

    only_kazoos = True
    """Whether no method is an app's: its own are to be called where kazoo calls them, in kazoo's thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepare()

    def prepare(self) -> None:
        """Sets up what kazoo's does not have."""
        self.sending = self._left = False
        self._closing = False
        self._auths = 0
        """Credentials that wait to be answered: only kazoo's loop can handle that."""
        self._took_auth = False
        self._handover = loop.real_lock()
        """Held by kazoo's thread while it sends, and by the loop's while it delivers."""
        self._ended = self.handler.event_object()
        """Set at the very end of `zk_loop`; kazoo's ``connection_stopped`` comes before the last callbacks."""
        self._ended.set()

    @property
    def _direct(self) -> bool:
        """Whether results may be set in the loop's thread now: a greenlet's must be set in its hub."""
        return primitives.of_threads(self.handler)

    @property
    def running(self) -> bool:
        """Whether it is connected, or will be as soon as it can."""
        return self._connection_routine is not None and not self.connection_stopped.is_set()

    def start(self) -> None:
        """As kazoo's. It counts as running from here on, not only from when its thread runs."""
        self.connection_stopped.clear()
        self._ended.clear()
        self._closing = False
        super().start()

    @property
    def first_answer_s(self) -> float:
        """How long functions that nobody has called for long may take to answer."""
        return float(getattr(provider(self.client.deployment.scheme), "FIRST_ANSWER_S", 0.0))

    @property
    def close_grace_s(self) -> float:
        """How long an answer to the close is waited for."""
        return max(CLOSE_GRACE_S, self.first_answer_s)

    def zk_loop(self) -> None:
        """kazoo's loop; the deployment stays open for as long as it runs."""
        try:
            super().zk_loop()
        finally:
            opening, self._opening = self._opening, None
            if opening is not None:
                loop.current().call(loop.current().release, opening)
            self._ended.set()
            if self._left:  # `threading` forgot this greenlet at the fork
                self.handler.event_object().wait()

    def stop(self, timeout: Optional[float] = None) -> bool:
        """Waits until the loop has ended; hangs up on a deployment that does not answer the close, or the connect."""
        grace = self.close_grace_s if timeout is None else min(timeout, self.close_grace_s)
        if not self._stopped_within(grace if self.client.connected else 0.0):
            self.drop()
            self._stopped_within(END_S if timeout is None else timeout)
        routine = self._connection_routine
        if routine is not None and self.connection_stopped.is_set():
            if workers.is_one_of([routine]) or self._ended.wait(END_S):
                self._connection_routine = None
        return self._connection_routine is None

    def _stopped_within(self, seconds: float) -> bool:
        self.connection_stopped.wait(seconds)
        return bool(self.connection_stopped.is_set())

    def leave_behind(self, client: Any) -> None:
        """In a forked child, which greenlets cross: what still runs of this ends, with a client that nobody has.

        The sockets are the parent's too: they are closed here, and nothing is read from them. But for eventlet's: to
        close one is to tell its hub, which parent and child have in common until the child makes its own.
        """
        self.client, self._opening, self.logger, self._left = client, None, client.logger, True
        line, self._line, self._greeted = self._line, None, None
        if line is not None:
            line.socket.discard()
        for end in (self._read_sock, self._write_sock):
            if end is not None and not type(end).__module__.startswith("eventlet."):
                with contextlib.suppress(OSError):
                    end.close()

    def drop(self) -> None:
        """Hangs up: kazoo sees the connection lost and connects again."""
        sock = self._socket
        if sock is not None:
            sock.close()

    def _expand_client_hosts(self) -> Any:
        """Names are not resolved: nothing connects to a host."""
        return [(host, host, port) for host, port in self.client.hosts]

    def _connect_attempt(self, host: str, hostip: str, port: int, retry: Any) -> Any:
        self.handler = primitives.selecting(self.client.handler)
        try:
            return super()._connect_attempt(host, hostip, port, retry)
        finally:
            line, self._line, self._greeted = self._line, None, None
            if line is not None:
                line.socket.discard()
                loop.current().call(line.hang_up)

    def _connect(self, host: str, hostip: str, port: int) -> Tuple[float, float]:
        client = self.client
        self.logger.info("Connecting to %s", client.deployment)
        timeout_s = max(client._session_timeout / 1000.0, self.first_answer_s)
        line = self._line = self._dial(host, port)
        self._socket = line.socket
        line.socket.peer = (host, port) if port else (client.deployment.deployment, 0)
        if client._stopped.is_set():  # `stop` may have looked for something to hang up before this was there
            raise ConnectionDropped("the client is being stopped")
        wanted = (client._session_id or 0, client._session_passwd, client._session_timeout, bool(client.read_only))
        loop.current().call(line.begin, *wanted)
        self._await_bell(timeout_s)
        line.silence()
        if line.failure is not None:
            self._give_up(line.failure)
        opened = line.opened
        assert opened is not None
        reply = self._decoded(wire.connected(opened.timeout_ms, opened.session, opened.password, line.read_only))
        if reply.time_out <= 0:
            raise SessionExpiredError("Session has expired")
        client._session_id = reply.session_id or None
        client._session_passwd = reply.passwd
        client._protocol_version = reply.protocol_version
        self._ro_mode = self._pings(line) if line.read_only else None
        client._session_callback(KeeperState.CONNECTED_RO if line.read_only else KeeperState.CONNECTED)
        read_timeout, connect_timeout = reply.time_out * 2.0 / 3.0, float(reply.time_out)
        if not line.read_only:
            for request, xid in client._greetings():
                self._invoke(connect_timeout / 1000.0, request, xid=xid)
            if getattr(provider(client.deployment.scheme), "READS_AT_ONCE", False):
                self._greeted = line
            self._go_direct(line)
        return read_timeout, connect_timeout

    def _dial(self, host: str, port: int) -> Line:
        """A line to the deployment, which is opened if it is not open yet."""
        if self._opening is None:
            self._opening = self._acquire()
        return Line(self._opening, self.client.deployment.namespace)

    def _acquire(self) -> loop.Opening:
        made: List[loop.Opening] = []

        def acquire() -> None:
            made.append(loop.current().acquire(self.client.deployment))

        async def later() -> None:
            acquire()

        if not (self._direct and loop.current().call_now(acquire)):
            loop.run(self.handler, later, 10.0)
        return made[0]

    def _decoded(self, reply: bytes) -> Any:
        try:
            return Connect.deserialize(reply, 0)[0]
        except (struct.error, ValueError) as error:
            self.logger.exception("invalid connect response")
            raise ConnectionDropped("invalid server response") from error

    def _give_up(self, failure: BaseException) -> None:
        opening, self._opening = self._opening, None
        loop.current().call(loop.current().release, opening)
        if isinstance(failure, DeploymentError):
            self.client._refused = failure
        raise ConnectionDropped("can't connect to %s: %s" % (self.client.deployment, failure)) from failure

    def _pings(self, line: Line) -> Any:
        """kazoo asks at each ping, while it is read-only, whether there is a server that takes writes."""
        while True:
            yield (self.client.hosts[0] if line.writable else False)

    def _submit(self, request: Any, timeout: float, xid: Optional[int] = None) -> None:
        if not self.handler.select([], [self._socket], [], timeout)[1]:
            raise self.handler.timeout_exception("socket time-out during write")
        line = self._line
        if line is None:
            raise ConnectionDropped("not connected")
        loop.current().call(line.submit, request, xid)

    def _await_bell(self, timeout: float) -> None:
        with self._socket_error_handling():
            if not self.handler.select([self._socket], [], [], timeout)[0]:
                raise self.handler.timeout_exception("socket time-out during read")

    def _read_header(self, timeout: float) -> Tuple[ReplyHeader, bytes, int]:
        line = self._line
        if line is None:
            raise ConnectionDropped("not connected")
        while True:
            self._await_bell(timeout)
            try:
                header, body = line.take()
                self._took_auth = header.xid == AUTH_XID
                return header, body, 0
            except BlockingIOError:
                continue

    def read_now(self, request: Any, async_object: Any) -> bool:
        """Answers a read in the caller's own thread, which may be done while nothing is unanswered. Whether it was."""
        line = self._greeted
        if (
            line is None
            or getattr(request, "type", None) not in wire.READS
            or getattr(request, "watcher", None) is not None
        ):
            return False
        result = line.read_now(request)
        if result is None:
            return False
        request = wire.by_hand(request)
        self._set(async_object, request, result)
        return True

    def _set(self, async_object: Any, request: Any, result: Result) -> None:
        """Sets what kazoo's `_read_response` would, for a read without a watcher.

        It never enters kazoo's ``_pending``, which belongs to who answers what was sent: no answer can meet the wrong
        request, whatever else is being answered, closed or interrupted at the time.
        """
        if result.zxid > 0:
            self.client.last_zxid = result.zxid
        if result.code == Error.NO_NODE and request.type == wire.EXISTS:
            async_object.set(None)
        elif result.code:
            async_object.set_exception(EXCEPTIONS[result.code]())
        else:
            try:
                response = request.deserialize(wire.reply(request, result), 0)
            except Exception as error:  # kazoo's rule for a class of the app's
                self.logger.exception("Exception raised during deserialization of request: %s", request)
                async_object.set_exception(error)
                return
            async_object.set(response)

    def usual(self) -> bool:
        """Whether kazoo's loop works with kazoo's own parts. An app that replaced one of them wants it to be used."""
        return self.only_kazoos and "select" not in vars(self.client.handler) and type(self.client._pending) is deque

    def submit_now(self, request: Any, async_object: Any) -> bool:
        """Sends a request in the caller's own thread, where no other one waits to be sent. Whether it was."""
        line, client = self._line, self.client
        if line is None or line.deliver is None or getattr(request, "type", None) not in wire.DIRECT:
            return False
        if not self._direct:  # patched since then
            self.go_indirect()
            return False
        xid = self._xid = (self._xid % 2147483647) + 1
        request = wire.by_hand(request)
        first = line is self._greeted and not client._pending
        try:
            client._pending.append((request, async_object, xid))
            if not (first and loop.current().call_now(line.submit, request, xid)):
                loop.current().call(line.submit, request, xid)
        except BaseException:  # a signal's handler raised: it can't be known whether this was sent
            self.drop()
            raise
        return True

    def _deliver(self, line: Line, header: ReplyHeader, body: bytes) -> bool:
        """A reply or an event, in the loop's thread. False if it has to wait for kazoo's after all, or for nobody."""
        with self._handover:
            if line.deliver is None or not self._direct:
                return False
            try:
                if header.xid == WATCH_XID:
                    self._read_watch_event(body, 0)
                else:
                    self._read_response(header, body, 0)
            except Exception:
                self.logger.exception("delivering a reply failed")
                self.drop()
            return True

    def _go_direct(self, line: Line) -> None:
        """From now on the loop's thread delivers. In kazoo's thread, when nothing waits for that."""
        if self._direct and self.usual() and not self.client._pending:
            line.go_direct(self._deliver)
            if self._closing or self._auths:
                line.deliver = None

    def expect_auth(self) -> None:
        """Credentials are about to be queued: until they are answered, everything goes through kazoo's thread."""
        self._auths += 1
        self.go_indirect()

    def expect_close(self) -> None:
        """The close is about to be queued: from now on everything goes through kazoo's thread."""
        self._closing = True
        self.go_indirect()

    def forget(self) -> None:
        """What waited to be sent was thrown away."""
        self._auths = 0

    def go_indirect(self) -> None:
        """From now on everything goes through kazoo's thread, until nothing is unanswered."""
        line = self._line
        if line is not None:
            line.deliver = None

    def wake(self) -> None:
        """Wakes kazoo's thread once more, in case that somebody was interrupted before he did."""
        bell = self._write_sock
        if bell is not None:
            with contextlib.suppress(OSError, ValueError):
                if self.client.handler.select([], [bell], [], 0)[1]:  # one that is full of wake-ups wakes it
                    bell.send(b"\0")

    def empty_pipe(self) -> None:
        """Takes some of the wake-up bytes of requests that will not be sent."""
        if self._read_sock is not None and self.handler.select([self._read_sock], [], [], 0)[0]:
            self._read_sock.recv(64)

    def leave(self) -> None:
        """In kazoo's thread, before it tells that the connection is gone: nothing is delivered after this."""
        self.go_indirect()
        if self._direct:
            with self._handover:
                pass

    def _send_request(self, read_timeout: float, connect_timeout: float) -> None:
        self.sending = True  # for a moment, the request is in neither of kazoo's two queues
        try:
            with self._handover if self._direct else contextlib.nullcontext():
                super()._send_request(read_timeout, connect_timeout)
        finally:
            self.sending = False

    def _read_socket(self, read_timeout: float) -> Any:
        line = self._line
        self._took_auth = False
        try:
            return super()._read_socket(read_timeout)
        finally:
            if self._took_auth:
                self._auths = max(self._auths - 1, 0)
            if line is not None:
                line.handed()
                if line.deliver is None:
                    self._go_direct(line)

    def _read_response(self, header: ReplyHeader, buffer: bytes, offset: int) -> Any:
        if self.client._pending and header.err == Error.OK:
            self.client._answered(self.client._pending[0][0])
        return super()._read_response(header, buffer, offset)


class Persistent:
    """Also tells the watches that stay; outermost, because an app's own `_read_watch_event` need not call kazoo's."""

    client: Any

    def _read_watch_event(self, buffer: bytes, offset: int, *more: Any, **options: Any) -> None:
        super()._read_watch_event(buffer, offset, *more, **options)  # type: ignore[misc] # it is a mixin
        self.client._fire_persistent(buffer, offset)


class ConnectionHandler(Persistent, Seam):
    """What a client has, unless an app named a class of its own: see `handler_class`."""
