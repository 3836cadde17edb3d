"""What is answered stays answered: over kills of clients, writers and servers, and over a failover to a standby."""

from __future__ import annotations

import pytest

from compat_tests.on_postgres import PostgresServer

from . import failovers
from .kills import run

pytestmark = pytest.mark.slow


@pytest.mark.timeout(300)
def test_killed_processes_lose_nothing(server: PostgresServer) -> None:
    done = run(server, 40, seed=1)
    assert done["servers"] == 4 and done["restarts"] == 2 and done["clients"] == 34 and done["answered"] > 40


@pytest.mark.timeout(300)
def test_a_synchronous_standby_takes_over_without_losing_anything() -> None:
    """The primary is killed in the middle of writes, twice; clients name both servers."""
    done = failovers.run(2)
    assert done["answered"] > 20 and done["locked"]
