"""One real server for the tests of this directory; what they do there is kept apart by names of their own."""

from __future__ import annotations

from typing import Iterator

import pytest

from compat_tests.on_postgres import PostgresServer, unavailable


@pytest.fixture(scope="package")
def server() -> Iterator[PostgresServer]:
    why = unavailable()
    if why is not None:
        pytest.skip(why)
    with PostgresServer() as running:
        yield running
