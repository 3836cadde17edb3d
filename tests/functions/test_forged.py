"""A client speaks for its own connection alone, and what it makes large is cut to what others can take."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fk_backend import layout
from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Blob, Error, Trigger
from fk_backend.core.requests import Attach, Check, Close, Create, Expire, Multi, Open, Reap, SetData, StopTicking
from fk_backend.functions import writer
from fk_backend.functions.heartbeat import MAX_ORPHANED_COUNTERS, Heartbeat
from fk_backend.messages import Message, decode, decode_note, trigger_log_of
from fk_backend.ports import INTEREST, Capabilities, Delivery, Item, Key, Put
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.writer.watch import NOTE_CHARS, Registration, fired_notes

from .doubles import NS, PASSWORD, Bench

OURS, THEIRS = Blob("uploads/ns/x", 1), Blob("uploads/other/x", 1)


def _create(data: Any) -> Create:
    return Create("/a", data, OPEN_ACL, 0, 0, False)


@pytest.mark.parametrize(
    "request_",
    [
        Expire(1, 0),
        Reap("/a", 1 << 60),
        StopTicking(1 << 60),
        Open(b"", 1000, "victim", None),
        Attach(1, PASSWORD, "victim", None),
        _create(THEIRS),
        SetData("/a", THEIRS, -1),
        Multi((_create(b""), SetData("/a", THEIRS, -1))),
        _create(Blob("data/ns/x", 1)),
        _create(Blob("uploads/ns", 1)),
        _create(Blob("uploads/ns/" + "\u00e9" * 600, 1)),
    ],
)
@pytest.mark.parametrize("position", [0, 1])
def test_what_a_client_may_not_send(request_: Any, position: int) -> None:
    """Wherever in the message it is."""
    requests = (Close(), request_) if position else (request_, Close())
    assert writer.refusal(NS, Message("me", 1, 0, requests), internal=False)
    assert not writer.refusal(NS, Message("me", 1, 0, (Close(), _create(OURS))), internal=False)


@pytest.mark.parametrize("inbox", ["", "heartbeat:1", "heartbeat:sweep-1", "a b", "x" * 65, "\u00e9", "a\0"])
def test_inboxes_that_are_no_clients(inbox: str) -> None:
    assert writer.refusal(NS, Message(inbox, 1, 0, (Close(),)), internal=False)


@pytest.mark.parametrize("ns", ["", "ns:/a", "ns:", "a b", "x" * 65, "\u00e9"])
def test_groups_that_are_no_namespaces(ns: str) -> None:
    """A colon in it would make its keys those of another namespace."""
    assert writer.refusal(ns, Message("me", 1, 0, (Close(),)), internal=False)
    assert writer.refusal(ns, Message("heartbeat:1", 0, 0, (Expire(1, 0),)), internal=True)


def test_a_session_can_not_be_asked_for_at_somebody_elses_inbox() -> None:
    """Ending it would take away what the other one registered, and its inbox."""

    async def check() -> None:
        bench = Bench()
        session = await bench.open("victim")
        await bench.ask("victim", session, 1, _create(b""))
        await bench.watch("victim", "/a", watches.DATA, 1)
        await bench.write(Message("me", 0, 0, (Open(b"x", 1000, "victim", None),)))
        mine = await bench.open("me")
        await bench.write(Message("me", mine, 1, (Attach(mine, PASSWORD, "victim", None), Close())))
        assert bench.inboxes.dropped == [] and len(await bench.registered()) == 1
        assert (await bench.ask("victim", session, 2, SetData("/a", b"x", -1)))[0][0] == Error.OK
        assert ("/a", watches.DATA, 1) in bench.told("victim").fired

    asyncio.run(check())


def test_data_that_are_laid_down_nowhere_are_refused() -> None:
    """Where every item takes everything, nobody could read them."""

    async def check() -> None:
        bench = Bench()
        session = await bench.open("me")
        (answer,) = await bench.ask("me", session, 1, _create(OURS))
        assert answer[0] == Error.SYSTEM
        assert (await bench.ask("me", session, 2, _create(b"")))[0][0] == Error.OK

    asyncio.run(check())


def test_a_fan_out_to_one_inbox_is_cut_to_what_a_queue_takes() -> None:
    """A client can register any number of watches for one inbox, with paths of any length."""
    path = "/" + "\u00e9" * 1000
    hits = [Registration(Key(INTEREST, "p", "s"), n, "one", path + str(n), watches.RECURSIVE) for n in range(300)]
    notes = fired_notes(hits, trigger_log_of(9, 0, [Trigger(9, path, 1)]))
    assert max(len(note.body) for note in notes) < 7 * NOTE_CHARS
    told = [entry for note in notes for entry in decode_note(note.body).registrations]
    assert told == [[hit.path, hit.mode, hit.number] for hit in hits]


def test_an_answer_that_no_inbox_takes_is_a_refusal() -> None:
    """A multi that changes nothing is bound by no commit: its answer would be tried for ever."""

    async def check() -> None:
        bench = Bench(MemoryStore(Capabilities(answer_bytes=2000)))
        session = await bench.open("me")
        for number, version in ((1, -1), (2, 7)):
            checks = Multi(tuple(Check("/", version) for _ in range(500)))
            assert (await bench.ask("me", session, number, checks))[0][0] == Error.TOO_LARGE
        assert (await bench.ask("me", session, 3, Multi((Check("/", -1),))))[0][0] == Error.OK

    asyncio.run(check())


@pytest.mark.parametrize("sort", ["1:me", "data:heartbeat:1", "data", "data:", ":me", "recursive:me", "data:a b"])
def test_a_registration_that_is_none_holds_up_nobody(sort: str) -> None:
    """And goes, since nobody else can mean it; one with a number that no session gives is left to who is named."""

    async def check() -> None:
        bench = Bench()
        one = await bench.open("one")
        await bench.open("two")
        await bench.ask("one", one, 1, _create(b""))
        await bench.watch("two", "/a", watches.DATA, 1)
        for key, number in ((Key(INTEREST, "ns:/a", sort), 1), (layout.registration_key(NS, "/a", "data", "x"), -1)):
            await bench.store.commit([Put(key, Item(number, b""))])
        assert (await bench.ask("one", one, 2, SetData("/a", b"", -1)))[0][0] == Error.OK
        assert ("/a", watches.DATA, 1) in bench.told("two").fired
        left = [key.sort for key in await bench.contents() if key.partition == "ns:/a" and key.table == INTEREST]
        assert left == ["data:x"]

    asyncio.run(check())


def test_counters_of_nobody_do_not_hold_up_the_heartbeat() -> None:
    """However many there are, in front of the sessions' own and behind: a tick looks at some of them."""

    async def check() -> None:
        bench = Bench()
        silent = await bench.open("silent", 4000)
        lively = await bench.open("lively", 4000)
        for number in range(3000):
            name = ("%016x" if number % 2 else "!%d") % number
            await bench.store.commit([Put(Key(INTEREST, layout.beats_partition(NS), name), Item(1 << 90, b""))])
        heartbeat = Heartbeat(bench.ports())
        for _ in range(14):
            await bench.store.increment(layout.beat_key(NS, lively), 2)
            bench.clock.now_s += 0.4
            await heartbeat(NS)
        expired = [request for _, _, body in bench.queue.sent for request in decode(body).requests]
        assert expired == [Expire(silent, 0)]
        (watched,) = heartbeat._watched.values()
        assert len(watched.orphans) <= MAX_ORPHANED_COUNTERS
        left = len(await bench.contents()) - len([key for key in await bench.contents() if key.table != INTEREST])
        assert left < 3000 - MAX_ORPHANED_COUNTERS

    asyncio.run(check())


def test_a_counter_beyond_int64_does_not_keep_the_dead_alive() -> None:
    """The expiry names the count; a message that can't be decoded would take the expiries beside it along."""

    async def check() -> None:
        bench = Bench()
        one, two = await bench.open("one", 4000), await bench.open("two", 4000)
        await bench.store.commit([Put(layout.beat_key(NS, one), Item(1 << 90, b""))])
        heartbeat = Heartbeat(bench.ports())
        for _ in range(14):
            bench.clock.now_s += 0.4
            await heartbeat(NS)
        for _, _, body in bench.queue.sent:
            await bench.writer(NS, [Delivery(body, True)])
        assert bench.told("one").ended == {(one, True)} and bench.told("two").ended == {(two, True)}

    asyncio.run(check())
