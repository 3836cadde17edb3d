"""The seam: kazoo's own connection loop, over a session instead of a TCP socket.

kazoo selects on its socket, submits requests and reads replies. Here the socket is one end of a native socket pair: a
doorbell, which holds one byte exactly while replies wait. Requests go to the session as objects; replies come back
as ZooKeeper's bytes. Everything else (states, retries, watchers, pings, the order of things) is kazoo's code.
`delivery` has what callers ask in their own threads, `readiness` what kazoo's thread selects on.
"""

from __future__ import annotations

import struct
from typing import Any, List, Optional, Tuple

from kazoo.exceptions import ConnectionDropped, ConnectionLoss, SessionExpiredError
from kazoo.protocol import connection as kazoo_connection
from kazoo.protocol.serialization import Connect, ReplyHeader
from kazoo.protocol.states import KeeperState

from fk_backend.core.model import Error
from fk_backend.providers import provider
from fk_backend.providers.descriptors import Descriptor

from . import loop_thread, primitives, wire, workers
from .channel import CallerRequest
from .channel import Channel as Channel
from .delivery import Delivery
from .readiness import Selecting
from .result_setting import set_later

SET_WATCHES_XID = -8
CLOSE_GRACE_S = 3.0
"""How long `stop()` waits for the answer to the close before it hangs up; the session then ends by its timeout.

Longer where a first answer may take longer: what a client that was idle has to say may be its close alone.
"""
END_S = 3.0
"""How long it waits then for what is left of the connection, if nobody says how long."""


