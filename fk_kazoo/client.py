"""kazoo's KazooClient on a deployment: every method, recipe, listener and retry is kazoo's; what is below is not.

    from fk_kazoo.client import KazooClient

``hosts`` is a deployment URL (see `fk_kazoo.url`), or ZooKeeper's own form with ``FK_KAZOO_URL`` naming the deployment.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import inspect
import logging
import os
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Collection, Dict, Iterator, List, Optional, Tuple, Union, cast

if TYPE_CHECKING:
    from kazoo._client_names import *  # noqa: F403 (all but its KazooClient; a module of the types only)
    from kazoo.client import _Acls
    from kazoo.interfaces import IAsyncResult, IHandler
    from kazoo.protocol.states import ZnodeStat, _KeeperState, _State
    from kazoo.retry import KazooRetry as KazooRetry
else:
    from kazoo.client import *  # noqa: F403

import kazoo.client as _kazoo
from kazoo.client import CLOSED_STATES as CLOSED_STATES
from kazoo.client import TransactionRequest as TransactionRequest
from kazoo.exceptions import AuthFailedError as AuthFailedError
from kazoo.exceptions import ConfigurationError as ConfigurationError
from kazoo.exceptions import ConnectionClosedError as ConnectionClosedError
from kazoo.exceptions import ConnectionLoss as ConnectionLoss
from kazoo.exceptions import SessionExpiredError as SessionExpiredError
from kazoo.exceptions import WriterNotClosedException as WriterNotClosedException
from kazoo.protocol.connection import AUTH_XID
from kazoo.protocol.paths import _prefix_root
from kazoo.protocol.paths import normpath as normpath
from kazoo.protocol.serialization import Auth as Auth
from kazoo.protocol.serialization import CloseInstance as CloseInstance
from kazoo.protocol.states import Callback as Callback
from kazoo.protocol.states import EventType as EventType
from kazoo.protocol.states import KazooState as KazooState
from kazoo.protocol.states import KeeperState as KeeperState
from kazoo.protocol.states import WatchedEvent as WatchedEvent
from kazoo.security import OPEN_ACL_UNSAFE as OPEN_ACL_UNSAFE
from kazoo.version import __version__

from fk_backend.errors import DeploymentError
from fk_backend.functions.words import answer_word
from fk_backend.providers import provider

from . import held_nodes, listeners, loop_thread, refusals, result_setting, workers
from .connection import SET_WATCHES_XID
from .exceptions import DeploymentConfigurationError
from .extensions import Extensions
from .handler_class import adopt
from .persistent_watches import PersistentWatches
from .requests import AddWatch, CreateContainer, CreateTTL
from .requests import AddWatchMode as AddWatchMode
from .url import resolve
from .waiting import note_who_waits, waits

COMMAND_TIMEOUT_S = 10.0
SLICE_S = 0.001
"""Between two tries to get the lock of the queue."""

_ENDS_WITHOUT_CLOSE = __version__.startswith("2.10.")
"""That release drops at once what is queued when it is stopped, the close of the session included (its PR #688)."""
_OPTIONS = tuple(inspect.signature(_kazoo.KazooClient.__init__).parameters)[2:]
"""kazoo's, after ``self`` and ``hosts``: they may be given by position."""
_AT_IMPORT = _kazoo.ConnectionHandler
_UNANSWERED = {KeeperState.AUTH_FAILED: AuthFailedError, KeeperState.EXPIRED_SESSION: SessionExpiredError}
"""What kazoo raises for what is unanswered, by state; ConnectionLoss in every other."""
LOOK_S = 1.0
"""So often `start` looks whether it has to begin again."""
_CONNECTED = (KeeperState.CONNECTED, KeeperState.CONNECTED_RO)


class KazooClient(Extensions, PersistentWatches, _kazoo.KazooClient):
    """kazoo's client on a deployment. Takes everything that kazoo's takes, and a deployment URL as ``hosts``.

    Raises `DeploymentConfigurationError` (a ConfigurationError) for a URL that can't be
    understood, for ZooKeeper hosts without ``FK_KAZOO_URL``, and for TLS and SASL options, which belong to servers.
    """

    if not TYPE_CHECKING:

        def __init__(self, hosts=None, *args, **kwargs):
            self._set_up(hosts, args, kwargs)

    else:  # what type checkers and the API reference read

        def __init__(
            self,
            hosts: Union[str, List[str], None] = None,
            timeout: float = 10.0,
            client_id: Optional[Tuple[int, bytes]] = None,
            handler: Optional[IHandler] = None,
            default_acl: Optional[_Acls] = None,
            auth_data: Optional[Collection[Tuple[str, str]]] = None,
            sasl_options: Optional[Dict[str, str]] = None,
            read_only: Optional[bool] = None,
            randomize_hosts: bool = True,
            connection_retry: Union[KazooRetry, Dict[str, Any], None] = None,
            command_retry: Union[KazooRetry, Dict[str, Any], None] = None,
            logger: Optional[logging.Logger] = None,
            keyfile: Optional[str] = None,
            keyfile_password: Optional[str] = None,
            certfile: Optional[str] = None,
            ca: Optional[str] = None,
            use_ssl: bool = False,
            verify_certs: bool = True,
            check_hostname: bool = False,
            **kwargs: Any,
        ) -> None:
            """``hosts``: a deployment URL, or ZooKeeper's hosts with ``FK_KAZOO_URL`` set. ``timeout``: in seconds."""

    def _set_up(self, hosts: Any, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
        """`__init__`; which options kazoo's takes depends on its release."""
        self._persistent = {}
        self._last_notice: Optional[listeners.Notice] = None
        self._held_nodes = {}
        self._ending = False
        self._in_call = False
        """Whether a signal's handler stops the client in the middle of a call, which holds the lock of the queue."""
        self._queuing_up = False
        """Whether a call is between kazoo's queue and its wake-up."""
        self._failure: Optional[BaseException] = None
        """Why the last try to connect failed."""
        refusals.refuse_server_options({**dict(zip(_OPTIONS, args)), **kwargs})
        super().__init__(hosts, *args, **kwargs)
        self._connection = self._connect_by(self._connection)
        self._state_reported, self._decided = self.handler.event_object(), self.handler.event_object()
        self._is_lost = False
        self._queue_lock, self._state_lock = self.handler.rlock_object(), self.handler.rlock_object()
        self._extend()
        loop_thread.clients.add(self)

    def _connect_by(self, made: Any) -> Any:
        """A connection by the class that kazoo's module names at this moment, or this module if an app replaced it."""
        here = globals()["ConnectionHandler"]
        if here is not _AT_IMPORT or made is None:
            maker = _kazoo.ConnectionHandler if here is _AT_IMPORT else here
            made = maker(self, self._conn_retry.copy(), logger=self.logger)
        return adopt(made)

    def set_hosts(self, hosts: Union[str, List[str], None], randomize_hosts: Optional[bool] = None) -> None:
        """As kazoo's; hosts may be a deployment URL. It takes effect at the next connect."""
        if randomize_hosts is not None:
            self.randomize_hosts = randomize_hosts
        try:
            url, addresses = resolve(hosts, os.environ)
        except DeploymentError as error:
            raise DeploymentConfigurationError(str(error)) from error
        chroot = normpath(url.chroot) if url.chroot else ""
        if self.chroot is not None and chroot != self.chroot:
            raise ConfigurationError("Changing chroot at runtime is not currently supported")
        if "fk_kazoo.run" in sys.modules:
            sys.modules["fk_kazoo.run"].note_substitution(addresses, url)
        self.deployment = url
        self.hosts = addresses or [(str(url), 0)]
        self.chroot = chroot

    @property
    def state(self) -> _State:
        """As kazoo's: one of KazooState."""
        loop_thread.ensure_own_process()
        return cast("_State", self.__dict__["state"])

    @state.setter
    def state(self, state: _State) -> None:
        self.__dict__["state"] = state

    @property
    def connected(self) -> bool:
        """As kazoo's."""
        loop_thread.ensure_own_process()
        return bool(super().connected)

    @property
    def client_state(self) -> _KeeperState:
        """As kazoo's: one of KeeperState."""
        loop_thread.ensure_own_process()
        return super().client_state

    @property
    def client_id(self) -> Optional[Tuple[int, bytes]]:
        """As kazoo's: the session's id and password, or None if it is not connected."""
        loop_thread.ensure_own_process()
        return super().client_id

    # --- start and stop -------------------------------------------------------------------------

    def start(self, timeout: float = 15) -> None:
        """As kazoo's; and when it returns, the listeners have been told.

        DeploymentConfigurationError, at once, if the deployment can't be used until somebody does something; the
        handler's timeout_exception if there may be another reason.
        """
        self._is_lost = False
        self.start_async()
        self._await_decision(time.monotonic() + timeout)
        try:
            super().start(0)
        except self.handler.timeout_exception as error:
            failure = self._failure
            if failure is None:
                raise
            if isinstance(failure, DeploymentError):
                raise DeploymentConfigurationError("%s: %s" % (self.deployment, failure)) from error
            raise self.handler.timeout_exception("Connection time-out: %s" % failure) from error
        if not listeners.inside():
            self._state_reported.wait(listeners.PATIENCE_S)

    def _await_decision(self, until: float) -> None:
        """Until it is connected, or never will be. Begins again if somebody else closed its files meanwhile."""
        left = until - time.monotonic()
        while left > 0:
            if self._is_lost:
                self._is_lost = False
                self.start_async()
            elif self._decided.wait(min(left, LOOK_S)) and not self._is_lost:
                return
            left = until - time.monotonic()

    def start_async(self) -> Any:
        """As kazoo's. DeploymentConfigurationError if the deployment can't be used as it is."""
        loop_thread.ensure_own_process()
        listeners.calling()
        with self._state_lock:
            if self._live.is_set() or (self._connection.running and not self._stopped.is_set()):
                return self._live
            url = self.deployment
            try:
                with loop_thread.without_forks():
                    provider(url.scheme).check(url.deployment, url.settings())
            except DeploymentError as error:
                raise DeploymentConfigurationError("%s: %s" % (url, error)) from error
            self._state_reported.clear()
            self._tried(None)
            live = super().start_async()
            atexit.unregister(self.handler.stop)  # which may wait for ever: see `workers`
            return live

    def _tried(self, failure: Optional[BaseException]) -> None:
        """A try to connect failed, or (None) they begin."""
        self._failure = failure
        self._decide()

    def _decide(self) -> None:
        """`start` waits for the connection, and not for what no try will change."""
        if self._state in _CONNECTED or isinstance(self._failure, DeploymentError):
            self._decided.set()
        else:
            self._decided.clear()

    def _session_callback(self, state: Any) -> None:
        try:
            super()._session_callback(state)
        finally:
            if state in _CONNECTED:
                self._failure = None
            self._decide()

    def stop(self) -> None:
        """As kazoo's, in bounded time, from any thread: within a listener or a watch function too."""
        loop_thread.ensure_own_process()
        listeners.calling()
        connection = self._connection
        if not connection.has_its_files():
            loop_thread.abandon_connection(self, connection)
        if not self._stopped.is_set():
            self._in_call = self._in_call or _owned(self._queue_lock)
            with loop_thread.current().loop_lock.release_temporarily(), self._state_lock:
                self._announce_close()
                if _ENDS_WITHOUT_CLOSE:
                    self._close_session()
                super().stop()
                self._queue.clear()

    def _announce_close(self) -> None:
        """Who is about to send or to queue something is let through, in bounded time."""
        for _ in range(20):
            if self._queue_lock.acquire(False):
                self._queue_lock.release()
                return
            self.handler.sleep_func(0.005)

    def _close_session(self) -> None:
        """Has everything that was asked for answered, and the session closed."""
        bell = self._connection._write_sock
        if self._live.is_set() and bell is not None:
            self._queue.append((CloseInstance, None))
            bell.send(b"\0")
            self._connection.connection_stopped.wait(self._connection.close_grace_s)

    def close(self) -> None:
        """As kazoo's."""
        loop_thread.ensure_own_process()
        with self._state_lock:
            super().close()

    def _safe_close(self) -> None:
        if self._last_notice is not None:
            self._last_notice.settled.set()
        workers.stop(self.handler)
        if not self._connection.stop(max(self._session_timeout / 1000.0, 10.0)):
            raise WriterNotClosedException("the connection is still busy, perhaps with a callback that does not return")
        notice = self._last_notice
        if notice is not None and not listeners.inside():
            notice.done.wait(workers.PATIENCE_S)

    def _forked(self) -> None:
        """In a forked child the session is the parent's: calls raise ConnectionClosedError, `start` opens a new one."""
        handler = self.handler
        workers.renew(handler)
        self._live, self._state_reported, self._decided = (handler.event_object() for _ in range(3))
        self._stopped, self._writer_stopped = handler.event_object(), handler.event_object()
        self._last_notice = None
        self._child_watchers.clear()
        self._data_watchers.clear()
        self._persistent.clear()
        self._conn_retry.interrupt = lambda: self._stopped.is_set()
        self.state = KazooState.LOST
        self._detach(forked=True)

    def _lose(self) -> None:
        """Somebody else closed its files: what is unanswered is ConnectionLoss, and `start` opens a new session."""
        waiting = (self._pending, self._queue)
        self._live.clear()
        asked = [each.result for each in self._detach(forked=False)]
        for queue in waiting:
            while queue:
                asked.append(queue.popleft()[1])
        for result in asked:
            if result is not None and not result.ready():
                result_setting.set_later(result.set_exception, ConnectionLoss())
        if self._last_notice is not None:
            self._last_notice.settled.set()
        workers.stop(self.handler, patience_s=0.0)
        self._make_state_change(KazooState.LOST, waits=False)
        self._is_lost = True
        self._decided.set()  # who waits in `start` begins again

    def _detach(self, forked: bool) -> List[Any]:
        """Begins anew, with a connection of its own, stopped. What callers had sent by the old one.

        No lock is asked for: who holds one may be what waits for this, or a thread that a child does not have.
        """
        handler, connection = self.handler, self._connection
        self._stopped.set()
        self._writer_stopped.set()
        self._queue_lock, self._state_lock = handler.rlock_object(), handler.rlock_object()
        self._state = KeeperState.CLOSED
        self._ending = self._in_call = self._queuing_up = False
        self._lose_connection(forked)
        self._reset()
        left: List[Any] = connection.leave_behind(self._detached_client(), forked)
        self._connection = self._connect_by(None)
        return left

    def _detached_client(self) -> Any:
        """A client that is stopped, and that nobody has or hears of."""
        client = copy.copy(self)
        client._stopped, client.state_listeners = self.handler.event_object(), set()
        client._queue_lock, client._held_nodes = self.handler.rlock_object(), {}
        client._stopped.set()
        client.logger = logging.Logger("nobody", logging.CRITICAL)
        client._reset()
        return client

    # --- calls ----------------------------------------------------------------------------------

    def _call(self, request: Any, async_object: Any) -> Any:
        thread = loop_thread.current()
        listeners.calling()
        thread.loop_lock.release_in_handler()
        held_nodes.interrupt(self)
        if self._ending:  # callers that try again at once would not let the connection's thread have the lock
            self.handler.sleep_func(2 * SLICE_S)
        lock = self._queue_lock
        mine = _owned(lock)
        try:
            with lock:
                try:
                    return self._dispatch(request, async_object)
                finally:
                    if self._in_call:
                        self._in_call = False
                        self._stopped_within(async_object)
        except BaseException:  # a signal's handler may have raised at the very moment at which the lock was given back
            if not mine and _owned(lock):
                lock.release()
            raise

    def _dispatch(self, request: Any, async_object: Any) -> Any:
        """Answers a request at once, sends it, or queues it for kazoo's thread."""
        connection = self._connection
        if connection.usual() and self._state == KeeperState.CONNECTED and not self._queue and not connection.sending:
            if not self._pending and (
                connection.read_now(request, async_object)
                or (waits(self) and connection.write_now(request, async_object))
            ):
                return None
            if connection.submit_now(request, async_object):
                return None
        return self._queue_up(request, async_object)

    def _stopped_within(self, async_object: Any) -> None:
        """Nobody answers any more what was queued after a signal's handler had stopped the client."""
        if async_object is None or async_object.ready() or not self._stopped.is_set():
            return
        for waiting in (self._queue, self._pending):
            for entry in [entry for entry in waiting if entry[1] is async_object]:
                waiting.remove(entry)
        async_object.set_exception(ConnectionClosedError("Connection has been closed"))

    def _queue_up(self, request: Any, async_object: Any) -> Any:
        """As kazoo's `_call`; whatever interrupts it, what is in the queue is followed by a wake-up."""
        connection = self._connection
        if not connection.has_its_files():
            loop_thread.abandon_connection(self, connection)
        bell = connection._write_sock
        if self._state in CLOSED_STATES or bell is None:
            return super()._call(request, async_object)
        queue, is_nested = self._queue, self._queuing_up
        try:
            self._queuing_up = True
            queue.append((request, async_object))
            if is_nested:  # a signal's handler waits: kazoo takes one request for each byte, its caller's first
                bell.send(b"\0")
            bell.send(b"\0")
        except OSError:
            with contextlib.suppress(ValueError):
                queue.remove((request, async_object))
            async_object.set_exception(ConnectionClosedError("Connection has been closed"))
        except BaseException:
            self._connection.wake()
            raise
        finally:
            self._queuing_up = is_nested
        return None

    def _notify_pending(self, state: Any) -> None:
        """As kazoo's. The lock: a call that saw the session alive is queued before the queue is thrown away."""
        for asked in self._connection.leave():
            result_setting.set_later(asked.result.set_exception, _UNANSWERED.get(state, ConnectionLoss)())
        self._ending = True
        held = self._queue_lock.acquire(False)
        while not held and not self._in_call:  # its holder may wait for room in the pipe that this thread empties
            self._connection.empty_pipe()
            self.handler.sleep_func(SLICE_S)
            held = self._queue_lock.acquire(False)
        self._ending = False
        try:
            super()._notify_pending(state)
        finally:
            if held:
                self._queue_lock.release()

    def _make_state_change(self, state: Any, waits: bool = True) -> None:
        if self.state == state:
            return
        self.state = state
        heard = list(self.state_listeners)

        def tell() -> None:
            for listener in heard:
                try:
                    if listener(state) is True:
                        self.remove_listener(listener)
                except Exception:
                    self.logger.exception("Error in connection state listener")

        if heard:
            self._last_notice = listeners.Notice(self.handler, self._last_notice)
            self._last_notice.deliver(tell, waits)
        self._state_reported.set()

    def _greetings(self) -> Iterator[Tuple[Any, int]]:
        """What a new connection starts with: credentials, and the watches that stay."""
        for scheme, credential in list(self.auth_data):
            yield Auth(0, scheme, credential), AUTH_XID
        for path, mode in list(self._persistent):
            yield AddWatch(path, None, mode), SET_WATCHES_XID

    def command(self, cmd: bytes = b"ruok") -> str:
        """A four letter word, answered for the deployment: ruok, srvr, stat, mntr, envi, cons, wchs, dump, isro.

        ConnectionLoss if there is no connection, as kazoo's.
        """
        loop_thread.ensure_own_process()
        if not self._live.is_set():
            raise ConnectionLoss("No connection to server")
        opening, url = self._connection._opening, self.deployment
        if opening is None:
            raise ConnectionLoss("No connection to server")

        async def ask() -> str:
            word = cmd.decode("ascii", "replace")
            return await answer_word(await opening.gateway(), url.namespace, word, str(url), socket.gethostname())

        try:
            answer: str = loop_thread.run(self.handler, ask, COMMAND_TIMEOUT_S)
        except self.handler.timeout_exception as error:
            raise ConnectionLoss("no answer from %s" % url) from error
        return answer

    def reconfig_async(
        self, joining: Optional[str], leaving: Optional[str], new_members: Optional[str], from_config: int
    ) -> IAsyncResult[Tuple[bytes, ZnodeStat]]:
        """A deployment has no servers to reconfigure: always an error, ZooKeeper's own where there is one."""
        refusals.check_reconfig(joining, leaving, new_members, from_config)
        result = self.handler.async_result()
        result.set_exception(refusals.reconfig_error(joining, new_members, self.auth_data))
        return result

    # --- ZooKeeper 3.5 and 3.6 ------------------------------------------------------------------

    def create_container(self, path: str, value: bytes = b"", acl: Optional[_Acls] = None) -> str:
        """Creates a node that is removed when it has had children and has none any more (ZooKeeper 3.5). Its path."""
        acl = acl or self.default_acl or OPEN_ACL_UNSAFE
        return self._created(CreateContainer(_prefix_root(self.chroot, path), value, acl, 0))

    def create_ttl(
        self, path: str, ttl_ms: int, value: bytes = b"", acl: Optional[_Acls] = None, sequence: bool = False
    ) -> str:
        """Creates a node that is removed when it was not changed for ``ttl_ms`` and has no children. Its path."""
        acl = acl or self.default_acl or OPEN_ACL_UNSAFE
        full = _prefix_root(self.chroot, path, trailing=sequence)
        return self._created(CreateTTL(full, value, acl, 6 if sequence else 5, ttl_ms))

    def _created(self, request: Any) -> str:
        result = self.handler.async_result()
        self._call(request, result)
        return self.unchroot(result.get()[0])


note_who_waits(KazooClient)


def _owned(lock: Any) -> bool:
    """Whether the caller holds this lock already: a signal's handler that interrupted a call does."""
    owned = getattr(lock, "_is_owned", None)
    return bool(owned()) if owned is not None else False


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Underscored names of kazoo's module, which a star import leaves out."""
        try:
            return getattr(_kazoo, name)
        except AttributeError:
            raise AttributeError("module %r has no attribute %r" % (__name__, name)) from None


if "fk_kazoo.run" in sys.modules:
    sys.modules["fk_kazoo.run"].executed()
