"""A write that is done at once is done in its order, once, and never where something else has to be told first."""

from __future__ import annotations

from typing import Any, Callable, Dict

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error, EventType
from fk_backend.core.requests import Auth, Close, Create, Multi, Result, SetData
from fk_backend.errors import Conflict, StorageFull, Unavailable, Unknown
from fk_backend.messages import Message
from fk_backend.ports import Written
from fk_backend.session.ops import Done, GetData, Sync

from .doubles import NS, Actor, DirectOnStage, Stage, on_stage

WRITE = SetData("/a", b"now", -1)


class Here(DirectOnStage):
    """Where the functions are in this process."""

    never_waits = True

    async def done(self, ns: str, message: Message, key: bytes) -> Written:
        """By the writer itself."""
        written = await self.stage.writer.write(NS, message)
        self.stage.zxid = written.zxid
        return written


async def _opened(stage: Stage) -> Actor:
    actor = await stage.open()
    await actor.do("a", Create("/a", b"old", OPEN_ACL, 0, 0, False))
    actor.gateway.direct = Here(stage)
    return actor


def test_with_nothing_before_it_a_write_is_done_at_once_and_seen_by_the_next_read() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        said = len(actor.log)
        result = actor.session.write_now(WRITE)
        assert result is not None and result.code == Error.OK and result.zxid == stage.zxid
        read = actor.session.read_now(GetData("/a", False))
        assert read is not None and read.value[0] == b"now"
        assert len(actor.log) == said and not stage.sent and actor.session.watermark == stage.zxid
        await actor.do("b", SetData("/a", b"later", 1))
        assert actor.reply("b").code == Error.OK

    on_stage(play)


Before = Callable[[Stage, Actor], Any]


async def _write_on_its_way(stage: Stage, actor: Actor) -> None:
    await actor.submit("w", SetData("/a", b"before", 0))


async def _read_behind_it(stage: Stage, actor: Actor) -> None:
    await actor.submit("w", SetData("/a", b"before", 0))
    await actor.submit("r", GetData("/a", False))


async def _write_that_is_not_answered(stage: Stage, actor: Actor) -> None:
    await actor.submit("w", SetData("/a", b"before", 0))
    await stage.write()


BEFORE: Dict[str, Before] = {
    "a write on its way": _write_on_its_way,
    "a read behind it": _read_behind_it,
    "a write that is done": _write_that_is_not_answered,
}


@pytest.mark.parametrize("before", BEFORE)
def test_a_write_does_not_overtake(before: str) -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await BEFORE[before](stage, actor)
        assert actor.session.write_now(WRITE) is None and actor.gateway.direct.calls == 0
        await actor.submit("x", Sync("/"))
        for _ in range(2):
            await stage.write()
            await stage.deliver()
        assert actor.reply("w").code == Error.OK and actor.session.write_now(WRITE) is not None

    on_stage(play)


# --- with watches ---------------------------------------------------------------------------------

OTHER = Create("/b", b"", OPEN_ACL, 0, 0, False)
BOTH = Multi((SetData("/a", b"now", -1), OTHER))


async def _shown(actor: Actor, tag: str, outcome: Any) -> None:
    """As whoever has written does it: what is not the answer itself is to be submitted."""
    assert isinstance(outcome, Done)
    await actor.submit(tag, outcome)


@pytest.mark.parametrize("op", [WRITE, BOTH])
def test_the_event_of_ones_own_write_comes_before_its_answer(op: Any) -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await actor.submit("watch", GetData("/a", True))
        await _shown(actor, "w", actor.session.write_now(op))
        assert actor.said()[-2:] == ["event", "w"] and actor.reply("w").zxid == actor.log[-2].value.zxid == stage.zxid
        await stage.writer(NS, [])  # which tells of it
        await stage.deliver()
        assert actor.events() == [("/a", EventType.CHANGED)] and actor.session.write_now(WRITE) is not None

    on_stage(play)


def test_what_fires_no_watch_of_ones_own_is_answered_at_once() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await actor.submit("watch", GetData("/a", True))
        result = actor.session.write_now(OTHER)
        assert isinstance(result, Result) and result.code == Error.OK and actor.session.watermark == result.zxid
        await _shown(actor, "w", actor.session.write_now(WRITE))
        assert actor.events() == [("/a", EventType.CHANGED)]

    on_stage(play)


@pytest.mark.parametrize("op", [OTHER, Create("/a", b"", OPEN_ACL, 0, 0, False)], ids=["done", "failed"])
def test_what_others_wrote_before_is_told_before_the_answer(op: Any) -> None:
    """Its push is on its way; and so it is with an answer that says that nothing was done."""

    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await actor.submit("watch", GetData("/a", True))
        other = await stage.open()
        await other.do("other", SetData("/a", b"other", -1))
        outcome = actor.session.write_now(op)
        assert actor.events() == []
        await _shown(actor, "w", outcome)
        assert actor.said()[-2:] == ["event", "w"] and actor.log[-2].value.zxid == other.reply("other").zxid
        await stage.deliver()
        assert len(actor.events()) == 1

    on_stage(play)


