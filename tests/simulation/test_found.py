"""What the simulation found, each as the smallest story that shows it."""

from __future__ import annotations

import asyncio
from typing import Any, List, Optional
from unittest import mock

import pytest

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.requests import Close, Create, Delete, SetData, StopTicking, WatchSubtrees
from fk_backend.core.watches import PERSISTENT, RECURSIVE
from fk_backend.errors import Unavailable
from fk_backend.functions import writer
from fk_backend.functions.heartbeat import Heartbeat
from fk_backend.messages import Ended as EndedNote
from fk_backend.messages import Message, Position, encode, encode_note
from fk_backend.ports import INTEREST, SESSIONS, Capabilities, Delivery, Pushed
from fk_backend.providers.aws.ticks import TICK_S, Pulse, Tick
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.session.engine import NoSession
from fk_backend.session.ops import AddWatch, Exists, GetChildren
from fk_backend.testing.simulation.checks import judge
from fk_backend.testing.simulation.run import run
from fk_backend.testing.simulation.workload import beside, invoked, plan
from tests.functions.doubles import KEY, NS, Bench, Crash, Doom
from tests.session.doubles import Actor, Stage, on_stage, rest


def _create(path: str, flags: int = 0) -> Create:
    return Create(path, b"", OPEN_ACL, flags, 0, False)


def _numbered(messages: List[Message], first: int) -> List[Delivery]:
    return [Delivery(encode(message, KEY), False, Position(number)) for number, message in enumerate(messages, first)]


@pytest.mark.parametrize("warm", [False, True])
def test_a_writer_that_wakes_long_after_its_batch_was_done_by_another_does_nothing(warm: bool) -> None:
    """Its batch is not the last one any more, so the head has no answers of it: the sequence number tells."""

    async def check() -> None:
        bench = Bench()
        one, two = await bench.open("one"), await bench.open("two")
        late = bench.fresh_writer()
        if warm:
            await late(NS, _numbered([Message("one", one, 1, (_create("/w"),))], 2))
        again = _numbered([Message("one", one, 2, (_create("/a"), Delete("/a", -1), _create("/s-", 2)))], 3)
        await bench.writer(NS, again)
        await bench.writer(NS, _numbered([Message("two", two, 1, (_create("/b"),))], 4))
        before = await bench.contents()
        answers = bench.told("one").answers
        await late(NS, again)
        assert await bench.contents() == before and bench.told("one").answers == answers

    asyncio.run(check())


def test_a_late_writer_does_not_apply_what_had_failed() -> None:
    """A definite error means: not at all, also when it would succeed by now."""

    async def check() -> None:
        bench = Bench()
        one, two = await bench.open("one"), await bench.open("two")
        refused = _numbered([Message("one", one, 1, (Delete("/a", -1),))], 2)
        await bench.writer(NS, refused)
        await bench.writer(NS, _numbered([Message("two", two, 1, (_create("/a"),))], 3))
        before = await bench.contents()
        await bench.fresh_writer()(NS, refused)
        assert await bench.contents() == before

    asyncio.run(check())


def test_a_promise_that_is_void_does_not_forget_what_of_its_batch_was_done() -> None:
    """The batch comes again in pieces: the first piece must not be applied again because the second was promised."""

    async def check(at: int) -> bool:
        bench = Bench(MemoryStore(Capabilities(transactions_cost_double=True)))
        one, two = await bench.open("one"), await bench.open("two")
        await bench.ask("one", one, 1, _create("/n"))
        batch = [
            Message("one", one, 2, (_create("/s-", 2),)),
            Message("two", two, 1, (SetData("/n", b"1", -1),)),
            Message("two", two, 2, (SetData("/n", b"2", -1),)),
        ]
        pieces = _numbered(batch, 10)
        kill_at = Doom(at)
        try:
            await bench.fresh_writer(kill_at)(NS, pieces)
        except Crash:
            for piece in pieces:
                await bench.fresh_writer()(NS, [piece])
        names = [key.sort for key in await bench.contents() if key.partition == NS + ":/" and "s-" in key.sort]
        assert len(names) == 1, at
        (item,) = await bench.store.get([layout.node_keys(NS, "/n")[0]])
        assert layout.node_of(item).version == 2 and layout.node_of(item).data == b"2", at
        return kill_at.calls >= at

    with mock.patch.object(writer, "MAX_CALLS", 1):
        assert [asyncio.run(check(at)) for at in range(1, 30)].count(True) > 8


