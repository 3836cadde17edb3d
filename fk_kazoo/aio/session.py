"""The life of a client: connecting, states, what waits for an answer, and the end, after which nothing of it runs.

While it is connected it has no task of its own: the session calls it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Coroutine, Dict, Iterable, List, Optional, Set, Tuple

from kazoo.exceptions import (
    AuthFailedError,
    ConfigurationError,
    ConnectionClosedError,
    ConnectionLoss,
    KazooException,
    SessionExpiredError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.serialization import Auth, CloseInstance
from kazoo.protocol.states import EVENT_TYPE_MAP, EventType, KazooState, KeeperState, WatchedEvent
from kazoo.retry import KazooRetry, RetryFailedError

from fk_backend.core.requests import Result
from fk_backend.errors import BackendError, DeploymentError, Unavailable
from fk_backend.ports import Gateway
from fk_backend.providers import provider
from fk_backend.session.engine import EXPIRED
from fk_backend.session.ops import Done
from fk_backend.session.watchlist import Event

from .. import jute, values, wire
from ..exceptions import EXCEPTIONS, DeploymentConfigurationError
from ..held_nodes import HeldNode, interrupt, uninterrupted
from ..loop_thread import without_forks
from ..requests import AddWatch
from ..url import DeploymentUrl
from ..why import FORKED, Why
from . import checks, deployments
from .connection import Call, Connection
from .retrying import Pauses
from .wakeup import Wakeup
from .watches import Armed, Watcher, Watches

if TYPE_CHECKING:
    from kazoo.protocol.states import _KeeperState, _State

NO_SESSION = bytes(16)
CLOSE_S = 3.0
"""How long the answer to a close is waited for; then the session ends by its timeout."""
MAX_AT_ONCE, MAX_TURN_S = 50, 0.005
"""So many answers that took no turn of the event loop come one after the other, for so long; then others run."""
_CONNECTED = (KeeperState.CONNECTED, KeeperState.CONNECTED_RO)
_CLOSED = (KeeperState.EXPIRED_SESSION, KeeperState.AUTH_FAILED, KeeperState.CLOSED)
_UNANSWERED: Dict[str, Callable[[], Exception]] = {
    KeeperState.AUTH_FAILED: AuthFailedError,
    KeeperState.EXPIRED_SESSION: SessionExpiredError,
}
"""What is raised for what is unanswered, by state; ConnectionLoss in every other."""

Listener = Callable[[Any], object]
_Tasks = Dict["asyncio.Task[Any]", None]


class Life:
    """What a client is besides its operations. States, and what they do to calls and watchers, are kazoo's."""

    __slots__ = (  # what an app adds still has room; a thousand clients are smaller by as many kilobytes
        "__dict__ __weakref__ _at_end _at_once _cleanup _closing_tasks _command_retry _connecting _connection"
        " _connection_retry _decided _ended _failure _held_nodes _iteration_deadline _listeners _loop _opening"
        " _parents _parted _pid _queue _session_id _session_passwd _session_timeout _state _stopped _stopping"
        " _tasks _watches auth_data chroot default_acl deployment last_zxid logger read_only state"
    ).split()
    deployment: DeploymentUrl
    chroot: str
    logger: logging.Logger
    auth_data: Set[Tuple[str, str]]

    _parted: Optional[Why]

    def __init__(
        self, timeout_s: float, client_id: Optional[Tuple[int, bytes]], read_only: bool, connection_retry: KazooRetry
    ) -> None:
        self.state: _State = KazooState.LOST
        """One of KazooState."""
        self.read_only = read_only
        self.last_zxid = 0
        """The highest zxid that this client was shown."""
        self._connection_retry = connection_retry
        self._session_timeout = int(timeout_s * 1000)
        self._session_id, self._session_passwd = client_id or (0, NO_SESSION)
        self._state: _KeeperState = KeeperState.CLOSED
        self._listeners: Dict[Listener, None] = {}
        self._at_end: Dict[Callable[[], object], None] = {}
        """What is called when it was stopped."""
        self._watches = Watches(self._disarm)
        self._queue: List[Call] = []
        self._connection: Optional[Connection] = None
        self._opening: Optional[deployments.Opening] = None
        self._connecting: "Optional[asyncio.Task[None]]" = None
        self._decided: "Optional[asyncio.Future[None]]" = None
        self._stopping: "Optional[asyncio.Future[None]]" = None
        self._failure: Optional[BaseException] = None
        self._stopped = True
        self._ended = Wakeup()
        self._tasks: _Tasks = {}
        """Of recipes; they end with the client."""
        self._closing_tasks: _Tasks = {}
        """Of connections that are over."""
        self._held_nodes: Dict[HeldNode, None] = {}
        self._parted = None
        self._at_once = 0
        """How many answers came without a turn of the event loop in between."""
        self._iteration_deadline = 0.0
        self._pid = 0
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._parents: List[Any] = []
        """In a forked child: what is the parent's, and is to be left as it is."""

    @property
    def connected(self) -> bool:
        """Whether it is connected."""
        return self._state in _CONNECTED

    @property
    def client_state(self) -> _KeeperState:
        """One of KeeperState."""
        return self._state

    @property
    def client_id(self) -> Optional[Tuple[int, bytes]]:
        """The session's id and password; None if it is not connected."""
        return (self._session_id, self._session_passwd) if self.connected else None

    # --- start and stop -------------------------------------------------------------------------

    async def start(self, timeout: float = 15.0) -> None:
        """Connects. KazooTimeoutError if that takes longer than ``timeout`` seconds; AuthFailedError.

        DeploymentConfigurationError, at once, if the deployment can't be used until somebody does something.
        """
        self._own_loop()
        if self.connected and not self._stopped:
            return
        await self._stop_ended()
        if self._stopped:
            self._begin()
        decided = self._decided
        assert decided is not None
        try:
            await asyncio.wait((decided,), timeout=timeout)
        except asyncio.CancelledError:
            await self.stop()
            raise
        if self.connected:
            return
        if decided.cancelled():
            raise KazooTimeoutError("Connection time-out: it was stopped meanwhile")
        failure, refused = self._failure, self._state == KeeperState.AUTH_FAILED
        await self.stop()
        if refused:
            raise AuthFailedError()
        if isinstance(failure, DeploymentError):
            raise DeploymentConfigurationError("%s: %s" % (self.deployment, failure)) from failure
        raise KazooTimeoutError(
            "Connection time-out" + ("" if failure is None else ": %s" % (str(failure) or "no answer"))
        ) from failure

    def _begin(self) -> None:
        url = self.deployment
        try:
            with without_forks():
                provider(url.scheme).check(url.deployment, url.settings())
        except DeploymentError as error:
            raise DeploymentConfigurationError("%s: %s" % (url, error)) from error
        self._pid, self._loop = os.getpid(), asyncio.get_running_loop()
        self._opening = deployments.acquire(url, self)
        self._stopped, self._failure = False, None
        self._ended.clear()
        self._go_on()

    def _go_on(self) -> None:
        """Begins to connect."""
        self._decided = asyncio.get_running_loop().create_future()
        with uninterrupted():  # whoever asked just when the connection was lost
            self._connecting = asyncio.ensure_future(self._connect())

    async def stop(self) -> None:
        """Ends the session and the connection, and waits until nothing of them runs any more. It may be started again.

        Where the deployment does not answer, that takes some seconds, and the session ends by its timeout.
        """
        self._own_loop()
        if self._stopped:
            return await self._stop_ended()
        self._stopped = True
        opening, self._opening = self._opening, None
        connecting, self._connecting = self._connecting, None
        ended = self._stopping = asyncio.get_running_loop().create_future()
        try:
            await _cancelled([*self._tasks, connecting])
            await self._close_session()
        finally:
            self._end()
            if self._decided is not None:
                self._decided.cancel()  # who waits in `start`
            self._stopping = None
            ended.set_result(None)
            if opening is not None:
                await asyncio.shield(asyncio.ensure_future(self._leave(opening)))

    async def _stop_ended(self) -> None:
        """A stop that another task began, and that may wait for this one, is over."""
        if self._stopping is not None and asyncio.current_task() not in self._tasks:
            await asyncio.wait((self._stopping,))

    async def _close_session(self) -> None:
        connection = self._connection
        if connection is not None and not connection.reason and not connection.read_only:
            connection.send(self._unheard(CloseInstance))
            first_answer_s = getattr(provider(self.deployment.scheme), "FIRST_ANSWER_S", 0.0)
            await self._ended.wait(max(CLOSE_S, first_answer_s))

    def _end(self) -> None:
        connection = self._connection
        if connection is not None and not connection.reason:
            connection.hang_up()
        self._session_callback(KeeperState.CLOSED)
        self._connection = None
        for wake in list(self._at_end):
            wake()

    async def _leave(self, opening: deployments.Opening) -> None:
        while self._closing_tasks:
            await asyncio.wait(self._closing_tasks)
        await deployments.release(opening, self)

    def _own_loop(self) -> None:
        """RuntimeError, as asyncio's own, in another event loop than the one that it was started in."""
        if self._stopped or self._loop is None or self._loop is asyncio.get_running_loop():
            return
        raise RuntimeError(
            "this client of %s was started in another event loop%s: use it there, or make a client in this one"
            % (self.deployment, ", which is closed; its session ends by its timeout" if self._loop.is_closed() else "")
        )

    async def close(self) -> None:
        """As `stop`."""
        await self.stop()

    async def restart(self) -> None:
        """Stops and starts: with a new session."""
        await self.stop()
        await self.start()

    def _spawn(
        self, coroutine: Coroutine[Any, Any, Any], tasks: "Dict[asyncio.Task[Any], None]"
    ) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(coroutine)
        tasks[task] = None
        task.add_done_callback(lambda _: tasks.pop(task, None))
        return task

    # --- connecting -----------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Until it is connected, or may not try again."""
        pauses = Pauses(self._connection_retry)
        while not self._stopped:
            try:
                if await self._attempt():
                    return
                self._session_callback(KeeperState.EXPIRED_SESSION)
                continue
            except (BackendError, OSError, asyncio.TimeoutError) as error:
                self.logger.warning("can't connect to %s: %s", self.deployment, str(error) or "no answer")
                self._failure = error
            except Exception as error:  # a bug must not leave everybody waiting
                self.logger.exception("connecting to %s failed", self.deployment)
                self._failure = error
            self._decide()
            try:
                await pauses.pause()
            except RetryFailedError:
                self.logger.warning("Failed connecting to %s within the connection retry policy.", self.deployment)
                self._session_callback(KeeperState.CLOSED)
                return self._decide(finally_=True)

    async def _attempt(self) -> bool:
        """Whether it is connected, or was stopped; False if the session is over."""
        self._session_callback(KeeperState.CONNECTING)
        url = self.deployment
        gateway = await self._gateway()
        connection = Connection(gateway, url, self)
        timeout_s = max(self._session_timeout / 1000.0, getattr(provider(url.scheme), "FIRST_ANSWER_S", 0.0))
        wanted = (self._session_id, self._session_passwd, self._session_timeout, self.last_zxid)
        if not await asyncio.wait_for(connection.open(*wanted, gateway if self.read_only else None), timeout_s):
            self._spawn(connection.gone(), self._closing_tasks)
            return False
        if self._stopped or connection.reason:  # it was over before anybody could be told
            connection.hang_up()
            self._spawn(connection.gone(), self._closing_tasks)
            if self._stopped or connection.reason == EXPIRED:
                return self._stopped
            raise Unavailable("the connection was lost")
        assert connection.opened is not None
        self._session_id, self._session_passwd = connection.opened[:2]
        self._connection, self._connecting, self._failure = connection, None, None
        self._session_callback(KeeperState.CONNECTED_RO if connection.read_only else KeeperState.CONNECTED)
        self._greet(connection)
        self._decide()
        return True

    async def _gateway(self) -> Gateway:
        """The way to the deployment, opened again where it is not there any more. BackendError."""
        assert self._opening is not None
        if self._opening.failed():
            failed, self._opening = self._opening, deployments.acquire(self.deployment, self)
            await deployments.release(failed, self)
        return await self._opening.gateway()

    def _greet(self, connection: Connection) -> None:
        """What a connection starts with: credentials, the watches that stay, and what was asked meanwhile."""
        if not connection.read_only:
            for scheme, credential in list(self.auth_data):
                connection.send(self._unheard(Auth(0, scheme, credential)))
            for armed in self._watches.staying():
                connection.send(self._unheard(AddWatch(armed.path, None, armed.mode)))
        waiting, self._queue = self._queue, []
        for call in waiting:
            if call.armed is not None or not call.future.done():
                connection.send(call)

    def _decide(self, finally_: bool = False) -> None:
        """`start` waits for the connection, and not for what no try will change."""
        decided = self._decided
        if decided is not None and not decided.done():
            if finally_ or self.connected or isinstance(self._failure, DeploymentError):
                decided.set_result(None)

    # --- states ---------------------------------------------------------------------------------

    def add_listener(self, listener: Listener) -> None:
        """Has ``listener(state)`` called in the event loop at each change of `state`, until it returns True."""
        if not callable(listener):
            raise ConfigurationError("listener must be callable")
        checks.not_awaited("listener", listener)
        self._listeners[listener] = None

    def remove_listener(self, listener: Listener) -> None:
        """Takes back what `add_listener` was given."""
        self._listeners.pop(listener, None)

    def _make_state_change(self, state: _State) -> None:
        if self.state == state:
            return
        self.state = state
        for listener in list(self._listeners):
            try:
                if listener(state) is True:
                    self.remove_listener(listener)
            except Exception:
                self.logger.exception("Error in connection state listener")

    def _session_callback(self, state: _KeeperState) -> None:
        """kazoo's rules."""
        if state == self._state:
            return
        was_closed, self._state = self._state in _CLOSED, state
        if was_closed and state == KeeperState.CONNECTING:
            return
        if state in _CONNECTED:
            self._make_state_change(KazooState.CONNECTED)
        elif state in _CLOSED:
            self._make_state_change(KazooState.LOST)
            self._notify_pending(state)
            self._notify_watchers(list(self._watches.lost(all_of_them=True)), WatchedEvent(EventType.NONE, state, None))
            self._session_id, self._session_passwd, self.last_zxid = 0, NO_SESSION, 0
        else:
            self._notify_pending(state)
            self._make_state_change(KazooState.SUSPENDED)
            self._notify_watchers(
                list(self._watches.lost(all_of_them=False)), WatchedEvent(EventType.NONE, state, None)
            )

    def _notify_pending(self, state: _KeeperState) -> None:
        connection, queue = self._connection, self._queue
        waiting = [*(() if connection is None else connection.calls), *queue]
        queue.clear()
        for call in waiting:
            call.fail(_UNANSWERED.get(state, ConnectionLoss)())

    # --- the connection's owner -----------------------------------------------------------------

    def over(self, connection: Connection, reason: str, why: str) -> None:
        """`Owner.over`."""
        if connection is not self._connection:
            return
        self._ended.wake()
        self._spawn(connection.gone(), self._closing_tasks)
        if self._stopped or self._state == KeeperState.AUTH_FAILED:
            return
        self.logger.warning("Connection to %s dropped: %s", self.deployment, why)
        self._session_callback(KeeperState.EXPIRED_SESSION if reason == EXPIRED else KeeperState.CONNECTING)
        self._connection = None
        self._go_on()

    def fired(self, event: Event) -> None:
        """`Owner.fired`."""
        self.last_zxid = max(self.last_zxid, event.zxid)
        watched = WatchedEvent(EVENT_TYPE_MAP[event.kind], self._state, self.unchroot(event.path))
        if not self._stopped:
            self._notify_watchers(self._watches.fired(event.kind, event.path), watched)

    def _notify_watchers(self, watchers: Iterable[Watcher], event: WatchedEvent) -> None:
        """At once: an answer that shows what it tells may be there without another turn of the loop."""
        for watcher in watchers:
            try:
                watcher(event)
            except Exception:
                self.logger.exception("Exception in a watch function")

    def answered(self, call: Call, result: Result) -> None:
        """`Owner.answered`."""
        request, future = call.request, call.future
        self.last_zxid = max(self.last_zxid, result.zxid)
        if request.type == jute.AUTH and result.code:
            call.fail(AuthFailedError())
            self._session_callback(KeeperState.AUTH_FAILED)
            return self._decide(finally_=True)
        failed = bool(result.code) and not values.is_missing(request, result)
        if call.armed is not None and call.watcher is not None and self._state in _CONNECTED:
            self._watches.answered(call.armed, call.watcher, not failed, not future.done())
        if request.type == wire.REMOVE_WATCHES and not failed:
            self._watches.removed(request.path)
        if future.done():
            return
        try:
            future.set_result(self._outcome(request, result))
        except KazooException as error:
            future.set_exception(error)

    def _outcome(self, request: Any, result: Result) -> Any:
        """What the caller gets, or the error that it raises."""
        if result.code and not values.is_missing(request, result):
            raise EXCEPTIONS[result.code]()
        return values.value(request, result)

    # --- calls ----------------------------------------------------------------------------------

    def unchroot(self, path: str) -> str:
        """The path without the chroot."""
        if not self.chroot or not path.startswith(self.chroot):
            return path
        return "/" if path == self.chroot else path[len(self.chroot) :]

    def _unheard(self, request: Any) -> Call:
        """A request whose answer nobody waits for."""
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        return Call(request, future)

    def _send(self, request: Any, watcher: Optional[Watcher] = None, mode: str = "") -> "asyncio.Future[Any]":
        """Asks, in one step: what is asked later comes later. The answer is the future's.

        AuthFailedError, SessionExpiredError, ConnectionClosedError where nobody is there to be asked, as kazoo's.
        """
        self._own_loop()
        state = self._state
        if state == KeeperState.AUTH_FAILED:
            raise AuthFailedError()
        if state == KeeperState.CLOSED or self._pid != os.getpid():
            raise ConnectionClosedError("Connection has been closed")
        if state == KeeperState.EXPIRED_SESSION:
            raise SessionExpiredError()
        call = Call(request, asyncio.get_running_loop().create_future())
        if watcher is not None:
            call.watcher, call.armed = watcher, Armed(mode, request.path)
            self._watches.asked(call.armed)
        if self._connection is None:
            self._queue.append(call)
        elif watcher is not None or not self._done_at_once(self._connection, call):
            self._connection.send(call)
        return call.future

    def _done_at_once(self, connection: Connection, call: Call) -> bool:
        try:
            result = connection.now(call.request)
        except ConnectionLoss as error:
            call.fail(error)
            return True
        if isinstance(result, Done):
            connection.send(call, result)
        elif result is not None:
            self.answered(call, result)
        return result is not None

    async def _ask(self, request: Any, watcher: Optional[Watcher] = None, mode: str = "") -> Any:
        """Asks and waits. Who is cancelled leaves no watch behind. LockLostError in the body of a lock that is lost."""
        interrupt(self)
        future = self._send(request, watcher, mode)
        try:
            if future.done():
                await self._let_others_run()
            else:
                self._at_once = 0
            return await future
        except asyncio.CancelledError:
            if watcher is not None and future.done() and not future.cancelled():
                self._watches.remove(Armed(mode, request.path), watcher)
            raise

    def forked(self) -> None:
        """`deployments.User`, in a child: nothing is held here, and there is no session until `start` is called."""
        for hold in list(self._held_nodes):
            hold.forked()
        self._held_nodes.clear()
        self._parents.append((self._connection, self._opening, self._connecting, self._tasks, self._closing_tasks))
        self._connection = self._opening = self._connecting = self._stopping = None
        self._tasks, self._closing_tasks, self._queue = {}, {}, []
        self._listeners, self._at_end, self._watches = {}, {}, Watches(self._disarm)
        self.state, self._state, self._parted = KazooState.LOST, KeeperState.CLOSED, FORKED
        self._session_id, self._session_passwd, self.last_zxid = 0, NO_SESSION, 0
        self._stopped = True

    async def _let_others_run(self) -> None:
        """Answers that are there at once, one after the other, would keep every other task from running."""
        self._at_once += 1
        if self._at_once >= MAX_AT_ONCE or monotonic() > self._iteration_deadline:
            self._at_once = 0
            await asyncio.sleep(0)
            self._iteration_deadline = monotonic() + MAX_TURN_S

    def _disarm(self, armed: Armed) -> None:
        if self._connection is not None and self._state in _CONNECTED:
            self._connection.disarm(armed)


async def _cancelled(tasks: "List[Optional[asyncio.Task[Any]]]") -> None:
    """Cancels them, and waits until they have ended."""
    mine = asyncio.current_task()
    left = [task for task in tasks if task is not None and task is not mine]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)
