"""A read that is shown at once is shown in its order: after every write before it, and never past an event.

Each thing that may come before it is put before it; nothing here runs by itself: no run is luckier than another.
"""

from __future__ import annotations

from typing import Any, Callable, Dict

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, Result, SetData
from fk_backend.errors import Unavailable
from fk_backend.session.ops import Exists, GetAcl, GetChildren, GetData, Sync

from .doubles import Actor, Stage, on_stage

READ = GetData("/a", False)


def create(path: str) -> Create:
    """A create with nothing special about it."""
    return Create(path, b"old", OPEN_ACL, 0, 0, False)


async def _opened(stage: Stage) -> Actor:
    actor = await stage.open()
    await actor.do("a", create("/a"))
    return actor


def _data(result: Any) -> Any:
    return None if result is None else result.value[0]


def test_with_nothing_before_it_a_read_is_shown_at_once() -> None:
    async def play(stage: Stage) -> None:
        actor, other = await _opened(stage), await stage.open()
        await other.do("b", SetData("/a", b"new", -1))
        said = len(actor.log)
        for op in (READ, Exists("/a", False), GetChildren("/", False), GetAcl("/a")):
            result = actor.session.read_now(op)
            assert isinstance(result, Result) and result.code == Error.OK
        assert _data(actor.session.read_now(READ)) == b"new" and len(actor.log) == said
        assert actor.session.read_now(GetData("/none", False)) == Result(Error.NO_NODE, None, 0)

    on_stage(play)


Before = Callable[[Stage, Actor], Any]


async def _write_that_waits(stage: Stage, actor: Actor) -> None:
    actor.session.submit("w", SetData("/a", b"new", -1))  # nobody has had a turn since


async def _write_on_its_way(stage: Stage, actor: Actor) -> None:
    await actor.submit("w", SetData("/a", b"new", -1))


async def _write_that_is_done_and_not_answered(stage: Stage, actor: Actor) -> None:
    await actor.submit("w", SetData("/a", b"new", -1))
    await stage.write()


async def _read_that_waits(stage: Stage, actor: Actor) -> None:
    await actor.submit("w", SetData("/a", b"new", -1))
    await actor.submit("r", READ)


BEFORE: Dict[str, Before] = {
    "a write that waits": _write_that_waits,
    "a write on its way": _write_on_its_way,
    "a write that is done": _write_that_is_done_and_not_answered,
    "a read behind a write": _read_that_waits,
}


@pytest.mark.parametrize("before", BEFORE)
def test_a_read_does_not_overtake(before: str) -> None:
    """And once what was before it is shown, it shows what that has done."""

    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await BEFORE[before](stage, actor)
        assert actor.session.read_now(READ) is None
        await actor.submit("x", Sync("/"))
        await stage.write()
        await stage.deliver()
        await stage.write()
        await stage.deliver()
        assert actor.said()[-1] == "x" and _data(actor.session.read_now(READ)) == b"new"

    on_stage(play)


@pytest.mark.parametrize("op", [Exists("/a", True), GetData("/a", True), GetChildren("/", True)])
def test_with_a_watch_armed_a_read_asks_the_session_for_its_events(op: Any) -> None:
    """The change may have been seen by nobody yet: the push is lost, or late."""

    async def play(stage: Stage) -> None:
        actor, other = await _opened(stage), await stage.open()
        await actor.submit("watch", op)
        assert "watch" in actor.said() and actor.session.read_now(READ) is None
        await other.do("b", create("/b") if isinstance(op, GetChildren) else SetData("/a", b"new", -1))
        assert actor.session.read_now(READ) is None
        await actor.submit("r", op._replace(watch=False))
        assert actor.said()[-2:] == ["event", "r"]

    on_stage(play)


def test_what_is_no_read_is_not_done_at_once() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        for op in (SetData("/a", b"new", -1), Sync("/"), create("/b")):
            assert actor.session.read_now(op) is None
        assert not stage.sent

    on_stage(play)


def test_who_was_out_of_touch_is_shown_nothing() -> None:
    """Somebody else may have what it holds: first it has to be told."""

    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        stage.clock.now_s += 2.5
        assert actor.session.read_now(READ) is None

        actor = await _opened_again(stage)
        read = actor.session._reader.read

        async def late(*arguments: Any) -> Any:
            stage.clock.now_s += 2.5
            return await read(*arguments)

        actor.session._reader.read = late  # type: ignore[method-assign]
        assert actor.session.read_now(READ) is None

    on_stage(play)


async def _opened_again(stage: Stage) -> Actor:
    return await stage.open()


def test_a_connection_that_ended_shows_nothing() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        actor.session.end("lost", "the test says so")
        assert actor.session.read_now(READ) is None

    on_stage(play)


def test_a_store_that_waits_or_fails_shows_nothing() -> None:
    """Then it goes the long way, which can wait."""

    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        read = actor.session._reader.read

        async def waits(*arguments: Any) -> Any:
            await stage.clock.sleep(1)

        async def fails(*arguments: Any) -> Any:
            raise Unavailable("later")

        for way in (waits, fails):
            actor.session._reader.read = way  # type: ignore[assignment]
            assert actor.session.read_now(READ) is None
        actor.session._reader.read = read  # type: ignore[method-assign]
        assert _data(actor.session.read_now(READ)) == b"old"

    on_stage(play)


def test_what_was_shown_at_once_is_not_told_as_news() -> None:
    """A watch that is left afterwards does not fire for what was seen before; the watermark says up to where."""

    async def play(stage: Stage) -> None:
        actor, other = await _opened(stage), await stage.open()
        await other.do("b", SetData("/a", b"new", -1))
        result = actor.session.read_now(READ)
        assert result is not None and actor.session.watermark == result.zxid == stage.zxid

    on_stage(play)
