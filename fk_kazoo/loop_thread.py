"""One event loop, in one real thread, for every client of the process.

Real, also where gevent or eventlet have replaced threads, selectors and sockets: whoever blocks a hub must not block
the sessions of the whole process. After a fork the child has none of it and makes its own; what it inherited
it lets go of without touching the parent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import logging
import os
import selectors
import sys
import threading
import weakref
from typing import Any, Callable, Coroutine, Dict, List, Optional, Tuple, TypeVar, cast

from fk_backend.ports import Gateway
from fk_backend.providers import discard_all, provider, suspend_all
from fk_backend.providers.descriptors import Descriptor, missed, still

from . import forks
from .event_loop import FilesClosed, Loop, YieldingSelector, unpatched
from .event_loop import real_lock as real_lock
from .event_loop import start_thread as start_thread
from .url import DeploymentUrl

log = logging.getLogger(__name__)

T = TypeVar("T")

KEEP_OPEN_S = 1.0
"""How long a deployment stays open after its last client of this process is done with it."""

PAUSE_TIMEOUT_S = 5.0
"""How long a fork waits for the loop's thread to stand still."""

_discarded: List[object] = []
"""What a forked child inherited. Kept, because finalizing it would close what is the parent's."""


def socket_pair() -> Tuple[Any, Any]:
    """Two connected sockets of the system's own kind, which never block."""
    pair: Tuple[Any, Any] = unpatched("socket", "socketpair")()
    for end in pair:
        end.setblocking(False)
    return pair


def end(sock: Any, descriptor: Optional[Descriptor]) -> None:
    """Closes a socket, or forgets it if its number is somebody else's by now."""
    with contextlib.suppress(OSError):
        if descriptor is None or descriptor.is_ours():
            sock.close()
        else:
            sock.detach()


def _log_exception(loop: asyncio.AbstractEventLoop, context: Dict[str, Any]) -> None:
    """What went wrong in the loop, but for connections that a process takes along when it ends: that is no mistake.

    Neither is what fails because somebody else closed files: that is told once.
    """
    if isinstance(loop, Loop) and (loop.broken or not still(loop.wakes)):
        log.debug("%s", context)
    elif "client_session" not in context and "connector" not in context:
        loop.default_exception_handler(context)


def _nothing() -> None:
    """Wakes the loop."""


class LoopThread:
    """The loop, its thread, and the deployments that are open in it."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._started = real_lock()
        self._started.acquire()
        self._open: Dict[Tuple[Any, ...], "Opening"] = {}
        selector = YieldingSelector(_selector(), self.has_its_files)
        self.loop_lock = selector.loop_lock
        """Held while the loop does something. Others may take it without waiting, for moments, to read what it owns."""
        self.loop = Loop(cast(selectors.BaseSelector, selector))
        selector.loop = self.loop
        self.loop.wakes = Descriptor.of(self.loop._csock.fileno())
        self.loop.set_exception_handler(_log_exception)
        start_thread(self._main)
        self._started.acquire()

    def _main(self) -> None:
        self.loop_lock.acquire()
        self.loop_lock.loop_thread = self.loop_lock.ident()
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._started.release)
        try:
            self.loop.run_forever()
        except FilesClosed:
            self.loop.broken = True
            self.loop_lock.release()
            ensure_own_process()
            if self._started.locked():
                self._started.release()

    def has_its_files(self) -> bool:
        """Whether its files are open. A program may close all it has, as daemons do at their start."""
        return not self.loop.broken and not missed and still(self.loop.wakes)

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Has the loop call it soon. From any thread. If the loop is gone by then, nobody does."""
        self.loop.call_soon_threadsafe(function, *args)
        if self.loop.broken:
            ensure_own_process()

    def wake(self) -> None:
        """Has the loop look for what it was given, in case that somebody was interrupted before he woke it."""
        self.call(_nothing)

    def call_now(self, function: Callable[..., object], *args: Any) -> bool:
        """Calls it in this very thread, as a callback of the loop, if the loop waits. Whether it was called.

        Half of what is done at once for a caller that waits for it would be waking the loop. Not for greenlets.
        """
        if self.loop.get_debug():  # it wants the loop's own thread
            return False
        touched = self.loop_lock.run_if_free(self._call_now, function, args)
        if touched:  # the loop waits without knowing of that
            self.call(_nothing)
        return touched is not None

    def _call_now(self, function: Callable[..., object], args: Tuple[Any, ...]) -> bool:
        callers = asyncio._get_running_loop()
        try:
            self.loop.touched = False
            asyncio._set_running_loop(self.loop)
            function(*args)
            asyncio._set_running_loop(callers)
        except BaseException:  # whatever was interrupted, and wherever
            asyncio._set_running_loop(callers)
            self.call(_nothing)
            raise
        return self.loop.touched

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Has the loop run it. From any thread."""
        self.call(lambda: asyncio.ensure_future(coroutine))

    def pause_loop(self) -> None:
        """Has the thread stop between two callbacks, where nothing is half done, until `resume_loop`. Bounded."""
        self._paused, self._resumed = real_lock(), real_lock()
        self._paused.acquire()
        self._resumed.acquire()
        self.call(self._pause, self._paused, self._resumed)
        self._paused.acquire(True, PAUSE_TIMEOUT_S)

    def _pause(self, still: Any, going: Any) -> None:
        try:
            suspend_all()
        except Exception:  # whatever it is, the fork does not wait for it
            log.exception("closing files before a fork failed")
        still.release()
        going.acquire()

    def resume_loop(self) -> None:
        """Ends `pause_loop`."""
        self._resumed.release()

    def acquire(self, url: DeploymentUrl) -> "Opening":
        """The deployment, open or opening; it stays so until everybody has released it. In the loop's thread only."""
        key = (url.scheme, provider(url.scheme).identity(url.deployment), url.options, url.secret)
        opening = self._open.get(key)
        if opening is None or opening.failed():
            opening = self._open[key] = Opening(url)
        if opening.retiring is not None:
            opening.retiring.cancel()
            opening.retiring = None
        opening.users += 1
        return opening

    def release(self, opening: "Opening") -> None:
        """Done with it. In the loop's thread only."""
        opening.users -= 1
        if not opening.users:
            opening.retiring = self.loop.call_later(KEEP_OPEN_S, self._retire, opening)

    def _retire(self, opening: "Opening") -> None:
        """Nobody asked for it again in time."""
        for key, known in list(self._open.items()):
            if known is opening:
                del self._open[key]
                opening.closing = asyncio.ensure_future(opening.close())


