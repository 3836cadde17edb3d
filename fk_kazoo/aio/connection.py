"""One connection of a client: a session of the engine, and the requests that wait for its answers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Dict, List, Optional, Protocol, Union

from kazoo.exceptions import ConnectionLoss

from fk_backend.core.requests import Result
from fk_backend.errors import BackendError, Unknown
from fk_backend.ports import Gateway
from fk_backend.providers import provider
from fk_backend.session.engine import LOST, Opened, Session
from fk_backend.session.ops import Done, RemoveWatches
from fk_backend.session.watchlist import Event

from .. import wire
from ..attaching import attach
from ..url import DeploymentUrl
from .watches import Armed, Watcher

WRITERS_S = 0.5
"""How often a client that reads only asks whether writes are taken again."""
LEAVE_S = 3.0
"""How long the end of a connection waits until everything that it registered is removed."""


class Call:
    """A request, and who waits for its answer: nobody, where the future is cancelled."""

    __slots__ = ("armed", "future", "request", "watcher")

    def __init__(
        self,
        request: Any,
        future: "asyncio.Future[Any]",
        watcher: Optional[Watcher] = None,
        armed: Optional[Armed] = None,
    ) -> None:
        self.request = request
        self.future = future
        self.watcher = watcher
        self.armed = armed

    def fail(self, error: BaseException) -> None:
        """It gets no answer."""
        if not self.future.done():
            self.future.set_exception(error)


class Owner(Protocol):
    """Whose connection it is."""

    def answered(self, call: Call, result: Result) -> None:
        """An answer, in the order of requests."""

    def fired(self, event: Event) -> None:
        """A watch event, before every answer that shows it."""

    def over(self, connection: Connection, reason: str, why: str) -> None:
        """The connection is gone. Its calls are still in `Connection.calls`."""


class Connection:
    """`session.listener.Listener` of a session, made over a gateway."""

    __slots__ = (
        "_at_once",
        "_owner",
        "_session",
        "_writer",
        "_writers",
        "calls",
        "opened",
        "read_only",
        "reason",
        "why",
    )

    def __init__(self, gateway: Gateway, url: DeploymentUrl, owner: Owner) -> None:
        self._owner = owner
        self._session = Session(gateway, url.namespace, self)
        waits = getattr(gateway, "waits", False)
        self._at_once = not waits and getattr(provider(url.scheme), "READS_AT_ONCE", False)
        self._writers: "Optional[asyncio.Future[None]]" = None
        self._writer: "Optional[asyncio.Task[Any]]" = None
        """Who writes at once in this turn of the event loop."""
        self.calls: Dict[Call, None] = {}
        """What is not answered yet, oldest first."""
        self.opened: Optional[Opened] = None
        self.read_only = False
        self.reason = ""
        """Why it is over; empty while it is not."""
        self.why = ""
        """The same, as a sentence for a log."""

    async def open(
        self, session: int, password: bytes, timeout_ms: int, seen_zxid: int, gateway: Optional[Gateway]
    ) -> bool:
        """Opens a session, or goes on with one. False if that one is over. BackendError if it can't be reached.

        ``seen_zxid``: behind which it must not go back. ``gateway``: given, where reading alone will do, if there is
        nobody who takes writes.
        """
        try:
            if session:
                self.opened = await attach(self._session, session, password, seen_zxid)
            else:
                self.opened = await self._session.open(timeout_ms)
        except BackendError:
            if gateway is None:
                raise
            self.opened = await self._session.observe(timeout_ms)
            self.read_only = True
            self._writers = asyncio.ensure_future(self._note_writers(gateway))
        return self.opened is not None

    async def _note_writers(self, gateway: Gateway) -> None:
        while not self.reason:
            await asyncio.sleep(WRITERS_S)
            with contextlib.suppress(BackendError):
                await gateway.check()
                self._session.end(LOST, "writes are taken again")

    def now(self, request: Any) -> Union[Result, Done, None]:
        """The answer, where nothing has to be waited for, or None: `send` it.

        A Done: it was done, and there are events to be told before its answer; `send` that, too. ConnectionLoss: a
        write may have been done, and this connection is over.
        """
        session = self._session
        if not self._at_once or session.busy:
            return None
        if request.type in wire.READS:
            return session.read_now(wire.operation(request))
        if request.type not in wire.WRITES or not self._is_only_writer():
            return None
        try:
            return session.write_now(wire.operation(request))
        except Unknown as error:
            session.end(LOST, str(error))
            raise ConnectionLoss() from error
        except BaseException:  # a signal's handler: who is to be told of it is told
            session.finish_fan_out()
            raise

    def _is_only_writer(self) -> bool:
        """Whether no other task has written in this turn of the event loop. Several are better off in one message."""
        task = asyncio.current_task()
        if self._writer is None:
            self._writer = task
            asyncio.get_running_loop().call_soon(self._iteration_ended)
        return self._writer is task

    def _iteration_ended(self) -> None:
        self._writer = None

    def send(self, call: Call, done: Optional[Done] = None) -> None:
        """Asks; the answer comes to the owner. With what it came to, if it is done."""
        self.calls[call] = None
        self._session.submit(call, wire.operation(call.request) if done is None else done)

    def disarm(self, armed: Armed) -> None:
        """Removes a watch that nobody waits for; after what was asked for before."""
        self._session.submit(None, RemoveWatches(armed.path, (armed.mode,)))

    def replied(self, tag: Optional[Call], result: Result) -> None:
        """`Listener.replied`."""
        if tag is not None:
            del self.calls[tag]
            self._owner.answered(tag, result)

    def fired(self, event: Event) -> None:
        """`Listener.fired`."""
        self._owner.fired(event)

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""
        self.reason, self.why = reason, why
        self._owner.over(self, reason, why)

    def hang_up(self) -> None:
        """Ends it, if it is not over; the session then ends by its timeout, unless another connection goes on."""
        self._session.end(LOST, "hung up")

    async def gone(self) -> None:
        """Waits, after its end, until nothing of it runs any more; in bounded time."""
        left: List[Any] = self._session.running()
        if self._writers is not None:
            self._writers.cancel()
            left.append(self._writers)
        for bound_s in (LEAVE_S, LEAVE_S):
            if left:
                await asyncio.wait(left, timeout=bound_s)
                left = [task for task in left if not task.done()]
                for task in left:
                    task.cancel()
