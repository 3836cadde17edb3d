"""What an operation costs in requests: counted at the last moment before they are sent, by clients and functions alike.

Receives and deletes of queues are apart: those of the event source are Lambda's, those of the inbox the long poll's.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

import pytest

from fk_backend import layout
from fk_backend.ports import STATE
from fk_backend.providers.aws import names
from fk_backend.providers.aws.dev.host import Host, functions_of

from ..conftest import Deployment
from .conftest import POLLS, Requests

ENVIRONMENT = 4
"""What a new environment asks once: where the queues are; and it tells the last commit again, which nobody may have."""

Connect = Callable[..., Any]


@pytest.fixture()
def client(requests: Requests, connect: Connect) -> Any:
    """A client of a deployment whose writer is warm."""
    made = connect()
    made.create("/warm", b"x")
    return made


def _cost(requests: Requests, operation: Callable[[], Any]) -> int:
    requests.clear()
    operation()
    return requests.count


def test_writes(client: Any, requests: Requests) -> None:
    assert _cost(requests, lambda: client.create("/a", b"x" * 1000)) <= 6
    assert _cost(requests, lambda: client.set("/a", b"y" * 1000)) <= 5
    assert _cost(requests, lambda: client.delete("/a")) <= 6


def test_writes_to_nodes_that_the_writer_does_not_know(client: Any, requests: Requests, deployment: Deployment) -> None:
    """Apart from the first request of a new environment, which has to read the head: one more."""
    for name in ("/a", "/b", "/c"):
        client.create(name, b"x")
    deployment.host.stop(drain=True)
    with Host(deployment.account, functions_of(deployment.account)):
        assert _cost(requests, lambda: client.set("/a", b"x")) <= 6 + ENVIRONMENT
        assert _cost(requests, lambda: client.set("/b", b"y" * 1000)) <= 5
        assert _cost(requests, lambda: client.delete("/c")) <= 6


def test_failed_writes(client: Any, requests: Requests) -> None:
    for operation in (
        lambda: client.create("/warm"),
        lambda: client.delete("/nope"),
        lambda: client.set("/warm", b"", version=9),
    ):
        requests.clear()
        with pytest.raises(Exception, match=r".*"):
            operation()
        assert 0 < requests.count <= 4


def test_reads(client: Any, requests: Requests) -> None:
    for number in range(3):
        client.create("/warm/%d" % number)
    assert _cost(requests, lambda: client.get("/warm")) == 1
    assert _cost(requests, lambda: client.exists("/warm")) == 1
    assert _cost(requests, lambda: client.exists("/nope")) == 1
    assert _cost(requests, lambda: client.get_children("/warm")) <= 2
    assert _cost(requests, lambda: client.get("/warm", watch=lambda event: None)) == 2


def test_pipelined_writes_share_what_they_cost(client: Any, requests: Requests) -> None:
    def create_100() -> None:
        for result in [client.create_async("/n%03d" % number, b"x") for number in range(100)]:
            result.get(timeout=20)

    assert _cost(requests, create_100) <= 120


@pytest.mark.parametrize("size", [0, 900_000])
def test_a_create_costs_the_same_beside_many_siblings_and_below_large_data(
    client: Any, requests: Requests, deployment: Deployment, size: int
) -> None:
    client.set("/warm", bytes(size))
    client.create("/warm/first", b"x")
    alone = _cost(requests, lambda: client.create("/warm/second", b"x"))
    for siblings in (500, 4_000):
        _populate(deployment, "/warm", siblings)
        assert _cost(requests, partial(client.create, "/warm/n%d" % siblings, b"x")) == alone <= 6
    pages = -(-4_000 // 1000) + 1
    assert _cost(requests, lambda: client.get_children("/warm")) <= 2 * pages


def _populate(deployment: Deployment, path: str, count: int) -> None:
    """Entries of that many children, as the writer makes them one by one."""
    database = deployment.account.client("dynamodb")
    keys = [layout.child_key("default", "%s/s%06d" % (path, number)) for number in range(count)]
    for first in range(0, count, 25):
        puts = [
            {"PutRequest": {"Item": {"p": {"S": key.partition}, "s": {"S": key.sort}, "r": {"N": "1"}}}}
            for key in keys[first : first + 25]
        ]
        database.batch_write_item(RequestItems={names.table(deployment.account.name, STATE): puts})


def test_an_idle_client_polls_its_inbox_and_does_nothing_else(client: Any, requests: Requests) -> None:
    """Also with a watch, for longer than several beats of its session would take apart."""
    client.get("/warm", watch=lambda event: None)
    requests.clear()
    client.handler.sleep_func(client._session_timeout / 1000.0 / 2)
    assert not requests.apart_from(*POLLS), "and it may poll at any time"