def test_subtrees_are_noted_once_however_the_batch_is_cut() -> None:
    async def check() -> None:
        bench = Bench()
        one, two = await bench.open("one"), await bench.open("two")
        await bench.write(Message("one", one, 1, (WatchSubtrees(),)), Message("two", two, 1, (WatchSubtrees(),)))
        assert bench.told("one").answers[1][2] == bench.told("two").answers[1][2] == 3

    asyncio.run(check())


def test_answers_that_overlap_are_all_heard() -> None:
    """A batch came again in pieces: the answers to one piece, and those to all of it, begin with the same request."""

    async def play(stage: Stage) -> None:
        actor = await stage.open()
        for tag in range(3):
            await actor.submit(tag, _create("/s-", 2))
            await stage.write()
        singles = list(stage.pushes)
        await stage.inject(*stage.handled[-3:])
        stage.pushes.clear()
        notes = [singles[0], _joined(singles[:3]), _joined(singles[:2])]
        for note in notes:
            stage.arrive(note)
            await rest()
        assert actor.said() == [0, 1, 2]

    on_stage(play)


def _joined(pushed: List[Pushed]) -> Pushed:
    from fk_backend.messages import decode_note

    notes: List[Any] = [decode_note(each.body) for each in pushed]
    results = [result for note in notes for result in note.results]
    return pushed[0]._replace(body=encode_note(notes[-1]._replace(first=notes[0].first, results=results)))


def test_the_news_of_an_expiry_may_come_before_the_answer_to_the_opening() -> None:
    async def play(stage: Stage) -> None:
        actor = Actor(stage)
        task = asyncio.ensure_future(actor.session.open(3000))
        await rest()
        await stage.write()
        ((_, item),) = (await stage.store.query(SESSIONS, layout.sessions_partition(NS))).rows
        session = layout.session_of(item).id
        stage.arrive(Pushed(actor.inbox, encode_note(EndedNote(session, True))))
        await rest()
        await stage.deliver()
        with pytest.raises(NoSession):
            await asyncio.wait_for(task, 5)

    on_stage(play)


def test_the_end_of_another_session_is_none_of_an_opening_ones() -> None:
    """Anybody with the queue's permission can have it told to any inbox."""

    async def play(stage: Stage) -> None:
        actor = Actor(stage)
        task = asyncio.ensure_future(actor.session.open(3000))
        await rest()
        stage.arrive(Pushed(actor.inbox, encode_note(EndedNote(77, True))))
        await rest()
        await stage.write()
        await stage.deliver()
        assert (await asyncio.wait_for(task, 5)).session != 77

    on_stage(play)


def test_a_session_that_closes_leaves_no_registration() -> None:
    """Whatever it registered again while its close was on its way."""

    async def play(stage: Stage) -> None:
        actor = await stage.open()
        await actor.do("c", _create("/a"))
        await actor.do("w", Exists("/a", True))
        await actor.submit("close", Close())
        await stage.write()
        number = actor.session._reader._numbers
        await actor.session._reader._register("/a", "data")
        assert actor.session._reader._numbers == number + 1
        await stage.deliver()
        await rest()
        left = await stage.store.scan(INTEREST)
        assert [key for key, _ in left if key.partition != layout.beats_partition(NS)] == []

    on_stage(play)


def test_a_deletion_that_nobody_lists_any_more_is_told_once_for_all_watches_of_the_node() -> None:
    """Catching up from the node: it may be there again when the second of its watches is looked at."""

    async def play(stage: Stage) -> None:
        actor, other = await stage.open(), await stage.open()
        await other.do("c", _create("/a"))
        await actor.do("w", Exists("/a", True))
        await actor.do("v", GetChildren("/a", True))
        await other.do("d", Delete("/a", -1))
        stage.lose()
        reads = 0

        async def before(number: int, name: str) -> None:
            nonlocal reads
            reads += name == "commit"
            if reads == 2:
                reads += 1
                await other.do("again", _create("/a"))

        actor.gateway.store.before = before
        trigger_log = layout.head_of((await stage.store.get([layout.head_key(NS)]))[0])
        from fk_backend.messages import trigger_log_of

        events = await actor.session._reader.reconcile(
            trigger_log.zxid, trigger_log_of(trigger_log.zxid, trigger_log.zxid, ())
        )
        assert [(event.path, event.kind) for event in events] == [("/a", 2)]

    on_stage(play)


