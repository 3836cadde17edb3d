"""The seam: kazoo's own connection loop, over a session instead of a TCP socket.

kazoo selects on its socket, submits requests and reads replies. Here the socket is one end of a native socket pair: a
doorbell, which holds one byte exactly while replies wait. Requests go to the session as objects; replies come back
as ZooKeeper's bytes. Everything else (states, retries, watchers, pings, the order of things) is kazoo's code.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import time
from collections import deque
from typing import Any, List, Optional, Tuple, Union

from kazoo.exceptions import EXCEPTIONS, ConnectionDropped, ConnectionLoss, SessionExpiredError
from kazoo.protocol import connection as kazoo_connection
from kazoo.protocol.serialization import Connect, ReplyHeader, Transaction
from kazoo.protocol.states import KeeperState

from fk_backend.core.model import Error, Id
from fk_backend.errors import Unknown
from fk_backend.providers import provider
from fk_backend.providers.descriptors import Descriptor
from fk_backend.session.ops import Done

from . import loop, primitives, values, wire, workers
from .line import Asked, Line
from .settling import Settle, at_once, soon
from .waiting import link_at_once
from .wakeup_socket import WakeupSocket
from .why import STILL_S

log = logging.getLogger(__name__)

SET_WATCHES_XID = -8
CLOSE_GRACE_S = 3.0
"""How long `stop()` waits for the answer to the close before it hangs up; the session then ends by its timeout.

Longer where a first answer may take longer: what a client that was idle has to say may be its close alone.
"""
_KNOWN = (Connect.__module__, wire.__name__)
END_S = 3.0
"""How long it waits then for what is left of the connection, if nobody says how long."""


class Detached(Exception):
    """The thread's connection is not its client's any more. kazoo lets it pass."""


class Selecting:
    """A handler for the thread that selects: somebody else may have closed what it selects on."""

    def __init__(self, handler: Any, connection: DeploymentConnection) -> None:
        self._handler = handler
        self._connection = connection

    def select(self, *args: Any, **kwargs: Any) -> Any:
        """As the handler's. Detached if there is nothing to select on any more."""
        began, longest_s = time.monotonic(), args[3] if len(args) > 3 else None
        try:
            ready = self._handler.select(*args, **kwargs)
        except (OSError, ValueError, TypeError):
            self._connection.look()
            raise
        now = time.monotonic()
        if longest_s is not None and now - began - longest_s > STILL_S:
            self._connection.last_pause = (now - began, now)
        self._connection.stay()
        return ready

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)


