"""Requests and answers in callers' own threads, past kazoo's queues.

kazoo's ``_pending`` holds what kazoo's own thread sent, and nothing else: its answers come in that order. What a caller
sent or read is answered here, and never enters it; so no answer can meet the wrong request, whatever else is being
answered, closed or interrupted at the time.
"""

from __future__ import annotations

from collections import deque
from typing import Any, List, Optional, Tuple, Union

from kazoo.exceptions import EXCEPTIONS, ConnectionLoss
from kazoo.protocol.serialization import Connect, ReplyHeader, Transaction

from fk_backend.core.model import Error, Id
from fk_backend.errors import Unknown
from fk_backend.session.ops import Done

from . import loop_thread, primitives, values, wire
from .channel import CallerRequest, Channel
from .readiness import Readiness
from .result_setting import SetResult, set_later, set_now
from .waiting import link_at_once

_KNOWN = (Connect.__module__, wire.__name__)


class Delivery(Readiness):
    """The part of `connection.DeploymentConnection` that does that."""

    _read_watch_event: Any

    only_kazoos = True
    """Whether no method is an app's: its own are to be called where kazoo calls them, in kazoo's thread."""

    @property
    def _direct(self) -> bool:
        """Whether results may be set in the loop's thread now: a greenlet's must be set in its hub."""
        return primitives.of_threads(self.client.handler)

    @property
    def identities(self) -> Tuple[Id, ...]:
        """Who the session is by now, as ACLs name it."""
        return () if self._channel is None else self._channel.identities

    def usual(self) -> bool:
        """Whether kazoo's loop works with kazoo's own parts. An app that replaced one of them wants it to be used."""
        return self.only_kazoos and "select" not in vars(self.client.handler) and type(self.client._pending) is deque

    def read_now(self, request: Any, async_object: Any) -> bool:
        """Answers a read in the caller's own thread, which may be done while nothing is unanswered. Whether it was."""
        channel = self._ready_channel
        if (
            channel is None
            or getattr(request, "type", None) not in wire.READS
            or getattr(request, "watcher", None) is not None
        ):
            return False
        if channel.open_requests:
            return False
        result = channel.read_now(request)
        if result is None:
            return False
        self._set(CallerRequest(request, async_object), result.zxid, result.code, values.answer(request, result))
        return True

    def write_now(self, request: Any, async_object: Any) -> bool:
        """Does a write in the caller's own thread, which waits for it, while nothing is unanswered. Whether it did."""
        channel = self._ready_channel
        if (
            channel is None
            or channel.open_requests
            or channel.deliver is None
            or getattr(request, "type", None) not in wire.WRITES
        ):
            return False
        if async_object is None or self.client._stopped.is_set() or not self._direct:
            return False
        try:
            result = channel.write_now(request)
        except Unknown:
            async_object.set_exception(ConnectionLoss())
            return True
        if result is None:
            return False
        if isinstance(result, Done):
            if not self._hand_over(
                channel, CallerRequest(request, async_object), not loop_thread.in_main_thread(), result
            ):
                async_object.set_exception(ConnectionLoss())
            return True
        if request.type in wire.CREATES:
            link_at_once(async_object)
        self._set(CallerRequest(request, async_object), result.zxid, result.code, values.answer(request, result))
        return True

    def submit_now(self, request: Any, async_object: Any) -> bool:
        """Sends a request in the caller's own thread, where no other one waits to be sent. Whether it was.

        Python runs a signal's handler in the main thread, between any two instructions, and the handler may raise, or
        wait for the loop. So the main thread never does the loop's work of sending: it asks, in one step.
        """
        channel, client = self._channel, self.client
        if channel is None or channel.deliver is None or getattr(request, "type", None) not in wire.DIRECT:
            return False
        if async_object is None or client._stopped.is_set() or not self._direct:
            return False
        asked = CallerRequest(request, async_object)
        first = (
            channel is self._ready_channel
            and not client._pending
            and not channel.open_requests
            and not loop_thread.in_main_thread()
        )
        return self._hand_over(channel, asked, first)

    def _hand_over(self, channel: Channel, asked: CallerRequest, here: bool, *done: Done) -> bool:
        """Has the loop see to what a caller sent, in this thread if that may be. Whether somebody answers it."""
        try:
            channel.open_requests[asked] = None
            if channel.closed:  # if somebody else has taken it out, he answers it
                return not channel.claim(asked)
            if not (here and loop_thread.known().call_now(channel.ask, asked, *done)):
                loop_thread.known().call(channel.ask, asked, *done)
        except BaseException:  # a signal's handler raised: this may be done or not, and nobody waits for the answer
            channel.claim(asked)
            loop_thread.current().wake()
            raise
        return True

    def _deliver(self, channel: Channel, header: ReplyHeader, body: Any, asked: Optional[CallerRequest]) -> bool:
        """An event, or the answer of what a caller sent, in the loop's thread. False if kazoo's thread has to."""
        if channel.closed or not self._direct or not self.usual():
            return False
        try:
            if asked is None:
                self._read_watch_event(body, 0)
            elif channel.claim(asked):
                self._set(asked, header.zxid, header.err, body, set_later)
        except Exception:
            self.logger.exception("delivering a reply failed")
            self.hang_up()
        return True

    def _set(
        self,
        asked: CallerRequest,
        zxid: int,
        code: int,
        body: Union[bytes, values.Value],
        set_result: SetResult = set_now,
    ) -> None:
        """Sets what kazoo's `_read_response` would."""
        client, request, result = self.client, asked.request, asked.result
        if zxid > client.last_zxid:  # a server's never go down; a read's own may be an old one
            client.last_zxid = zxid
        missing = code == Error.NO_NODE and request.type == wire.EXISTS
        if code and not missing:
            set_result(result.set_exception, EXCEPTIONS[code]())
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
                set_result(result.set_exception, error)
                return
            if request.type == wire.MULTI:
                response = Transaction.unchroot(client, response)
        set_result(result.set, response)
        watcher = getattr(request, "watcher", None)
        if watcher and not client._stopped.is_set():
            lists = request.type in (wire.GET_CHILDREN, wire.GET_CHILDREN2)
            (client._child_watchers if lists else client._data_watchers)[request.path].add(watcher)

    def leave(self) -> List[CallerRequest]:
        """In kazoo's thread, before it tells that the connection is gone: what nobody will answer."""
        channel = self._channel
        return [] if channel is None else channel.close()
