"""A write that comes alone needs no queue; what comes together is answered in order, whichever way it goes."""

from __future__ import annotations

import asyncio
import struct
from typing import Any, Iterator, List, Tuple

import pytest

from fk_backend.core.model import Error
from fk_backend.errors import Unknown
from fk_backend.session.engine import Session
from fk_kazoo import jute
from fk_kazoo.gateway.single_writes import COMPANY_S, SingleWrites
from tests.gateway.served import Place, Raw, create, number, read

ANY = number(-1)


class Counting:
    """A gateway whose queue counts what it is sent."""

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway
        self.sent: List[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    @property
    def queue(self) -> "Counting":
        return self

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        self.sent.append(message_id)
        await self._gateway.queue.send(group, message_id, body)


@pytest.fixture
def place() -> Iterator[Place]:
    with Place(Counting) as made:
        yield made


def written(path: str, data: bytes) -> bytes:
    return jute.string(path) + jute.buffer(data) + ANY


def test_a_write_that_comes_alone_is_not_sent_to_anybody(place: Place) -> None:
    with Raw(place.gate().port) as client:
        client.connect()
        before = len(place.deployment.sent)
        first = client.call(jute.CREATE, create("/alone", flags=1))
        second = client.call(jute.SET_DATA, written("/alone", b"2"))
        third = client.call(jute.SET_DATA, jute.string("/alone") + jute.buffer(b"3") + number(7))
        assert (first.code, second.code, third.code) == (0, 0, Error.BAD_VERSION)
        assert first.zxid < second.zxid <= third.zxid
        assert client.call(jute.GET_DATA, read("/alone")).body.startswith(jute.buffer(b"2"))
        assert len(place.deployment.sent) == before


def test_what_comes_together_is_sent_together_and_answered_in_order(place: Place) -> None:
    with Raw(place.gate().port) as client:
        client.connect()
        client.call(jute.CREATE, create("/many"))
        before = len(place.deployment.sent)
        asked = [(jute.SET_DATA, written("/many", b"%d" % n)) for n in range(5)]
        asked.insert(3, (jute.GET_DATA, read("/many")))
        frames = [jute.framed(struct.pack(">ii", xid, opcode) + body) for xid, (opcode, body) in enumerate(asked)]
        client.socket.sendall(b"".join(frames))
        told = [client.reply() for _ in asked]
        assert [(each.xid, each.code) for each in told] == [(xid, 0) for xid in range(6)]
        assert told[3].body.startswith(jute.buffer(b"2"))
        assert len(place.deployment.sent) > before


def test_the_event_of_ones_own_write_comes_before_its_answer(place: Place) -> None:
    with Raw(place.gate().port) as client:
        client.connect()
        client.call(jute.CREATE, create("/own"))
        client.call(jute.GET_DATA, read("/own", watch=True))
        before = len(place.deployment.sent)
        client.ask(jute.SET_DATA, written("/own", b"2"))
        event = client.reply()
        assert event.xid == jute.NOTIFICATION_XID and event.body == struct.pack(">ii", 3, 3) + jute.string("/own")
        assert client.reply().code == 0 and len(place.deployment.sent) == before
        assert client.call(jute.SET_DATA, written("/own", b"3")).code == 0


def test_who_watches_hears_of_it_and_what_it_owned_ends_with_it(place: Place) -> None:
    port = place.gate().port
    with Raw(port) as watcher, Raw(port) as client:
        watcher.connect()
        client.connect()
        watcher.call(jute.EXISTS, read("/heard", watch=True))
        made = client.call(jute.CREATE, create("/heard", flags=1))
        event = watcher.reply()
        assert event.xid == jute.NOTIFICATION_XID and event.body.endswith(jute.string("/heard"))
        shown = watcher.call(jute.EXISTS, read("/heard", watch=True))
        assert shown.code == 0 and shown.zxid >= made.zxid
        client.call(jute.CLOSE)
        assert watcher.reply().body == struct.pack(">ii", 2, 3) + jute.string("/heard")


def test_one_of_which_nobody_knows_ends_the_connection_and_not_the_session(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any) -> None:
        raise Unknown("the disk is gone, or is it")

    port = place.gate().port
    with Raw(port) as client:
        _, session, password, _ = client.connect()
        with monkeypatch.context() as patched:
            patched.setattr(Session, "write_now", unknown)
            client.ask(jute.CREATE, create("/unknown"))
            assert client.ended()
    with Raw(port) as again:
        assert again.connect(session=session, password=password)[1] == session
        assert again.call(jute.CREATE, create("/known")).code == 0


def test_a_gateway_that_drains_answers_it_first(place: Place) -> None:
    gate = place.gate()
    with Raw(gate.port) as client:
        client.connect()
        for n in range(20):
            client.call(jute.CREATE, create("/drained-%d" % n))
        client.ask(jute.CREATE, create("/drained-last"))
        place.run(gate.drain())
        try:
            answered = client.reply().code == 0
        except EOFError:
            answered = False
    with Raw(place.gate().port) as other:
        other.connect()
        assert other.call(jute.EXISTS, read("/drained-last")).code == (0 if answered else Error.NO_NODE)


def test_alone_is_who_is_the_only_one_of_a_turn() -> None:
    async def turns() -> List[List[bool]]:
        lone, told = SingleWrites(), []
        for count in (1, 2, 1, 3):
            this: List[bool] = []
            told.append(this)
            for session in range(count):
                lone.take(this.append, session, 0.0, may_wait=True)
            assert this == []
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return told

    assert asyncio.run(turns()) == [[True], [False, False], [True], [False, False, False]]


def test_who_alone_has_written_lately_does_not_wait_for_the_others_turn() -> None:
    async def told_at_once(*came: Tuple[int, float]) -> List[bool]:
        lone, at_once = SingleWrites(), []
        for session, now_s in came:
            told: List[bool] = []
            lone.take(told.append, session, now_s)
            at_once.append(told == [True])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert told == [True]
        return at_once

    soon, late = COMPANY_S / 2, COMPANY_S * 3
    assert asyncio.run(told_at_once((1, 0.0), (1, 0.0), (1, soon))) == [True, True, True]
    assert asyncio.run(told_at_once((1, 0.0), (2, soon), (2, soon), (1, soon))) == [True, False, False, False]
    assert asyncio.run(told_at_once((1, 0.0), (2, soon), (2, late), (2, late))) == [True, False, True, True]