def test_what_the_list_of_triggers_tells_no_more_is_looked_for() -> None:
    async def play(stage: Stage) -> None:
        stage.store.capabilities = stage.store.capabilities._replace(recent_bytes=0)
        actor = await _opened(stage)
        await actor.submit("watch", GetData("/a", True))
        other = await stage.open()
        await other.do("other", SetData("/a", b"other", -1))
        await other.do("another", Create("/c", b"", OPEN_ACL, 0, 0, False))
        await _shown(actor, "w", actor.session.write_now(OTHER))
        assert actor.said()[-2:] == ["event", "w"]

    on_stage(play)


def test_who_is_interrupted_before_it_was_submitted_hears_the_event_all_the_same() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await actor.submit("watch", GetData("/a", True))
        assert isinstance(actor.session.write_now(WRITE), Done)
        await stage.writer(NS, [])
        await stage.deliver()
        assert actor.events() == [("/a", EventType.CHANGED)]
        assert isinstance(actor.session.write_now(OTHER), Result)

    on_stage(play)


def test_what_is_pushed_in_between_is_told_once() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await actor.submit("watch", GetData("/a", True))
        outcome = actor.session.write_now(WRITE)
        await stage.writer(NS, [])
        await stage.deliver()
        await _shown(actor, "w", outcome)
        assert actor.said()[-2:] == ["event", "w"] and len(actor.events()) == 1

    on_stage(play)


@pytest.mark.parametrize("op", [Auth("digest", "u:p"), Close(), Sync("/"), GetData("/a", False)])
def test_what_changes_more_than_the_tree_goes_its_way(op: Any) -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        assert actor.session.write_now(op) is None and actor.gateway.direct.calls == 0

    on_stage(play)


@pytest.mark.parametrize("error", [Conflict("c"), Unavailable("u"), StorageFull("s")])
def test_what_was_not_done_is_sent(error: Exception) -> None:
    """And its number, which is used up, keeps nobody from hearing the answer."""

    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        actor.gateway.direct.fails = error
        assert actor.session.write_now(WRITE) is None
        await actor.do("b", SetData("/a", b"sent", 0))
        assert actor.reply("b").code == Error.OK

    on_stage(play)


def test_what_may_have_been_done_is_not_asked_for_again() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        actor.gateway.direct.late = Unknown("no answer")
        with pytest.raises(Unknown):
            actor.session.write_now(WRITE)
        assert not stage.sent

    on_stage(play)


def test_who_was_out_of_touch_does_nothing_and_is_told_nothing() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        stage.clock.now_s += 2.5
        assert actor.session.write_now(WRITE) is None and actor.gateway.direct.calls == 0

        actor = await _opened_again(stage)
        write = actor.gateway.direct.write

        async def late(*arguments: Any) -> Any:
            written = await write(*arguments)
            stage.clock.now_s += 2.5
            return written

        actor.gateway.direct.write = late
        with pytest.raises(Unknown):
            actor.session.write_now(WRITE)

    on_stage(play)


async def _opened_again(stage: Stage) -> Actor:
    actor = await stage.open()
    actor.gateway.direct = Here(stage)
    return actor


def test_whose_session_is_over_hears_it_the_ordinary_way() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await stage.begin(lambda other: other.session.attach(actor.session.id, actor.password))
        assert actor.session.write_now(WRITE) is None
        actor.session.end("lost", "the test says so")
        assert actor.session.write_now(WRITE) is None

    on_stage(play)


# --- where it has to be waited for ----------------------------------------------------------------


def test_a_write_that_is_alone_need_not_go_to_the_queue() -> None:
    """Own events come before its answer; what comes behind it waits."""

    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        actor.gateway.direct.never_waits = False
        await actor.submit("watch", GetData("/a", True))
        await actor.submit("w", WRITE)
        assert not stage.sent and actor.said()[-3:] == ["watch", "event", "w"]
        await actor.submit("r", GetData("/a", False))
        assert actor.reply("r").value[0] == b"now"
        await actor.do("b", SetData("/a", b"later", 1))
        assert actor.reply("b").code == Error.OK

    on_stage(play)


def test_one_that_has_no_answer_ends_the_connection() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        actor.gateway.direct.never_waits, actor.gateway.direct.late = False, Unknown("no answer")
        await actor.submit("w", WRITE)
        assert actor.said()[-1] == "over" and not stage.sent

    on_stage(play)


def test_one_that_was_not_done_goes_to_the_queue() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        actor.gateway.direct.never_waits, actor.gateway.direct.fails = False, Conflict("company")
        await actor.do("w", SetData("/a", b"sent", 0))
        assert actor.reply("w").code == Error.OK and actor.gateway.direct.calls == 1

    on_stage(play)
