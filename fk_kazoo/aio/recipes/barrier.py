"""kazoo's barriers."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from types import TracebackType
from typing import TYPE_CHECKING, Optional, Type

from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError

from fk_backend.core.watches import DATA

from ..wakeup import Wakeup
from .base import Held, Limit

if TYPE_CHECKING:
    from ..operations import Operations


class Barrier(Held):
    """Nobody passes its `wait` while its node is there: ``async with`` sets it up, and removes it at the end."""

    async def create(self) -> None:
        """Sets it up."""
        await self._retry(lambda: self.client.ensure_path(self.path))

    async def remove(self) -> bool:
        """Removes it; whether it was there."""
        try:
            await self._retry(lambda: self.client.delete(self.path))
            return True
        except NoNodeError:
            return False

    async def acquire(self) -> None:
        """As `create`. Who is cancelled has not set it up."""
        try:
            await self.create()
        except BaseException:
            self.client._cleanup.remove(self.path)
            raise

    async def release(self) -> None:
        """As `remove`. It is removed, however its task is cancelled."""
        await asyncio.shield(self.client._cleanup.remove(self.path))

    async def wait(self, timeout: Optional[float] = None) -> bool:
        """Whether it was removed within so many seconds."""
        wakeup, limit = Wakeup(), Limit(timeout)
        try:
            while await self._retry(lambda: self.client.exists(self.path, wakeup.wake)):
                if not await wakeup.wait(limit.left()):
                    return False
                wakeup.clear()
            return True
        finally:
            self._unwatch(DATA, self.path, wakeup.wake)


class DoubleBarrier(Held):
    """So many begin together, and end together: ``async with`` enters, and leaves at the end.

    A body that fails, or is cancelled, has left at once, and waits for nobody.
    """

    def __init__(self, client: Operations, path: str, num_clients: int, identifier: Optional[str] = None) -> None:
        super().__init__(client, path)
        self.num_clients = num_clients
        self._identifier = identifier or "%s-%s" % (socket.getfqdn(), os.getpid())
        self.participating = False
        self._wakeup = Wakeup()
        self._renew()

    def _renew(self) -> None:
        self.node_name = uuid.uuid4().hex
        self.create_path = "%s/%s" % (self.path, self.node_name)

    async def acquire(self) -> None:
        """As `enter`."""
        await self.enter()

    async def release(self) -> None:
        """As `leave`."""
        await self.leave()

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        if kind is None:
            await self.leave()
        else:
            self.client._cleanup.remove(self.path + "/ready")
            self._let_go()

    async def enter(self) -> None:
        """Waits until so many have entered. Who fails, or is cancelled, has not entered."""
        try:
            await self._retry(self._enter)
            self.participating = True
        finally:
            self._unwatch(DATA, self.path + "/ready", self._wakeup.wake)
            if not self.participating:
                self._let_go()

    def _let_go(self) -> None:
        self.client._cleanup.remove(self.create_path)
        self.participating = False
        self._renew()

    async def _enter(self) -> None:
        await self._ensure_path()
        try:
            await self.client.create(self.create_path, self._identifier.encode("utf-8"), ephemeral=True)
        except NodeExistsError:
            pass
        while True:
            self._wakeup.clear()
            if await self.client.exists(self.path + "/ready", self._wakeup.wake):
                return
            if len(await self.client.get_children(self.path)) >= self.num_clients:
                await self.client.ensure_path(self.path + "/ready")
                return
            await self._wakeup.wait()

    async def leave(self) -> None:
        """Waits until all have left. Who fails, or is cancelled, has left."""
        try:
            await self._retry(self._leave)
        except KazooException:
            pass  # as kazoo's
        finally:
            self._let_go()

    async def _leave(self) -> None:
        await self._delete(self.path + "/ready")
        while True:
            names = sorted(await self.client.get_children(self.path))
            if not names:
                return
            if names == [self.node_name]:
                return await self._delete(self.create_path)
            if names[0] == self.node_name:  # the first one waits for the last one
                awaited = names[-1]
            else:
                await self._delete(self.create_path)
                awaited = names[0]
            await self._gone("%s/%s" % (self.path, awaited))

    async def _delete(self, path: str) -> None:
        try:
            await self.client.delete(path)
        except NoNodeError:
            pass

    async def _gone(self, path: str) -> None:
        """Until it is gone, or something else may have changed."""
        self._wakeup.clear()
        try:
            if await self.client.exists(path, self._wakeup.wake):
                await self._wakeup.wait()
        finally:
            self._unwatch(DATA, path, self._wakeup.wake)