class DeploymentConnection(kazoo_connection.ConnectionHandler):
    """kazoo's ConnectionHandler with `_connect`, `_submit` and `_read_header` replaced."""

    _connection_routine: Any
    _xid: Any
    _read_sock: Any
    _write_sock: Any
    client: Any
    handler: Any
    _line: Optional[Line] = None
    _greeted: Optional[Line] = None
    """The line, once its greetings are answered, where reads need not wait for anything else."""
    _opening: Optional[loop.Opening] = None

    last_pause = (0.0, 0.0)
    """For how many seconds this process did not run, the last time, and when that ended, on the monotonic clock."""

    only_kazoos = True
    """Whether no method is an app's: its own are to be called where kazoo calls them, in kazoo's thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepare()

    def prepare(self) -> None:
        """Sets up what kazoo's does not have."""
        self.sending = False
        self._left = ""
        """Why it was left behind: "forked" or "lost"."""
        self._pair: Tuple[Descriptor, ...] = ()
        """What kazoo's pair of sockets stands for."""
        self._taken: Optional[Asked] = None
        """What the reply that kazoo's thread is reading belongs to, if kazoo's ``_pending`` does not have it."""
        self._ended = self.handler.event_object()
        """Set at the very end of `zk_loop`; kazoo's ``connection_stopped`` comes before the last callbacks."""
        self._ended.set()

    @property
    def _direct(self) -> bool:
        """Whether results may be set in the loop's thread now: a greenlet's must be set in its hub."""
        return primitives.of_threads(self.client.handler)

    @property
    def identities(self) -> Tuple[Id, ...]:
        """Who the session is by now, as ACLs name it."""
        return () if self._line is None else self._line.identities

    @property
    def running(self) -> bool:
        """Whether it is connected, or will be as soon as it can."""
        return self._connection_routine is not None and not self.connection_stopped.is_set()

    def start(self) -> None:
        """As kazoo's. It counts as running from here on, not only from when its thread runs."""
        self.connection_stopped.clear()
        self._ended.clear()
        if not self.whole():
            self._end_pair()
            self.connection_closed.set()
        super().start()
        ends = (self._read_sock, self._write_sock)
        if not self._left:  # else they are closed already
            self._pair = tuple(Descriptor.of(end.fileno()) for end in ends)

    def close(self) -> None:
        """As kazoo's, but for what somebody else closed."""
        if self.connection_stopped.is_set():
            self._end_pair()
        super().close()

    def _end_pair(self) -> None:
        ends, self._read_sock, self._write_sock = (self._read_sock, self._write_sock), None, None
        pair, self._pair = self._pair, ()
        for end, descriptor in zip(ends, pair):
            if end is not None:
                loop.end(end, descriptor)

    def _end_all(self) -> None:
        """Of who was left behind."""
        sock = self._socket
        if isinstance(sock, WakeupSocket):
            sock.discard()
        self._end_pair()

    def whole(self) -> bool:
        """Whether nobody else closed its files."""
        pair, line = self._pair, self._line
        if all(each.is_ours() for each in pair) and (line is None or line.socket.is_ours()):
            return True
        return pair is not self._pair or line is not self._line  # they have been closed in the ordinary way meanwhile

    def look(self) -> None:
        """Something is wrong with what was selected on. Detached if somebody else closed it."""
        loop.here()
        if not self._left and not self.whole():
            loop.lose(self.client, self)
        self.stay()

    def stay(self) -> None:
        """Detached if this thread's connection is not its client's any more."""
        if self._left:
            raise Detached

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
        except Exception:
            if not self._left:
                raise
        finally:
            opening, self._opening = self._opening, None
            if opening is not None:
                loop.current().call(loop.current().release, opening)
            self._ended.set()
            if self._left == "lost":
                self._end_all()
            if self._left == "forked":  # `threading` forgot this greenlet at the fork
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

    def leave_behind(self, client: Any, forked: bool) -> List[Asked]:
        """What still runs of this ends, with a client that nobody has. What callers had sent.

        That is greenlets that cross a fork, or the thread whose files somebody else closed. In a child the sockets are
        the parent's too: they are closed here, and nothing is read from them. But for eventlet's: to close one is to
        tell its hub, which parent and child have in common until the child makes its own.
        """
        line, opening = self._line, self._opening
        runs = self._connection_routine is not None and not self._ended.is_set()
        self.client, self.logger, self._left = client, client.logger, "forked" if forked else "lost"
        self._line = self._greeted = self._opening = None
        asked: List[Asked] = []
        if line is not None:
            asked = line.close()
        if runs and not forked:
            self.drop()  # what it selects on is closed when it has seen that: else it would not be woken
            self.wake()
        else:
            if line is not None:
                line.socket.discard()
            if not type(self._read_sock).__module__.startswith("eventlet."):
                self._end_pair()
        if not forked:
            thread = loop.current()
            if line is not None:
                thread.call(line.hang_up)
                line.mute()
            if opening is not None:
                thread.call(thread.release, opening)
            self._connection_routine = None
            self.connection_stopped.set()
            self._ended.set()
        return asked

    def drop(self) -> None:
        """Hangs up: kazoo sees the connection lost and connects again."""
        sock = self._socket
        if sock is not None:
            sock.close()

    def _expand_client_hosts(self) -> Any:
        """The deployment, whatever hosts the app names: nothing connects to those.

        kazoo says "Closing connection to %s:%s" of what it takes for host and port, so it gets the parts of the URL.
        """
        scheme, _, rest = str(self.client.deployment).partition(":")
        return [(scheme, scheme, rest)]

    def _connect_attempt(self, host: str, hostip: str, port: int, retry: Any) -> Any:
        self.handler = Selecting(primitives.selecting(self.client.handler), self)
        try:
            return super()._connect_attempt(host, hostip, port, retry)
        finally:
            line, self._line, self._greeted = self._line, None, None
            if line is not None:
                line.socket.discard()
                loop.current().call(line.hang_up)

    def _connect(self, host: Any, hostip: str, port: Any) -> Tuple[float, float]:
        client = self.client
        self.logger.info("Connecting to %s", client.deployment)
        timeout_s = max(client._session_timeout / 1000.0, self.first_answer_s)
        line = self._line = self._dial(host, port)
        self._socket = line.socket
        if not isinstance(port, int):
            host, port = client.hosts[0]
        line.socket.peer = (host, port) if port else (client.deployment.deployment, 0)
        if client._stopped.is_set():  # `stop` may have looked for something to hang up before this was there
            raise ConnectionDropped("the client is being stopped")
        wanted = (client._session_id or 0, client._session_passwd, client._session_timeout, bool(client.read_only))
        loop.current().call(line.begin, *wanted, client.last_zxid)
        self._await_wakeup(timeout_s)
        line.silence()
        if line.failure is not None:
            self._give_up(line.failure)
        opened = line.opened
        assert opened is not None
        reply = self._decoded(wire.connected(opened.timeout_ms, opened.session, opened.password, line.read_only))
        if reply.time_out <= 0:
            raise SessionExpiredError("Session has expired")
        if opened.zxid:  # of a new session: it has seen nothing of what the one before it saw
            client.last_zxid = opened.zxid
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
            if self._direct and self.usual():
                line.deliver = self._deliver
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
        self.client._tried(failure)
        raise ConnectionDropped("can't connect to %s: %s" % (self.client.deployment, failure)) from failure

    def _pings(self, line: Line) -> Any:
        """kazoo asks at each ping, while it is read-only, whether there is a server that takes writes."""
        while True:
            host, _, port = self._expand_client_hosts()[0]
            yield ((host, port) if line.writable else False)

    def _submit(self, request: Any, timeout: float, xid: Optional[int] = None) -> None:
        if not self.handler.select([], [self._socket], [], timeout)[1]:
            raise self.handler.timeout_exception("socket time-out during write")
        loop.current().call(self._connected_line().submit, request, xid)

    def _connected_line(self) -> Line:
        line = self._line
        self.stay()
        if line is None:
            raise ConnectionDropped("not connected")
        return line

    def _await_wakeup(self, timeout: float) -> None:
        with self._socket_error_handling():
            if not self.handler.select([self._socket], [], [], timeout)[0]:
                raise self.handler.timeout_exception("socket time-out during read")

    def _read_header(self, timeout: float) -> Tuple[ReplyHeader, Any, int]:
        line = self._connected_line()
        while True:
            self._await_wakeup(timeout)
            try:
                header, body, self._taken = line.take()
                return header, body, 0
            except BlockingIOError:
                continue
            except (ConnectionDropped, SessionExpiredError):
                self.stay()
                raise

    def read_now(self, request: Any, async_object: Any) -> bool:
        """Answers a read in the caller's own thread, which may be done while nothing is unanswered. Whether it was."""
        line = self._greeted
        if (
            line is None
            or getattr(request, "type", None) not in wire.READS
            or getattr(request, "watcher", None) is not None
        ):
            return False
        if line.asked:
            return False
        result = line.read_now(request)
        if result is None:
            return False
        self._set(Asked(request, async_object), result.zxid, result.code, values.answer(request, result))
        return True

    def write_now(self, request: Any, async_object: Any) -> bool:
        """Does a write in the caller's own thread, which waits for it, while nothing is unanswered. Whether it did."""
        line = self._greeted
        if line is None or line.asked or line.deliver is None or getattr(request, "type", None) not in wire.WRITES:
            return False
        if async_object is None or self.client._stopped.is_set() or not self._direct:
            return False
        try:
            result = line.write_now(request)
        except Unknown:
            async_object.set_exception(ConnectionLoss())
            return True
        if result is None:
            return False
        if isinstance(result, Done):
            if not self._hand_over(line, Asked(request, async_object), not loop.in_main_thread(), result):
                async_object.set_exception(ConnectionLoss())
            return True
        if request.type in wire.CREATES:
            link_at_once(async_object)
        self._set(Asked(request, async_object), result.zxid, result.code, values.answer(request, result))
        return True

    def _set(
        self, asked: Asked, zxid: int, code: int, body: Union[bytes, values.Value], settle: Settle = at_once
    ) -> None:
        """Sets what kazoo's `_read_response` would.

        kazoo's ``_pending`` holds what kazoo's own thread sent, and nothing else: its answers come in that order.
        What a caller sent or read is answered by this, and never enters it; so no answer can meet the wrong request,
        whatever else is being answered, closed or interrupted at the time.
        """
        client, request, result = self.client, asked.request, asked.result
        if zxid > client.last_zxid:  # a server's never go down; a read's own may be an old one
            client.last_zxid = zxid
        missing = code == Error.NO_NODE and request.type == wire.EXISTS
        if code and not missing:
            settle(result.set_exception, EXCEPTIONS[code]())
            return
        response = None
        if not missing:
            client._answered(request)
            try:
                response = body.value if isinstance(body, values.Value) else request.deserialize(body, 0)
            except Exception as error:  # kazoo's rule for a class of the app's
                if type(request).__module__ in _KNOWN:  # these read what we write: a signal's handler raised
                    raise
                self.logger.exception("Exception raised during deserialization of request: %s", request)
                settle(result.set_exception, error)
                return
            if request.type == wire.MULTI:
                response = Transaction.unchroot(client, response)
        settle(result.set, response)
        watcher = getattr(request, "watcher", None)
        if watcher and not client._stopped.is_set():
            lists = request.type in (wire.GET_CHILDREN, wire.GET_CHILDREN2)
            (client._child_watchers if lists else client._data_watchers)[request.path].add(watcher)

    def usual(self) -> bool:
        """Whether kazoo's loop works with kazoo's own parts. An app that replaced one of them wants it to be used."""
        return self.only_kazoos and "select" not in vars(self.client.handler) and type(self.client._pending) is deque

    def submit_now(self, request: Any, async_object: Any) -> bool:
        """Sends a request in the caller's own thread, where no other one waits to be sent. Whether it was.

        Python runs a signal's handler in the main thread, between any two instructions, and the handler may raise, or
        wait for the loop. So the main thread never does the loop's work of sending: it asks, in one step.
        """
        line, client = self._line, self.client
        if line is None or line.deliver is None or getattr(request, "type", None) not in wire.DIRECT:
            return False
        if async_object is None or client._stopped.is_set() or not self._direct:
            return False
        asked = Asked(request, async_object)
        first = line is self._greeted and not client._pending and not line.asked and not loop.in_main_thread()
        return self._hand_over(line, asked, first)

    def _hand_over(self, line: Line, asked: Asked, here: bool, *done: Done) -> bool:
        """Has the loop see to what a caller sent, in this thread if that may be. Whether somebody answers it."""
        try:
            line.asked[asked] = None
            if line.closed:  # if somebody else has taken it out, he answers it
                return not line.take_out(asked)
            if not (here and loop.known().call_now(line.ask, asked, *done)):
                loop.known().call(line.ask, asked, *done)
        except BaseException:  # a signal's handler raised: this may be done or not, and nobody waits for the answer
            line.take_out(asked)
            loop.current().wake()
            raise
        return True

    def _deliver(self, line: Line, header: ReplyHeader, body: Any, asked: Optional[Asked]) -> bool:
        """An event, or the answer of what a caller sent, in the loop's thread. False if kazoo's thread has to."""
        if line.closed or not self._direct or not self.usual():
            return False
        try:
            if asked is None:
                self._read_watch_event(body, 0)
            elif line.take_out(asked):
                self._set(asked, header.zxid, header.err, body, soon)
        except Exception:
            self.logger.exception("delivering a reply failed")
            self.drop()
        return True

    def leave(self) -> List[Asked]:
        """In kazoo's thread, before it tells that the connection is gone: what nobody will answer."""
        line = self._line
        return [] if line is None else line.close()

    def wake(self) -> None:
        """Wakes kazoo's thread once more, in case that somebody was interrupted before he did."""
        bell = self._write_sock
        if bell is not None and all(each.is_ours() for each in self._pair):
            with contextlib.suppress(OSError, ValueError, TypeError):
                if self.client.handler.select([], [bell], [], 0)[1]:  # one that is full of wake-ups wakes it
                    bell.send(b"\0")

    def empty_pipe(self) -> None:
        """Takes some of the wake-up bytes of requests that will not be sent."""
        if self._read_sock is not None and self.handler.select([self._read_sock], [], [], 0)[0]:
            self._read_sock.recv(64)

    def _send_request(self, read_timeout: float, connect_timeout: float) -> None:
        self.sending = True  # for a moment, the request is in neither of kazoo's two queues
        try:
            _, result = self.client._queue[0]
        except IndexError:
            result = None
        try:
            super()._send_request(read_timeout, connect_timeout)
        finally:
            self.sending = False
            if self._left and result is not None and not result.ready():  # it was in neither when they were emptied
                result.set_exception(ConnectionLoss())

    def _read_socket(self, read_timeout: float) -> Any:
        line = self._line
        try:
            return super()._read_socket(read_timeout)
        finally:
            if line is not None:
                line.handed()

    def _read_response(self, header: ReplyHeader, buffer: bytes, offset: int) -> Any:
        asked, self._taken = self._taken, None
        if asked is not None:
            if self._line is not None and self._line.take_out(asked):
                self._set(asked, header.zxid, header.err, buffer, soon)
            return None
        if self.client._pending and header.err == Error.OK:
            self.client._answered(self.client._pending[0][0])
        return super()._read_response(header, buffer, offset)


class Persistent:
    """Also tells the watches that stay; outermost, because an app's own `_read_watch_event` need not call kazoo's."""

    client: Any

    def _read_watch_event(self, buffer: bytes, offset: int, *more: Any, **options: Any) -> None:
        super()._read_watch_event(buffer, offset, *more, **options)  # type: ignore[misc] # it is a mixin
        self.client._fire_persistent(buffer, offset)


class ConnectionHandler(Persistent, DeploymentConnection):
    """What a client has, unless an app named a class of its own: see `handler_class`."""