class DeploymentConnection(Delivery, kazoo_connection.ConnectionHandler):
    """kazoo's ConnectionHandler with `_connect`, `_submit` and `_read_header` replaced."""

    _xid: Any
    _opening: Optional[loop_thread.Opening] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepare()

    def prepare(self) -> None:
        """Sets up what kazoo's does not have."""
        self.sending = False
        self._left_because, self._pair = "", ()
        self._taken: Optional[CallerRequest] = None
        """What the reply that kazoo's thread is reading belongs to, if kazoo's ``_pending`` does not have it."""
        self._ended = self.handler.event_object()
        """Set at the very end of `zk_loop`; kazoo's ``connection_stopped`` comes before the last callbacks."""
        self._ended.set()

    @property
    def running(self) -> bool:
        """Whether it is connected, or will be as soon as it can."""
        return self._connection_routine is not None and not self.connection_stopped.is_set()

    def start(self) -> None:
        """As kazoo's. It counts as running from here on, not only from when its thread runs."""
        self.connection_stopped.clear()
        self._ended.clear()
        if not self.has_its_files():
            self._end_pair()
            self.connection_closed.set()
        super().start()
        ends = (self._read_sock, self._write_sock)
        if not self._left_because:  # else they are closed already
            self._pair = tuple(Descriptor.of(end.fileno()) for end in ends)

    def close(self) -> None:
        """As kazoo's, but for what somebody else closed."""
        if self.connection_stopped.is_set():
            self._end_pair()
        super().close()

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
            if not self._left_because:
                raise
        finally:
            opening, self._opening = self._opening, None
            if opening is not None:
                loop_thread.current().call(loop_thread.current().release, opening)
            self._ended.set()
            if self._left_because == "lost":
                self._end_all()
            if self._left_because == "forked":  # `threading` forgot this greenlet at the fork
                self.handler.event_object().wait()

    def stop(self, timeout: Optional[float] = None) -> bool:
        """Waits until the loop has ended; hangs up on a deployment that does not answer the close, or the connect."""
        grace = self.close_grace_s if timeout is None else min(timeout, self.close_grace_s)
        if not self._stopped_within(grace if self.client.connected else 0.0):
            self.hang_up()
            self._stopped_within(END_S if timeout is None else timeout)
        routine = self._connection_routine
        if routine is not None and self.connection_stopped.is_set():
            if workers.is_one_of([routine]) or self._ended.wait(END_S):
                self._connection_routine = None
        return self._connection_routine is None

    def _stopped_within(self, seconds: float) -> bool:
        self.connection_stopped.wait(seconds)
        return bool(self.connection_stopped.is_set())

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
            channel, self._channel, self._ready_channel = self._channel, None, None
            if channel is not None:
                channel.socket.discard()
                loop_thread.current().call(channel.hang_up)

    def _connect(self, host: Any, hostip: str, port: Any) -> Tuple[float, float]:
        client = self.client
        self.logger.info("Connecting to %s", client.deployment)
        timeout_s = max(client._session_timeout / 1000.0, self.first_answer_s)
        channel = self._channel = self._dial(host, port)
        self._socket = channel.socket
        if not isinstance(port, int):
            host, port = client.hosts[0]
        channel.socket.peer = (host, port) if port else (client.deployment.deployment, 0)
        if client._stopped.is_set():  # `stop` may have looked for something to hang up before this was there
            raise ConnectionDropped("the client is being stopped")
        wanted = (client._session_id or 0, client._session_passwd, client._session_timeout, bool(client.read_only))
        loop_thread.current().call(channel.begin, *wanted, client.last_zxid)
        self._await_wakeup(timeout_s)
        channel.clear_wakeups()
        if channel.failure is not None:
            self._give_up(channel.failure)
        opened = channel.opened
        assert opened is not None
        reply = self._decoded(wire.connected(opened.timeout_ms, opened.session, opened.password, channel.read_only))
        if reply.time_out <= 0:
            raise SessionExpiredError("Session has expired")
        if opened.zxid:  # of a new session: it has seen nothing of what the one before it saw
            client.last_zxid = opened.zxid
        client._session_id = reply.session_id or None
        client._session_passwd = reply.passwd
        client._protocol_version = reply.protocol_version
        self._ro_mode = self._pings(channel) if channel.read_only else None
        client._session_callback(KeeperState.CONNECTED_RO if channel.read_only else KeeperState.CONNECTED)
        read_timeout, connect_timeout = reply.time_out * 2.0 / 3.0, float(reply.time_out)
        if not channel.read_only:
            for request, xid in client._greetings():
                self._invoke(connect_timeout / 1000.0, request, xid=xid)
            if getattr(provider(client.deployment.scheme), "READS_AT_ONCE", False):
                self._ready_channel = channel
            if self._direct and self.usual():
                channel.deliver = self._deliver
        return read_timeout, connect_timeout

    def _dial(self, host: str, port: int) -> Channel:
        """A channel to the deployment, which is opened if it is not open yet."""
        if self._opening is None:
            self._opening = self._acquire()
        return Channel(self._opening, self.client.deployment.namespace)

    def _acquire(self) -> loop_thread.Opening:
        made: List[loop_thread.Opening] = []

        def acquire() -> None:
            made.append(loop_thread.current().acquire(self.client.deployment))

        async def later() -> None:
            acquire()

        if not (self._direct and loop_thread.current().call_now(acquire)):
            loop_thread.run(self.handler, later, 10.0)
        return made[0]

    def _decoded(self, reply: bytes) -> Any:
        try:
            return Connect.deserialize(reply, 0)[0]
        except (struct.error, ValueError) as error:
            self.logger.exception("invalid connect response")
            raise ConnectionDropped("invalid server response") from error

    def _give_up(self, failure: BaseException) -> None:
        opening, self._opening = self._opening, None
        loop_thread.current().call(loop_thread.current().release, opening)
        self.client._tried(failure)
        raise ConnectionDropped("can't connect to %s: %s" % (self.client.deployment, failure)) from failure

    def _pings(self, channel: Channel) -> Any:
        """kazoo asks at each ping, while it is read-only, whether there is a server that takes writes."""
        while True:
            host, _, port = self._expand_client_hosts()[0]
            yield ((host, port) if channel.writable else False)

    def _submit(self, request: Any, timeout: float, xid: Optional[int] = None) -> None:
        if not self.handler.select([], [self._socket], [], timeout)[1]:
            raise self.handler.timeout_exception("socket time-out during write")
        loop_thread.current().call(self._connected_channel().submit, request, xid)

    def _connected_channel(self) -> Channel:
        channel = self._channel
        self.raise_if_detached()
        if channel is None:
            raise ConnectionDropped("not connected")
        return channel

    def _read_header(self, timeout: float) -> Tuple[ReplyHeader, Any, int]:
        channel = self._connected_channel()
        while True:
            self._await_wakeup(timeout)
            try:
                header, body, self._taken = channel.next_reply()
                return header, body, 0
            except BlockingIOError:
                continue
            except (ConnectionDropped, SessionExpiredError):
                self.raise_if_detached()
                raise

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
            # It was in neither when they were emptied.
            if self._left_because and result is not None and not result.ready():
                result.set_exception(ConnectionLoss())

    def _read_socket(self, read_timeout: float) -> Any:
        channel = self._channel
        try:
            return super()._read_socket(read_timeout)
        finally:
            if channel is not None:
                channel.done_with_reply()

    def _read_response(self, header: ReplyHeader, buffer: bytes, offset: int) -> Any:
        asked, self._taken = self._taken, None
        if asked is not None:
            if self._channel is not None and self._channel.claim(asked):
                self._set(asked, header.zxid, header.err, buffer, set_later)
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
