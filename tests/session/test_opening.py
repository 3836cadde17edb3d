"""A session is opened, taken over and closed by whoever asks, where that can be done at once; else by the queue."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.requests import Auth, Close, Create
from fk_backend.errors import Conflict
from fk_backend.messages import Message
from fk_backend.ports import INTEREST, SESSIONS, STATE
from fk_backend.session.ops import GetData

from .doubles import NS, Actor, DirectOnStage, Stage, on_stage, opens_without_answer, rest

NODE = Create("/a", b"old", OPEN_ACL, 0, 0, False)


class AtOnce(DirectOnStage):
    """Where the functions are at hand."""

    never_waits = True
    company = False
    waits = False

    async def done(self, ns: str, message: Message, key: bytes) -> Any:
        """As `InProcessDirect` does it."""
        if self.company:
            return None
        if self.waits:
            await asyncio.sleep(0)
        written = await self.stage.writer.write(ns, message)
        await self.stage.writer.is_fanned_out(ns)
        return written


def _actor(stage: Stage) -> Actor:
    actor = Actor(stage)
    actor.gateway.direct = AtOnce(stage)
    stage.actors.append(actor)
    return actor


async def _opened(stage: Stage) -> Actor:
    actor = _actor(stage)
    actor.opened = await actor.session.open(3000)
    return actor


async def _sessions(stage: Stage) -> int:
    return len((await stage.store.query(SESSIONS, layout.sessions_partition(NS))).rows)


def test_a_session_is_opened_without_the_queue_and_hears_of_its_end() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        assert not stage.known and actor.inbox in stage.subscribers and await _sessions(stage) == 1
        stage.subscribers[actor.inbox][1]("over")
        assert actor.said() == ["over"]

    on_stage(play)


@pytest.mark.parametrize("how", ["company", "waits", "conflict"])
def test_what_can_not_be_opened_at_once_is_opened_by_the_queue(how: str) -> None:
    async def play(stage: Stage) -> None:
        actor = _actor(stage)
        direct = actor.gateway.direct
        direct.company, direct.waits = how == "company", how == "waits"
        direct.fails = Conflict("somebody else wrote") if how == "conflict" else None
        opening = asyncio.ensure_future(actor.session.open(3000))
        await rest()
        assert len(stage.sent) == 1 and not opening.done() and await _sessions(stage) == 0
        await stage.write()
        await stage.deliver()
        assert (await opening).session and direct.calls == 1 and await _sessions(stage) == 1

    on_stage(play)


def test_an_opening_without_an_answer_is_not_asked_for_again() -> None:
    async def play(stage: Stage) -> None:
        actor = _actor(stage)
        await opens_without_answer(actor)
        assert not stage.known and not stage.subscribers and await _sessions(stage) == 1  # nobody's: it will expire

    on_stage(play)


def test_who_takes_a_session_over_has_the_other_connection_told_and_fenced() -> None:
    async def play(stage: Stage) -> None:
        first = await _opened(stage)
        await first.submit("watch", GetData("/", True))
        other = _actor(stage)
        other.opened = await other.session.attach(first.session.id, first.password)
        assert not stage.known and other.opened is not None
        assert not await stage.writer.is_fanned_out(NS), "it is taken for told, and nobody was"
        await stage.writer(NS, [])
        await rest()
        assert first.said() == ["watch", "over"]
        assert not (await stage.store.query(INTEREST, layout.node_partition(NS, "/"))).rows
        await stage.inject(Message(first.inbox, first.session.id, 9, (NODE,)))
        assert not (await stage.store.query(STATE, layout.node_partition(NS, "/a"))).rows

    on_stage(play)


def test_a_wrong_password_is_refused_at_once() -> None:
    async def play(stage: Stage) -> None:
        first = await _opened(stage)
        assert await _actor(stage).session.attach(first.session.id, b"?" * 16) is None
        assert not stage.known and first.said() == []

    on_stage(play)


def test_a_session_is_closed_without_the_queue_and_leaves_nothing() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await actor.submit("auth", Auth("digest", "a:b"))
        await actor.submit("watch", GetData("/", True))
        await actor.session._send_beat()
        await actor.submit("end", Close())
        assert actor.said() == ["auth", "watch", "end", "over"] and actor.log[-1].value == "closed"
        assert not stage.known and await _sessions(stage) == 0 and not (await stage.store.scan(INTEREST))
        assert await stage.writer.is_fanned_out(NS)

    on_stage(play)


def test_a_close_does_not_overtake_what_is_in_the_queue() -> None:
    async def play(stage: Stage) -> None:
        actor = await _opened(stage)
        await actor.submit("a", NODE)  # by who does not wait: the queue's
        await actor.submit("end", Close())
        assert len(stage.sent) == 2 and actor.said() == []
        await stage.write()
        await stage.deliver()
        assert actor.said() == ["a", "end", "over"]

    on_stage(play)
