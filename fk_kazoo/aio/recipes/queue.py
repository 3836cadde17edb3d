"""kazoo's queues: an entry is a node whose name begins with its priority."""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, List, Optional, Tuple, Type

from kazoo.exceptions import NodeExistsError, NoNodeError, RolledBackError, RuntimeInconsistency

from fk_backend.core.watches import CHILD

from ...exceptions import LockLostError
from ..transaction import TransactionRequest
from ..wakeup import Wakeup
from .base import Limit, Recipe

if TYPE_CHECKING:
    from ..operations import Operations


class BaseQueue(Recipe):
    """A queue of bytes."""

    def __init__(self, client: Operations, path: str) -> None:
        super().__init__(client, path)
        self._entries_path = path
        self.structure_paths: Tuple[str, ...] = (path,)

    async def _ensure_path(self) -> None:
        if not self._ensured:
            for path in self.structure_paths:
                await self.client.ensure_path(path)
            self._ensured = True

    async def size(self) -> int:
        """How many entries it has."""
        await self._ensure_path()
        _, stat = await self._retry(lambda: self.client.get(self._entries_path))
        return stat.numChildren


def _check(value: Any, priority: Any) -> None:
    if not isinstance(value, bytes):
        raise TypeError("value must be a byte string")
    if not isinstance(priority, int):
        raise TypeError("priority must be an int")
    if priority < 0 or priority > 999:
        raise ValueError("priority must be between 0 and 999")


def _errors(transaction: TransactionRequest) -> List[Exception]:
    """What kept it from being done; not that the rest was rolled back, too."""
    expected = (RolledBackError, RuntimeInconsistency)
    return [each for each in transaction.results if isinstance(each, Exception) and not isinstance(each, expected)]


class Queue(BaseQueue):
    """A queue whose entries are gone once they are got: whoever is cancelled in `get` may take one along."""

    prefix = "entry-"

    def __init__(self, client: Operations, path: str) -> None:
        super().__init__(client, path)
        self._names: List[str] = []

    async def get(self) -> Optional[bytes]:
        """The first entry, which is removed; None if there is none."""
        await self._ensure_path()
        return await self._retry(self._get)

    async def _get(self) -> Optional[bytes]:
        while True:
            if not self._names:
                self._names = sorted(await self.client.get_children(self.path))
            if not self._names:
                return None
            path = "%s/%s" % (self.path, self._names.pop(0))
            try:
                data, _ = await self.client.get(path)
                await self.client.delete(path)
                return data
            except NoNodeError:  # somebody else got it
                self._names = []

    async def put(self, value: bytes, priority: int = 100) -> None:
        """Puts an entry in. ``priority``: 0 to 999, the lowest comes first."""
        _check(value, priority)
        await self._ensure_path()
        await self.client.create("%s/%s%03d-" % (self.path, self.prefix, priority), value, sequence=True)


class LockingQueue(BaseQueue):
    """A queue whose entries come back if whoever took them fails.

    ``async with zk.LockingQueue("/queue") as value:`` takes one, and consumes it at the end; it gives it back if the
    body raises or is cancelled. LockLostError at the end of a body that did not have its entry any more.
    """

    lock = "/taken"
    entries = "/entries"
    entry = "entry"

    def __init__(self, client: Operations, path: str) -> None:
        super().__init__(client, path)
        self.id = uuid.uuid4().hex.encode()
        self.processing_element: Optional[Tuple[str, bytes]] = None
        """What it has taken: name and value."""
        self._lock_path = path + self.lock
        self._entries_path = path + self.entries
        self.structure_paths = (self._lock_path, self._entries_path)
        self._wakeup = Wakeup()

    async def put(self, value: bytes, priority: int = 100) -> None:
        """Puts an entry in. ``priority``: 0 to 999, the lowest comes first."""
        await self.put_all([value], priority)

    async def put_all(self, values: List[bytes], priority: int = 100) -> None:
        """Puts several in, all or none."""
        if not isinstance(values, list):
            raise TypeError("values must be a list of byte strings")
        for value in values:
            _check(value, priority)
        await self._ensure_path()
        async with TransactionRequest(self.client) as transaction:
            for value in values:
                path = "%s/%s-%03d-" % (self._entries_path, self.entry, priority)
                transaction.create(path, value, sequence=True)
        for error in _errors(transaction):
            raise error

    async def get(self, timeout: Optional[float] = None) -> Optional[bytes]:
        """Takes an entry, or the one that it has taken and not consumed; None after ``timeout`` seconds."""
        await self._ensure_path()
        if self.processing_element is None:
            self.processing_element = await self._next(Limit(timeout))
        return None if self.processing_element is None else self.processing_element[1]

    async def _next(self, limit: Limit) -> Optional[Tuple[str, bytes]]:
        try:
            while True:
                self._wakeup.clear()
                names, taken = await self._retry(self._list_entries)
                for name in sorted(set(names).difference(taken)):
                    value = await self._retry(partial(self._take, name))
                    if value is not None:
                        return name, value
                if not await self._wakeup.wait(limit.left()):
                    return None
        finally:
            for path in self.structure_paths:
                self._unwatch(CHILD, path, self._wakeup.wake)

    async def _list_entries(self) -> Tuple[List[str], List[str]]:
        names = await self.client.get_children(self._entries_path, self._wakeup.wake)
        return names, await self.client.get_children(self._lock_path, self._wakeup.wake)

    async def _take(self, name: str) -> Optional[bytes]:
        lock, value = "%s/%s" % (self._lock_path, name), None
        try:
            try:
                await self.client.create(lock, self.id, ephemeral=True)
            except NodeExistsError:
                if (await self.client.get(lock))[0] != self.id:
                    return None
            value, _ = await self.client.get("%s/%s" % (self._entries_path, name))
            return value
        except NoNodeError:
            return None
        finally:
            if value is None:
                self.client._cleanup.remove(lock, self.id)

    async def holds_lock(self) -> bool:
        """Whether it still has what it took."""
        if self.processing_element is None:
            return False
        lock = "%s/%s" % (self._lock_path, self.processing_element[0])
        await self.client.sync(lock)
        try:
            value, _ = await self._retry(lambda: self.client.get(lock))
        except NoNodeError:
            return False
        return value == self.id

    async def consume(self) -> bool:
        """Removes what it took; whether it still had it."""
        if self.processing_element is None or not await self.holds_lock():
            return False
        name, _ = self.processing_element
        async with TransactionRequest(self.client) as transaction:
            transaction.delete("%s/%s" % (self._entries_path, name))
            transaction.delete("%s/%s" % (self._lock_path, name))
        if _errors(transaction):
            return False
        self.processing_element = None
        return True

    async def release(self) -> bool:
        """Gives back what it took; whether it had something. It is given back, however its task is cancelled."""
        if self.processing_element is None:
            return False
        (name, _), self.processing_element = self.processing_element, None
        await asyncio.shield(self.client._cleanup.remove("%s/%s" % (self._lock_path, name), self.id))
        return True

    async def __aenter__(self) -> bytes:
        value = await self.get()
        assert value is not None
        return value

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        try:
            if kind is None and self.processing_element is not None and not await self.consume():
                raise LockLostError("the entry that was taken from %s may be with somebody else by now" % self.path)
        finally:
            await self.release()
