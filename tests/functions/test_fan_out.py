"""What a commit sets off is told to everybody who registered, and exactly what was told is dropped.

A registration that is made again while a fan-out is under way has another number: it stays.
"""

from __future__ import annotations

import asyncio
from typing import Any, List, Sequence, Set

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fk_backend import layout
from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import EventType, Trigger
from fk_backend.core.requests import Attach, Close, Create, Delete, SetData, WatchSubtrees
from fk_backend.errors import Unavailable, Unknown
from fk_backend.layout import Head
from fk_backend.mac import inbox_name
from fk_backend.messages import Answers, Fired, Message, decode_note
from fk_backend.ports import INTEREST, Capabilities, Pushed
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.writer import distributor, watch
from fk_backend.writer.watch import AT_ONCE

from .doubles import KEY, NS, PASSWORD, Bench

QUEUE = inbox_name(NS, KEY, b"1111")
PATHS = ("/", "/a", "/a/b", "/ab", "/a/b/c")
modes = st.sampled_from(sorted(watches.MODES))
registered = st.lists(
    st.tuples(st.sampled_from(("one", "two")), st.sampled_from(PATHS), modes), unique=True, max_size=12
)
triggers = st.lists(st.tuples(st.sampled_from(PATHS), st.integers(1, 4)), max_size=6)


