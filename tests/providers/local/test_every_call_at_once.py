"""Each call of SQLite fails in turn in a write that its caller's own thread does: as `test_every_call`, for one write.

Whatever fails, the caller is told the truth, nothing is half done, and the same client goes on.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from kazoo.exceptions import ConnectionLoss, KazooException

from fk_backend.providers.direct import InProcessDirect
from fk_backend.providers.local import direct as direct_writes
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import StorageFullError
from tests.providers.local.conftest import Child, hear
from tests.providers.local.test_every_call import PATIENCE_S, WAYS, Disk, disk

__all__ = ["disk"]

TRIES = 20
"""So often a write may find that it is the queue's turn."""


class Write(NamedTuple):
    """A write below a node, and whether it is done."""

    do: Callable[[Any, str], Any]
    is_done: Callable[[Any, str], bool]


def _multi(client: Any, path: str) -> None:
    both = client.transaction()
    both.create(path + "/one")
    both.set_data(path, b"two")
    refused = [each for each in both.commit() if isinstance(each, Exception)]
    if refused:
        raise refused[0]


def _both(client: Any, path: str) -> bool:
    one, two = client.exists(path + "/one") is not None, client.get(path)[0] == b"two"
    assert one == two, "half a multi"
    return one


def _is_made(client: Any, path: str) -> bool:
    return client.exists(path + "/new") is not None


WRITES: Dict[str, Write] = {
    "create": Write(lambda client, path: client.create(path + "/new"), _is_made),
    "ephemeral": Write(lambda client, path: client.create(path + "/new", ephemeral=True), _is_made),
    "set": Write(lambda client, path: client.set(path, b"set"), lambda client, path: client.get(path)[0] == b"set"),
    "delete": Write(
        lambda client, path: client.delete(path + "/old"), lambda client, path: client.exists(path + "/old") is None
    ),
    "multi": Write(_multi, _both),
}


@pytest.fixture(params=["alone", "beside another process"])
def clients(
    request: pytest.FixtureRequest, place: Any, child: Child, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> Iterator[List[Any]]:
    """One that writes, and one that looks on. That somebody was met at work is no reason to leave off for long."""
    monkeypatch.setattr(direct_writes, "QUEUED_S", 0.0)  # a client's first direct write opens its session
    if request.param == "beside another process":
        assert hear(child("serve", "d")) == "serves"
    made: List[Any] = [KazooClient("local://d", timeout=20.0) for _ in range(2)]
    for each in made:
        each.start(PATIENCE_S)
    yield made
    disk.mend()
    for each in made:
        each.stop()
        each.close()


class Attempts:
    """Whether the last write was done directly."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done = False
        for writer in (InProcessDirect, direct_writes.DirectWriter):
            monkeypatch.setattr(writer, "write", self._noting(writer.write))

    def _noting(self, write: Any) -> Any:
        async def noted(direct: Any, *arguments: Any) -> Any:
            written = await write(direct, *arguments)
            self.done = written is not None
            return written

        return noted


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
def test_whichever_call_of_a_write_fails_its_caller_is_told_the_truth(
    clients: List[Any], disk: Disk, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    attempts = Attempts(monkeypatch)
    for kind, write in WRITES.items():
        number, fired = 0, 0
        while number == 0 or fired:
            number += 1
            for retry in range(TRIES):
                path = "/%s-%d-%d" % (kind, number, retry)
                fired, is_done = _life(clients, disk, attempts, write, path, (way, number))
                if fired or is_done:
                    break
            assert fired or is_done, "it is never written directly"
        assert number > (1 if "COMMIT" in WAYS[way].only[:1] else 3), (kind, number)


def _life(
    clients: List[Any], disk: Disk, attempts: Attempts, write: Write, path: str, failing: Any
) -> Tuple[int, bool]:
    """One write with one call failing. How many calls failed, and whether it was done directly all the same."""
    client, judge = clients
    changed = threading.Event()
    events: List[str] = []
    judge.create(path, b"before")
    judge.create(path + "/old")
    client.get(path, watch=lambda event: (events.append(event.type), changed.set()))
    told: Optional[Exception] = None
    way, number = failing
    attempts.done = False
    disk.fail(WAYS[way], number)
    try:
        write.do(client, path)
    except KazooException as error:
        told = error
    failed, is_done = list(disk.fired), attempts.done
    disk.mend()
    where = (path, failing, failed)
    if not isinstance(told, ConnectionLoss):
        assert told is None or isinstance(told, StorageFullError), (told, where)
        assert write.is_done(judge, path) == (told is None), (told, where)
    client.retry(client.set, path, b"after")
    assert changed.wait(PATIENCE_S), where
    assert len(events) == 1, (events, where)
    return len(failed), is_done
