"""Who is connected, to whatever namespace: so many of one address, and so many together."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections import Counter
from typing import Counter as CounterOf
from typing import Generic, Iterator, Protocol, Set, TypeVar

RESERVED_FILES = 64
"""Of the files that the process may have open, so many are not for clients: the deployment takes some."""


class Counted(Protocol):
    """What comes from an address."""

    address: str


Each = TypeVar("Each", bound=Counted)


class ConnectionLimits(Generic[Each]):
    """``of_address``: at most, 0: any number. ``most``: of all addresses, 0: by the files that there may be."""

    def __init__(self, of_address: int, most: int) -> None:
        self._of_address_at_most = of_address
        self._most = most or _files()
        self._all: Set[Each] = set()
        self._of_address: CounterOf[str] = Counter()
        self._fewer = asyncio.Event()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Each]:
        return iter(list(self._all))

    def admit(self, one: Each) -> bool:
        """Whether there is room for it; then it is counted until it `left`."""
        most = self._of_address_at_most
        if len(self._all) >= self._most or (most and self._of_address[one.address] >= most):
            return False
        self._all.add(one)
        self._of_address[one.address] += 1
        return True

    def left(self, one: Each) -> None:
        """It is over, whether it was counted or not."""
        if one in self._all:
            self._all.remove(one)
            self._of_address[one.address] -= 1
            if not self._of_address[one.address]:
                del self._of_address[one.address]
        self._fewer.set()

    async def until_empty(self) -> None:
        """Until nobody is left."""
        while self._all:
            self._fewer.clear()
            await self._fewer.wait()


def _files() -> int:
    """As many clients as the process may have files open, but `RESERVED_FILES`."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if most == resource.RLIM_INFINITY else max(1, most - RESERVED_FILES)