@settings(max_examples=150, deadline=None)
@given(registered, triggers, st.integers(0, 6), st.sampled_from((1, 3, 20)))
def test_exactly_those_that_match_are_told_and_one_shots_dropped(
    made: List[Any], changes: List[Any], told: int, many: int
) -> None:
    """Against the table of `core.watches`, registration by registration. Confirmed triggers set off nothing.

    From so many paths on (`watch.MANY`) all registrations may be read at once; it makes no difference.
    """

    async def check() -> None:
        bench = Bench()
        for number, (inbox, path, mode) in enumerate(made, 1):
            await bench.watch(inbox, path, mode, number)
        happened = tuple(Trigger(zxid, path, kind) for zxid, (path, kind) in enumerate(changes, 1))
        head = Head(len(changes), 1, min(told, len(changes)), 0, happened, (), (), (), subtrees=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(watch, "MANY", many)
            await distributor.distribute(bench.ports(), NS, head)
        hits = {
            (inbox, path, mode, number)
            for number, (inbox, path, mode) in enumerate(made, 1)
            if any(watches.matches(mode, path, trigger) for trigger in happened if trigger.zxid > head.confirmed)
        }
        assert {(inbox, *entry) for inbox in ("one", "two") for entry in bench.told(inbox).fired} == hits
        gone = {number for _, _, mode, number in hits if watches.is_one_shot(mode)}
        assert {number for _, number in await bench.registered()} == set(range(1, len(made) + 1)) - gone

    asyncio.run(check())


class Interrupted(Bench):
    """A bench where something happens right after registrations were read, or right before they are dropped."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        inner = self.inboxes.push

        async def push(messages: Any) -> None:
            await inner(messages)
            if any(isinstance(decode_note(message.body), Fired) for message in messages):
                await self.watch("one", "/a", watches.DATA, 8)
                if moment == "both":
                    await self.watch("two", "/a", watches.DATA, 9)

        self.inboxes.push = push  # type: ignore[method-assign]


@pytest.mark.parametrize("moment", ["one", "both"])
def test_what_was_registered_again_meanwhile_stays(moment: str) -> None:
    async def check() -> None:
        bench = Interrupted(moment)
        session = await bench.open("writer")
        for number, inbox in enumerate(("one", "two", "three"), 1):
            await bench.watch(inbox, "/a", watches.DATA, number)
        await bench.ask("writer", session, 1, Create("/a", b"", OPEN_ACL, 0, 0, False))
        left = {number for _, number in await bench.registered()}
        assert left == ({8} if moment == "one" else {8, 9})
        assert bench.told("two").fired == {("/a", watches.DATA, 2)}
        await bench.ask("writer", session, 2, SetData("/a", b"", -1))
        assert ("/a", watches.DATA, 8) in bench.told("one").fired

    asyncio.run(check())


def test_answers_go_while_registrations_are_looked_up() -> None:
    """Where requests take long; each answer carries what it set off, so its session's own events come first."""

    async def check() -> None:
        bench = Bench(MemoryStore(Capabilities(has_latency=True)))
        session = await bench.open("one")
        await bench.watch("one", "/", watches.CHILD, 7)
        answered, looked = asyncio.Event(), bench.store.query
        push = bench.inboxes.push

        async def push_and_say(messages: Any) -> None:
            await push(messages)
            answered.set()

        async def query(*arguments: Any) -> Any:
            await answered.wait()
            return await looked(*arguments)

        bench.inboxes.push, bench.store.query = push_and_say, query  # type: ignore[method-assign]
        create = Create("/a", b"", OPEN_ACL, 0, 0, False)
        await asyncio.wait_for(bench.ask("one", session, 1, create), 10)
        answer, event = [decode_note(pushed.body) for pushed in bench.inboxes.pushed[-2:]]
        assert isinstance(answer, Answers) and isinstance(event, Fired)
        assert event.registrations == [["/", watches.CHILD, 7]]
        assert Trigger(answer.results[0][2], "/", EventType.CHILD) in answer.trigger_log.triggers()
        assert await bench.registered() == set()

    asyncio.run(check())


def test_a_look_that_fails_after_the_answers_went_is_done_again() -> None:
    """The batch comes again: nothing is applied twice, and the event that nobody was told of is told."""

    async def check() -> None:
        bench = Bench(MemoryStore(Capabilities(has_latency=True)))
        session = await bench.open("one")
        await bench.watch("two", "/", watches.CHILD, 7)
        looked = bench.store.query

        async def query(*arguments: Any) -> Any:
            raise Unavailable("not now")

        bench.store.query = query
        create = Message("one", session, 1, (Create("/a", b"", OPEN_ACL, 0, 0, False),))
        with pytest.raises(Unknown):
            await bench.write(create)
        assert bench.told("one").answers[1][0] == 0 and not bench.told("two").fired
        bench.store.query = looked
        await bench.write(create)
        assert bench.told("two").fired == {("/", watches.CHILD, 7)}

    asyncio.run(check())


def test_many_registrations_on_one_node_are_all_told() -> None:
    """More than one page of them."""

    async def check() -> None:
        bench = Bench()
        session = await bench.open("writer")
        inboxes = ["w%04d" % number for number in range(2100)]
        for inbox in inboxes:
            await bench.watch(inbox, "/a", watches.DATA, 1)
            await bench.watch(inbox, "/", watches.RECURSIVE, 2)
        await bench.ask("writer", session, 1, Create("/a", b"", OPEN_ACL, 0, 0, False))
        notes = [p for p in bench.inboxes.pushed if p.inbox.startswith("w0") or p.inbox.startswith("w1")]
        told: Set[str] = {p.inbox for p in bench.inboxes.pushed if p.inbox != "writer"}
        assert told == set(inboxes) and len(notes) == 2000
        assert len(await bench.store.scan(INTEREST, NS + ":/a", limit=5000)) == 0
        assert (await bench.head()).triggers[0].kind == EventType.CREATED

    asyncio.run(check())


def test_thousands_of_registrations_are_not_dropped_all_at_once() -> None:
    """Where each takes a request: making them all first holds up those that are on their way."""

    async def check() -> None:
        under_way = most = 0

        class Busy(MemoryStore):
            async def commit(self, writes: Sequence[object]) -> None:
                nonlocal under_way, most
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0)
                under_way -= 1
                await super().commit(writes)

        bench = Bench(Busy(Capabilities(has_latency=True, transactions_cost_double=True)))
        session = await bench.open("writer")
        for number in range(1000):
            await bench.watch("w%04d" % number, "/a", watches.DATA, 1)
        await bench.ask("writer", session, 1, Create("/a", b"", OPEN_ACL, 0, 0, False))
        assert most == AT_ONCE and await bench.registered() == set()

    asyncio.run(check())


