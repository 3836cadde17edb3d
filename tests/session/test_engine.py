"""One session at its work: answers in order, reads and writes in turn, and the ways in which a connection ends."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, List

import pytest

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Close, Create, Delete, Expire, Flags, SetData
from fk_backend.errors import BackendError, StorageFull, Unavailable, Unknown
from fk_backend.messages import PING, Answers, Ended, Message, TriggerLog, decode_note, encode_note
from fk_backend.ports import Capabilities, Key, Pushed, Put
from fk_backend.session.beats import BEAT
from fk_backend.session.engine import CLOSED, EXPIRED, LOST
from fk_backend.session.ops import Exists, Fail, GetData, Sync
from fk_backend.session.packing import MAX_MESSAGE_REQUESTS

from .doubles import NS, Actor, Stage, on_stage, rest


def create(path: str, flags: int = 0) -> Create:
    """A create with nothing special about it."""
    return Create(path, b"", OPEN_ACL, flags, 0, False)


# --- order ----------------------------------------------------------------------------------------


def test_answers_that_come_out_of_order_and_twice_are_delivered_in_order_and_once() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        for number in range(4):
            await actor.submit(number, create("/s-", 2))
            await stage.write()
        answers = stage.pushes
        assert len(answers) == 4
        for position in (2, 3, 2, 1):
            stage.arrive(answers[position])
            await rest()
        assert actor.said() == []
        for position in (0, 1, 0, 3):
            stage.arrive(answers[position])
            await rest()
        assert actor.said() == [0, 1, 2, 3]
        assert [actor.reply(n).value for n in range(4)] == ["/s-%010d" % n for n in range(4)]

    on_stage(play)


def test_a_read_waits_for_earlier_writes_and_later_writes_for_it() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        for tag, op in enumerate((create("/a"), GetData("/a", False), SetData("/a", b"new", -1), Sync("/a"))):
            await actor.submit(tag, op)
        assert len(stage.sent) == 1 and actor.said() == []
        await stage.write()
        assert actor.said() == []
        await stage.deliver()
        assert actor.said() == [0, 1] and actor.reply(1).value[0] == b""
        await stage.write()
        assert actor.said() == [0, 1], "the sync waits as well"
        await stage.deliver()
        assert actor.said() == [0, 1, 2, 3]

    on_stage(play)


@pytest.mark.parametrize("remote", [True, False])
def test_a_message_says_which_answers_its_sender_has(remote: bool) -> None:
    """Up to the first that is still missing; and only where another instance may have the next turn."""

    async def play(stage: Stage) -> None:
        stage.store.capabilities = Capabilities(has_latency=remote)
        actor = await stage.open()
        for number in range(3):
            await actor.submit(number, create("/n%d" % number))
            await stage.write()
        stage.arrive(stage.pushes[0])
        stage.arrive(stage.pushes[2])
        await rest()
        await actor.submit(3, create("/n3"))
        await stage.write()
        opened, first = actor.session.watermark - 1, decode_note(stage.pushes[0].body).trigger_log.zxid
        assert [message.answered for message in stage.handled[-2:]] == ([opened, first] if remote else [0, 0])

    on_stage(play)


def test_a_failing_op_is_answered_in_its_turn() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        await actor.submit("write", create("/a"))
        await actor.submit("fail", Fail(Error.BAD_ARGUMENTS))
        assert actor.said() == []
        await stage.write()
        await stage.deliver()
        assert actor.said() == ["write", "fail"] and actor.reply("fail").code == Error.BAD_ARGUMENTS

    on_stage(play)


def test_many_writes_share_messages_and_none_is_too_long() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        count = 3 * MAX_MESSAGE_REQUESTS + 1
        for number in range(count):
            actor.session.submit(number, create("/s-", 2))
        await rest()
        while stage.sent:
            await stage.write()
            await stage.deliver()
        assert actor.said() == list(range(count))
        assert max(len(message.requests) for message in stage.handled) == MAX_MESSAGE_REQUESTS

    on_stage(play)


@pytest.mark.parametrize("error", [Unavailable("not taken"), Unknown("taken, or not")])
def test_what_the_queue_does_not_confirm_is_sent_again_as_the_same_message(error: Exception) -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        actor.gateway.refusals = [error, error]
        await actor.submit(0, create("/s-", 2))
        await stage.clock.advance(1.0)
        await actor.submit(1, create("/s-", 2))
        await stage.write()
        await stage.deliver()
        assert [actor.reply(n).value for n in (0, 1)] == ["/s-0000000000", "/s-0000000001"]

    on_stage(play)


def test_a_message_is_not_sent_again_for_longer_than_a_queue_remembers_it() -> None:
    """It might be taken twice: the connection is given up before, however long the session's timeout is."""

    async def play(stage: Stage) -> None:
        actor = await stage.open(timeout_ms=3_600_000)
        actor.gateway.refusals = [Unknown("taken, or not")] * 2000
        await actor.submit(0, create("/a"))
        await stage.clock.advance(200.0, step=1.0)
        assert actor.said() == []
        await stage.clock.advance(60.0, step=1.0)
        assert actor.said() == ["over"] and len(actor.gateway.refusals) > 1000

    on_stage(play)


