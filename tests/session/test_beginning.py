"""Where writes can be invocations, a session has an inbox only from when something is told or answered there."""

from __future__ import annotations

from typing import Any, cast

import pytest

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Auth, Close, Create, SetData
from fk_backend.core.watches import RECURSIVE
from fk_backend.errors import Conflict, Refused, Unavailable, Unknown
from fk_backend.messages import Message, encode
from fk_backend.ports import INTEREST, Gateway, Written
from fk_backend.session.engine import Session
from fk_backend.session.inbox import FAN_OUT_CHECK_S, IDLE_BEAT_S, LOOK_S
from fk_backend.session.ops import AddWatch, Exists, GetData

from .doubles import NS, Actor, DirectOnStage, Stage, on_stage, opens_without_answer, rest

NODE = Create("/a", b"old", OPEN_ACL, 0, 0, False)
WRITE = SetData("/a", b"new", -1)


class Invoked(DirectOnStage):
    """Where a function is called."""

    never_waits = False

    async def done(self, ns: str, message: Message, key: bytes) -> Written:
        """As the function does it."""
        written, _ = await self.stage.writer.write_for(ns, encode(message, key))
        return written


def _actor(stage: Stage) -> Actor:
    stage.charges_for_beats = True
    actor = Actor(stage)
    actor.gateway.address = None
    actor.gateway.direct = Invoked(stage)
    actor.session = Session(cast(Gateway, actor.gateway), NS, actor)
    stage.actors.append(actor)
    return actor


async def _opened(stage: Stage) -> Actor:
    actor = _actor(stage)
    actor.opened = await actor.session.open(3000)
    await actor.submit("a", NODE)
    assert actor.reply("a").code == Error.OK
    return actor


async def _attached(stage: Stage, to: Actor) -> Actor:
    actor = _actor(stage)
    actor.opened = await actor.session.attach(to.session.id, to.password)
    return actor


def test_who_neither_watches_nor_pipelines_has_neither_queue_nor_inbox() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await actor.submit("w", WRITE)
        await actor.submit("r", GetData("/a", False))
        await actor.submit("auth", Auth("digest", "a:b"))
        await actor.submit("end", Close())
        assert actor.said() == ["a", "w", "r", "auth", "end", "over"] and actor.log[-1].value == "closed"
        assert not stage.subscribers and not stage.known and actor.gateway.unsubscribed == [(actor.inbox, False)]
        assert not (await stage.store.query(INTEREST, NS + ":hello")).rows

    on_stage(play)


def test_it_says_when_it_asked_for_a_session_as_its_inbox_need_not_be_there() -> None:
    async def play(stage: Stage) -> None:
        await _opened(stage)
        ((_, item),) = (await stage.store.query(INTEREST, NS + ":hello")).rows
        assert layout.said_ms(item) == stage.clock.now_ms()

    on_stage(play)


@pytest.mark.parametrize("op", [GetData("/a", True), Exists("/none", True), AddWatch("/", RECURSIVE)], ids=repr)
def test_an_inbox_is_there_before_what_is_told_to_it_is_registered(op: Any) -> None:
    async def play(stage: Stage) -> None:
        actor, registered = await _opened(stage), []

        def before(number: int, name: str) -> None:
            if name == "commit":
                registered.append(actor.inbox in stage.subscribers)

        actor.gateway.store.before = before
        await actor.submit("watch", op)
        assert actor.reply("watch").code in (Error.OK, Error.NO_NODE) and registered == [True]
        await (await _opened_beside(stage)).submit("w", WRITE)
        await stage.deliver()
        assert len(actor.events()) == (op.path != "/none") and not stage.known

    on_stage(play)


async def _opened_beside(stage: Stage) -> Actor:
    actor = _actor(stage)
    actor.opened = await actor.session.open(3000)
    return actor


def test_an_inbox_is_there_before_what_is_answered_there_is_sent() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        actor.gateway.direct.fails = Conflict("company")
        actor.session.submit("one", WRITE)
        actor.session.submit("two", WRITE)
        await rest()
        assert stage.sent and list(stage.subscribers) == [actor.inbox]
        await stage.write()
        await stage.deliver()
        assert actor.reply("one").code == actor.reply("two").code == Error.OK

    on_stage(play)


def test_an_inbox_that_can_not_be_made_is_tried_again() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        listen, fails = actor.gateway.listen, [Unavailable("no queue"), Unknown("no answer")]

        async def failing(*args: Any) -> None:
            if fails:
                raise fails.pop()
            await listen(*args)

        actor.gateway.listen = failing  # type: ignore[method-assign]
        await actor.submit("watch", GetData("/a", True))
        assert "watch" not in actor.said()
        await stage.clock.advance(0.5)
        assert actor.reply("watch").code == Error.OK and not fails

    on_stage(play)


def test_an_opening_without_an_answer_is_not_asked_for_again() -> None:
    async def play(stage: Stage) -> None:
        actor = _actor(stage)
        await opens_without_answer(actor)
        assert actor.gateway.direct.calls == 1 and not stage.known and not stage.subscribers

    on_stage(play)


