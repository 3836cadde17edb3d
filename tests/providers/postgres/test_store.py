"""PostgresStore keeps to everything that is asked of a store, with the permissions of a client."""

from __future__ import annotations

import pytest

from compat_tests.on_postgres import PostgresServer
from fk_backend.providers.postgres.connections import Connections
from fk_backend.providers.postgres.place import Place
from fk_backend.providers.postgres.store import PostgresStore
from fk_backend.testing.primitive_checks import PrimitiveChecks
from fk_backend.testing.store_checks import StoreChecks
from fk_backend.testing.store_model import StoreModelChecks
from tests.providers.exact import ExactPages


class InDatabase:
    """A client's own connections for each check."""

    name: str

    @pytest.fixture(autouse=True)
    def _deployment(self, server: PostgresServer) -> None:
        type(self).name = server.url.partition("://")[2]

    async def open_store(self) -> PostgresStore:
        return PostgresStore(Connections(Place(self.name, {})))

    async def close_store(self, store: PostgresStore) -> None:
        await store._connections.close()

    async def reopen_store(self, store: PostgresStore) -> PostgresStore:
        return await self.open_store()


class TestStore(InDatabase, StoreChecks, ExactPages):
    pass


@pytest.mark.slow
class TestModel(InDatabase, StoreModelChecks):
    programs = 10


class TestPrimitives(InDatabase, PrimitiveChecks):
    pass
