"""kazoo's locks, semaphores and elections, that tell the truth: fences, ``lost``, and re-entrant use explained.

They are what ``zk.Lock``, ``zk.ReadLock``, ``zk.WriteLock``, ``zk.Semaphore`` and ``zk.Election`` make: subclasses of
kazoo's, which stay as they are. Whoever does not use what is new pays nothing for it. See docs/locks.md.

    with zk.Lock("/jobs/nightly", lost=Lost.RAISE) as lock:
        database.write(report, fence=lock.fence)
"""

from __future__ import annotations

import uuid
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterable, Optional, Type

import kazoo.recipe.election as _election
import kazoo.recipe.lock as _lock
from kazoo.retry import ForceRetryError

from .exceptions import LockLostError as LockLostError
from .exceptions import ReentrantLockError as ReentrantLockError
from .fenced_recipe import FencedRecipe
from .fenced_recipe import Lost as Lost
from .held_nodes import HeldNode, delete_later, interrupted, only_caller, uninterrupted


class _Held(FencedRecipe):
    """What a lock and a lease of kazoo's have in common."""

    def _hold_of(self, session: Any, node: str, ephemeral: bool = True) -> None:
        """It was got: ``node`` was made, or found, since ``session`` was the client's."""
        if ephemeral and session != self.client._session_id:  # whose is it?
            stat = self.client.exists(node)
            if stat is None:
                raise ForceRetryError("the session ended at this very moment")
            session = stat.ephemeralOwner
        self._set_held_node(HeldNode(self.client, self.path, node, session, ephemeral))

    def _forget_what_is_over(self) -> None:
        """So that it can be had anew: kazoo waits for ever for a lock of its own that ended with a session."""
        if self.is_acquired and self._held_node is not None and self._held_node.gone:
            self.is_acquired = False

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        """The body ended, perhaps with an exception."""
        if not self._body_ended(kind):
            self.release()

    if TYPE_CHECKING:

        def release(self) -> bool: ...


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
            for hold in self._own_held_nodes():
                if hold is self._held_node or hold.kind in self._exclude_names:
                    alone = hold is self._held_node and only_caller()
                    self._refuse_reentry(hold, hold.in_a_with or alone)
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
        hold = self._held_node
        with uninterrupted():
            done = bool(super()._inner_release())
        if hold is not None and done:
            hold.end()
        return done

    def _delete_node(self, node: str) -> None:
        hold = self._held_node
        if hold is not None and node == self.node:
            hold.ended = True  # what the deployment tells of it from here on is no news
        super()._delete_node(node)

    def _best_effort_cleanup(self) -> None:
        if interrupted(self.client) is not None:
            self._give_up()
        else:
            super()._best_effort_cleanup()

    def _give_up(self) -> None:
        client, path, prefix, known = self.client, self.path, self.prefix, self.node
        self.is_acquired, self.node, self.create_tried = False, None, False
        self.prefix = uuid.uuid4().hex + self._NODE_NAME  # else the next `acquire` could find the node that goes
        self.create_path = "%s/%s" % (path, self.prefix)
        if self._held_node is not None:
            self._held_node.end()

        def find() -> Optional[str]:
            found = [known] if known else [name for name in client.get_children(path) if name.startswith(prefix)]
            return "%s/%s" % (path, found[0]) if found else None

        delete_later(client, find)

    def __enter__(self) -> Lock:  # type: ignore[override] # kazoo's gives nothing
        self.acquire()
        self._enter_body()
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
            mine = [hold for hold in self._own_held_nodes() if hold.in_a_with]
            if mine and len(mine) >= self.max_leases:
                self._refuse_reentry(mine[-1], True)
        return bool(super().acquire(blocking, timeout))

    def _inner_acquire(self, blocking: bool, timeout: Optional[float] = None) -> bool:
        session = self.client._session_id
        gotten = bool(super()._inner_acquire(blocking, timeout))
        if gotten:
            self._hold_of(session, self.create_path)
        return gotten

    def _inner_release(self) -> bool:
        hold = self._held_node
        if hold is not None:
            hold.ended = True
        with uninterrupted():
            done = bool(super()._inner_release())
        if hold is not None and done:
            hold.end()
        return done

    def _best_effort_cleanup(self) -> None:
        if interrupted(self.client) is not None:
            self._give_up()
        else:
            super()._best_effort_cleanup()

    def _give_up(self) -> None:
        path = self.create_path
        self.is_acquired, self.create_path = False, "%s/%s" % (self.path, uuid.uuid4().hex)
        if self._held_node is not None:
            self._held_node.end()
        delete_later(self.client, lambda: path)

    def __enter__(self) -> Semaphore:  # type: ignore[override] # kazoo's gives nothing
        self.acquire()
        self._enter_body()
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
