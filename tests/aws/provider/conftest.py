"""Clients of a deployment on the emulator, and a count of every request that they and the functions send."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Callable, Iterator, List

import pytest
from kazoo.handlers.threading import KazooTimeoutError

from fk_backend.providers.aws import clients
from fk_kazoo.client import KazooClient

from ..conftest import Deployment

POLLS = ("ReceiveMessage", "DeleteMessage", "DeleteMessageBatch")
"""Requests of queues for what comes out of them. Those of the event source are not seen here at all."""


class Requests:
    """Counts what goes out over HTTP, tries included, by operation."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent: "Counter[str]" = Counter()

    def saw(self, operation: str) -> None:
        """One more."""
        with self._lock:
            self.sent[operation] += 1

    def clear(self) -> None:
        """Begins anew."""
        with self._lock:
            self.sent.clear()

    def apart_from(self, *operations: str) -> "Counter[str]":
        """What was sent, but for some operations."""
        with self._lock:
            return Counter({name: count for name, count in self.sent.items() if name not in operations})

    @property
    def count(self) -> int:
        """All but the polls of inboxes."""
        return sum(self.apart_from(*POLLS).values())


@pytest.fixture()
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    """Counts from here on; make it before the deployment's functions and clients."""
    counted = Requests()
    opened = clients.Clients.open

    async def open_counted(self: Any) -> Any:
        await opened(self)
        for client in (self.dynamodb, self.once, self.sqs, self.s3):
            client.meta.events.register("before-send.*.*", _hook(counted))
        return self

    monkeypatch.setattr(clients.Clients, "open", open_counted)
    return counted


def _hook(counted: Requests) -> Callable[..., None]:
    def sent(request: Any, event_name: str, **_: Any) -> None:
        counted.saw(event_name.rpartition(".")[2])

    return sent


@pytest.fixture()
def connect(deployment: Deployment) -> Iterator[Callable[..., Any]]:
    """Makes started clients, and stops them."""
    made: List[Any] = []

    def client(suffix: str = "", **options: Any) -> Any:
        made.append(KazooClient(deployment.url + suffix, **options))
        made[-1].start(timeout=20)
        return made[-1]

    yield client
    for one in made:
        try:
            one.stop()
            one.close()
        except KazooTimeoutError:
            pass
