"""kazoo's semaphore: a lease is a node, and who looks for one has a lock meanwhile."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, List, Optional

from kazoo.exceptions import CancelledError, NoNodeError
from kazoo.protocol.states import KazooState
from kazoo.retry import ForceRetryError

from fk_backend.core.watches import CHILD

from ...fenced_recipe import Lost
from .base import Contended, Limit
from .lock import Lock

if TYPE_CHECKING:
    from ..operations import Operations


class Semaphore(Contended):
    """Leases of which ``max_leases`` are had at a time: ``async with zk.Semaphore("/leases", max_leases=3):``.

    One object has one lease at a time: tasks that share it take turns.
    """

    kind = "semaphore"

    def __init__(
        self,
        client: Operations,
        path: str,
        identifier: Optional[str] = None,
        max_leases: int = 1,
        *,
        lost: Lost = Lost.TELL,
    ) -> None:
        super().__init__(client, path, lost)
        self.data = str(identifier or "").encode("utf-8")
        self.max_leases = max_leases
        self.lock_path = path + "-" + "__lock__"
        self._session_lost = False
        self._renew()

    def _renew(self) -> None:
        """The next lease has a name of its own."""
        self.create_path = "%s/%s" % (self.path, uuid.uuid4().hex)
        self._tried = False

    async def _ensure_path(self) -> None:
        """ValueError if others know it with another number of leases."""
        if self._ensured:
            return
        if await self.client.ensure_path(self.path) is True:
            data, _ = await self.client.get(self.path)
            if data.isdigit() and int(data) != self.max_leases:
                raise ValueError("Inconsistent max leases: %d, expected: %d" % (int(data), self.max_leases))
        else:
            await self.client.set(self.path, b"%d" % self.max_leases)
        self._ensured = True

    async def acquire(self, blocking: bool = True, timeout: Optional[float] = None) -> bool:
        """Whether a lease was acquired: False only where ``blocking`` is. LockTimeout after ``timeout`` seconds.

        ValueError if others know it with another number of leases. ReentrantLockError, without a timeout, for a task
        that would wait for itself: within ``async with`` of this object, or of every lease that there is. Where another
        task may release it, that is logged.
        """
        self._forget_what_is_over()
        if blocking and timeout is None:
            mine = self._own_held_nodes()
            if self._held_node in mine:
                self._refuse_reentry(self._held_node, self._held_node.in_a_with)
            entered = [hold for hold in mine if hold.in_a_with]
            if entered and len(entered) >= self.max_leases:
                self._refuse_reentry(entered[-1], True)
        limit = Limit(timeout)
        if self._is_taken and not blocking:
            return False
        await self._take_turn(limit)
        self.cancelled = False
        return await self._contended(lambda: self._contend(blocking, limit), timeout)

    async def _contend(self, blocking: bool, limit: Limit) -> bool:
        await self._ensure_path()
        stat = await self.client.exists(self.create_path) if self._tried else None
        if stat is not None:
            self._got(self.create_path, stat)
            return True
        lock = Lock(self.client, self.lock_path, self.data.decode("utf-8"))
        self._session_lost = False
        self.client.add_listener(self._on_state)
        try:
            if not await lock.acquire(blocking, limit.left()):
                return False
            while not await self._get_lease():
                if not blocking:
                    return False
                if not await self._wakeup.wait(limit.left()):
                    raise self._timed_out()
            return True
        finally:
            self.client.remove_listener(self._on_state)
            self._unwatch(CHILD, self.path, self._wakeup.wake)
            lock._let_go()

    def _on_state(self, state: str) -> None:
        if state == KazooState.LOST:
            self._session_lost = True
            self._wakeup.wake()

    async def _get_lease(self) -> bool:
        self._wakeup.clear()
        children = await self.client.get_children(self.path, self._wakeup.wake)
        if self.cancelled:
            raise CancelledError("Semaphore cancelled")
        if self._session_lost:  # and with the session the lock
            raise ForceRetryError()
        if len(children) >= self.max_leases:
            return False
        self._tried = True
        path, stat = await self.client.create(self.create_path, self.data, ephemeral=True, include_data=True)
        self._got(path, stat)
        return True

    def _let_go(self) -> "Optional[asyncio.Future[None]]":
        if self._held_node is not None:
            self._held_node.end()
        gone = self.client._cleanup.remove(self.create_path) if self._tried else None
        self.is_acquired = False
        self._renew()
        self._pass_on()
        return gone

    async def lease_holders(self) -> List[str]:
        """The identifiers of who has a lease, in no order."""
        if not await self.client.exists(self.path):
            return []
        found: List[str] = []
        for child in await self.client.get_children(self.path):
            try:
                data, _ = await self.client.get("%s/%s" % (self.path, child))
                found.append(data.decode("utf-8"))
            except NoNodeError:
                pass
        return found
