"""LocalStore keeps to everything that is asked of a store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import List

import pytest

from fk_backend.ports import STATE, Item, Key, Put
from fk_backend.providers.local import files
from fk_backend.providers.local.store import LocalStore
from fk_backend.testing.primitive_checks import PrimitiveChecks
from fk_backend.testing.store_checks import StoreChecks
from fk_backend.testing.store_model import StoreModelChecks
from tests.providers.exact import ExactPages


class OnFiles:
    """One deployment for each test, opened as its host does."""

    place: files.Place

    @pytest.fixture(autouse=True)
    def _deployment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(files.HOME_VARIABLE, str(tmp_path))
        type(self).place = files.prepare("checked")

    async def open_store(self) -> LocalStore:
        return LocalStore(self.place, writable_state=True)

    async def reopen_store(self, store: LocalStore) -> LocalStore:
        store.close()
        return LocalStore(self.place, writable_state=True)


class TestStore(OnFiles, StoreChecks, ExactPages):
    pass


class TestModel(OnFiles, StoreModelChecks):
    pass


class TestPrimitives(OnFiles, PrimitiveChecks):
    pass


def test_a_query_up_to_a_key_does_not_go_through_what_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the steps of SQLite's machine: a node is read as fast whether it has a child or a thousand."""
    monkeypatch.setenv(files.HOME_VARIABLE, str(tmp_path))
    store = LocalStore(files.prepare("checked"), writable_state=True)
    steps: List[int] = []

    async def steps_to_read() -> int:
        steps.clear()
        page = await store.query(STATE, "ns:/a", "", "$")
        assert [sort for sort, _ in page.rows] == ["#"]
        return len(steps)

    async def run() -> None:
        await store.commit([Put(Key(STATE, "ns:/a", "#"), Item(1, b"")), Put(Key(STATE, "ns:/a", "/0"), Item(1, b""))])
        store._connections[STATE].set_progress_handler(lambda: steps.append(1), 1)
        few = await steps_to_read()
        await store.commit([Put(Key(STATE, "ns:/a", "/%d" % n), Item(1, b"")) for n in range(1, 1000)])
        assert 0 < await steps_to_read() < few + 20

    asyncio.run(run())
    store.close()