def test_set_aside_and_refused_requests_are_answered_like_any_other() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        await actor.submit(0, create("/a"))
        stage.sent.clear()
        notes = Answers(1, [[Error.DEAD_LETTERED, None, 0]], TriggerLog(0, 0, "[]"))
        stage.arrive(Pushed(actor.inbox, encode_note(notes), 2))
        await rest()
        assert actor.reply(0).code == Error.DEAD_LETTERED
        assert (await actor.do(1, create("/b"))).code == Error.OK

    on_stage(play)


def test_no_room_for_a_watch_is_told_and_leaves_none() -> None:
    async def play(stage: Stage) -> None:
        actor, other = await stage.open(), await stage.open()
        actor.gateway.store.before = _refuse_puts(StorageFull("no room"))
        assert (await actor.do(0, Exists("/a", True))).code == Error.STORAGE_FULL
        actor.gateway.store.before = None
        await other.do(0, create("/a"))
        await stage.deliver()
        assert (await actor.do(1, Exists("/a", False))).code == Error.OK and actor.events() == []

    on_stage(play)


def _refuse_puts(error: Exception) -> Any:
    def before(number: int, name: str) -> None:
        if name == "commit":
            raise error

    return before


def test_a_read_that_can_not_reach_the_store_is_tried_again() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        failures: List[Exception] = [Unavailable("locked"), Unavailable("locked")]

        def before(number: int, name: str) -> None:
            if failures and name in ("get", "query", "listing"):
                raise failures.pop()

        actor.gateway.store.before = before
        await actor.submit(0, Exists("/", True))
        assert actor.said() == []
        await stage.clock.advance(0.5)
        assert actor.said() == [0] and actor.reply(0).code == Error.OK

    on_stage(play)


# --- the end --------------------------------------------------------------------------------------


def test_close_ends_the_session_after_what_was_asked_before() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        await actor.submit(0, create("/e", 1))
        await actor.submit(1, Close())
        await stage.write()
        await stage.deliver()
        assert actor.said() == [0, 1, "over"] and actor.log[-1].value == CLOSED
        assert actor.gateway.unsubscribed == [(actor.inbox, False)]
        assert (await stage.store.get([layout.node_keys(NS, "/e")[0]])) == [None]

    on_stage(play)


def test_an_expired_session_is_told_so_by_a_note_or_by_an_answer() -> None:
    async def play(stage: Stage) -> None:
        noted, asking = await stage.open(), await stage.open()
        for actor in (noted, asking):
            (beats,) = await stage.store.get([layout.beat_key(NS, actor.session.id)])
            expire = Message("heartbeat:1", 0, actor.session.id, (Expire(actor.session.id, beats.rev if beats else 0),))
            await stage.inject(expire, internal=True)
        await stage.deliver(lambda pushed: pushed.inbox == noted.inbox)
        assert noted.said() == ["over"] and noted.log[-1].value == EXPIRED
        stage.pushes.clear()
        await asking.submit(0, create("/a"))
        await stage.write()
        await stage.deliver()
        assert asking.said() == ["over"] and asking.log[-1].value == EXPIRED

    on_stage(play)


