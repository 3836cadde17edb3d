"""kazoo's partitioner: who takes part is in a party, and has a lock for each part of the set that is its own."""

from __future__ import annotations

import asyncio
import os
import socket
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generic, Iterable, Iterator, List, Optional, Type, TypeVar

from kazoo.exceptions import KazooException, LockTimeout
from kazoo.protocol.states import KazooState
from kazoo.recipe.partitioner import PartitionState

from fk_backend.core.watches import CHILD

from ..wakeup import Wakeup
from .base import Limit, Recipe
from .lock import Lock
from .party import ShallowParty

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..operations import Operations

S = TypeVar("S")


class SetPartitioner(Recipe, Generic[S]):
    """Divides a set among whoever takes part. ``async with`` takes part, and leaves at the end.

    Its states are kazoo's: `allocating`, until everybody who takes part is known and has his parts; `acquired`; then
    `release`, when somebody came or went: the app stops what it does, and calls `release_set`. `failed` is the end.
    """

    def __init__(
        self,
        client: Operations,
        path: str,
        set: Iterable[S],
        partition_func: Optional[Callable[[str, List[str], Iterable[S]], List[S]]] = None,
        identifier: Optional[str] = None,
        time_boundary: float = 30,
        max_reaction_time: float = 1,
    ) -> None:
        super().__init__(client, path)
        self.state = PartitionState.ALLOCATING
        self._set = set
        self._func = partition_func or _every_nth
        self._identifier = identifier or "%s-%s" % (socket.getfqdn(), os.getpid())
        self._time_boundary, self._max_reaction_time = time_boundary, max_reaction_time
        self._party_path, self._lock_path = path + "/party", path + "/locks"
        self._party = ShallowParty(client, self._party_path, self._identifier)
        self._locks: List[Lock] = []
        self._parts: List[S] = []
        self._moved: List[Wakeup] = []
        self._members = Wakeup()
        self._task: "Optional[asyncio.Task[Any]]" = None

    def __iter__(self) -> Iterator[S]:
        """Its own parts, while it has acquired them."""
        return iter(self._parts)

    @property
    def failed(self) -> bool:
        """Whether it takes part no longer."""
        return self.state == PartitionState.FAILURE

    @property
    def release(self) -> bool:
        """Whether the app is to call `release_set`."""
        return self.state == PartitionState.RELEASE

    @property
    def allocating(self) -> bool:
        """Whether the set is being divided."""
        return self.state == PartitionState.ALLOCATING

    @property
    def acquired(self) -> bool:
        """Whether it has its parts."""
        return self.state == PartitionState.ACQUIRED

    async def start(self) -> None:
        """Takes part."""
        for path in (self.path, self._lock_path, self._party_path):
            await self.client.ensure_path(path)
        await self._party.join()
        self.client.add_listener(self._on_state)
        self._task = self.client._spawn(self._run(), self.client._tasks)

    async def finish(self) -> None:
        """Gives back everything, and takes part no longer."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self._fail()
        if self._party.participating:
            await self._party.leave()

    async def wait_for(self, *states: str, timeout: Optional[float] = None) -> bool:
        """Whether it came to one of these states (`kazoo.recipe.partitioner.PartitionState`) within so many seconds.

        False, too, once it has failed: no other state follows.
        """
        limit = Limit(timeout)
        while self.state not in states:
            if self.failed:
                return False
            wakeup = Wakeup()
            self._moved.append(wakeup)
            try:
                if not await wakeup.wait(limit.left()):
                    return False
            finally:
                self._moved.remove(wakeup)
        return True

    async def wait_for_acquire(self, timeout: float = 30) -> bool:
        """Whether it has its parts within so many seconds."""
        return await self.wait_for(PartitionState.ACQUIRED, timeout=timeout)

    async def release_set(self) -> None:
        """Gives back its parts: the set is divided anew."""
        self._let_go()
        if not self.failed:
            self._become(PartitionState.ALLOCATING)

    def _become(self, state: str) -> None:
        self.state = state
        for wakeup in self._moved:
            wakeup.wake()

    def _let_go(self) -> None:
        locks, self._locks, self._parts = self._locks, [], []
        for lock in locks:
            lock._let_go()

    def _fail(self) -> None:
        self._let_go()
        self._unwatch(CHILD, self._party_path, self._members.wake)
        self.client.remove_listener(self._on_state)
        self._become(PartitionState.FAILURE)

    def _on_state(self, state: str) -> None:
        if state == KazooState.LOST:
            if self._task is not None:
                self._task.cancel()
            self._fail()
        elif self.acquired:
            self._become(PartitionState.RELEASE)

    async def _run(self) -> None:
        try:
            while True:
                await self._wait_until_stable()
                if not await self._take_parts():
                    self._let_go()
                    continue
                self._become(PartitionState.ACQUIRED)
                await self._members.wait()
                self._become(PartitionState.RELEASE)
                await self.wait_for(PartitionState.ALLOCATING)
        except KazooException:
            self.client.logger.exception("the partitioner of %s gives up", self.path)
        finally:
            self._fail()

    async def _wait_until_stable(self) -> None:
        """Until nobody came or went for as long as was asked for."""
        changed = True
        while changed:
            self._members.clear()
            await self._retry(lambda: self.client.get_children(self._party_path, self._members.wake))
            changed = await self._members.wait(self._time_boundary)

    async def _take_parts(self) -> bool:
        """Whether it has its parts: not if somebody comes or goes meanwhile."""
        parts = self._func(self._identifier, await self._party.members(), self._set)
        for part in parts:
            lock, gotten = Lock(self.client, "%s/%s" % (self._lock_path, part)), False
            while not gotten:
                try:
                    gotten = await lock.acquire(timeout=self._max_reaction_time)
                    self._locks.append(lock)
                except LockTimeout:
                    pass
                if self._members.is_set():
                    return False
        self._parts = parts
        return True

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        await self.finish()


def _every_nth(identifier: str, members: List[str], parts: Iterable[Any]) -> List[Any]:
    members = sorted(members)
    return sorted(parts)[members.index(identifier) :: len(members)]
