"""What ZooKeeper 3.5 and 3.6 have and kazoo has not: watches that stay, containers, nodes with a time to live."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Callable, Deque, List, Tuple

import pytest
from kazoo.exceptions import (
    BadArgumentsError,
    ConnectionClosedError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
)
from kazoo.protocol.states import EventType, KeeperState

from fk_kazoo.client import AddWatchMode
from fk_kazoo.requests import NoWatcherError
from tests.client.programs.support import CableClient, eventually, eventually_is, lose_session

Connect = Callable[..., Any]
Seen = Deque[Tuple[str, str]]
PERSISTENT, RECURSIVE = AddWatchMode.PERSISTENT, AddWatchMode.PERSISTENT_RECURSIVE

REAP_S = 12.0
"""Containers and nodes past their time are looked for every 4.8 s."""


def _noting(client: CableClient, path: str, mode: str) -> Seen:
    seen: Seen = deque()
    client.add_watch(path, lambda event: seen.append((event.type, event.path)), mode)
    return seen


def _settled(client: CableClient) -> None:
    client.get("/")
    done = threading.Event()
    client.handler.callback_queue.put(done.set)
    assert done.wait(10)


def _history(client: CableClient) -> None:
    """Everything that can happen to a node and to what is below it."""
    client.create("/w")
    client.set("/w", b"1")
    client.create("/w/a")
    client.set("/w/a", b"1")
    client.create("/w/a/b")
    client.delete("/w/a/b")
    client.delete("/w/a")
    client.set("/w", b"2")
    client.delete("/w")
    client.create("/w2")


# --- watches that stay ----------------------------------------------------------------------------

HISTORIES = {
    PERSISTENT: [
        ("CREATED", "/w"),
        ("CHANGED", "/w"),
        ("CHILD", "/w"),
        ("CHILD", "/w"),
        ("CHANGED", "/w"),
        ("DELETED", "/w"),
    ],
    RECURSIVE: [
        ("CREATED", "/w"),
        ("CHANGED", "/w"),
        ("CREATED", "/w/a"),
        ("CHANGED", "/w/a"),
        ("CREATED", "/w/a/b"),
        ("DELETED", "/w/a/b"),
        ("DELETED", "/w/a"),
        ("CHANGED", "/w"),
        ("DELETED", "/w"),
    ],
}


@pytest.mark.parametrize("own", [True, False], ids=["own changes", "another's changes"])
@pytest.mark.parametrize("mode", [PERSISTENT, RECURSIVE], ids=["persistent", "recursive"])
def test_a_watch_that_stays_tells_everything(url: str, connect: Connect, mode: str, own: bool) -> None:
    """It is left before the node exists, and goes on after it was deleted."""
    client = connect(url)
    actor = client if own else connect(url)
    seen = _noting(client, "/w", mode)
    for round_ in range(2):
        _history(actor)
        actor.delete("/w2")
        eventually_is(lambda: len(seen), len(HISTORIES[mode]) * (round_ + 1))
    _settled(client)
    assert list(seen) == HISTORIES[mode] * 2


def test_a_recursive_watch_on_the_root(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    seen = _noting(client, "/", RECURSIVE)
    other.create("/a/b", makepath=True)
    eventually(lambda: list(seen) == [("CREATED", "/a"), ("CREATED", "/a/b")], what=str(seen))


def test_a_watch_that_stays_beside_one_that_does_not(url: str, connect: Connect) -> None:
    client = connect(url)
    client.create("/n")
    once: List[Any] = []
    stays = _noting(client, "/n", PERSISTENT)
    client.get("/n", watch=once.append)
    for number in range(3):
        client.set("/n", b"%d" % number)
    eventually(lambda: len(stays) == 3, what="all three")
    _settled(client)
    assert len(once) == 1 and list(stays) == [("CHANGED", "/n")] * 3


def test_a_watch_that_stays_survives_reconnects(url: str, connect: Connect) -> None:
    """No event at the suspension; what happened meanwhile is not told afterwards, as in ZooKeeper."""
    client, other = connect(url), connect(url)
    client.create("/n")
    seen = _noting(client, "/n", PERSISTENT)
    for number in range(3):
        client.cut_off()
        other.set("/n", b"unseen %d" % number)
        client.mend()
        assert client.get("/n")[0] == b"unseen %d" % number
        other.set("/n", b"seen %d" % number)
        eventually_is(lambda: len(seen), number + 1)
    _settled(client)
    assert list(seen) == [("CHANGED", "/n")] * 3


def test_watches_that_stay_are_called_in_the_order_they_came(url: str, connect: Connect) -> None:
    client = connect(url)
    called: Deque[int] = deque()
    client.create("/n")
    for number in range(20):
        client.add_watch("/n", lambda _, number=number: called.append(number))
    client.set("/n", b"x")
    _settled(client)
    assert list(called) == list(range(20))


def test_a_watch_that_stays_ends_with_its_session(url: str, connect: Connect) -> None:
    client = connect(url)
    events: Deque[Any] = deque()
    client.create("/n")
    client.add_watch("/n", events.append)
    lose_session(client)
    client.set("/n", b"x")
    _settled(client)
    assert [(event.type, event.state) for event in events] == [(EventType.NONE, KeeperState.EXPIRED_SESSION)]


@pytest.mark.parametrize("mode", [PERSISTENT, RECURSIVE], ids=["persistent", "recursive"])
def test_watches_are_removed(url: str, connect: Connect, mode: str) -> None:
    """The ones that stay and the others; a reconnect does not bring them back."""
    client, other = connect(url), connect(url)
    client.create("/n")
    seen = _noting(client, "/n", mode)
    once: List[Any] = []
    client.get("/n", watch=once.append)
    client.remove_all_watches("/n")
    client.cut_off()
    client.mend()
    other.set("/n", b"x")
    other.create("/n/a")
    _settled(client)
    assert not seen and not once
    assert "Total watches:0" in client.command(b"wchs")
    with pytest.raises(NoWatcherError):
        client.remove_all_watches("/n")


def test_removing_leaves_the_watches_of_others_alone(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    client.create("/n")
    with pytest.raises(NoWatcherError):
        client.remove_all_watches("/n")
    mine, theirs = _noting(client, "/n", PERSISTENT), _noting(other, "/n", PERSISTENT)
    client.remove_all_watches("/n")
    client.set("/n", b"x")
    eventually(lambda: list(theirs) == [("CHANGED", "/n")], what="the other's")
    _settled(client)
    assert not mine


def test_a_watch_that_stays_below_a_chroot(url: str, connect: Connect) -> None:
    whole = connect(url)
    whole.create("/app")
    inside = connect(url + "/app")
    seen = _noting(inside, "/n", RECURSIVE)
    whole.create("/app/n/m", makepath=True)
    eventually(lambda: list(seen) == [("CREATED", "/n"), ("CREATED", "/n/m")], what=str(seen))
    inside.remove_all_watches("/n")


def test_bad_watches_are_refused(memory_url: str, connect: Connect) -> None:
    client = connect(memory_url)
    with pytest.raises(TypeError):
        client.add_watch("/n", "no function")
    with pytest.raises(TypeError):
        client.add_watch("/n", print, "no mode")
    with pytest.raises(ValueError):
        client.add_watch("relative/../path", print)
    client.stop()
    with pytest.raises(ConnectionClosedError):
        client.add_watch("/n", print)


# --- containers and times to live -----------------------------------------------------------------


def test_a_container_goes_when_it_is_empty_again(url: str, connect: Connect) -> None:
    client = connect(url)
    assert client.create_container("/c", b"data") == "/c"
    assert client.get("/c")[0] == b"data" and client.get("/c")[1].ephemeralOwner == 0
    client.create_container("/never-used")
    client.create("/c/child")
    with pytest.raises(NotEmptyError):
        client.delete("/c")
    with pytest.raises(NodeExistsError):
        client.create_container("/c")
    gone = threading.Event()
    client.exists("/c", watch=lambda event: gone.set() if event.type == "DELETED" else None)
    client.delete("/c/child")
    assert gone.wait(REAP_S)
    assert client.exists("/c") is None and client.exists("/never-used")


def test_a_node_goes_when_its_time_is_over(url: str, connect: Connect) -> None:
    """Its children keep it, and so does a change; it outlives the session that made it."""
    maker, client = connect(url), connect(url)
    assert maker.create_ttl("/t", 300, b"data") == "/t"
    assert maker.create_ttl("/kept", 300) == "/kept"
    assert maker.create_ttl("/long", 600_000) == "/long"
    maker.create("/kept/child")
    maker.stop()
    gone = threading.Event()
    client.exists("/t", watch=lambda event: gone.set())
    assert gone.wait(REAP_S)
    with pytest.raises(NoNodeError):
        client.get("/t")
    assert client.exists("/kept") and client.exists("/long")


@pytest.mark.filterwarnings("ignore:No chroot path exists")
def test_a_sequence_of_nodes_with_a_time_to_live(url: str, connect: Connect) -> None:
    client = connect(url + "/app")
    client.ensure_path("/")
    assert [client.create_ttl("/t-", 60_000, sequence=True) for _ in range(2)] == ["/t-0000000000", "/t-0000000001"]
    assert client.create_container("/c") == "/c"


@pytest.mark.parametrize("ttl_ms", [0, -1, 1 << 40])
def test_a_time_to_live_out_of_range_is_refused(memory_url: str, connect: Connect, ttl_ms: int) -> None:
    client = connect(memory_url)
    with pytest.raises(BadArgumentsError):
        client.create_ttl("/t", ttl_ms)
    assert client.exists("/t") is None
