"""kazoo's parties: a member is an ephemeral node."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, AsyncIterator, List, Optional

from kazoo.exceptions import NodeExistsError, NoNodeError

from .base import Held

if TYPE_CHECKING:
    from ..operations import Operations


class BaseParty(Held):
    """Who is there. ``async with`` joins, and leaves at the end."""

    def __init__(self, client: Operations, path: str, identifier: Optional[str] = None) -> None:
        super().__init__(client, path)
        self.data = str(identifier or "").encode("utf-8")
        self.node = ""
        self.participating = False

    @property
    def create_path(self) -> str:
        """Its own node."""
        return "%s/%s" % (self.path, self.node)

    async def join(self) -> None:
        """Joins. Who is cancelled has not joined."""
        tried = False

        async def create() -> None:
            nonlocal tried
            await self._ensure_path()
            tried = True
            try:
                await self.client.create(self.create_path, self.data, ephemeral=True)
            except NodeExistsError:
                pass

        try:
            await self._retry(create)
            self.participating = True
        finally:
            if tried and not self.participating:
                self.client._cleanup.remove(self.create_path)

    async def leave(self) -> bool:
        """Leaves. It leaves, however its task is cancelled."""
        was, self.participating = self.participating, False
        await asyncio.shield(self.client._cleanup.remove(self.create_path))
        return was

    async def acquire(self) -> None:
        """As `join`."""
        await self.join()

    async def release(self) -> bool:
        """As `leave`."""
        return await self.leave()

    async def size(self) -> int:
        """How many are there."""
        await self._ensure_path()
        return len(await self._names())

    async def members(self) -> List[str]:
        """Their identifiers."""
        raise NotImplementedError

    async def _names(self) -> List[str]:
        return await self._retry(lambda: self.client.get_children(self.path))

    async def __aiter__(self) -> AsyncIterator[str]:
        for member in await self.members():
            yield member


class Party(BaseParty):
    """Who is there, by what is in their nodes."""

    _NODE_NAME = "__party__"

    def __init__(self, client: Operations, path: str, identifier: Optional[str] = None) -> None:
        super().__init__(client, path, identifier)
        self.node = uuid.uuid4().hex + self._NODE_NAME

    async def members(self) -> List[str]:
        """Their identifiers."""
        await self._ensure_path()
        found: List[str] = []
        for name in await self._names():
            try:
                data, _ = await self.client.get("%s/%s" % (self.path, name))
                found.append(data.decode("utf-8"))
            except NoNodeError:
                pass
        return found

    async def _names(self) -> List[str]:
        return [name for name in await super()._names() if self._NODE_NAME in name]


class ShallowParty(BaseParty):
    """Who is there, by the names of their nodes: one request, whatever their number."""

    def __init__(self, client: Operations, path: str, identifier: Optional[str] = None) -> None:
        super().__init__(client, path, identifier)
        self.node = "-".join([uuid.uuid4().hex, self.data.decode("utf-8")])

    async def members(self) -> List[str]:
        """Their identifiers."""
        await self._ensure_path()
        return [name[name.find("-") + 1 :] for name in await self._names()]
