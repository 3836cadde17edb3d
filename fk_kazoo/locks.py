"""kazoo's locks, semaphores and elections, that tell the truth: fences, ``lost``, and re-entrant use explained.

They are what ``zk.Lock``, ``zk.ReadLock``, ``zk.WriteLock``, ``zk.Semaphore`` and ``zk.Election`` make: subclasses of
kazoo's, which stay as they are. Whoever does not use what is new pays nothing for it. See docs/locks.md.

    with zk.Lock("/jobs/nightly", lost=Lost.RAISE) as lock:
        database.write(report, fence=lock.fence)
"""

from __future__ import annotations

import logging
import uuid
from enum import Enum
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterable, List, Optional, Type

import kazoo.recipe.election as _election
import kazoo.recipe.lock as _lock
from kazoo.retry import ForceRetryError

from . import notes
from .exceptions import LockLostError as LockLostError
from .exceptions import ReentrantLockError as ReentrantLockError
from .holds import Hold, begin_body, caller, delete_later, end_body, interrupted, only_caller, uninterrupted


class Lost(Enum):
    """What happens in the body of ``with zk.Lock(...)`` when the lock may be somebody else's."""

    TELL = "tell"
    """Nothing but that ``lock.lost`` is set. This is kazoo's way, and the default."""
    RAISE = "raise"
    """LockLostError at the body's next call of the client, or at its end."""


class _Held:
    """What a lock and a lease have in common."""

    client: Any
    path: str
    is_acquired: bool
    _on_loss = Lost.TELL
    _hold: Optional[Hold] = None

    @property
    def fence(self) -> int:
        """The fencing token: greater than that of everybody who had the lock before. It is the node's czxid.

        The deployment is asked for it once, and again after each `acquire`. LockLostError if the lock is not held, or
        may be somebody else's when it is asked. Give it to whatever the lock protects: docs/locks.md.
        """
        return self._held().fence()

    @property
    def lost(self) -> Any:
        """An event, as the handler makes them, that is set as soon as the lock may be somebody else's.

        With SUSPENDED, LOST, the end of the client, and when somebody deletes the lock's node. It stays set, also if
        the session turns out to have survived; after the next `acquire` there is a new one. Not set by `release`.
        The deployment is asked once, at the first use. LockLostError if the lock was never held.
        """
        hold = self._hold
        if hold is None:
            raise LockLostError("%s was never held" % self.path)
        try:
            hold.watch()
        except Exception as error:  # it can't be known, which is what the event is about
            hold.lose("it can't be looked at: %r" % error)
        return hold.lost

    def _held(self) -> Hold:
        if self._hold is None or self._hold.ended or not self.is_acquired:
            raise LockLostError("%s is not held" % self.path)
        return self._hold

    def _hold_of(self, session: Any, node: str, ephemeral: bool = True) -> None:
        """It was got: ``node`` was made, or found, since ``session`` was the client's."""
        if ephemeral and session != self.client._session_id:  # whose is it?
            stat = self.client.exists(node)
            if stat is None:
                raise ForceRetryError("the session ended at this very moment")
            session = stat.ephemeralOwner
        before, self._hold = self._hold, Hold(self.client, self.path, node, session, ephemeral)
        if before is not None:
            before.end()
        self._hold.kind = self._kind()

    def _kind(self) -> str:
        return ""

    def _forget_what_is_over(self) -> None:
        """So that it can be had anew: kazoo waits for ever for a lock of its own that ended with a session."""
        if self.is_acquired and self._hold is not None and self._hold.gone:
            self.is_acquired = False

    def _mine(self) -> List[Hold]:
        """What the caller holds in this place and would wait for."""
        me, holds = caller(), list(self.client._holds)
        return [hold for hold in holds if hold.owner is me and hold.place == self.path and not hold.may_be_gone()]

    def _explain(self, hold: Hold, certain: bool) -> None:
        """Whoever holds it asks for it again, and says nothing of giving up."""
        what = "%s is asked for by who has it already, since %s, and is not re-entrant: it waits for itself" % (
            self.path,
            hold.where,
        )
        if certain:
            raise ReentrantLockError(what)
        text = "is asked for by who has it already, since %s: unless another thread releases it, this waits for ever"
        notes.say(self.client, logging.WARNING, text, self.path, hold.where)

    def _enter(self) -> None:
        """The body of a ``with`` begins."""
        hold = self._hold
        if hold is None or not self.is_acquired:
            raise LockLostError("%s was not acquired" % self.path)
        hold.in_a_with = True
        if self._on_loss is Lost.RAISE:
            try:
                hold.fence()
            except BaseException:
                self._leave()
                raise
            begin_body(hold)

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        """The body ended, perhaps with an exception."""
        hold = self._hold
        raises = self._on_loss is Lost.RAISE
        if hold is not None:
            hold.in_a_with = False
            end_body(hold)
        if hold is None or hold.ended or not (raises or kind is LockLostError) or not hold.may_be_gone():
            self.release()
            return
        self._leave()  # what waits for the connection would keep the exception back
        if kind is None:
            raise LockLostError("%s may be held by somebody else since before the end: %s" % (self.path, hold.why))

    if TYPE_CHECKING:

        def release(self) -> bool: ...

        def _leave(self) -> None: ...


