"""The nodes that a client holds for locks, leases and leaderships: whether one may be gone, and what happens then.

Rule upheld here: what may be somebody else's is never said to be held. A hold that may be gone stays so: who was told
has stopped. Doubt begins with SUSPENDED, before anybody is told of that: the session may end while it can't be asked.
"""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Callable, Iterator, Optional, Tuple

from kazoo.exceptions import KazooException, NoNodeError
from kazoo.protocol.states import EventType, KeeperState
from kazoo.retry import KazooRetry

from . import logs, loop_thread
from .exceptions import LockLostError

_bodies: "ContextVar[Tuple[HeldNode, ...]]" = ContextVar("fk_kazoo_bodies", default=())
"""The holds whose bodies run here, and are to be interrupted."""
_uninterrupted: "ContextVar[bool]" = ContextVar("fk_kazoo_uninterrupted", default=False)
_thread = threading.local()


class HeldNode:
    """A node at ``path``, held for the recipe at ``recipe_path`` since the session ``session`` made it."""

    def __init__(self, client: Any, recipe_path: str, path: str, session: Any, ephemeral: bool = True) -> None:
        self.client, self.recipe_path, self.path, self.session, self.ephemeral = (
            client,
            recipe_path,
            path,
            session,
            ephemeral,
        )
        self.kind = ""
        """What others exclude it by, as kazoo's read and write locks do."""
        self.owner = self._caller()
        self.where = _where()
        self.in_a_with = False
        self.lost = self._event()
        """Set as soon as it may be somebody else's."""
        self.why = ""
        """Why it may be gone."""
        self.gone = False
        """Whether it certainly is not held any more."""
        self.ended = False
        """Whether it was released, or is about to be."""
        self._fence: Optional[int] = None
        self._watched = False
        client._held_nodes[self] = None
        self.may_be_gone()

    def _event(self) -> Any:
        return self.client.handler.event_object()

    @staticmethod
    def _caller() -> Any:
        return caller()

    def is_the_callers(self) -> bool:
        """Whether who calls this is who got it."""
        return self.owner is self._caller()

    def may_be_gone(self) -> bool:
        """Whether it may be somebody else's by now."""
        client = self.client
        if self.ephemeral and not self.lost.is_set():
            if client._session_id != self.session:
                self.lose("the session 0x%x is over" % (self.session or 0), gone=True)
            elif client._state != KeeperState.CONNECTED:
                self.lose(str(client.why))
        return bool(self.lost.is_set())

    def lose(self, why: str, gone: bool = False, level: int = logging.WARNING) -> None:
        """It may be gone from now on, or certainly is. ``level``: at which that is logged."""
        told, self.gone = self.lost.is_set(), self.gone or gone
        self.why = self.why or why
        self.lost.set()
        if self.gone:
            self.client._held_nodes.pop(self, None)
        if not told and not self.ended:
            logs.log_limited(self.client, level, "what was held is lost, or may be: %s", self.recipe_path, why)

    def end(self) -> None:
        """It is released."""
        self.ended = True
        self.client._held_nodes.pop(self, None)

    def fence(self) -> int:
        """The czxid of the node, which the deployment is asked for once. LockLostError if it may be gone by then."""
        if self._fence is None:
            self.watch()
        if self._fence is None:
            raise LockLostError(
                "%s may be held by somebody else, and its fence was not asked for before" % self.recipe_path
            )
        return self._fence

    def watch(self) -> None:
        """Has the deployment tell of the node's end. Does nothing from the second time on."""
        if self._watched or self.ended or self.may_be_gone():
            return
        self._on_stat(self.client.exists(self.path, watch=self._on_event))
        self._watched = True

    def _on_stat(self, stat: Any) -> None:
        if self.ended:
            return
        if stat is None or (self.ephemeral and stat.ephemeralOwner != self.session):
            self.lose("its node %s is gone" % self.path, gone=True)
        elif not self.may_be_gone():
            self._fence = stat.czxid

    def _on_event(self, event: Any) -> None:
        """A watch function."""
        if self.ended or self.gone:
            return
        if event.type == EventType.DELETED:
            self.lose("its node %s was deleted" % self.path, gone=True)
        elif event.type == EventType.NONE:
            self._watched = False
        else:
            self._check_again()

    def _check_again(self) -> None:
        """From where nothing may wait."""
        self._watched = True
        self.client.exists_async(self.path, watch=self._on_event).rawlink(self._on_answer)

    def _on_answer(self, result: Any) -> None:
        if result.successful():
            self._on_stat(result.value)
        else:
            self._watched = False
            self.lose("its node %s could not be looked at: %r" % (self.path, result.exception))

    def connected(self) -> None:
        """The client is connected again: a node that outlives its session may have been deleted meanwhile."""
        if not self.ephemeral and self._fence is not None and not self._watched:
            self._check_again()

    def forked(self) -> None:
        """In a child the event may be locked for ever, and nothing is held."""
        self.lost = self._event()
        self.why = "this is a forked process"
        self.lost.set()
        self.gone = True


def delete_later(client: Any, find: Callable[[], Optional[str]]) -> None:
    """Has a node that is held deleted as soon as that can be done, and waits for nothing. ``find``: where it is."""
    retry = KazooRetry(max_tries=None, sleep_func=client.handler.sleep_func)

    def delete() -> None:
        path = find()
        if path is not None:
            client.delete(path)

    def work() -> None:
        try:
            with uninterrupted():
                retry(delete)
        except NoNodeError:
            pass
        except KazooException as error:  # stopped, or forbidden: it ends with the session
            logs.log_limited(client, logging.INFO, "a node was not deleted: %r", "", error)

    client.handler.spawn(work)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What is called within is not interrupted: it gives back what is held, or is no part of a body."""
    before = _uninterrupted.get()
    _uninterrupted.set(True)
    try:
        yield
    finally:
        _uninterrupted.set(before)


def begin_body(hold: HeldNode) -> None:
    """Calls of this thread or greenlet are interrupted from now on if the hold may be gone."""
    _bodies.set((*_bodies.get(), hold))


def end_body(hold: HeldNode) -> None:
    """Ends `begin_body`; in whatever thread, as generators are closed."""
    _bodies.set(tuple(each for each in _bodies.get() if each is not hold))


def interrupt(client: Any) -> None:
    """LockLostError if this is called in the body of a hold of ``client`` that may be gone."""
    hold = interrupted(client)
    if hold is not None and not _uninterrupted.get():
        raise LockLostError("%s may be held by somebody else: %s" % (hold.recipe_path, hold.why))


def interrupted(client: Any) -> Optional[HeldNode]:
    """The hold of ``client`` that may be gone, and in whose body this is called."""
    for hold in _bodies.get():
        if hold.client is client and not hold.ended and hold.may_be_gone():
            return hold
    return None


def caller() -> Any:
    """The greenlet that calls, or something that only this thread has."""
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None:
        return greenlet.getcurrent()
    if not hasattr(_thread, "mark"):
        _thread.mark = object()
    return _thread.mark


def only_caller() -> bool:
    """Whether this is the main thread, which works off nobody's tasks as the threads of a pool do."""
    greenlet = sys.modules.get("greenlet")
    return loop_thread.in_main_thread() and (greenlet is None or greenlet.getcurrent().parent is None)


def _where() -> str:
    """The line that asked for the lock, without kazoo's and ours."""
    frame: Any = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("kazoo", "fk_kazoo"):
        frame = frame.f_back
    return "%s:%d" % (frame.f_code.co_filename, frame.f_lineno)
