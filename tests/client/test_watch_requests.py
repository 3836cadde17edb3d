"""An app's own AddWatch and RemoveWatches, with ZooKeeper's wire numbers, are read as a ZooKeeper server reads them."""

from __future__ import annotations

from collections import namedtuple
from queue import Queue
from typing import Any, Callable, List

import pytest
from kazoo.exceptions import MarshallingError
from kazoo.protocol.serialization import int_struct, write_string

from fk_kazoo.exceptions import NoWatcherError
from fk_kazoo.requests import AddWatch, AddWatchMode
from tests.client.programs.support import within

Connect = Callable[..., Any]
CHILDREN, DATA, ANY = 1, 2, 3


class Vendored(namedtuple("Vendored", "path number type")):
    """106 (AddWatch) or 18 (RemoveWatches): a path and an int."""

    def serialize(self) -> bytes:
        return bytes(write_string(self.path) + int_struct.pack(self.number))

    @classmethod
    def deserialize(cls, data: bytes, offset: int) -> bool:
        return True


def ask(client: Any, kind: int, path: str, number: int) -> Any:
    result = client.handler.async_result()
    client._call(Vendored(path, number, kind), result)
    return result.get(timeout=10)


@pytest.mark.parametrize("mode", [0, 1])
def test_modes_are_numbers_and_stop_nobody(url: str, connect: Connect, mode: int) -> None:
    client, other = connect(url), connect(url)
    client.ensure_path("/watched")
    ask(client, 106, "/watched", mode)
    other.create("/watched/a")
    other.set("/watched", b"x")
    assert other.get("/watched")[0] == b"x" and client.get_children("/watched") == ["a"]


@pytest.mark.parametrize("mode", [-1, 2, 7, 2**31 - 1])
def test_other_modes_are_refused(url: str, connect: Connect, mode: int) -> None:
    client = connect(url)
    with pytest.raises(MarshallingError):
        ask(client, 106, "/", mode)
    client.create("/after")


def test_what_is_removed_is_what_was_asked_for(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    client.ensure_path("/n")
    told: Any = client.handler.event_object()
    client.get_children("/n", watch=lambda event: told.set())
    with pytest.raises(NoWatcherError):
        ask(client, 18, "/n", DATA)
    with pytest.raises(MarshallingError):
        ask(client, 18, "/n", 9)
    other.create("/n/child")
    within(10, told.wait)
    client.get_children("/n", watch=lambda event: None)
    ask(client, 18, "/n", CHILDREN)
    with pytest.raises(NoWatcherError):
        ask(client, 18, "/n", ANY)


class OtherNames(namedtuple("OtherNames", "where callback how type")):
    """The same with no field called as in kazoo's requests: only what is sent counts."""

    serialize = lambda self: bytes(write_string(self.where) + int_struct.pack(self.how))  # noqa: E731

    @classmethod
    def deserialize(cls, data: bytes, offset: int) -> bool:
        return True


def test_only_what_is_sent_counts(url: str, connect: Connect) -> None:
    client = connect(url)
    client.ensure_path("/named")
    for kind, number, outcome in ((106, 1, None), (106, 2, MarshallingError), (18, 3, None), (18, 3, NoWatcherError)):
        result = client.handler.async_result()
        client._call(OtherNames("/named", print, number, kind), result)
        if outcome is None:
            assert result.get(timeout=10)
        else:
            with pytest.raises(outcome):
                result.get(timeout=10)


@pytest.mark.parametrize(("mode", "events"), [(0, ["/own"]), (1, ["/own", "/own/below"])])
def test_our_own_request_takes_zookeepers_numbers(url: str, connect: Connect, mode: int, events: List[str]) -> None:
    client = connect(url)
    seen: "Queue[str]" = Queue()
    client.ensure_path("/own/below")
    result = client.handler.async_result()
    client._call(AddWatch("/own", lambda event: seen.put(event.path), mode), result)
    result.get(timeout=10)
    for path in ("/own", "/own/below"):
        client.set(path, b"x")
    client.create("/own-end", b"")
    client.add_watch("/own-end", lambda event: seen.put(event.path), AddWatchMode.PERSISTENT)
    client.set("/own-end", b"x")
    assert [seen.get(timeout=10) for _ in range(len(events) + 1)] == [*events, "/own-end"]
