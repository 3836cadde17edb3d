"""A client whose requests fail for a while: SUSPENDED while it lasts, then CONNECTED with the same session; no hang.

Only the client's requests are tampered with; the functions go on undisturbed.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Iterator, List

import pytest
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState

from fk_backend.providers.aws import gateway, names, poll, queues
from fk_backend.providers.aws.clients import Clients
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import ConnectionLoss
from tests.service.processes import eventually

from ..conftest import Deployment
from .wire import Fate, Send, Sent, answer_lost, failed_after, refused, served, tap, unreachable

PATIENCE_S = 60
"""For what has no bound but this machine's speed."""


class Weather:
    """What becomes of the clients' requests: may be changed at any time."""

    def __init__(self) -> None:
        self.fate: Fate = served
        self.sent: List[str] = []

    async def __call__(self, sent: Sent, send: Send) -> Any:
        """`Carrier`."""
        self.sent.append(sent.operation)
        return await self.fate(sent, send)


class Watcher:
    """A client and the states that it went through."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.states: List[str] = []
        self._changed = threading.Condition()
        client.add_listener(self._heard)

    def _heard(self, state: str) -> None:
        with self._changed:
            self.states.append(state)
            self._changed.notify_all()

    def wait_for(self, *states: str) -> None:
        """Until it went through exactly these."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.states) >= len(states), PATIENCE_S), self.states
            assert self.states[: len(states)] == list(states)


@pytest.fixture()
def weather(monkeypatch: pytest.MonkeyPatch) -> Weather:
    """Of every client that is made from here on."""
    over = Weather()

    class Tapped(Clients):
        async def open(self) -> Clients:
            await super().open()
            tap(self, over)
            return self

    monkeypatch.setattr(gateway, "Clients", Tapped)
    monkeypatch.setattr(poll, "LOST_AFTER_S", 0.5)
    monkeypatch.setattr(queues, "LONG_POLL_S", 1)
    return over


@pytest.fixture()
def watched(weather: Weather, deployment: Deployment, at_once: None) -> Iterator[Callable[[], Watcher]]:
    """Makes started clients, and stops them."""
    made: List[Any] = []

    def start() -> Watcher:
        made.append(KazooClient(deployment.url, timeout=4.0))
        made[-1].start(timeout=PATIENCE_S)
        return Watcher(made[-1])

    yield start
    weather.fate = served
    for client in made:
        try:
            client.stop()
            client.close()
        except KazooTimeoutError:
            pass


OUTAGES = {
    "unreachable": unreachable,
    "credentials expired": refused("ExpiredTokenException"),
    "credentials revoked": refused("AccessDeniedException"),
    "clock askew": refused("RequestTimeTooSkewed", status=403),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_suspended_while_it_lasts_and_the_same_session_after_it(
    watched: Callable[[], Watcher], weather: Weather, outage: str
) -> None:
    one = watched()
    session, _ = one.client.client_id
    one.client.create("/before")
    weather.fate = OUTAGES[outage]
    during = one.client.create_async("/during")
    one.wait_for(KazooState.SUSPENDED)
    with pytest.raises(ConnectionLoss):
        during.get(timeout=PATIENCE_S)
    weather.fate = served
    one.wait_for(KazooState.SUSPENDED, KazooState.CONNECTED)
    assert one.client.client_id[0] == session
    assert one.client.create("/after") == "/after"
    assert sorted(set(one.client.get_children("/")) - {"zookeeper"}) == ["after", "before"], (
        "what never left is not there"
    )


@pytest.mark.parametrize("fate", [answer_lost, failed_after])
def test_a_write_whose_every_first_answer_is_lost_happens_once(
    watched: Callable[[], Watcher], weather: Weather, fate: Fate
) -> None:
    """And is answered as if nothing had been lost: the queue knows the message that is sent again."""
    one = watched()
    tries: List[str] = []

    async def first_lost(sent: Sent, send: Send) -> Any:
        if sent.operation != "SendMessage":
            return await send()
        tries.append(sent.operation)
        return await (fate if len(tries) % 2 else served)(sent, send)

    weather.fate = first_lost
    paths = [one.client.create("/n-", sequence=True) for _ in range(5)]
    assert len(tries) == 10
    assert sorted("/" + name for name in one.client.get_children("/") if name != "zookeeper") == paths
    assert one.states == []


def test_a_read_outlives_a_throttled_table(watched: Callable[[], Watcher], weather: Weather) -> None:
    one = watched()
    one.client.create("/a", b"x")
    left = [3]

    async def throttled(sent: Sent, send: Send) -> Any:
        if sent.operation in ("GetItem", "Query", "TransactGetItems") and left[0]:
            left[0] -= 1
            return await refused("ProvisionedThroughputExceededException")(sent, send)
        return await send()

    weather.fate = throttled
    assert one.client.get("/a")[0] == b"x" and left == [0]
    assert one.states == []


def test_an_inbox_that_is_deleted_under_a_client(watched: Callable[[], Watcher], deployment: Deployment) -> None:
    """It goes on with a new one, and with the same session, watches included."""
    one, other = watched(), watched()
    session, _ = one.client.client_id
    fired = threading.Event()
    one.client.exists("/a", watch=lambda event: fired.set())
    sqs = deployment.account.client("sqs")
    mine = names.inbox_queue(deployment.account.name, one.client._connection._channel._session.inbox)
    sqs.delete_queue(QueueUrl=deployment.account.queue_url(mine))
    one.wait_for(KazooState.SUSPENDED, KazooState.CONNECTED)
    assert one.client.client_id[0] == session
    assert other.client.create("/a") == "/a"
    assert fired.wait(PATIENCE_S)
    assert one.client.set("/a", b"x").version == 1
    eventually(lambda: other.client.get("/a")[0] == b"x", "it goes on")
