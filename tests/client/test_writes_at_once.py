"""A write whose caller waits is done in the caller's thread, also with watches, whose events come before its answer.

Where the deployment is in memory, where this process is the host, and where another one is.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any, Callable, Iterator, List

import pytest
from kazoo.protocol.states import Callback

from fk_backend.providers.direct import InProcessDirect
from fk_kazoo.client import KazooClient
from tests.client.programs.support import Program, eventually

HOSTS = ("memory", "local, the host", "local, beside a host")


@pytest.fixture(params=HOSTS)
def client(
    request: pytest.FixtureRequest, memory_url: str, local_url: str, run: Callable[..., Program]
) -> Iterator[Any]:
    """One that is connected."""
    if request.param == HOSTS[2]:
        run("holder", local_url, 30, "/holder").expect("ready")
    made = KazooClient(memory_url if request.param == HOSTS[0] else local_url)
    made.start()
    yield made
    made.stop()
    made.close()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """The thread of each write that was tried directly, and whether it was done."""
    found: List[Any] = []
    write = InProcessDirect.write

    async def noted(self: Any, *arguments: Any) -> Any:
        outcome = await write(self, *arguments)
        found.append((threading.current_thread(), outcome is not None))
        return outcome

    monkeypatch.setattr(InProcessDirect, "write", noted)
    return found


def _committed(client: Any, path: str) -> None:
    with client.transaction() as transaction:
        transaction.create(path)


CALLS = {
    "create": lambda client, path: client.create(path),
    "transaction": _committed,
    "create_container": lambda client, path: client.create_container(path),
    "create_ttl": lambda client, path: client.create_ttl(path, 3600000),
}


def test_in_its_own_thread_also_with_watches(client: Any, written: List[Any]) -> None:
    client.get("/", watch=print)
    numbers = itertools.count()
    for call in CALLS.values():

        def at_once(call: Any = call) -> bool:
            written.clear()
            call(client, "/c%d" % next(numbers))
            return written == [(threading.current_thread(), True)]

        eventually(at_once, what="the host leaves it to who asks")


@pytest.mark.parametrize("waits", [True, False])
def test_the_event_of_ones_own_write_comes_before_its_answer(client: Any, waits: bool) -> None:
    """As on a ZooKeeper: whatever is dispatched after the answer comes after the event, in the main thread or not."""
    client.create("/a")
    heard: List[Any] = []

    def change(number: int) -> None:
        mark = b"%d" % number
        if not waits:
            client.set_async("/a", mark).get(10)
        elif number % 2:
            client.set("/a", mark)
        else:
            transaction = client.transaction()
            transaction.create("/c%d" % number)
            transaction.set_data("/a", mark)
            assert transaction.commit()[0] == "/c%d" % number
        client.handler.dispatch_callback(Callback("watch", heard.append, (mark,)))

    for number in range(12):
        client.get("/a", watch=lambda event: heard.append(event.type))
        if number % 3:
            thread = threading.Thread(target=change, args=(number,))
            thread.start()
            thread.join(10)
        else:
            change(number)
    eventually(lambda: heard[-1:] == [b"11"], what="all of it was delivered")
    assert heard == [said for number in range(12) for said in ("CHANGED", b"%d" % number)]


def test_what_others_changed_before_is_told_before_the_answer(client: Any) -> None:
    """The other one's write was answered, so an answer to a later write shows it."""
    other = KazooClient(str(client.deployment))
    other.start()
    client.create("/a")
    heard: List[Any] = []
    for number in range(12):
        mark = b"%d" % number
        client.get("/a", watch=lambda event: heard.append(event.type))
        other.set("/a", mark)
        client.create("/c%d" % number)
        client.handler.dispatch_callback(Callback("watch", heard.append, (mark,)))
    eventually(lambda: heard[-1:] == [b"11"], what="all of it was delivered")
    assert heard == [said for number in range(12) for said in ("CHANGED", b"%d" % number)]
    other.stop()
    other.close()