class Lock(_Held, _lock.Lock):
    """kazoo's Lock, with `fence`, `lost` and ``lost=Lost.RAISE``. ``with`` gives the lock itself."""

    def __init__(
        self,
        client: Any,
        path: str,
        identifier: Any = None,
        extra_lock_patterns: Iterable[str] = (),
        *,
        lost: Lost = Lost.TELL,
    ) -> None:
        super().__init__(client, path, identifier, extra_lock_patterns)
        self._on_loss = Lost(lost)

    def acquire(self, blocking: bool = True, timeout: Optional[float] = None, ephemeral: bool = True) -> bool:
        """As kazoo's, but ReentrantLockError where kazoo's would wait for its own caller, for ever.

        That is within ``with`` of this path, and for one object in the main thread; elsewhere another thread may be
        meant to release it, so there it is logged, and waits.
        """
        self._forget_what_is_over()
        if blocking and timeout is None:
            for hold in self._mine():
                if hold is self._hold or hold.kind in self._exclude_names:
                    alone = hold is self._hold and only_caller()
                    self._explain(hold, hold.in_a_with or alone)
        return bool(super().acquire(blocking, timeout, ephemeral))

    def _inner_acquire(self, blocking: bool, timeout: Optional[float], ephemeral: bool = True) -> bool:
        session = self.client._session_id  # of the node that is made, or found, from here on
        gotten = bool(super()._inner_acquire(blocking, timeout, ephemeral))
        if gotten:
            self._hold_of(session, "%s/%s" % (self.path, self.node), ephemeral)
        return gotten

    def _kind(self) -> str:
        return self._NODE_NAME

    def _inner_release(self) -> bool:
        hold = self._hold
        with uninterrupted():
            done = bool(super()._inner_release())
        if hold is not None and done:
            hold.end()
        return done

    def _delete_node(self, node: str) -> None:
        hold = self._hold
        if hold is not None and node == self.node:
            hold.ended = True  # what the deployment tells of it from here on is no news
        super()._delete_node(node)

    def _best_effort_cleanup(self) -> None:
        if interrupted(self.client) is not None:
            self._leave()
        else:
            super()._best_effort_cleanup()

    def _leave(self) -> None:
        client, path, prefix, known = self.client, self.path, self.prefix, self.node
        self.is_acquired, self.node, self.create_tried = False, None, False
        self.prefix = uuid.uuid4().hex + self._NODE_NAME  # else the next `acquire` could find the node that goes
        self.create_path = "%s/%s" % (path, self.prefix)
        if self._hold is not None:
            self._hold.end()

        def find() -> Optional[str]:
            found = [known] if known else [name for name in client.get_children(path) if name.startswith(prefix)]
            return "%s/%s" % (path, found[0]) if found else None

        delete_later(client, find)

    def __enter__(self) -> Lock:  # type: ignore[override] # kazoo's gives nothing
        self.acquire()
        self._enter()
        return self


