"""What recipes have in common."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Awaitable, Callable, Optional, Type, TypeVar

from kazoo.protocol.paths import _prefix_root
from kazoo.retry import KazooRetry

from .. import retrying
from ..watches import Armed, Watcher

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..client import KazooClient

T = TypeVar("T")
FOR_EVER: KazooRetry = retrying.policy(None)


class Recipe:
    """One recipe at one path."""

    def __init__(self, client: KazooClient, path: str) -> None:
        self.client = client
        self.path = path
        self._ensured = False

    async def _ensure_path(self) -> None:
        if not self._ensured:
            await self.client.ensure_path(self.path)
            self._ensured = True

    def _unwatch(self, mode: str, path: str, watcher: Watcher) -> None:
        """Takes a watch back, in one step."""
        self.client._watches.forget(Armed(mode, _prefix_root(self.client.chroot, path)), watcher)

    async def _retry(self, call: Callable[[], Awaitable[T]]) -> T:
        return await retrying.retry(self.client._command_retry, call)


class Held(Recipe):
    """One that is had as ``async with``."""

    async def acquire(self) -> object:
        """Takes it."""
        raise NotImplementedError

    async def release(self) -> object:
        """Gives it back."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        await self.release()


class Limit:
    """How long may still be waited."""

    def __init__(self, seconds: Optional[float]) -> None:
        self._time = asyncio.get_running_loop().time
        self._until = None if seconds is None else self._time() + seconds

    def left(self) -> Optional[float]:
        """In seconds; None: for ever."""
        return None if self._until is None else max(0.0, self._until - self._time())
