"""kazoo's recipes as coroutines, by kazoo's names, a module for each kind. `base` has what they share.

The nodes are kazoo's, so both clients work on one path. A cancelled task's nodes go without waiting (`cleanup`).

Imports: the client's parts. Never: fk_kazoo.client, fk_kazoo.locks, fk_backend.ports, threading.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Callable, Iterable, List, Optional, TypeVar, Union, cast, overload

from ...fenced_recipe import Lost
from ..calling import ChildrenCalls, DataCalls
from ..watching import ChildrenWatch, DataWatch
from . import barrier, cache, counter, election, lease, lock, partitioner, party, queue, semaphore
from .lease import utcnow

if TYPE_CHECKING:
    from ..operations import Operations

S = TypeVar("S")


class Recipes:
    """The part of a client that makes recipes. To make one asks the deployment nothing."""

    __slots__ = ()

    @property
    def _me(self) -> Operations:
        return cast("Operations", self)

    def data_watch(self, path: str) -> DataWatch:
        """A node's data and ZnodeStat, now and after each change: ``async for data, stat in zk.data_watch(path)``."""
        return DataWatch(self._me, path)

    def children_watch(self, path: str) -> ChildrenWatch:
        """The names of a node's children, now and after each change: ``async for names in zk.children_watch(path)``."""
        return ChildrenWatch(self._me, path)

    def DataWatch(self, path: str, func: Optional[Callable[..., object]] = None) -> DataCalls:
        """Has ``func(data, stat)`` called, now and after each change, until it returns False. A decorator, too."""
        return DataCalls(self._me, path, func)

    def ChildrenWatch(
        self,
        path: str,
        func: Optional[Callable[..., object]] = None,
        allow_session_lost: bool = True,
        send_event: bool = False,
    ) -> ChildrenCalls:
        """Has ``func(names)`` called, now and after each change, until it returns False. A decorator, too."""
        return ChildrenCalls(self._me, path, func, allow_session_lost, send_event)

    def Barrier(self, path: str) -> barrier.Barrier:
        """Nobody passes its ``wait`` until somebody removes it."""
        return barrier.Barrier(self._me, path)

    @overload
    def Counter(self, path: str, default: int = 0, support_curator: bool = False) -> counter.Counter[int]: ...
    @overload
    def Counter(self, path: str, default: float, support_curator: bool = False) -> counter.Counter[float]: ...
    def Counter(
        self, path: str, default: float = 0, support_curator: bool = False
    ) -> Union[counter.Counter[int], counter.Counter[float]]:
        """A number that everybody may change at the same time."""
        return counter.Counter(self._me, path, default, support_curator)

    def DoubleBarrier(self, path: str, num_clients: int, identifier: Optional[str] = None) -> barrier.DoubleBarrier:
        """So many begin together, and end together."""
        return barrier.DoubleBarrier(self._me, path, num_clients, identifier)

    def Election(self, path: str, identifier: Optional[str] = None, *, lost: Lost = Lost.TELL) -> election.Election:
        """One leads at a time."""
        return election.Election(self._me, path, identifier, lost=lost)

    def Lock(
        self,
        path: str,
        identifier: Optional[str] = None,
        extra_lock_patterns: Iterable[str] = (),
        *,
        lost: Lost = Lost.TELL,
    ) -> lock.Lock:
        """A lock that one client has at a time. ``lost``: what happens in a ``with`` when it may be gone."""
        return lock.Lock(self._me, path, identifier, extra_lock_patterns, lost=lost)

    def LockingQueue(self, path: str) -> queue.LockingQueue:
        """A queue whose entries come back if whoever took them fails."""
        return queue.LockingQueue(self._me, path)

    def MultiNonBlockingLease(
        self,
        count: int,
        path: str,
        duration: timedelta,
        identifier: Optional[str] = None,
        utcnow: Callable[[], datetime] = utcnow,
    ) -> lease.MultiNonBlockingLease:
        """Leases of which ``count`` are had at a time; tried once, where it is awaited."""
        return lease.MultiNonBlockingLease(self._me, count, path, duration, identifier, utcnow)

    def NonBlockingLease(
        self,
        path: str,
        duration: timedelta,
        identifier: Optional[str] = None,
        utcnow: Callable[[], datetime] = utcnow,
    ) -> lease.NonBlockingLease:
        """A lease that lasts ``duration``; tried once, where it is awaited."""
        return lease.NonBlockingLease(self._me, path, duration, identifier, utcnow)

    def Party(self, path: str, identifier: Optional[str] = None) -> party.Party:
        """Who is there."""
        return party.Party(self._me, path, identifier)

    def Queue(self, path: str) -> queue.Queue:
        """A queue."""
        return queue.Queue(self._me, path)

    def ReadLock(
        self,
        path: str,
        identifier: Optional[str] = None,
        extra_lock_patterns: Iterable[str] = (),
        *,
        lost: Lost = Lost.TELL,
    ) -> lock.ReadLock:
        """A lock that others may have for reading at the same time."""
        return lock.ReadLock(self._me, path, identifier, extra_lock_patterns, lost=lost)

    def Semaphore(
        self, path: str, identifier: Optional[str] = None, max_leases: int = 1, *, lost: Lost = Lost.TELL
    ) -> semaphore.Semaphore:
        """Leases of which ``max_leases`` are had at a time."""
        return semaphore.Semaphore(self._me, path, identifier, max_leases, lost=lost)

    def SetPartitioner(
        self,
        path: str,
        set: Iterable[S],
        partition_func: Optional[Callable[[str, List[str], Iterable[S]], List[S]]] = None,
        identifier: Optional[str] = None,
        time_boundary: float = 30,
        max_reaction_time: float = 1,
    ) -> partitioner.SetPartitioner[S]:
        """Divides a set among whoever takes part."""
        return partitioner.SetPartitioner(
            self._me, path, set, partition_func, identifier, time_boundary, max_reaction_time
        )

    def ShallowParty(self, path: str, identifier: Optional[str] = None) -> party.ShallowParty:
        """Who is there, by the nodes' names."""
        return party.ShallowParty(self._me, path, identifier)

    def TreeCache(self, path: str) -> cache.TreeCache:
        """A copy of a node and everything below it, kept up to date."""
        return cache.TreeCache(self._me, path)

    def WriteLock(
        self,
        path: str,
        identifier: Optional[str] = None,
        extra_lock_patterns: Iterable[str] = (),
        *,
        lost: Lost = Lost.TELL,
    ) -> lock.WriteLock:
        """A lock that nobody else has at the same time, neither for writing nor for reading."""
        return lock.WriteLock(self._me, path, identifier, extra_lock_patterns, lost=lost)
