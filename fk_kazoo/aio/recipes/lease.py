"""kazoo's leases, which last for a time and are not given back: for what is to be done once in that time."""

from __future__ import annotations

import json
import socket
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generator, Optional, Type

from kazoo.exceptions import CancelledError, NoNodeError

from .base import Recipe
from .lock import Lock

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..operations import Operations

VERSION = 1
DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"


def utcnow() -> datetime:
    """The time, as kazoo writes it."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


class Lease(Recipe):
    """``lease = await zk.NonBlockingLease(...)``, or ``async with``; ``if lease:`` tells whether it was obtained."""

    obtained = False

    def __bool__(self) -> bool:
        return self.obtained

    def __await__(self) -> Generator[Any, None, Self]:
        return self._try().__await__()

    async def _try(self) -> Self:
        await self._obtain()
        return self

    async def _obtain(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return await self._try()

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        """It is not given back: it lasts until its end."""


class NonBlockingLease(Lease):
    """A lease that lasts ``duration``."""

    def __init__(
        self,
        client: Operations,
        path: str,
        duration: timedelta,
        identifier: Optional[str] = None,
        utcnow: Callable[[], datetime] = utcnow,
    ) -> None:
        super().__init__(client, path)
        self._duration = duration
        self._identifier = identifier or socket.gethostname()
        self._utcnow = utcnow

    async def _obtain(self) -> None:
        """Who is cancelled has not obtained it."""
        await self._ensure_path()
        holder_path = self.path + "/lease_holder"
        made = b""
        try:
            async with Lock(self.client, self.path, self._identifier):
                now = self._utcnow()
                if not await self._may_take(holder_path, now):
                    return
                end = (now + self._duration).strftime(DATE_FORMAT)
                made = json.dumps({"version": VERSION, "holder": self._identifier, "end": end}).encode("utf-8")
                await self.client.create(holder_path, made)
            self.obtained = True
        except CancelledError:
            pass
        finally:
            if made and not self.obtained:
                self.client._cleanup.remove(holder_path, made)

    async def _may_take(self, holder_path: str, now: datetime) -> bool:
        try:
            data, _ = await self.client.get(holder_path)
        except NoNodeError:
            return True
        held = json.loads(data.decode("utf-8"))
        if held["version"] != VERSION:
            return False
        if held["holder"] != self._identifier and now < datetime.strptime(held["end"], DATE_FORMAT):
            return False
        await self.client.delete(holder_path)
        return True


class MultiNonBlockingLease(Lease):
    """One of ``count`` leases."""

    def __init__(
        self,
        client: Operations,
        count: int,
        path: str,
        duration: timedelta,
        identifier: Optional[str] = None,
        utcnow: Callable[[], datetime] = utcnow,
    ) -> None:
        super().__init__(client, path)
        self._count = count
        self._lease_arguments = (duration, identifier, utcnow)

    async def _obtain(self) -> None:
        for number in range(self._count):
            if await NonBlockingLease(self.client, "%s/%d" % (self.path, number), *self._lease_arguments):
                self.obtained = True
                return