class Opening:
    """A deployment that is being opened, or is open."""

    def __init__(self, url: DeploymentUrl) -> None:
        self.users = 0
        self.retiring: Optional[asyncio.TimerHandle] = None
        """While nobody uses it: what closes it soon."""
        self.closing: Optional["asyncio.Future[None]"] = None
        self._task = asyncio.ensure_future(
            provider(url.scheme).connect(url.deployment, {**url.settings(), "namespace": url.namespace})
        )

    def failed(self) -> bool:
        """Whether it can't be opened, so that somebody else has to try again."""
        return self._task.done() and (self._task.cancelled() or self._task.exception() is not None)

    async def gateway(self) -> Gateway:
        """The gateway, when it is open. BackendError if it can't be opened."""
        gateway: Gateway = await asyncio.shield(self._task)
        return gateway

    async def close(self) -> None:
        """Closes it."""
        try:
            await (await self._task).close()
        except Exception:  # nobody is left to be told
            log.debug("closing a deployment failed", exc_info=True)


def _selector() -> selectors.BaseSelector:
    """The system's own selector; a patched one would wait in a hub that this thread does not have."""
    module = _selectors_under_eventlet() if "eventlet.patcher" in sys.modules else None
    for name in ("EpollSelector", "KqueueSelector", "PollSelector", "SelectSelector"):
        try:
            made: selectors.BaseSelector = getattr(module, name)() if module else unpatched("selectors", name)()
            return made
        except AttributeError:
            continue
    raise RuntimeError("the system has no selector")  # pragma: no cover


def _selectors_under_eventlet() -> Any:
    """A second copy of the module over the original `select`: eventlet leaves neither of them whole."""
    spec = importlib.util.find_spec("selectors")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    patched = sys.modules["select"]
    sys.modules["select"] = sys.modules["eventlet.patcher"].original("select")
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules["select"] = patched
    return module


_current: Optional[LoopThread] = None
_paused_loop: Optional[LoopThread] = None
_forking: Any = real_lock()
_forkers: List[int] = []
"""The thread that forks, once for each of those who said so: Python, and libc."""
_guard = None
_pid = os.getpid()
"""The process that all of this belongs to."""
_renewals: Dict[int, Any] = {}
clients: "weakref.WeakSet[Any]" = weakref.WeakSet()
"""Clients of this process, to be told in a forked child that they are not connected there."""


