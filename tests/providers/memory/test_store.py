"""MemoryStore keeps to everything that is asked of a store."""

from __future__ import annotations

import asyncio
import time

from fk_backend.ports import STATE, Item, Key, Put
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.testing.primitive_checks import PrimitiveChecks
from fk_backend.testing.store_checks import StoreChecks
from fk_backend.testing.store_model import StoreModelChecks
from tests.providers.exact import ExactPages


class InMemory:
    """A fresh one for each check."""

    async def open_store(self) -> MemoryStore:
        return MemoryStore()


class TestStore(InMemory, StoreChecks, ExactPages):
    test_what_was_committed_outlives_the_process = None  # type: ignore[assignment] # nothing does


class TestModel(InMemory, StoreModelChecks):
    programs = 100


class TestPrimitives(InMemory, PrimitiveChecks):
    pass


def test_a_page_of_a_large_partition_costs_what_a_page_costs() -> None:
    """Of 100,000 rows: reading all in pages of 1,000 would take minutes if each page looked at all of them."""

    async def run() -> float:
        store = MemoryStore()
        for first in range(0, 100_000, 1000):
            await store.commit([Put(Key(STATE, "p", "/%06d" % n), Item(1, b"")) for n in range(first, first + 1000)])
        started, start, seen = time.process_time(), "", 0
        while start is not None:
            page = await store.query(STATE, "p", start)
            seen += len(page.rows)
            start = page.rows[-1][0] + "\0" if page.more else None  # type: ignore[assignment]
        assert seen == 100_000
        return time.process_time() - started

    assert asyncio.run(run()) < 5
