"""kazoo's election: who has the lock leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Awaitable, Callable, List, Optional

from kazoo.exceptions import CancelledError

from .base import Held

if TYPE_CHECKING:
    from ..client import KazooClient


class Election(Held):
    """One leads at a time: ``async with zk.Election("/leader", "me"):``, or `run`."""

    def __init__(self, client: KazooClient, path: str, identifier: Optional[str] = None) -> None:
        super().__init__(client, path)
        self.lock = client.Lock(path, identifier)

    async def acquire(self) -> bool:
        """Waits until it leads."""
        return await self.lock.acquire()

    async def release(self) -> bool:
        """Leads no longer."""
        return await self.lock.release()

    async def run(self, func: Callable[..., Awaitable[object]], *args: Any, **kwargs: Any) -> None:
        """Awaits what the function returns while it leads; nothing if it is cancelled before."""
        if not callable(func):
            raise ValueError("leader function is not callable")
        try:
            async with self.lock:
                await func(*args, **kwargs)
        except CancelledError:
            pass

    def cancel(self) -> None:
        """Ends a pending `run`."""
        self.lock.cancel()

    async def contenders(self) -> List[str]:
        """The identifiers of who runs, the leader's first."""
        return await self.lock.contenders()
