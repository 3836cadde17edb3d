"""kazoo's locks: a contender is a node, and the first of them in line has the lock."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import TYPE_CHECKING, Iterable, List, Optional, Tuple

from kazoo.exceptions import CancelledError, NoNodeError
from kazoo.protocol.states import ZnodeStat
from kazoo.retry import ForceRetryError

from fk_backend.core.watches import DATA

from ...fenced_recipe import Lost
from .base import Contended, Limit

if TYPE_CHECKING:
    from ..operations import Operations


class Lock(Contended):
    """A lock that one client has at a time. Tasks that share this object take it one after the other.

    ``async with zk.Lock("/lock"):``. Who is cancelled while he waits leaves no contender behind. `fence`, `lost` and
    ``lost=Lost.RAISE``: docs/locks.md.
    """

    _NODE_NAME = "__lock__"
    _EXCLUDE_NAMES: Tuple[str, ...] = ("__lock__",)

    kind = "lock"

    def __init__(
        self,
        client: Operations,
        path: str,
        identifier: Optional[str] = None,
        extra_lock_patterns: Iterable[str] = (),
        *,
        lost: Lost = Lost.TELL,
    ) -> None:
        super().__init__(client, path, lost)
        self.data = str(identifier or "").encode("utf-8")
        self._names = {*self._EXCLUDE_NAMES, *extra_lock_patterns}
        self._contender = _pattern(self._names)
        self.node: Optional[str] = None
        """The name of this contender's node."""
        self._renew()

    def _renew(self) -> None:
        """The next contender has a name of its own: whatever may still be made under the last one goes."""
        self.prefix = uuid.uuid4().hex + self._NODE_NAME
        self.node, self._tried = None, False

    async def acquire(self, blocking: bool = True, timeout: Optional[float] = None, ephemeral: bool = True) -> bool:
        """Whether it was acquired: False only where ``blocking`` is. LockTimeout after ``timeout`` seconds.

        ReentrantLockError, without a timeout, for a task that would wait for itself: within ``async with`` of this
        path. Where another task may release it, that is logged.
        """
        self._forget_what_is_over()
        if blocking and timeout is None:
            for hold in self._own_held_nodes():
                if hold is self._held_node or hold.kind in self._names:
                    self._refuse_reentry(hold, hold.in_a_with)
        limit = Limit(timeout)
        if self._is_taken and not blocking:
            return False
        await self._take_turn(limit)
        return await self._contended(lambda: self._contend(blocking, limit, ephemeral), timeout)

    async def _contend(self, blocking: bool, limit: Limit, ephemeral: bool) -> bool:
        await self._ensure_path()
        node, stat = await self._find_node() if self._tried else (None, None)
        if node is None or stat is None:
            self._tried = True
            path = "%s/%s" % (self.path, self.prefix)
            made, stat = await self.client.create(
                path, self.data, ephemeral=ephemeral, sequence=True, include_data=True
            )
            node = made[len(self.path) + 1 :]
        self.node = node
        while True:
            self._wakeup.clear()
            if self.cancelled:
                self.cancelled = False
                raise CancelledError()
            predecessor = await self._predecessor(node)
            if predecessor is None:
                self._got("%s/%s" % (self.path, node), stat)
            if predecessor is None or not blocking:
                return predecessor is None
            await self._wait_for(predecessor, limit)

    async def _wait_for(self, name: str, limit: Limit) -> None:
        """Until that node is gone, or something else may have changed."""
        path = "%s/%s" % (self.path, name)
        self.client.add_listener(self._wakeup.wake)
        try:
            await self.client.get(path, self._wakeup.wake)
            if not await self._wakeup.wait(limit.left()):
                raise self._timed_out()
        except NoNodeError:
            pass  # it is gone already
        finally:
            self.client.remove_listener(self._wakeup.wake)
            self._unwatch(DATA, path, self._wakeup.wake)

    async def _predecessor(self, node: str) -> Optional[str]:
        """Who is next in line before this contender; None if it is the first. ForceRetryError if it is gone."""
        children = await self.client.get_children(self.path)
        if node not in children:
            raise ForceRetryError()
        number = node[len(self.prefix) :]
        found = [(match.group(1), match.string) for match in map(self._contender.search, children) if match]
        return max((each for each in found if each[0] < number), default=("", None))[1]

    async def _find_node(self) -> Tuple[Optional[str], Optional[ZnodeStat]]:
        children = await self.client.get_children(self.path)
        node = next((child for child in children if child.startswith(self.prefix)), None)
        return node, None if node is None else await self.client.exists("%s/%s" % (self.path, node))

    def _kind(self) -> str:
        return self._NODE_NAME

    def _let_go(self) -> "Optional[asyncio.Future[None]]":
        """Gives back what there is, in one step. Done when the node is gone."""
        gone = None
        if self._held_node is not None:
            self._held_node.end()
        if self.node is not None:
            gone = self.client._cleanup.remove("%s/%s" % (self.path, self.node))
        elif self._tried:
            gone = self.client._cleanup.remove_named(self.path, self.prefix)
        self.is_acquired = False
        self._renew()
        self._pass_on()
        return gone

    async def contenders(self) -> List[str]:
        """The identifiers of who contends for it, in their order."""
        await self._ensure_path()
        pattern = _pattern(self._names | {self._NODE_NAME})
        matches = filter(None, map(pattern.search, await self.client.get_children(self.path)))
        found: List[str] = []
        for match in sorted(matches, key=lambda match: match.groups()):
            try:
                data, _ = await self.client.get("%s/%s" % (self.path, match.string))
                found.append(data.decode("utf-8"))
            except NoNodeError:
                pass
        return found


def _pattern(names: Iterable[str]) -> "re.Pattern[str]":
    return re.compile(r"(?:%s)(-?\d{10})$" % "|".join(names))


class WriteLock(Lock):
    """A lock that nobody else has at the same time, neither for writing nor for reading."""

    _EXCLUDE_NAMES = ("__lock__", "__rlock__")


class ReadLock(Lock):
    """A lock that others may have for reading at the same time."""

    _NODE_NAME = "__rlock__"