def test_where_the_function_is_not_to_be_had_the_queue_opens_it() -> None:
    async def play(stage: Stage) -> None:
        found = await stage.begin(lambda other: _by_queue(stage, other))
        assert found.session.id and list(stage.subscribers) == [found.inbox]

    async def _by_queue(stage: Stage, other: Actor) -> Any:
        other.gateway.address, other.gateway.direct = None, Invoked(stage)
        other.gateway.direct.fails = Refused("of an older release")
        return await other.session.open(3000)

    on_stage(play)


# --- what nobody tells ----------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [FAN_OUT_CHECK_S[0], LOOK_S])
def test_who_watches_looks_for_what_it_was_not_told(after_s: float) -> None:
    async def play(stage: Stage) -> None:
        actor, other = await _opened(stage), await _opened_beside(stage)
        await actor.submit("watch", GetData("/a", True))
        if after_s == LOOK_S:
            await stage.clock.advance(FAN_OUT_CHECK_S[-1] + 1, step=0.5)
        await other.submit("w", WRITE)
        assert stage.lose() == 1 and not actor.events()
        await stage.clock.advance(after_s, step=0.5)
        assert actor.events() == [("/a", 3)]

    on_stage(play)


def test_an_inbox_is_listened_to_as_long_as_anything_may_come_there() -> None:
    """And stays when nobody does: the next watch goes on with it."""

    async def play(stage: Stage) -> None:
        actor, other = await _opened(stage), await _opened_beside(stage)
        await actor.submit("watch", GetData("/a", True))
        await stage.clock.advance(3 * LOOK_S, step=0.5)
        assert actor.inbox in stage.subscribers
        await other.submit("w", WRITE)
        await stage.deliver()
        assert actor.events() == [("/a", 3)] and actor.gateway.unsubscribed == []
        await stage.clock.advance(2 * LOOK_S, step=0.5)
        assert actor.gateway.unsubscribed == [(actor.inbox, True)] and not stage.subscribers
        await actor.submit("again", GetData("/a", True))
        await other.submit("more", WRITE)
        await stage.deliver()
        assert actor.events() == [("/a", 3)] * 2 and len(actor.session._tasks) < 6

    on_stage(play)


def test_who_may_use_the_queue_alone_listens_from_the_first_request_to_the_last() -> None:
    async def play(stage: Stage) -> None:
        stage.charges_for_beats = True
        actor = await stage.open()
        await stage.clock.advance(3 * LOOK_S, step=0.5)
        assert list(stage.subscribers) == [actor.inbox] and actor.gateway.unsubscribed == []

    on_stage(play)


def test_what_a_function_that_died_has_told_nobody_is_looked_for() -> None:
    async def play(stage: Stage) -> None:
        actor, other = await _opened(stage), await _opened_beside(stage)
        await actor.submit("watch", GetData("/a", True))

        async def dies(*_: Any) -> None:
            raise Unknown("killed")

        stage.writer._tell = dies  # type: ignore[method-assign]
        await other.submit("w", WRITE)
        assert other.log[-1].what == "over" and not stage.pushes
        await stage.clock.advance(LOOK_S, step=0.5)
        assert actor.events() == [("/a", 3)]

    on_stage(play)


@pytest.mark.parametrize("ends, reason", [(False, "lost"), (True, "expired")])
def test_who_has_no_inbox_finds_out_that_the_session_is_over_or_somebody_elses(ends: bool, reason: str) -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await stage.clock.advance(LOOK_S + 1, step=0.5)
        other = await _attached(stage, actor)
        if ends:
            await other.submit("end", Close())
        assert "over" not in actor.said()
        await stage.clock.advance(LOOK_S, step=0.5)
        assert actor.log[-1].value == reason

    on_stage(play)


def test_who_owns_something_finds_out_with_its_next_beat() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await actor.submit("own", Create("/mine", b"", OPEN_ACL, 1, 0, False))
        await stage.clock.advance(2)
        await _attached(stage, actor)
        await stage.clock.advance(1.1)
        assert actor.log[-1].value == "lost"

    on_stage(play)


def test_a_counter_that_somebody_wrote_ends_nothing() -> None:
    """Any client can: so the writer is asked, once for each time."""

    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await stage.clock.advance(LOOK_S + 1, step=0.5)
        calls = actor.gateway.direct.calls
        await stage.store.increment(layout.beat_key(NS, actor.session.id), -1)
        await stage.clock.advance(3 * LOOK_S, step=0.5)
        assert "over" not in actor.said() and actor.gateway.direct.calls == calls + 1

    on_stage(play)


def test_who_can_not_be_asked_for_a_sign_of_life_gives_one_now_and_then() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        counts = []
        for _ in range(3):
            await stage.clock.advance(IDLE_BEAT_S + LOOK_S, step=LOOK_S / 2)
            (item,) = await stage.store.get([layout.beat_key(NS, actor.session.id)])
            counts.append(layout.count_of(item))
        assert 0 < counts[0] < counts[1] < counts[2] and "over" not in actor.said()

    on_stage(play)
