"""How a check meets a provider: in an event loop of its own, on partitions of its own, through the ports only.

Nothing here needs pytest: a check is a method named ``test_...`` that takes nothing and raises AssertionError.
"""

from __future__ import annotations

import asyncio
import unittest
import uuid
from typing import Any, Awaitable, Callable, List, NamedTuple, Optional

from ..errors import Conflict
from ..ports import STATE, Item, Key, Put, Store

_MEGABYTE = bytes(range(256)) * 4096


class Sandbox(NamedTuple):
    """A store, and a prefix for partitions and owners that nobody else uses."""

    store: Store
    prefix: str

    @property
    def large(self) -> bytes:
        """A body as large as one item takes: a megabyte, or less with some room for its key."""
        return _MEGABYTE[: self.store.capabilities.item_bytes - 1000]

    def key(self, sort: str, partition: str = "p", table: str = STATE) -> Key:
        """Of an item of this check."""
        return Key(table, self.prefix + partition, sort)

    async def one(self, key: Key) -> Optional[Item]:
        """A single item."""
        (item,) = await self.store.get([key])
        return item

    async def sorts(self, partition: str = "p", table: str = STATE, limit: int = 1000, **bounds: Any) -> List[str]:
        """The sort keys of a partition, page by page."""
        found: List[str] = []
        page = await self.store.query(table, self.prefix + partition, limit=limit, **bounds)
        while True:
            assert len(page.rows) <= limit
            found.extend(sort for sort, _ in page.rows)
            if not page.more:
                return found
            bounds["start"] = page.rows[-1][0] + "\0"
            page = await self.store.query(table, self.prefix + partition, limit=limit, **bounds)

    async def refused(self, *writes: object) -> bool:
        """Whether a commit is a Conflict."""
        try:
            await self.store.commit(writes)
        except Conflict:
            return True
        return False


def check(body: "Callable[[Any, Sandbox], Awaitable[None]]") -> Callable[[Any], None]:
    """An async check as a plain test method, in an event loop of its own."""

    async def run(checks: Any) -> None:
        store = await checks.open_store()
        try:
            await body(checks, Sandbox(store, "check-%s:" % uuid.uuid4().hex))
        finally:
            await checks.close_store(store)

    def test(checks: Any) -> None:
        asyncio.run(run(checks))

    test.__name__, test.__doc__ = body.__name__, body.__doc__
    return test


def put(key: Key, rev: int, body: bytes = b"", expect: Optional[int] = None, owner: str = "") -> Put:
    """A Put in one line."""
    return Put(key, Item(rev, body), expect, owner)


class Checked:
    """What a provider fills in."""

    concurrency = 20

    async def open_store(self) -> Store:
        """The store to check. Called in the check's event loop, once for each check."""
        raise NotImplementedError

    async def close_store(self, store: Any) -> None:
        """After a check. By default calls ``close()`` if the store has it."""
        close = getattr(store, "close", None)
        if close is not None:
            close()

    async def reopen_store(self, store: Any) -> Store:
        """Another store on the same data, for a process that comes later. Both are closed."""
        raise unittest.SkipTest("nothing outlives this store")
