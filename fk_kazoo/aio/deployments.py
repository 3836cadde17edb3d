"""The deployments that an event loop has open: one way to each, however many clients it has.

The last client of a loop closes it, and waits until nothing of it runs any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
import weakref
from typing import Any, Awaitable, Callable, Dict, List, Optional, Protocol, Tuple

from fk_backend.ports import Gateway
from fk_backend.providers import provider

from .. import why
from ..loop_thread import PAUSE_TIMEOUT_S
from ..url import DeploymentUrl

log = logging.getLogger(__name__)

_Key = Tuple[Any, ...]
TICK_S = 1.0
"""How often a loop that has something open sees that it runs."""


class User(Protocol):
    """Who has one open."""

    def forked(self) -> None:
        """In a forked child."""


class Opening:
    """A deployment that is being opened, or is open, in one event loop."""

    def __init__(self, url: DeploymentUrl, key: _Key) -> None:
        self.key = key
        self.users: Dict[User, None] = {}
        scheme = provider(url.scheme)
        connect: Callable[..., Awaitable[Gateway]] = getattr(scheme, "visit", scheme.connect)
        self.task = asyncio.ensure_future(connect(url.deployment, {**url.settings(), "namespace": url.namespace}))

    def failed(self) -> bool:
        """Whether it can't be opened, or is not there any more, so that somebody has to open it again."""
        if not self.task.done():
            return False
        if self.task.cancelled() or self.task.exception() is not None:
            return True
        return bool(getattr(self.task.result(), "given_up", False))

    async def gateway(self) -> Gateway:
        """The gateway, when it is open. BackendError if it can't be opened."""
        return await asyncio.shield(self.task)


class _Loop:
    """What a loop has open, and the thread that it runs in."""

    def __init__(self) -> None:
        self.open: Dict[_Key, Opening] = {}
        self.thread = threading.get_ident()
        self._still = (0.0, 0.0)
        self._ticked = 0.0
        self._ticking: Optional[asyncio.TimerHandle] = None

    def tick(self) -> None:
        """While something is open, so that it is known when this process did not run."""
        if self._ticking is not None:
            self._still = self.last_pause()
            self._ticking.cancel()
        self._ticked, self._ticking = time.monotonic(), None
        if self.open:
            self._ticking = asyncio.get_running_loop().call_later(TICK_S, self.tick)

    def last_pause(self) -> Tuple[float, float]:
        """For how many seconds, the last time, and when that ended, on the monotonic clock."""
        now = time.monotonic()
        late_s = now - self._ticked - TICK_S
        return (late_s, now) if self._ticking is not None and late_s > why.STILL_S else self._still

    def rest(self) -> None:
        """Before a fork, in the loop's thread: nothing of SQLite crosses it."""
        for opening in self.open.values():
            if opening.task.done() and not opening.failed():
                gateway: Any = opening.task.result()
                parts: List[Any] = [gateway.store, getattr(gateway, "link", None)]
                for part in parts:
                    if hasattr(part, "rest"):
                        part.rest()


_loops: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop]" = weakref.WeakKeyDictionary()


def acquire(url: DeploymentUrl, user: User) -> Opening:
    """The deployment, open or opening in this loop; it stays so until everybody has released it."""
    known = _loops.setdefault(asyncio.get_running_loop(), _Loop())
    known.thread = threading.get_ident()
    key = (url.scheme, provider(url.scheme).identity(url.deployment), url.options, url.secret)
    opening = known.open.get(key)
    if opening is None or opening.failed():
        opening = known.open[key] = Opening(url, key)
    opening.users[user] = None
    known.tick()
    return opening


def last_pause() -> Tuple[float, float]:
    """For how many seconds this loop did not run, the last time, and when that ended, on the monotonic clock."""
    return _loops[asyncio.get_running_loop()].last_pause()


async def release(opening: Opening, user: User) -> None:
    """Done with it. The last one closes it, and waits until it is closed; cancelled, without waiting."""
    opening.users.pop(user, None)
    if opening.users:
        return
    known = _loops[asyncio.get_running_loop()]
    if known.open.get(opening.key) is opening:
        del known.open[opening.key]
        known.tick()
    await asyncio.shield(asyncio.ensure_future(_close(opening)))


async def _close(opening: Opening) -> None:
    if not opening.task.done():
        opening.task.cancel()
    try:
        await (await opening.task).close()
    except (Exception, asyncio.CancelledError):  # nobody is left to be told
        log.debug("closing a deployment failed", exc_info=True)


# --- forks: as `loop`, for loops that are not its own ---------------------------------------------

_paused_loops: List[Any] = []


def _before_fork() -> None:
    for loop, known in list(_loops.items()):
        if not known.open or not loop.is_running():
            continue
        if known.thread == threading.get_ident():
            known.rest()
            continue
        still, going = threading.Event(), threading.Event()
        with contextlib.suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(_stand, known, still, going)
            still.wait(PAUSE_TIMEOUT_S)
            _paused_loops.append(going)


def _stand(known: _Loop, still: threading.Event, going: threading.Event) -> None:
    known.rest()
    still.set()
    going.wait(PAUSE_TIMEOUT_S)


def _in_parent() -> None:
    while _paused_loops:
        _paused_loops.pop().set()


def _in_child() -> None:
    """What the parent has open is the parent's: `loop` has every provider let go of it."""
    _paused_loops.clear()
    for known in _loops.values():
        for opening in list(known.open.values()):
            for user in list(opening.users):
                user.forked()
        known.open.clear()


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
