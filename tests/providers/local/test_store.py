"""LocalStore keeps to everything that is asked of a store."""

from __future__ import annotations

from pathlib import Path

import pytest

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
