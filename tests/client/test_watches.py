"""Watches fire once, in order, before the state they tell of can be read; and reconnects treat them as kazoo defines.

At a suspension kazoo forgets its one-shot watches and calls each once with a NONE event; what is built on them
(DataWatch, ChildrenWatch, locks) registers again.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Callable, Deque, List, Tuple

import pytest
from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import EventType, KeeperState

from tests.client.programs.support import CableClient, Program, eventually, eventually_is, lose_session

Connect = Callable[..., Any]
Events = Deque[Any]


def _settled(client: CableClient) -> None:
    """Everything that was dispatched before this has been delivered."""
    done = threading.Event()
    client.handler.callback_queue.put(done.set)
    assert done.wait(10)


KINDS: List[Tuple[str, Callable[[Any, Any], Any], Callable[[Any], Any], str]] = [
    ("exists, created", lambda c, w: c.exists("/p/new", watch=w), lambda c: c.create("/p/new"), "CREATED"),
    ("exists, changed", lambda c, w: c.exists("/p", watch=w), lambda c: c.set("/p", b"x"), "CHANGED"),
    ("exists, deleted", lambda c, w: c.exists("/p/x", watch=w), lambda c: c.delete("/p/x"), "DELETED"),
    ("get, changed", lambda c, w: c.get("/p", watch=w), lambda c: c.set("/p", b"x"), "CHANGED"),
    ("get, deleted", lambda c, w: c.get("/p/x", watch=w), lambda c: c.delete("/p/x"), "DELETED"),
    ("children, child", lambda c, w: c.get_children("/p", watch=w), lambda c: c.create("/p/new"), "CHILD"),
    ("children, gone", lambda c, w: c.get_children("/p", watch=w), lambda c: c.delete("/p/x"), "CHILD"),
    ("children, deleted", lambda c, w: c.get_children("/p/x", watch=w), lambda c: c.delete("/p/x"), "DELETED"),
]


@pytest.mark.parametrize("own", [True, False], ids=["own change", "another's change"])
@pytest.mark.parametrize("kind", KINDS, ids=[kind[0] for kind in KINDS])
def test_a_watch_fires_once(url: str, connect: Connect, kind: Any, own: bool) -> None:
    _, leave, change, expected = kind
    client = connect(url)
    actor = client if own else connect(url)
    client.create("/p/x", makepath=True)
    events: Events = deque()
    leave(client, events.append)
    change(actor)
    eventually(lambda: events, what="it fired")
    for number in range(3):
        actor.set("/p", b"%d" % number)
        actor.create("/p/y%d" % number)
    client.sync("/")
    client.get_children("/p")
    _settled(client)
    assert [(event.type, event.state) for event in events] == [(expected, KeeperState.CONNECTED)]


def test_a_watch_that_was_left_twice_fires_once(url: str, connect: Connect) -> None:
    """One watcher object, one call; two objects, one call each."""
    client = connect(url)
    events: Deque[Any] = deque()
    client.create("/n")
    twice, other = events.append, (lambda event: events.append(event))
    for watch in (twice, twice, other):
        client.get("/n", watch=watch)
    client.exists("/n", watch=twice)
    client.set("/n", b"x")
    eventually(lambda: len(events) == 2, what="two watchers")
    client.set("/n", b"y")
    client.get("/n")
    _settled(client)
    assert len(events) == 2


def test_a_failed_read_leaves_no_watch(url: str, connect: Connect) -> None:
    client = connect(url)
    events: Deque[Any] = deque()
    for read in (client.get, client.get_children):
        with pytest.raises(NoNodeError):
            read("/n", watch=events.append)
    client.create("/n")
    client.create("/n/child")
    client.get("/n")
    _settled(client)
    assert not events and "0 paths" in client.command(b"wchs")


def test_the_event_comes_before_the_state(url: str, connect: Connect) -> None:
    """Whoever reads the new value has been told that it is new: the event is dispatched before the reply."""
    client, other = connect(url), connect(url)
    client.create("/n", b"0")
    client.create("/flag", b"0")
    for number in range(1, 40):
        fired: Events = deque()
        client.get("/n", watch=fired.append)
        wanted = b"%d" % number
        for result in (other.set_async("/n", wanted), other.set_async("/flag", wanted)):
            result.get(timeout=5)
        eventually_is(lambda: client.get("/flag")[0], wanted)
        _settled(client)
        assert len(fired) == 1


def test_events_come_in_the_order_of_the_changes(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    seen: List[str] = []
    paths = ["/n%02d" % number for number in range(30)]
    for path in paths:
        client.exists(path, watch=lambda event: seen.append(event.path))
    results = [other.create_async(path) for path in reversed(paths)]
    for result in results:
        result.get(timeout=10)
    eventually(lambda: len(seen) == 30, what="all fired")
    assert seen == list(reversed(paths))


def test_the_changes_of_one_transaction_fire_together(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    seen: List[Any] = []
    client.create("/a")
    client.get("/a", watch=lambda event: seen.append((event.path, event.type)))
    client.exists("/b", watch=lambda event: seen.append((event.path, event.type)))
    client.get_children("/", watch=lambda event: seen.append((event.path, event.type)))
    transaction = other.transaction()
    transaction.set_data("/a", b"x")
    transaction.create("/b")
    transaction.commit()
    eventually(lambda: len(seen) == 3, what="all three fired")
    assert sorted(seen) == [("/", "CHILD"), ("/a", "CHANGED"), ("/b", "CREATED")]


# --- reconnects -----------------------------------------------------------------------------------


def test_one_shot_watches_are_called_once_at_a_suspension(url: str, connect: Connect) -> None:
    """With a NONE event; and not again when the node changes after the reconnect."""
    client, other = connect(url), connect(url)
    client.create("/n")
    data: Events = deque()
    children: Events = deque()
    client.get("/n", watch=data.append)
    client.get_children("/n", watch=children.append)
    client.cut_off()
    eventually(lambda: data and children, what="both were called")
    client.mend()
    other.set("/n", b"x")
    other.create("/n/c")
    assert client.get("/n")[0] == b"x"
    _settled(client)
    for events in (data, children):
        assert [(event.type, event.state, event.path) for event in events] == [
            (EventType.NONE, KeeperState.CONNECTING, None)
        ]
    assert not client._data_watchers and not client._child_watchers


def test_one_shot_watches_are_called_once_at_an_expiry(url: str, connect: Connect) -> None:
    client = connect(url)
    events: Deque[Any] = deque()
    client.create("/n")
    client.get("/n", watch=events.append)
    lose_session(client)
    client.set("/n", b"x")
    client.get("/n")
    _settled(client)
    assert [(event.type, event.state) for event in events] == [(EventType.NONE, KeeperState.EXPIRED_SESSION)]


def test_a_watch_left_while_suspended_is_left_on_reconnect(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    events: Deque[Any] = deque()
    client.create("/n")
    client.cut_off()
    result = client.get_async("/n", watch=events.append)
    client.mend()
    assert result.get(timeout=10)
    other.set("/n", b"x")
    eventually(lambda: events, what="it fired")
    _settled(client)
    assert [event.type for event in events] == ["CHANGED"]


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_data_watch_shows_each_value_once(url: str, connect: Connect, cuts: int) -> None:
    """What changed while it was cut off is shown when it is back; nothing is shown twice."""
    client, other = connect(url), connect(url)
    shown: List[Any] = []
    client.create("/n", b"0")
    client.DataWatch("/n")(lambda data, stat, event: shown.append((data, event and event.type)))
    for number in range(1, cuts + 1):
        client.cut_off()
        client.mend()
        other.set("/n", b"%d" % number)
        eventually_is(lambda: shown[-1][0], b"%d" % number)
    client.get("/n")
    _settled(client)
    assert [data for data, _ in shown] == [b"%d" % number for number in range(cuts + 1)]


def test_a_children_watch_registers_again(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    shown: List[Any] = []
    client.create("/p")
    client.ChildrenWatch("/p", lambda children: shown.append(sorted(children)))
    other.create("/p/a")
    eventually(lambda: shown[-1] == ["a"], what="before the cut")
    client.cut_off()
    other.create("/p/b")
    client.mend()
    eventually(lambda: shown[-1] == ["a", "b"], what="what came during the cut")
    other.create("/p/c")
    eventually(lambda: shown[-1] == ["a", "b", "c"], what="after the cut")
    _settled(client)
    assert shown == [[], ["a"], ["a", "b"], ["a", "b", "c"]]


def test_watchers_in_other_processes(local_url: str, connect: Connect, run: Callable[..., Program]) -> None:
    """A node made and lost by another process, seen here, though it is not this process that watches it first."""
    client = connect(local_url)
    events: Deque[Any] = deque()
    client.ensure_path("/held")
    client.get_children("/held", watch=lambda event: events.append(event.type))
    program = run("holder", local_url, 5.0, "/held/x")
    program.expect("ready")
    eventually(lambda: list(events) == ["CHILD"], what="it came")
    client.get("/held/x", watch=lambda event: events.append(event.type))
    program.say("stop")
    program.expect("stopped")
    eventually(lambda: list(events) == ["CHILD", "DELETED"], what="it went")


def test_a_watch_survives_the_death_of_the_host(local_url: str, connect: Connect, run: Callable[..., Program]) -> None:
    """The process that runs the functions is killed: who watches is not even suspended, and hears what happens next."""
    host = run("holder", local_url, 2.0, "/held/x")
    host.expect("ready")
    client, other = connect(local_url), connect(local_url)
    states: List[str] = []
    client.add_listener(states.append)
    client.create("/n")
    changed, lost = threading.Event(), threading.Event()
    client.get("/n", watch=lambda event: changed.set())
    client.get("/held/x", watch=lambda event: lost.set())
    host.kill()
    other.set("/n", b"after the takeover")
    assert changed.wait(10) and lost.wait(10)
    assert states == []
