"""kazoo's counter: a number in a node, changed where it is still what it was."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Generic, Optional, Tuple, Type, TypeVar, cast

from kazoo.exceptions import BadVersionError
from kazoo.retry import ForceRetryError

from .base import Recipe

if TYPE_CHECKING:
    from ..operations import Operations

N = TypeVar("N", int, float)


class Counter(Recipe, Generic[N]):
    """A number that everybody may change at the same time: ``await counter.add(1)``."""

    def __init__(self, client: Operations, path: str, default: N, support_curator: bool = False) -> None:
        super().__init__(client, path)
        self.default: N = default
        self.default_type: Type[N] = type(default)
        self.support_curator = support_curator
        self.pre_value: Optional[N] = None
        """Before the last change, and after it."""
        self.post_value: Optional[N] = None
        if support_curator and not isinstance(default, int):
            raise TypeError("when support_curator is enabled the default type must be an int")

    async def _read(self) -> Tuple[N, int]:
        await self._ensure_path()
        data, stat = await self.client.get(self.path)
        if not data:
            value = self.default
        elif self.support_curator:
            value = cast(N, struct.unpack(">i", data)[0])
        else:
            value = self.default_type(data.decode("ascii"))
        return value, stat.version

    async def value(self) -> N:
        """The number."""
        return (await self._read())[0]

    async def add(self, value: N) -> N:
        """Adds, and returns the sum. TypeError if it is not of the type of the default."""
        if not isinstance(value, self.default_type):
            raise TypeError("invalid type for value change")
        return await self._retry(lambda: self._change(value))

    async def subtract(self, value: N) -> N:
        """As `add`, of the opposite."""
        return await self.add(-value)

    async def _change(self, value: N) -> N:
        before, version = await self._read()
        after = before + value
        data = struct.pack(">i", after) if self.support_curator else repr(after).encode("ascii")
        try:
            await self.client.set(self.path, data, version=version)
        except BadVersionError:
            raise ForceRetryError from None
        self.pre_value, self.post_value = before, after
        return after
