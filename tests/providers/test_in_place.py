"""A write in the caller's thread: its commit is one step whatever interrupts it, and everybody else hears of it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, SetData
from fk_backend.eager import Waits, at_once
from fk_backend.errors import Conflict
from fk_backend.ports import STATE, Item, Key, Put, Remove
from fk_backend.providers.local import files
from fk_backend.providers.local.store import LocalStore
from fk_backend.providers.memory import MemoryDeployment
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.session.engine import Session
from fk_backend.session.ops import GetData
from tests.client.interruptions.tripwire import Tripwire

NS = "ns"
HEAD, OLD, NEW = Key(STATE, "ns:", "head"), Key(STATE, "ns:/a", "#"), Key(STATE, "ns:/b", "#")
Contents = List[Tuple[Key, Item]]


class Interruption(Exception):
    """What a signal's handler raises."""


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store whose clients may write in the caller's thread."""
    if request.param == "memory":
        yield MemoryStore()
        return
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path))
    made = LocalStore(files.prepare("d"), writable_state=True)
    yield made
    made.close()


def _writes(rev: int, mark: bytes) -> List[Any]:
    """A head, a node that is there every second time, and one that is not then."""
    odd = rev % 2 == 1
    come, go = (NEW, OLD) if odd else (OLD, NEW)
    return [Put(HEAD, Item(rev + 1, mark), expect=rev), Put(come, Item(rev + 1, mark)), Remove(go)]


def _contents(store: Any) -> Contents:
    return sorted(at_once(store.scan(STATE)))


def _interrupted(store: Any, action: Callable[[int], None]) -> Iterator[Tuple[int, Contents, Any]]:
    """Commits that meet the action at line 1, 2, … of the store: (rev before, contents before, what it raised)."""
    rev = 0
    for number in range(1, 200):
        before = _contents(store)
        trip = Tripwire(number, lambda _: action(rev))  # noqa: B023 (it is called before the next round)
        raised: Any = None
        try:
            trip.run(at_once, store.commit(_writes(rev, b"mine")))
        except (Interruption, Conflict) as error:
            raised = error
        if not trip.fired:
            return
        yield rev, before, raised
        rev = at_once(store.get([HEAD]))[0].rev if at_once(store.get([HEAD]))[0] else 0
    raise AssertionError("no end of it")


def test_a_commit_that_is_interrupted_is_done_or_not(store: Any) -> None:
    def interruption(rev: int) -> None:
        raise Interruption

    outcomes = set()
    for rev, before, raised in _interrupted(store, interruption):
        after = _contents(store)
        done = after != before
        assert isinstance(raised, Interruption)
        if done:
            assert [key for key, _ in after] == sorted([HEAD, NEW if rev % 2 else OLD])
            assert {item for _, item in after} == {Item(rev + 1, b"mine")}
        outcomes.add(done)
        at_once(store.commit([Put(Key(STATE, "ns:/c", "#"), Item(1, b""))]))  # it goes on
        at_once(store.commit([Remove(Key(STATE, "ns:/c", "#"))]))
    assert False in outcomes


def test_who_comes_in_between_is_first(store: Any) -> None:
    """A signal's handler may let the event loop go on, which commits."""
    first: List[bytes] = []

    def other(rev: int) -> None:
        try:
            at_once(store.commit(_writes(rev, b"other")))
            first.append(b"other")
        except Conflict:
            first.append(b"mine")

    for rev, _, raised in _interrupted(store, other):
        after = _contents(store)
        (mark,) = {item.body for _, item in after}
        assert {item.rev for _, item in after} == {rev + 1} and len(after) == 2
        assert mark == first[-1] and isinstance(raised, Conflict) == (mark == b"other")
    assert b"other" in first


def test_a_tree_that_moved_to_another_loop_is_not_written_to_where_it_was() -> None:
    for number in range(1, 200):
        store, moved = MemoryStore(), []
        at_once(store.commit(_writes(0, b"old")))

        def move(_: Any, store: MemoryStore = store, moved: List[Any] = moved) -> None:
            there = store.moved()
            moved.append((there, _contents(there)))

        trip, refused = Tripwire(number, move), False
        try:
            trip.run(at_once, store.commit(_writes(1, b"mine")))
        except Conflict:
            refused = True
        if not trip.fired:
            break
        ((there, found),) = moved
        assert _contents(there) == found and not _contents(store)
        assert {item.body for _, item in found} == {b"old" if refused else b"mine"}
    assert number > 10


