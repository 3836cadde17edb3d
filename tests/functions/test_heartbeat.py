"""A session ends if, and only if, its client was silent for the whole timeout; and it does so in time.

The clock is set by hand. What the heartbeat sends is handed to the writer at once, as its queue would.
"""

from __future__ import annotations

import asyncio
from typing import List, Optional, Sequence, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fk_backend import layout
from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error, Session
from fk_backend.core.requests import Close, Create, Delete, Expire, Reap, SetData
from fk_backend.errors import Unavailable
from fk_backend.functions.heartbeat import AT_ONCE, REAP_EVERY, TICK_S, Heartbeat, Lease, NamespaceMemory
from fk_backend.messages import Message, decode
from fk_backend.ports import INTEREST, Delivery, Item, Key, Page, Put
from fk_backend.providers.memory.store import MemoryStore

from .doubles import NS, Bench

SLACK_S = 1e-6


class Ward:
    """A namespace, and the heartbeat that looks after it."""

    def __init__(self, store: Optional[MemoryStore] = None) -> None:
        self.bench = Bench(store)
        self.heartbeat = Heartbeat(self.bench.ports())

    async def beat(self, session: int) -> None:
        """As a client does."""
        await self.bench.store.increment(layout.beat_key(NS, session))

    async def tick(self, after_s: float = TICK_S) -> bool:
        """Looks, and has the writer do what comes of it."""
        self.bench.clock.now_s += after_s
        more = await self.heartbeat(NS)
        await self.flush()
        return more

    async def flush(self) -> None:
        """Hands over what the heartbeat sent."""
        sent, self.bench.queue.sent = self.bench.queue.sent, []
        for _, _, body in sent:
            await self.bench.writer(NS, [Delivery(body, True)])

    async def alive(self, session: int) -> bool:
        """Whether the session exists."""
        return (await self.bench.store.get([layout.session_key(NS, session)]))[0] is not None


gaps = st.floats(0.0, 1.5, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(gaps, st.booleans()), max_size=30), st.sampled_from((1000, 1500, 4000)))
def test_expiry_is_never_early_and_never_late(steps: List[Tuple[float, bool]], timeout_ms: int) -> None:
    """Beats at any time between ticks: alive within the timeout of the last one, gone two ticks after it."""

    async def check() -> None:
        ward = Ward()
        clock, timeout_s = ward.bench.clock, timeout_ms / 1000
        session = await ward.bench.open("client", timeout_ms)
        last_sign = next_tick = clock.now_s
        for gap, beats in [*steps, (timeout_s + 2 * TICK_S, False)]:
            until = clock.now_s + gap
            while next_tick <= until:
                clock.now_s = next_tick
                await ward.tick(0)
                silent = clock.now_s - last_sign
                assert await ward.alive(session) or silent > timeout_s - SLACK_S, "expired early"
                assert not await ward.alive(session) or silent <= timeout_s + 2 * TICK_S + SLACK_S, "expired late"
                if not await ward.alive(session):
                    return
                next_tick += TICK_S
            clock.now_s = until
            if beats:
                await ward.beat(session)
                last_sign = clock.now_s
        raise AssertionError("never expired")

    asyncio.run(check())


def test_an_expiry_is_asked_for_once_while_the_queue_takes_its_time() -> None:
    """And once more when another timeout has passed: a message may have been set aside."""

    async def check() -> None:
        ward = Ward()
        await ward.bench.open("client", 4000)
        asked = []
        for _ in range(25):
            ward.bench.clock.now_s += TICK_S
            await ward.heartbeat(NS)
            asked.append(len(ward.bench.queue.sent))
        first = asked.index(1)
        again = asked.index(2)
        assert 4.0 < first * TICK_S < 4.0 + 2 * TICK_S and 4.0 < (again - first) * TICK_S < 4.0 + 2 * TICK_S

    asyncio.run(check())


def test_sessions_that_end_at_the_same_time_share_messages() -> None:
    async def check() -> None:
        ward = Ward()
        sessions = [await ward.bench.open("client%d" % number, 1000) for number in range(AT_ONCE + 5)]
        sent: List[Message] = []
        for _ in range(5):
            ward.bench.clock.now_s += TICK_S
            await ward.heartbeat(NS)
            sent += [decode(body) for _, _, body in ward.bench.queue.sent]
            await ward.flush()
        assert [len(message.requests) for message in sent] == [AT_ONCE, 5]
        assert [message.first for message in sent] == [1, AT_ONCE + 1]
        assert not any([await ward.alive(session) for session in sessions])

    asyncio.run(check())