def test_what_was_told_of_thousands_is_not_told_again_when_time_runs_out() -> None:
    """Each portion is dropped when it was told, so every try gets further."""

    async def check() -> None:
        bench = Bench(MemoryStore(Capabilities(has_latency=True, transactions_cost_double=True)))
        session = await bench.open("writer")
        for number in range(2 * AT_ONCE + 50):
            await bench.watch("w%04d" % number, "/a", watches.DATA, 1)
        push, portions = bench.inboxes.push, 0

        async def timed_out(messages: Sequence[Pushed]) -> None:
            nonlocal portions
            if isinstance(decode_note(messages[0].body), Fired):
                portions += 1
                if portions == 2:
                    raise Unavailable("the function's time is up")
            await push(messages)

        bench.inboxes.push = timed_out  # type: ignore[method-assign]
        creation = Message("writer", session, 1, (Create("/a", b"", OPEN_ACL, 0, 0, False),))
        with pytest.raises(Unknown):
            await bench.write(creation)
        assert len(await bench.registered()) == AT_ONCE + 50
        await bench.write(creation)
        told = [pushed.inbox for pushed in bench.inboxes.pushed if isinstance(decode_note(pushed.body), Fired)]
        assert await bench.registered() == set() and len(told) == len(set(told)) == 2 * AT_ONCE + 50

    asyncio.run(check())


def test_sessions_that_end_or_move_take_their_registrations_along() -> None:
    """And nobody else's; the connection that lost its session is dropped."""

    async def check() -> None:
        bench = Bench()
        ends, moves, stays = await bench.open("ends"), await bench.open("moves"), await bench.open("stays")
        for inbox in ("ends", "moves", "stays"):
            await bench.watch(inbox, "/x", watches.DATA, 1)
            await bench.watch(inbox, "/x", watches.RECURSIVE, 2)
        await bench.ask("ends", ends, 1, Close())
        await bench.ask("moved", 0, 0, Attach(moves, PASSWORD, "moved", None))
        left = {key.sort.rpartition(":")[2] for key, _ in await bench.registered()}
        assert left == {"stays"} and bench.inboxes.dropped == ["moves"]
        create = Create("/x", b"", OPEN_ACL, 0, 0, False)
        await bench.ask("stays", stays, 1, WatchSubtrees(), create, Delete("/x", -1))
        assert bench.told("stays").fired == {("/x", watches.DATA, 1), ("/x", watches.RECURSIVE, 2)}
        assert not bench.told("ends").fired and not bench.told("moves").fired

    asyncio.run(check())


@pytest.mark.parametrize("thief", ["", "another"])
def test_the_queue_of_a_client_that_connects_again_stays(thief: str) -> None:
    """Unless, in the same commit, the session moves on to somebody else."""

    async def check() -> None:
        bench = Bench()
        session = await bench.open(QUEUE)
        inboxes = [QUEUE + "-1", thief] if thief else [QUEUE + "-1"]
        await bench.write(*(Message(inbox, 0, 0, (Attach(session, PASSWORD, inbox, None),)) for inbox in inboxes))
        assert bench.inboxes.dropped == ([QUEUE, QUEUE + "-1"] if thief else [])

    asyncio.run(check())


def test_attaching_again_from_the_same_connection_keeps_its_watches() -> None:
    async def check() -> None:
        bench = Bench()
        session = await bench.open("one")
        await bench.watch("one", "/x", watches.DATA, 1)
        await bench.ask("one", 0, 1, Attach(session, PASSWORD, "one", None))
        assert len(await bench.registered()) == 1 and bench.inboxes.dropped == []

    asyncio.run(check())


@pytest.mark.parametrize("mode", ["1", "", "data:data", "later", "\x00", "é" * 50])
def test_a_registration_that_nobody_understands_is_removed_and_stops_nobody(mode: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        session = await bench.open("one")
        await bench.ask("one", session, 1, Create("/a", b"", OPEN_ACL, 0, 0, False))
        await bench.watch("one", "/a", watches.DATA, 5)
        await bench.watch("stranger", "/a", mode, 7)
        await bench.ask("one", session, 2, SetData("/a", b"x", -1))
        await bench.ask("one", session, 3, SetData("/a", b"y", -1))
        page = await bench.store.query(INTEREST, layout.node_partition(NS, "/a"))
        assert page.rows == []

    asyncio.run(scenario())