def test_a_note_about_another_session_is_none_of_ours() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        stage.arrive(Pushed(actor.inbox, encode_note(Ended(actor.session.id + 1, True)), 0))
        assert (await actor.do(0, create("/a"))).code == Error.OK

    on_stage(play)


def test_attaching_elsewhere_ends_the_first_connection() -> None:
    async def play(stage: Stage) -> None:
        first = await stage.open()
        second = await stage.begin(lambda actor: actor.session.attach(first.session.id, first.password))
        assert second.session.id == first.session.id
        assert first.said() == ["over"] and first.log[-1].value == LOST
        assert (await second.do(0, create("/a"))).code == Error.OK

    on_stage(play)


def test_a_fenced_connection_finds_out_when_it_writes() -> None:
    async def play(stage: Stage) -> None:
        first = await stage.open()
        stage.subscribers[first.inbox] = (stage.subscribers[first.inbox][0], lambda why: None)
        await stage.begin(lambda actor: actor.session.attach(first.session.id, first.password))
        stage.subscribers[first.inbox] = (first.session._receive, lambda why: None)
        await first.submit(0, create("/a"))
        await stage.write()
        await stage.deliver()
        assert first.said() == ["over"] and first.log[-1].value == LOST

    on_stage(play)


async def _attached(stage: Stage, session: int, password: bytes) -> Any:
    actor = Actor(stage)
    stage.actors.append(actor)
    task = asyncio.ensure_future(actor.session.attach(session, password))
    await rest()
    await stage.write()
    await stage.deliver()
    return await task


def test_a_wrong_password_or_an_unknown_session_is_no_session() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        assert await _attached(stage, actor.session.id, b"x" * 16) is None
        assert await _attached(stage, actor.session.id + 1, b"x" * 16) is None
        assert actor.said() == []
        assert (await actor.do(0, create("/a"))).code == Error.OK

    on_stage(play)


