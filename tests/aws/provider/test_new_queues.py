"""An inbox may be made and not be there yet, for whoever polls it and for whoever pushes to it.

SQS API Reference, CreateQueue: "you must wait at least one second after the queue is created to be able to use the
queue". The emulator keeps to that here.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterator, List

import pytest

from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.documented import DOCUMENTED, LATE_QUEUES
from fk_backend.providers.aws.dev.emulator import Emulator
from fk_backend.providers.aws.dev.host import Host, functions_of
from fk_kazoo.client import KazooClient

CLIENTS = 6
TIMEOUT_S = 60
"""Of a session: however busy the machine is, no connection is given up for it."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a deployment where queues come as late as they may, by what is documented, and half a second more."""
    if sys.version_info < (3, 10):
        pytest.skip("the emulator needs Python 3.10")
    with Emulator(environment={DOCUMENTED: LATE_QUEUES + "=1.5"}) as emulator:
        account = resources.new_account(emulator.url, "test")
        for key, value in account.environment.items():
            monkeypatch.setenv(key, value)
        resources.create(account)
        with Host(account, functions_of(account)):
            yield account.url


@pytest.mark.slow
def test_many_that_connect_at_once_are_connected_at_their_first_try(url: str) -> None:
    states: List[str] = []

    def use(number: int) -> None:
        client: Any = KazooClient(url, TIMEOUT_S)
        client.add_listener(states.append)
        client.start(timeout=30)
        client.create("/n%d" % number, b"", ephemeral=True)
        client.stop()
        client.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(use, range(CLIENTS)))
    assert states.count("CONNECTED") == states.count("LOST") == CLIENTS and "SUSPENDED" not in states


@pytest.mark.slow
def test_one_that_comes_back_finds_its_session(url: str) -> None:
    client: Any = KazooClient(url, TIMEOUT_S)
    client.start(timeout=30)
    client.create("/n", b"", ephemeral=True)
    again: Any = KazooClient(url, TIMEOUT_S, client_id=client.client_id)
    again.start(timeout=30)
    assert again.exists("/n").ephemeralOwner == client.client_id[0] == again.client_id[0]
    for one in (client, again):
        one.stop()
        one.close()