def test_a_watch_that_stays_begins_where_its_session_is() -> None:
    """The head still has the promise of a change that an answer has shown (seed 26834)."""

    async def play(stage: Stage) -> None:
        stage.store.capabilities = Capabilities(transactions_cost_double=True)
        actor, other = await stage.open(), await stage.open()
        await other.do("c", _create("/a"))
        await other.do("known", WatchSubtrees())
        for tag in range(2):  # the second one by a writer that knows the node
            await other.submit(tag, SetData("/a", b"1", -1))
            batch, stage.sent = stage.sent, []
            await stage.writer(NS, [Delivery(body, False) for body in batch])
            await stage.deliver()
        promised = layout.head_of((await stage.store.get([layout.head_key(NS)]))[0])
        assert promised.settled < promised.zxid
        await actor.do("w", AddWatch("/", RECURSIVE))
        assert actor.reply("w").zxid == promised.zxid
        await actor.do("d", Delete("/none", -1))
        assert actor.reply("d").zxid == promised.zxid and actor.events() == []

    on_stage(play)


def test_a_connection_that_is_over_removes_its_registrations_when_it_can() -> None:
    """The store could not be reached at its end, and the writer had looked before it registered (seed 66474)."""

    async def play(stage: Stage) -> None:
        actor = await stage.open()
        await actor.do("w", Exists("/a", True))

        def unreachable(number: int, name: str) -> None:
            raise Unavailable("store not reached")

        actor.gateway.store.before = unreachable
        actor.session.end("lost", "hung up")
        await stage.clock.advance(1.0)
        actor.gateway.store.before = None
        await stage.clock.advance(1.0)
        left = await stage.store.scan(INTEREST)
        assert [key for key, _ in left if key.partition != layout.beats_partition(NS)] == []

    on_stage(play)


def test_ticks_go_on_whatever_comes_twice_late_or_is_killed() -> None:
    """The message that was sent last comes again until the heartbeat rests (seeds 23118, 25671, 38185, 55866)."""

    async def check(at: int, after: bool) -> bool:
        bench = Bench()
        one = await bench.open("one")
        await bench.ask("one", one, 1, _create("/e", 1))
        first, last = Tick(NS, (1, "")), Tick(NS, (2, ""))

        async def goes_on(tick: Tick, kill_at: Optional[Doom] = None) -> bool:
            """Whether its message has to come again."""
            try:
                return (
                    await Pulse(Heartbeat(bench.ports(kill_at), TICK_S, owners_only=True), bench.ports(kill_at))(tick)
                    is not None
                )
            except Crash:
                return True

        kill_at = Doom(at, after)
        assert await goes_on(first)
        assert await goes_on(last, kill_at)  # killed, it comes again; and so may the other one
        for _ in range(2):
            assert await goes_on(last)
            assert not await goes_on(first)
        await bench.ask("one", one, 2, Delete("/e", -1))
        bench.clock.now_s += 3600
        for _ in range(3):  # the session is no holder any more, then there is nothing left to come back for
            assert await goes_on(last)
            bench.clock.now_s += 3600
        await bench.write(Message("heartbeat", 0, 1, (StopTicking((await bench.head()).zxid),)), internal=True)
        assert not await goes_on(last)
        return kill_at.calls >= at

    assert sum(asyncio.run(check(at, after)) for at in range(1, 20) for after in (False, True)) >= 6


def test_the_heartbeat_does_not_rest_if_an_ephemeral_came_in_the_same_batch() -> None:
    """It would have begun to tick a second time (seed 118963)."""

    async def check() -> None:
        bench = Bench()
        one = await bench.open("one")
        await bench.ask("one", one, 1, _create("/e", 1))
        await bench.ask("one", one, 2, Delete("/e", -1))
        before = (await bench.head()).zxid
        came, rests = Message("one", one, 3, (_create("/f", 1),)), Message("heartbeat", 0, 1, (StopTicking(before),))
        batch = [Delivery(encode(came, KEY), False, Position(4)), Delivery(encode(rests), True, Position(5))]
        await bench.writer(NS, batch)
        head = await bench.head()
        assert head.ticking == head.zxid == before + 1

    asyncio.run(check())


def test_a_watch_that_stays_begins_after_a_promise_that_is_kept() -> None:
    """Registered after that change was told, nobody would tell it (seed 95004)."""

    async def play(stage: Stage) -> None:
        stage.store.capabilities = Capabilities(transactions_cost_double=True, recent_bytes=0)
        actor, other = await stage.open(), await stage.open()
        await other.do("c", _create("/a"))
        for tag in range(2):  # the second one by a writer that knows the node
            await other.submit(tag, SetData("/a", b"1", -1))
            batch, stage.sent = stage.sent, []
            await stage.writer(NS, [Delivery(body, False) for body in batch])
        promised = layout.head_of((await stage.store.get([layout.head_key(NS)]))[0])
        assert promised.settled < promised.zxid
        await actor.do("w", AddWatch("/a", PERSISTENT))
        assert actor.reply("w").zxid == promised.zxid
        await other.do("next", Delete("/a", -1))
        await stage.deliver()
        assert actor.events() == [("/a", 2)]

    on_stage(play)