class WriteLock(Lock, _lock.WriteLock):
    """kazoo's WriteLock, with what `Lock` has."""


class ReadLock(Lock, _lock.ReadLock):
    """kazoo's ReadLock, with what `Lock` has."""


class Semaphore(_Held, _lock.Semaphore):
    """kazoo's Semaphore, with `fence` (leases that were given later have greater ones), `lost` and ``lost=...``."""

    def __init__(
        self, client: Any, path: str, identifier: Any = None, max_leases: int = 1, *, lost: Lost = Lost.TELL
    ) -> None:
        super().__init__(client, path, identifier, max_leases)
        self._on_loss = Lost(lost)

    def acquire(self, blocking: bool = True, timeout: Optional[float] = None) -> bool:
        """As kazoo's, but ReentrantLockError where the caller is within ``with`` of every lease that there is."""
        if blocking and timeout is None and not self.is_acquired:
            mine = [hold for hold in self._mine() if hold.in_a_with]
            if mine and len(mine) >= self.max_leases:
                self._explain(mine[-1], True)
        return bool(super().acquire(blocking, timeout))

    def _inner_acquire(self, blocking: bool, timeout: Optional[float] = None) -> bool:
        session = self.client._session_id
        gotten = bool(super()._inner_acquire(blocking, timeout))
        if gotten:
            self._hold_of(session, self.create_path)
        return gotten

    def _inner_release(self) -> bool:
        hold = self._hold
        if hold is not None:
            hold.ended = True
        with uninterrupted():
            done = bool(super()._inner_release())
        if hold is not None and done:
            hold.end()
        return done

    def _best_effort_cleanup(self) -> None:
        if interrupted(self.client) is not None:
            self._leave()
        else:
            super()._best_effort_cleanup()

    def _leave(self) -> None:
        path = self.create_path
        self.is_acquired, self.create_path = False, "%s/%s" % (self.path, uuid.uuid4().hex)
        if self._hold is not None:
            self._hold.end()
        delete_later(self.client, lambda: path)

    def __enter__(self) -> Semaphore:  # type: ignore[override] # kazoo's gives nothing
        self.acquire()
        self._enter()
        return self


class Election(_election.Election):
    """kazoo's Election, with `fence` and `lost` of who leads. With ``lost=Lost.RAISE``, `run` raises LockLostError."""

    lock: Lock

    def __init__(self, client: Any, path: str, identifier: Any = None, *, lost: Lost = Lost.TELL) -> None:
        super().__init__(client, path, identifier)
        self.lock._on_loss = Lost(lost)

    @property
    def fence(self) -> int:
        """As `Lock.fence`: greater than that of every leader before."""
        return self.lock.fence

    @property
    def lost(self) -> Any:
        """As `Lock.lost`: set as soon as there may be another leader."""
        return self.lock.lost


_OURS = {
    "Lock": (_lock.Lock, Lock),
    "ReadLock": (_lock.ReadLock, ReadLock),
    "WriteLock": (_lock.WriteLock, WriteLock),
    "Semaphore": (_lock.Semaphore, Semaphore),
    "Election": (_election.Election, Election),
}


def attach(client: Any) -> None:
    """Has the client make these, where it would make kazoo's, and not what an app put in their place."""
    for name, (theirs, ours) in _OURS.items():
        made = vars(client).get(name)
        if isinstance(made, partial) and made.func is theirs:
            setattr(client, name, partial(ours, *made.args, **made.keywords))