class SlowStore(MemoryStore):
    """Queries take time, in which clients go on beating."""

    def __init__(self) -> None:
        super().__init__()
        self.during: List[Tuple[float, int]] = []
        self.bench: Optional[Bench] = None

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """`ports.Store.query`."""
        if table == INTEREST and self.during and self.bench is not None:
            seconds, session = self.during.pop(0)
            self.bench.clock.now_s += seconds
            await self.increment(layout.beat_key(NS, session))
        return await super().query(table, partition, start, end, limit)


def test_a_session_is_read_once_however_often_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 5,000 of them that was most of what an idle deployment did."""
    read: List[int] = []

    def session_of(item: Item) -> Session:
        read.append(item.rev)
        return whole(item)

    whole = layout.session_of
    monkeypatch.setattr(layout, "session_of", session_of)

    async def check() -> None:
        ward = Ward()
        ends, stays = await ward.bench.open("ends", 1000), await ward.bench.open("stays", 4000)
        read.clear()
        for _ in range(5):
            await ward.beat(stays)
            await ward.tick()
        assert len(read) == len({*read}) == 2
        assert not await ward.alive(ends) and await ward.alive(stays)
        later = await ward.bench.open("later", 1000)
        read.clear()
        for _ in range(5):
            await ward.tick()
        assert len(read) == 1 and not await ward.alive(later) and await ward.alive(stays)

    asyncio.run(check())


def test_the_time_that_reading_takes_is_not_the_sessions() -> None:
    """A beat that is seen late in a slow look counts from when it could have come."""

    async def check() -> None:
        store = SlowStore()
        ward = Ward(store)
        store.bench = ward.bench
        session = await ward.bench.open("client", 1000)
        store.during = [(0.3, session)]
        await ward.tick()
        beaten_at = ward.bench.clock.now_s
        while await ward.alive(session):
            await ward.tick()
        assert ward.bench.clock.now_s - beaten_at > 1.0

    asyncio.run(check())


@given(st.floats(2 * TICK_S, 1000.0))
def test_lateness_of_the_heartbeat_is_forgiven(late_s: float) -> None:
    """A paused function gives every lease the time back in which nobody could have been heard."""

    async def check() -> None:
        ward = Ward()
        session = await ward.bench.open("client", 2000)
        await ward.tick()
        await ward.tick(TICK_S + late_s)
        ticks = 1
        assert await ward.alive(session)
        while await ward.alive(session):
            await ward.tick()
            ticks += 1
        assert 2.0 - SLACK_S < ticks * TICK_S <= 2.0 + 2 * TICK_S + SLACK_S

    asyncio.run(check())


def test_a_new_heartbeat_gives_everybody_a_fresh_timeout() -> None:
    async def check() -> None:
        ward = Ward()
        session = await ward.bench.open("client", 1000)
        await ward.tick()
        ward.bench.clock.now_s += 0.9
        ward.heartbeat = Heartbeat(ward.bench.ports())
        await ward.tick()
        ward.bench.clock.now_s += 0.9
        await ward.tick(0)
        assert await ward.alive(session)

    asyncio.run(check())


@pytest.mark.parametrize("beats", [0, 1, 7])
def test_an_expiry_says_by_which_count_it_was_judged(beats: int) -> None:
    async def check() -> None:
        ward = Ward()
        session = await ward.bench.open("client", 1000)
        for _ in range(beats):
            await ward.beat(session)
        watched, requests = NamespaceMemory(), []
        for _ in range(8):
            ward.bench.clock.now_s += TICK_S
            requests += (await ward.heartbeat.tick(NS, watched, {session: Lease(1.0)})).requests
        assert set(requests) == {Expire(session, beats)}

    asyncio.run(check())


def test_an_expiry_is_void_if_the_counter_moved() -> None:
    """The judgement carries what it was based on; it waited in the queue while the client came back."""

    async def check() -> None:
        ward = Ward()
        session = await ward.bench.open("client", 1000)
        await ward.tick()
        while not ward.bench.queue.sent:
            ward.bench.clock.now_s += TICK_S
            await ward.heartbeat(NS)
        (judgement,) = decode(ward.bench.queue.sent[0][2]).requests
        assert judgement == Expire(session, 0)
        await ward.beat(session)
        await ward.flush()
        assert await ward.alive(session) and not ward.bench.told("client").ended

    asyncio.run(check())


def test_expiry_removes_ephemerals_registrations_and_beats_and_tells() -> None:
    async def check() -> None:
        ward = Ward()
        bench = ward.bench
        gone, stays = await bench.open("gone", 1000), await bench.open("stays", 60000)
        await bench.ask("gone", gone, 1, Create("/e", b"", OPEN_ACL, 1, 0, False))
        await bench.watch("gone", "/x", watches.DATA, 1)
        await bench.watch("stays", "/e", watches.DATA, 1)
        await bench.watch("stays", "/y", watches.DATA, 2)
        await ward.beat(gone)
        await ward.beat(stays)
        while await ward.alive(gone):
            await ward.tick()
        assert bench.told("gone").ended == {(gone, True)}
        assert bench.told("stays").fired == {("/e", watches.DATA, 1)} and not bench.told("stays").ended
        assert {(key.partition, number) for key, number in await bench.registered()} == {("ns:/y", 2)}
        assert [key.sort for key, _ in await bench.store.scan(INTEREST, layout.beats_partition(NS))] == [
            layout.session_name(stays)
        ]
        assert await bench.store.get([*layout.node_keys(NS, "/e")]) == [None, None]

    asyncio.run(check())


def test_a_close_leaves_nothing_behind_and_is_no_expiry() -> None:
    async def check() -> None:
        ward = Ward()
        session = await ward.bench.open("client", 1000)
        await ward.bench.watch("client", "/x", watches.DATA, 1)
        await ward.beat(session)
        await ward.bench.ask("client", session, 1, Create("/e", b"", OPEN_ACL, 1, 0, False), Close())
        assert not ward.bench.told("client").ended
        assert await ward.bench.store.scan(INTEREST) == [] and await ward.bench.store.scan("sessions") == []
        assert not await ward.tick()

    asyncio.run(check())


# --- containers and TTL nodes ---------------------------------------------------------------------


async def _exists(bench: Bench, path: str) -> bool:
    return (await bench.store.get([layout.node_keys(NS, path)[0]]))[0] is not None


async def _round(ward: Ward, session: int) -> None:
    """Ticks until reapables were looked at once more."""
    for _ in range(REAP_EVERY):
        await ward.beat(session)
        await ward.tick()


def test_a_container_goes_when_it_was_used_and_is_empty() -> None:
    async def check() -> None:
        ward = Ward()
        bench = ward.bench
        session = await bench.open("client")
        await bench.ask(
            "client", session, 1, *[Create(p, b"", OPEN_ACL, f, 0, False) for p, f in (("/c", 4), ("/new", 4))]
        )
        await bench.ask("client", session, 3, Create("/c/x", b"", OPEN_ACL, 0, 0, False))
        await _round(ward, session)
        assert await _exists(bench, "/c") and await _exists(bench, "/new")
        await bench.ask("client", session, 4, Delete("/c/x", -1))
        await bench.watch("client", "/c", watches.DATA, 7)
        await _round(ward, session)
        assert not await _exists(bench, "/c") and await _exists(bench, "/new")
        assert ("/c", watches.DATA, 7) in bench.told("client").fired

    asyncio.run(check())


def test_it_does_not_rest_while_there_is_a_container_that_it_has_not_seen_yet() -> None:
    """It looks at them now and then only; one may be made, and everybody leave, between two looks."""

    async def check() -> None:
        ward = Ward()
        bench = ward.bench
        session = await bench.open("client")
        assert await ward.tick()
        await bench.ask("client", session, 1, Create("/c", b"", OPEN_ACL, 4, 0, False))
        await bench.ask("client", session, 2, Create("/c/x", b"", OPEN_ACL, 0, 0, False))
        await bench.ask("client", session, 3, Delete("/c/x", -1))
        await bench.ask("client", session, 4, Close())
        assert all([await ward.tick() for _ in range(REAP_EVERY)]) and not await _exists(bench, "/c")
        assert not all([await ward.tick() for _ in range(REAP_EVERY)])

    asyncio.run(check())


def test_a_ttl_node_goes_when_it_was_not_changed_and_has_no_children() -> None:
    async def check() -> None:
        ward = Ward()
        bench = ward.bench
        session = await bench.open("client")
        ttl_ms = int(1.5 * REAP_EVERY * TICK_S * 1000)
        for number, path in enumerate(("/idle", "/busy", "/parent"), 1):
            await bench.ask("client", session, number, Create(path, b"", OPEN_ACL, 5, ttl_ms, False))
        await bench.ask("client", session, 4, Create("/parent/x", b"", OPEN_ACL, 0, 0, False))
        for number in range(5, 8):
            await _round(ward, session)
            assert (await bench.ask("client", session, number, SetData("/busy", b"", -1)))[0][0] == Error.OK
        assert [await _exists(bench, path) for path in ("/idle", "/busy", "/parent")] == [False, True, True]

    asyncio.run(check())


def test_what_the_heartbeat_sends_is_what_only_it_may_ask() -> None:
    async def check() -> None:
        ward = Ward()
        session = await ward.bench.open("client", 1000)
        await ward.bench.ask("client", session, 1, Create("/c", b"", OPEN_ACL, 4, 0, False))
        await ward.heartbeat(NS)
        ward.bench.clock.now_s += 2 * TICK_S
        await ward.heartbeat(NS)
        sent = ward.bench.queue.sent
        assert [type(r) for _, _, body in sent for r in decode(body).requests] == [Reap]
        assert len({identity for _, identity, _ in sent}) == len(sent)
        assert {group for group, _, _ in sent} == {NS}

    asyncio.run(check())


# --- trouble --------------------------------------------------------------------------------------


def test_rubbish_among_the_beats_harms_nobody() -> None:
    """Clients write there."""

    async def check() -> None:
        ward = Ward()
        for sort in ("no number", "-", ""):
            await ward.bench.store.commit([Put(Key(INTEREST, layout.beats_partition(NS), sort), Item(3, b""))])
        session = await ward.bench.open("client", 1000)
        await ward.tick()
        assert await ward.alive(session)
        for _ in range(5):
            await ward.tick()
        assert not await ward.alive(session)

    asyncio.run(check())


def test_counters_of_sessions_that_are_over_do_not_stay() -> None:
    """A client beats once more before it hears that it has expired. One that is about to be opened is left alone."""

    async def check() -> None:
        ward = Ward()
        stays = await ward.bench.open("stays", 60_000)
        await ward.beat(stays)
        for late in (stays + 100, stays + 101):
            await ward.beat(late)
        await ward.tick()
        await ward.beat(stays + 101)
        await ward.tick()
        found = [key.sort for key, _ in await ward.bench.store.scan(INTEREST, layout.beats_partition(NS))]
        assert found == [layout.session_name(stays), layout.session_name(stays + 101)]
        await ward.tick()
        found = [key.sort for key, _ in await ward.bench.store.scan(INTEREST, layout.beats_partition(NS))]
        assert found == [layout.session_name(stays)] and await ward.alive(stays)

    asyncio.run(check())


def test_a_store_that_was_out_of_reach_costs_nobody_his_session() -> None:
    async def check() -> None:
        class Flaky(MemoryStore):
            down = False

            async def query(
                self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
            ) -> Page:
                if self.down:
                    raise Unavailable("down")
                return await super().query(table, partition, start, end, limit)

        store = Flaky()
        ward = Ward(store)
        session = await ward.bench.open("client", 1000)
        await ward.tick()
        store.down = True
        for _ in range(10):
            with pytest.raises(Unavailable):
                await ward.tick()
        store.down = False
        await ward.tick()
        assert await ward.alive(session)

    asyncio.run(check())


def test_time_is_given_back_also_after_a_look_that_failed_after_it_had_read_the_counters() -> None:
    """The first look failed in its middle, and then the machine stood still: nobody could have beaten meanwhile."""

    async def check() -> None:
        class Flaky(MemoryStore):
            is_down = True

            async def query(
                self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
            ) -> Page:
                if self.is_down and partition == layout.reapable_partition(NS):
                    raise Unavailable("down")
                return await super().query(table, partition, start, end, limit)

        store = Flaky()
        ward = Ward(store)
        session = await ward.bench.open("client", 1000)
        with pytest.raises(Unavailable):
            await ward.tick()
        store.is_down = False
        await ward.tick(10.0)
        assert await ward.alive(session)
        for _ in range(4):
            await ward.tick()
        assert not await ward.alive(session)

    asyncio.run(check())


def _namespaces(count: int) -> Sequence[str]:
    return ["ns%d" % number for number in range(count)]


def test_namespaces_are_looked_after_one_by_one() -> None:
    async def check() -> None:
        ward = Ward()
        await ward.bench.open("client", 1000)
        for name in _namespaces(3):
            assert not await ward.heartbeat(name)
        assert await ward.heartbeat(NS)

    asyncio.run(check())
