"""The tables as a `ports.Store`: the checks that every store has to pass, on the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from fk_backend.providers.aws.clients import Clients
from fk_backend.providers.aws.store import DynamoStore
from fk_backend.testing.primitive_checks import PrimitiveChecks
from fk_backend.testing.store_checks import StoreChecks
from fk_backend.testing.store_model import StoreModelChecks


class OnDynamo:
    """Opens the store of the deployment ``test``."""

    concurrency = 8

    async def open_store(self) -> Any:
        """`Checked.open_store`."""
        return DynamoStore(await Clients().open(), "test")

    async def reopen_store(self, store: Any) -> Any:
        """`Checked.reopen_store`."""
        return await self.open_store()

    async def close_store(self, store: Any) -> None:
        """`Checked.close_store`."""
        await store._clients.close()


@pytest.mark.usefixtures("aws_account")
class TestStore(OnDynamo, StoreChecks):
    pass


@pytest.mark.usefixtures("aws_account")
class TestPrimitives(OnDynamo, PrimitiveChecks):
    pass


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("aws_account")
class TestAgainstAModel(OnDynamo, StoreModelChecks):
    programs = 10