@pytest.mark.parametrize("stays", [False, True])
def test_what_came_and_went_is_told_when_its_push_comes(stays: bool) -> None:
    """No node shows it any more: a session was told only if it had a watch that stays as well (seed 425292)."""

    async def play(stage: Stage) -> None:
        stage.store.capabilities = Capabilities(recent_bytes=0)
        actor, other = await stage.open(), await stage.open()
        if stays:
            await actor.do("stays", AddWatch("/b", RECURSIVE))
        await actor.submit("once", Exists("/n", True))
        await other.do("came", _create("/n"))
        await other.do("went", Delete("/n", -1))
        last = await other.do("last", _create("/m"))
        await actor.submit("shows", Exists("/e", True))
        assert actor.reply("shows").zxid == last.zxid and actor.events() == []
        await stage.deliver()
        assert actor.events() == [("/n", 1)]

    on_stage(play)


def test_whichever_call_fails_while_the_registrations_are_looked_at_no_event_is_lost() -> None:
    """What had been found out until then was forgotten, and its watch was not armed any more (seed 564620)."""

    async def play(stage: Stage) -> None:
        stage.store.capabilities = Capabilities(recent_bytes=0)
        actor, other = await stage.open(), await stage.open()
        await other.do("a", _create("/a"))
        await other.do("b", _create("/b"))
        for tag, op in enumerate((GetChildren("/a", True), Exists("/a", True), Exists("/b", True))):
            await actor.do(tag, op)
        await other.do("below", _create("/a/x"))
        await other.do("changed", SetData("/b", b"1", -1))
        await other.do("unseen", _create("/c"))
        stage.pushes.clear()
        before = len(actor.gateway.store.calls)

        def fail(number: int, name: str) -> None:
            if number == before + failing:
                raise Unavailable("now not")

        actor.gateway.store.before = fail
        await actor.submit("shows", Exists("/c", False))
        await stage.clock.advance(0.1)
        assert actor.reply("shows").code == 0 and sorted(actor.events()) == [("/a", 4), ("/b", 3)]
        calls.append(len(actor.gateway.store.calls) - before)

    calls = [1]
    failing = 0
    while failing < calls[-1]:
        failing += 1
        on_stage(play)
    assert failing > 8


def test_the_first_beat_comes_to_no_count_that_an_attach_in_vain_had_left() -> None:
    """The heartbeat could not tell them apart, and gave up who had just begun to beat (seed 526589)."""

    async def play(stage: Stage) -> None:
        stage.charges_for_beats = True
        actor, stranger = await stage.open(), Actor(stage)
        stage.actors.append(stranger)
        task = asyncio.ensure_future(stranger.session.attach(actor.session.id, bytes(16)))
        await rest()
        (left,) = await stage.store.get([layout.beat_key(NS, actor.session.id)])
        await stage.write()
        await stage.deliver()
        assert await task is None and left is not None
        await actor.submit("begins", _create("/e", 1))
        (begun,) = await stage.store.get([layout.beat_key(NS, actor.session.id)])
        assert begun is not None and begun.rev != left.rev

    on_stage(play)


SEEDS = (505, 23118, 25671, 26439, 26834, 38185, 55866, 66474, 70487, 71598, 81646, 91870, 95004, 103699)
SEEDS += (118963, 153960, 158242, 171258, 220095, 221225, 236502, 239920, 242838, 425292, 526589, 564620)
SEEDS += (589258, 794562)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_once_broke_something_does_so_no_more(seed: int) -> None:
    assert judge(run(plan(seed)), search=True) == []


INVOKED_SEEDS = (29021, 56852, 58737, 62864, 73473, 81146, 85183, 86187, 110186, 112139, 155592, 162498)


@pytest.mark.parametrize("seed", INVOKED_SEEDS)
def test_what_once_broke_something_beside_invocations_does_so_no_more(seed: int) -> None:
    assert judge(run(invoked(seed)), search=True) == []


def test_a_beat_after_the_last_session_of_all_is_seen_to() -> None:
    """Its client had not heard yet that it was over, and the heartbeat rested at once."""
    assert not judge(run(beside(859)), search=True)


def test_a_new_inbox_that_may_have_missed_something_ends_its_connection() -> None:
    """A recursive watch of a session without an inbox, and a write while the queue that it makes is not there yet."""
    assert not judge(run(invoked(5567)))


def test_a_node_that_came_and_went_while_the_queue_of_its_watch_was_new_is_not_passed_over() -> None:
    """Seen in the 3,000,380th schedule of the world ``invoked``: the node showed nothing, and its event was lost."""
    assert not judge(run(invoked(3000380)))
