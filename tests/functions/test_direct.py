"""A write that no queue has: done or not at all, told to everybody else, and never in the way of what the queue has."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Sequence, Tuple

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, Delete, SetData
from fk_backend.core.watches import CHILD, DATA
from fk_backend.errors import Refused, Unavailable, Unknown
from fk_backend.functions.writer import Writer
from fk_backend.messages import Message, decode_note
from fk_backend.ports import Pushed, Written
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.writer import distributor
from fk_backend.writer import step as step_module

from .doubles import NS, Bench, FakeInboxes

Play = Callable[[Bench, int], Awaitable[None]]


def create(path: str) -> Create:
    """A create with nothing special about it."""
    return Create(path, b"old", OPEN_ACL, 0, 0, False)


def on_bench(play: Play) -> None:
    """Runs a test, with a session at "one" and a node /a."""

    async def run() -> None:
        bench = Bench()
        session = await bench.open("one")
        await bench.ask("one", session, 1, create("/a"))
        await play(bench, session)

    asyncio.run(run())


async def direct(writer: Any, session: int, number: int, request: Any, inbox: str = "one") -> Written:
    """A direct write."""
    written: Written = await writer.write(NS, Message(inbox, session, number, (request,)))
    return written


def test_it_is_committed_and_answered_to_who_asks_alone() -> None:
    async def play(bench: Bench, session: int) -> None:
        pushed, before = len(bench.inboxes.pushed), await bench.head()
        written = await direct(bench.writer, session, 2, SetData("/a", b"new", -1))
        head = await bench.head()
        assert written.result.code == Error.OK and written.zxid == head.zxid == before.zxid + 1
        assert head.answers == () and written.triggers == head.triggers and written.since == head.since
        assert await bench.writer.is_fanned_out(NS) and len(bench.inboxes.pushed) == pushed

    on_bench(play)


def test_what_fails_changes_nothing() -> None:
    async def play(bench: Bench, session: int) -> None:
        before = await bench.contents()
        written = await direct(bench.writer, session, 2, Delete("/none", -1))
        assert written.result.code == Error.NO_NODE and await bench.contents() == before
        moved = await direct(bench.writer, session, 3, SetData("/a", b"", -1), inbox="another")
        assert moved.result.code == Error.SESSION_MOVED and await bench.contents() == before

    on_bench(play)


@pytest.mark.parametrize("request_", [SetData("/a", b"mine", 1), SetData("/a", b"mine", 0)])
def test_who_knows_the_state_before_looks_again(request_: SetData) -> None:
    """Another writer went on from there. What it says is of the state as it is, also if it fails."""

    async def play(bench: Bench, session: int) -> None:
        late = bench.fresh_writer()
        await late.recover(NS)
        await direct(bench.writer, session, 2, SetData("/a", b"theirs", -1))
        written = await direct(late, session, 3, request_)
        assert written.result.code == (Error.OK if request_.version == 1 else Error.BAD_VERSION)

    on_bench(play)


def test_who_watches_is_told_by_the_next_batch() -> None:
    """Which may have nothing in it; and it is told before that does anything else."""

    async def play(bench: Bench, session: int) -> None:
        await bench.open("two")
        await bench.watch("two", "/a", DATA, 7)
        await direct(bench.writer, session, 2, SetData("/a", b"new", -1))
        assert not await bench.writer.is_fanned_out(NS) and not bench.told("two").fired
        await bench.write()
        assert bench.told("two").fired == {("/a", DATA, 7)} and await bench.writer.is_fanned_out(NS)

    on_bench(play)


class Events(FakeInboxes):
    """`Ports.events`, by which everybody is told, or only the first."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`."""
        self.pushed.extend(messages[: self._room])
        if len(messages) > self._room:
            raise Unavailable("there is no room")


async def watched(bench: Bench, session: int, room: int, watchers: int = 2) -> Tuple[Writer, Events]:
    """A writer that has written what sessions watch, and may tell so many of them itself."""
    for number in range(watchers):
        name = "watcher-%d" % number
        await bench.open(name)
        await bench.watch(name, "/a", DATA, 7)
        await bench.watch(name, "/a", CHILD, 8)
    events = Events(room)
    writer = Writer(bench.ports()._replace(events=events.push))
    await writer.recover(NS)
    await direct(writer, session, 2, SetData("/a", b"new", -1))
    return writer, events


def test_who_watches_may_be_told_without_the_queue() -> None:
    async def play(bench: Bench, session: int) -> None:
        writer, events = await watched(bench, session, room=2)
        assert await writer.is_fanned_out(NS)
        fired = {(pushed.inbox, *note) for pushed in events.pushed for note in decode_note(pushed.body).registrations}
        assert fired == {("watcher-0", "/a", DATA, 7), ("watcher-1", "/a", DATA, 7)}
        await bench.write()
        assert not bench.told("watcher-0").fired, "what was told is told once"
        assert await writer.is_fanned_out(NS) and len(events.pushed) == 2

    on_bench(play)


@pytest.mark.parametrize("room", [0, 1])
def test_who_can_not_be_told_at_once_is_told_by_the_next_batch(room: int) -> None:
    async def play(bench: Bench, session: int) -> None:
        writer, events = await watched(bench, session, room)
        with pytest.raises(Unavailable):
            await writer.is_fanned_out(NS)
        assert len(events.pushed) == room
        await writer(NS, [])
        assert bench.told("watcher-0").fired == bench.told("watcher-1").fired == {("/a", DATA, 7)}
        assert await writer.is_fanned_out(NS)

    on_bench(play)


def test_too_many_to_be_told_while_somebody_waits_are_told_by_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributor, "AT_ONCE", 1)

    async def play(bench: Bench, session: int) -> None:
        writer, events = await watched(bench, session, room=2)
        assert not await writer.is_fanned_out(NS) and not events.pushed
        await writer(NS, [])
        assert bench.told("watcher-1").fired == {("/a", DATA, 7)}

    on_bench(play)


def test_what_one_left_to_be_told_is_told_before_the_next() -> None:
    async def play(bench: Bench, session: int) -> None:
        await bench.open("two")
        await bench.watch("two", "/a", DATA, 7)
        await direct(bench.writer, session, 2, SetData("/a", b"new", -1))
        await direct(bench.writer, session, 3, create("/b"))
        assert bench.told("two").fired == {("/a", DATA, 7)}

    on_bench(play)


def test_a_bug_is_left_to_the_queue_and_an_interruption_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is met with this very input: the queue isolates it. What a signal's handler raised is the caller's."""

    async def play(bench: Bench, session: int) -> None:
        for raising, expected in ((lambda *_: {}["bug"], KeyError), (None, Refused)):
            monkeypatch.setattr(step_module, "apply", raising)
            with pytest.raises(expected):
                await direct(bench.writer, session, 2, SetData("/a", b"new", -1))
            monkeypatch.undo()
        assert (await direct(bench.writer, session, 3, SetData("/a", b"", 0))).result.code == Error.OK

    on_bench(play)


def test_an_unknown_outcome_is_nobodys_to_try_again() -> None:
    async def play(bench: Bench, session: int) -> None:
        commit = MemoryStore.commit

        async def lost(writes: Any) -> None:
            await commit(bench.store, writes)
            raise Unknown("no answer")

        bench.store.commit = lost
        with pytest.raises(Unknown):
            await direct(bench.writer, session, 2, SetData("/a", b"new", 0))
        del bench.store.commit
        assert not await bench.writer.is_fanned_out(NS)
        written = await direct(bench.writer, session, 3, SetData("/a", b"again", 1))
        assert written.result.code == Error.OK

    on_bench(play)