def current() -> LoopThread:
    """This process's loop, started when first asked for."""
    global _current, _guard
    ensure_own_process()
    known = _current
    if known is not None:  # without the lock: a signal's handler may have interrupted who holds it
        return known
    if _guard is None:
        _guard = real_lock()
    with _guard:
        if _current is None:
            forks.on_libc_fork(_before_fork, _in_parent)
            _current = LoopThread()
        return _current


def known() -> LoopThread:
    """As `current`, for who has just called that: without a look at files and processes."""
    return _current or current()


def in_main_thread() -> bool:
    """Whether this is the thread in which Python runs the handlers of signals."""
    return bool(unpatched("_thread", "get_ident")() == threading.main_thread().ident)


def ensure_own_process() -> None:
    """Lets go of what is the parent's, in a child of a fork that Python was not told of; or of what is closed.

    Whatever enters this module or a client calls it first. It takes none of the parent's locks: they may be held by
    threads that the child does not have.
    """
    pid, known = os.getpid(), _current
    if pid == _pid and (known is None or known.has_its_files()):
        return
    renewal = _renewals.setdefault(pid, unpatched("_thread", "RLock")())
    if not renewal._is_owned():
        with renewal:
            if pid != _pid:
                _in_child()
            elif known is not None and known is _current:
                _abandon_loop(known)


def _abandon_loop(lost: LoopThread) -> None:
    """Somebody else closed files. Everything of that loop is left behind, as after a fork, and nothing of it is closed.

    What is in the middle of something in another thread finds out when it comes back from there.
    """
    global _current
    log.error("somebody else closed files of this process: its clients lose their sessions, and may be started again")
    lost.loop.broken = True
    _discarded.append(lost)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(lost))  # not even at exit: its numbers may be anybody's
    for client in list(clients):
        try:
            client._lose()
        except Exception:  # the others are to hear of it, whatever it is
            log.exception("a client could not be told")
    discard_all(forked=False)
    missed.clear()
    _current = None


def abandon_connection(client: Any, connection: Any) -> None:
    """Somebody else closed the files of this client's connection alone."""
    renewal = _renewals.setdefault(os.getpid(), unpatched("_thread", "RLock")())
    with renewal:
        if client._connection is connection:
            log.error("somebody else closed files of a client, which loses its session, and may be started again")
            client._lose()


def run(handler: Any, make: Callable[[], Coroutine[Any, Any, Any]], timeout: Optional[float]) -> Any:
    """Runs a coroutine in the loop and waits for it as the handler waits: a greenlet yields, a thread blocks.

    Raises what it raises, or the handler's timeout_exception.
    """
    ours, theirs = socket_pair()
    mine = Descriptor.of(ours.fileno())
    outcome: List[Any] = []

    async def work() -> None:
        try:
            outcome.append((await make(), None))
        except BaseException as error:  # handed over to the one who waits
            outcome.append((None, error))
        with theirs, contextlib.suppress(OSError):  # nobody listens any more if the time is up
            theirs.send(b"\0")

    try:
        current().spawn(work())
        if not handler.select([ours], [], [], timeout)[0]:
            raise handler.timeout_exception("no answer within %s s" % timeout)
        if not outcome:
            raise handler.timeout_exception("somebody else closed the files of this process")
        value, error = outcome[0]
        if error is not None:
            raise error
        return value
    finally:
        end(ours, mine)


def without_forks() -> Any:
    """A context in which no thread forks: for what uses SQLite outside the loop. Use it for moments only."""
    ensure_own_process()
    return _forking


def _before_fork() -> None:
    """The child inherits no lock and no mutex of SQLite that is held: it would wait for its end, for ever."""
    global _paused_loop
    ensure_own_process()
    me = unpatched("_thread", "get_ident")()
    if me not in _forkers:
        _forking.acquire(True, PAUSE_TIMEOUT_S)
        _forkers.clear()  # of who did not come back in time
        _paused_loop = _current
        if _paused_loop is not None:
            _paused_loop.pause_loop()
    _forkers.append(me)


def _in_parent() -> None:
    """After a fork, in the parent."""
    if _forkers:
        _forkers.pop()
    if _forkers:
        return
    with contextlib.suppress(RuntimeError):  # it took too long, and somebody else forked meanwhile
        if _paused_loop is not None:
            _paused_loop.resume_loop()
        _forking.release()


def _in_child() -> None:
    """After a fork, in the child."""
    global _current, _guard, _forking, _pid
    _guard, _forking = None, real_lock()
    _forkers.clear()
    if _current is not None:
        _discarded.append(_current)
        _current = None
    discard_all(forked=True)
    for client in list(clients):
        client._forked()
    _pid = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