def test_a_full_disk_at_an_attach_does_not_mean_that_the_session_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session lives on and can be attached to later: nobody may be told that it expired."""

    async def play(stage: Stage) -> None:
        actor = await stage.open()
        commit = stage.store.commit

        async def full(writes: Any) -> None:
            if any(isinstance(write, Put) and write.key.table == "state" for write in writes):
                raise StorageFull("no room")
            await commit(writes)

        monkeypatch.setattr(stage.store, "commit", full)
        with pytest.raises(BackendError):
            await _attached(stage, actor.session.id, actor.password)
        monkeypatch.setattr(stage.store, "commit", commit)
        assert (await _attached(stage, actor.session.id, actor.password)).session == actor.session.id

    on_stage(play)


def test_what_opens_while_the_deployment_goes_out_of_reach_is_not_opened() -> None:
    async def play(stage: Stage) -> None:
        actor = Actor(stage)
        task = asyncio.ensure_future(actor.session.open(3000))
        await rest()
        stage.subscribers[actor.inbox][1]("out of reach")
        await rest()
        with pytest.raises(Unavailable):
            await task
        assert stage.subscribers == {}

    on_stage(play)


# --- being in touch -------------------------------------------------------------------------------


def test_out_of_touch_for_two_thirds_of_the_timeout_is_told_before_anything_else() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open(3000)
        await stage.clock.advance(5.0)
        assert actor.said() == []
        await actor.submit(0, create("/a"))
        actor.gateway.reachable.clear()
        last_beat = stage.clock.now_s
        await stage.clock.advance(1.0)
        assert actor.said() == []
        while not actor.said():
            await stage.clock.advance(0.05)
        assert actor.said() == ["over"] and actor.log[-1].value == LOST
        assert stage.clock.now_s - last_beat < 3.0
        assert actor.gateway.unsubscribed == [(actor.inbox, True)]

    on_stage(play)


def test_a_paused_session_knows_that_it_was_out_of_touch_before_it_shows_anything() -> None:
    """It was stopped with an answer on its way: the time has passed when it wakes, and a lock may be gone."""

    async def play(stage: Stage) -> None:
        actor = await stage.open(3000)
        await actor.submit(0, create("/a"))
        await stage.write()
        stage.clock.now_s += 2.5
        await stage.deliver()
        assert actor.said() == ["over"] and actor.log[-1].value == LOST

    on_stage(play)


def test_a_paused_session_says_so_as_soon_as_it_wakes_whatever_it_was_sending() -> None:
    """A message and a beat were under way, and neither is answered (seed 220095)."""

    async def play(stage: Stage) -> None:
        actor = await stage.open(3000)
        actor.gateway.reachable.clear()
        await stage.clock.advance(1.0)  # the beat is under way
        actor.gateway.queue = SimpleNamespace(send=lambda *message: asyncio.Event().wait())
        await actor.submit(0, create("/a"))
        await stage.clock.advance(2.5, step=2.5)
        assert actor.said() == ["over"] and actor.log[-1].value == LOST

    on_stage(play)


def test_a_session_that_is_paused_in_the_middle_of_a_read_says_so_before_it_shows_what_it_read() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open(3000)
        held = create("/held")._replace(flags=Flags.EPHEMERAL)
        await actor.do(0, held)

        def before(number: int, name: str) -> None:
            stage.clock.now_s += 2.5

        actor.gateway.store.before = before
        await actor.submit(1, Exists("/held", False))
        assert actor.said() == [0, "over"] and actor.log[-1].value == LOST

    on_stage(play)


def test_an_opening_that_took_long_is_followed_by_a_beat_and_not_by_a_loss() -> None:
    """The deployment did not answer for a while; now it has, and that is what counts."""

    async def play(stage: Stage) -> None:
        actor = Actor(stage)
        stage.actors.append(actor)
        actor.gateway.reachable.clear()
        task = asyncio.ensure_future(actor.session.open(3000))
        await stage.clock.advance(2.8)
        actor.gateway.reachable.set()
        await rest()
        await stage.write()
        await stage.deliver()
        await task
        await rest()
        (beats,) = await stage.store.get([layout.beat_key(NS, actor.session.id)])
        assert beats is not None and beats.rev > 0
        assert (await actor.do(0, create("/a"))).code == Error.OK and actor.said() == [0]

    on_stage(play)


def test_an_attach_whose_beat_was_answered_late_is_followed_by_a_beat() -> None:
    """What counts is when it was heard (seed 236502): until its next one, an expiry could have been judged."""

    async def play(stage: Stage) -> None:
        first = await stage.open(3000)
        second = Actor(stage)
        stage.actors.append(second)

        async def slow(key: Key) -> int:
            count = await stage.store.increment(key)
            stage.clock.now_s += 2.5
            second.gateway.store.increment = stage.store.increment
            return count

        second.gateway.store.increment = slow
        second.gateway.reachable.clear()
        task = asyncio.ensure_future(second.session.attach(first.session.id, first.password))
        await rest()
        await stage.write()
        await stage.deliver()
        assert not task.done()
        second.gateway.reachable.set()
        await rest()
        assert await task is not None and second.said() == []

    on_stage(play)


def test_beats_go_on_three_times_in_a_timeout() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open(3000)
        key = layout.beat_key(NS, actor.session.id)
        counts = []
        for _ in range(4):
            (item,) = await stage.store.get([key])
            assert item is not None
            counts.append(item.rev)
            await stage.clock.advance(3.0)
        assert [b - a for a, b in zip(counts, counts[1:])] == [3 * BEAT] * 3

    on_stage(play)


def test_where_beats_are_dear_the_first_is_heard_before_there_is_anything_to_own() -> None:
    async def play(stage: Stage) -> None:
        stage.charges_for_beats = True
        actor = await stage.open(3000)
        key = layout.beat_key(NS, actor.session.id)
        await stage.clock.advance(9.0)
        (before,) = await stage.store.get([key])
        actor.gateway.reachable.clear()
        await actor.submit(1, create("/e", 1))
        assert not stage.sent
        actor.gateway.reachable.set()
        await rest()
        (heard,) = await stage.store.get([key])
        assert len(stage.sent) == 1 and heard is not None and heard.rev == (before.rev if before else 0) + BEAT
        await stage.clock.advance(1.0)
        (again,) = await stage.store.get([key])
        assert again is not None and again.rev == heard.rev + BEAT

    on_stage(play)


def test_who_owns_nothing_beats_when_it_is_asked_to_until_one_beat_is_heard() -> None:
    """And once for each time, whether it is asked before or after it was opened."""

    async def play(stage: Stage) -> None:
        stage.charges_for_beats = True
        actor = await stage.open(3000)
        key = layout.beat_key(NS, actor.session.id)
        actor.gateway.store.before = _refuse_increments_of(actor, 3)
        stage.subscribers[actor.inbox][0](PING)
        await rest()
        assert await stage.store.get([key]) == [None]
        await stage.clock.advance(6.0)
        (heard,) = await stage.store.get([key])
        assert heard is not None and heard.rev == BEAT
        stage.subscribers[actor.inbox][0](PING)
        await stage.clock.advance(6.0)
        (heard,) = await stage.store.get([key])
        assert heard is not None and heard.rev == 2 * BEAT and actor.said() == []
        early = Actor(stage)
        stage.actors.append(early)
        opening = asyncio.ensure_future(early.session.open(3000))
        await rest()
        stage.subscribers[early.inbox][0](PING)
        await stage.write()
        await stage.deliver()
        await opening
        await rest()
        (heard,) = await stage.store.get([layout.beat_key(NS, early.session.id)])
        assert heard is not None and heard.rev == BEAT

    on_stage(play)


def _refuse_increments_of(actor: Actor, times: int) -> Any:
    refused: List[int] = []

    def before(number: int, name: str) -> None:
        if name == "increment" and len(refused) < times:
            refused.append(number)
            raise Unavailable("not now")

    return before


def test_a_bug_ends_the_connection_and_does_not_hang_it() -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        actor.gateway.store.before = _refuse_puts(ZeroDivisionError("a bug"))
        await actor.submit(0, Exists("/a", True))
        assert actor.said() == ["over"] and actor.log[-1].value == LOST

    on_stage(play)


@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"\0\0\0\2[]", b'\0\0\0\5["x"]'])
def test_a_push_that_is_none_ends_the_connection(rubbish: bytes) -> None:
    async def play(stage: Stage) -> None:
        actor = await stage.open()
        stage.arrive(Pushed(actor.inbox, rubbish, 0))
        await rest()
        assert actor.said() == ["over"] and actor.log[-1].value == LOST

    on_stage(play)


def test_a_reader_without_functions_reads_and_refuses_to_write() -> None:
    async def play(stage: Stage) -> None:
        other = await stage.open()
        await other.do(0, create("/a"))
        actor = Actor(stage)
        stage.actors.append(actor)
        await actor.session.observe(3000)
        assert (await actor.do(0, Exists("/a", False))).code == Error.OK
        assert (await actor.do(1, Delete("/a", -1))).code == Error.NOT_READ_ONLY
        await stage.clock.advance(60.0)
        assert actor.said() == [0, 1]

    on_stage(play)


def test_attaching_in_vain_leaves_no_trace() -> None:
    """Neither at a session that there is, nor at one that there is not."""

    async def play(stage: Stage) -> None:
        actor = await stage.open()
        key = layout.beat_key(NS, actor.session.id)
        (before,) = await stage.store.get([key])
        for session in (actor.session.id, actor.session.id + 1):
            assert await _attached(stage, session, b"x" * 16) is None
        (after,) = await stage.store.get([key])
        assert before is not None and after is not None and after.rev >= before.rev
        assert [k for k, _ in await stage.store.scan("interest", layout.beats_partition(NS))] == [key]

    on_stage(play)