def test_who_has_lost_the_turn_touches_nothing_that_is_under_way(tmp_path: Path, monkeypatch: Any) -> None:
    """The event loop's thread may be in the middle of a transaction by the same connection."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path))
    store = LocalStore(files.prepare("d"), writable_state=True)
    connection = store._connections[STATE]
    connection.execute("BEGIN IMMEDIATE")
    store.in_turn(lambda: False)
    with pytest.raises(Conflict):
        at_once(store.commit(_writes(0, b"mine")))
    assert connection.in_transaction
    connection.execute("ROLLBACK")
    store.in_turn(lambda: True)
    at_once(store.commit(_writes(0, b"mine")))
    store.close()


def test_who_can_not_wait_is_not_kept_waiting(tmp_path: Path, monkeypatch: Any) -> None:
    """Another process is at the file, as a backup is: whoever reads or writes in the caller's thread leaves it be."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path))
    store = LocalStore(files.prepare("d"), writable_state=True)
    other = LocalStore(files.prepare("d"), writable_state=True)
    other._connections[STATE].execute("BEGIN IMMEDIATE")
    refused: List[BaseException] = []

    def in_a_thread() -> None:  # it has no event loop
        try:
            at_once(store.commit(_writes(0, b"mine")))
        except BaseException as error:
            refused.append(error)

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join(20)
    assert [type(error) for error in refused] == [Waits]
    other._connections[STATE].execute("ROLLBACK")
    at_once(store.commit(_writes(0, b"mine")))
    for each in (store, other):
        each.close()


# --- a deployment in this process -----------------------------------------------------------------


class Subscriber:
    """A session's listener."""

    def __init__(self) -> None:
        self.heard: List[Any] = []
        self.answers: List[Any] = []

    def fired(self, event: Any) -> None:
        """`Listener.fired`."""
        self.heard.append(event)

    def replied(self, tag: Any, result: Any) -> None:
        """`Listener.replied`."""
        self.answers.append((tag, result))

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""


async def _session(deployment: Any) -> Tuple[Session, Subscriber]:
    ear = Subscriber()
    session = Session(deployment, NS, ear)
    await session.open(4000)
    return session, ear


async def _until(reached: Callable[[], bool]) -> None:
    for _ in range(1000):
        if reached():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")


def _on_deployment(play: Callable[[Any, Session, Session, Subscriber], Any]) -> None:
    async def run() -> None:
        deployment = MemoryDeployment()
        session, _ = await _session(deployment)
        other, ear = await _session(deployment)
        await _until(lambda: deployment._functions.is_free(NS))
        made = session.write_now(Create("/a", b"", OPEN_ACL, 0, 0, False))
        assert made is not None and made.code == Error.OK
        await play(deployment, session, other, ear)
        session.end("lost", "over")
        other.end("lost", "over")
        await deployment.stop()

    asyncio.run(run())


def test_who_watches_hears_of_it() -> None:
    async def play(deployment: Any, session: Session, other: Session, ear: Subscriber) -> None:
        other.submit("watch", GetData("/a", True))
        await _until(lambda: bool(ear.answers))
        written = session.write_now(SetData("/a", b"new", 0))
        assert written is not None and written.code == Error.OK and not ear.heard
        await _until(lambda: bool(ear.heard))
        await _until(lambda: deployment._functions.is_free(NS))
        assert [event.zxid for event in ear.heard] == [written.zxid]

    _on_deployment(play)


def test_who_was_interrupted_leaves_nobody_untold() -> None:
    """After the commit and before anything else."""

    async def play(deployment: Any, session: Session, other: Session, ear: Subscriber) -> None:
        other.submit("watch", GetData("/a", True))
        await _until(lambda: bool(ear.answers))

        async def interrupted(ns: str) -> bool:
            raise Interruption

        deployment._writer.is_fanned_out = interrupted
        with pytest.raises(Interruption):
            session.write_now(SetData("/a", b"new", 0))
        session.finish_fan_out()
        await _until(lambda: bool(ear.heard))

    _on_deployment(play)


def test_while_something_waits_or_is_handled_it_is_the_queues_turn() -> None:
    async def play(deployment: Any, session: Session, other: Session, ear: Subscriber) -> None:
        other.submit("b", SetData("/a", b"b", -1))
        assert session.write_now(SetData("/a", b"a", -1)) is None
        await _until(lambda: bool(ear.answers) and deployment._functions.is_free(NS))
        assert session.write_now(SetData("/a", b"a", 1)) is not None

    _on_deployment(play)
