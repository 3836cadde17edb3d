"""kazoo's election: who has the lock leads."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Awaitable, Callable, List, Optional, Type

from kazoo.exceptions import CancelledError

from ...fenced_recipe import Lost
from .base import Held
from .lock import Lock

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..operations import Operations


class Election(Held):
    """One leads at a time: ``async with zk.Election("/leader", "me"):``, or `run`.

    With ``lost=Lost.RAISE`` the body, or what `run` awaits, is interrupted as soon as there may be another leader.
    """

    def __init__(
        self, client: Operations, path: str, identifier: Optional[str] = None, *, lost: Lost = Lost.TELL
    ) -> None:
        super().__init__(client, path)
        self.lock = Lock(client, path, identifier, lost=lost)

    @property
    def fence(self) -> int:
        """As `Lock.fence`: greater than that of every leader before."""
        return self.lock.fence

    @property
    def lost(self) -> asyncio.Event:
        """As `Lock.lost`: set as soon as there may be another leader."""
        found: asyncio.Event = self.lock.lost
        return found

    async def __aenter__(self) -> Self:
        await self.lock.__aenter__()
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        await self.lock.__aexit__(kind, error, where)

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
