"""Where every look of the heartbeat is paid for: there is one message of ticks, and its cost follows the holders.

The queue keeps time as SQS does: a message that was handed out is hidden, and comes again unless it is deleted.
"""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any, Awaitable, Callable, Dict, List, Optional, Sequence, Tuple, cast

import pytest

from benchmarks.cloud.latency import of_operation
from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Session
from fk_backend.core.requests import Close, Create, Delete, Expire, StopTicking
from fk_backend.errors import Unavailable
from fk_backend.functions.heartbeat import MAX_SUSPECTS, RARE_TICKS, Heartbeat
from fk_backend.functions.writer import REWAKE_S
from fk_backend.messages import decode
from fk_backend.ports import SESSIONS, Delivery, Item, Key, Ports, Put, Remove
from fk_backend.providers.aws import metrics, names
from fk_backend.providers.aws.handlers import Functions
from fk_backend.providers.aws.store import DynamoStore
from fk_backend.providers.aws.ticks import KEPT_LEASES, TICK_S, Memory, Pulse, Tick
from fk_backend.providers.memory.store import MemoryStore

from .doubles import NS, Bench, FakeClock

VISIBILITY_S = 30
TIMEOUT_S = 10
CONNECTIONS = 64
"""To DynamoDB, of a function."""
LARGE_ID = 0x7FFFFF << 40
PAGE_ROWS = 8000
"""Rows of about 120 bytes in a page of DynamoDB, which ends at 1 MB."""


class CountingStore(MemoryStore):
    """Counts requests as DynamoDB is sent them, and is out of reach while it is told so."""

    def __init__(self) -> None:
        super().__init__(DynamoStore.capabilities)
        self.requests: List[str] = []
        self.down = False

    def _request(self, what: str, count: int = 1) -> None:
        if self.down:
            raise Unavailable("down")
        self.requests.extend([what] * count)

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        self._request("get")
        return await super().get(keys)

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        self._request("load", -(-len(keys) // 100))
        return await MemoryStore.get(self, keys)

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Any:
        self._request("query")
        return await super().query(table, partition, start, end, min(limit, PAGE_ROWS))

    async def commit(self, writes: Sequence[object]) -> None:
        self._request("commit")
        await super().commit(writes)


class Timer:
    """The timer queue, with the heartbeat behind it. A message: (sent in ms, id) → (when it comes again, namespace)."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.messages: Dict[Tuple[int, str], Tuple[float, str]] = {}
        self.done: List[float] = []
        """When messages were handed over and came through."""
        self._sent = 0

    async def wake(self, ns: str) -> None:
        """`ports.Timer.wake`."""
        self._sent += 1
        self.messages[int(self._clock.now_s * 1000), "m%d" % self._sent] = self._clock.now_s, ns

    async def tick_again(self, records: Sequence[Tuple[Any, int]]) -> None:
        """`Queues.tick_again`."""
        for record, after_s in records:
            key = record["receiptHandle"]
            self.messages[key] = self._clock.now_s + after_s, self.messages[key][1]

    async def run(self, functions: Functions, until_s: float) -> None:
        """Hands over what is due, one message at a time."""
        while True:
            due = [(at, key, ns) for key, (at, ns) in self.messages.items() if at <= until_s]
            if not due:
                break
            at, key, ns = min(due)
            self._clock.now_s = max(self._clock.now_s, at)
            self.messages[key] = self._clock.now_s + VISIBILITY_S, ns
            attributes = {"SentTimestamp": str(key[0]), "ApproximateReceiveCount": "1"}
            record = {"messageId": key[1], "receiptHandle": key, "body": ns, "attributes": attributes}
            if not await functions.heartbeat([record]):
                del self.messages[key]
            self.done.append(self._clock.now_s)
        self._clock.now_s = until_s


class Ticking:
    """A namespace whose heartbeat is woken by messages."""

    def __init__(self) -> None:
        self.store = CountingStore()
        self.bench = Bench(self.store)
        self.timer = Timer(self.bench.clock)
        ports: Ports = self.bench.ports()._replace(timer=self.timer)
        self.bench.fresh_writer = lambda *_: None  # type: ignore[method-assign, assignment, return-value]
        self.bench.writer = type(self.bench.writer)(ports)
        pulse = Pulse(Heartbeat(ports, TICK_S, owners_only=True), ports)
        self.functions = Functions(cast(Any, SimpleNamespace(pulse=pulse, queues=self.timer)))
        self.pulse = pulse
        self.beaten_s = 0.0
        """When a session beat last."""

    async def run(self, seconds: float, holders: Sequence[int] = (), each_s: float = TIMEOUT_S / 3) -> None:
        """Time passes; these sessions beat, and what the heartbeat orders is written."""
        end = self.bench.clock.now_s + seconds
        while self.bench.clock.now_s < end:
            for session in holders:
                await self.store.increment(layout.beat_key(NS, session), 2)
                self.beaten_s = self.bench.clock.now_s
            await self.timer.run(self.functions, min(end, self.bench.clock.now_s + each_s))
            await self.flush()

    async def flush(self) -> None:
        """The writer does what it was sent."""
        sent, self.bench.queue.sent = self.bench.queue.sent, []
        for _, _, body in sent:
            await self.bench.writer(NS, [Delivery(body, True)])

    async def holder(self, name: str, timeout_ms: int = 1000 * TIMEOUT_S) -> int:
        """A session with an ephemeral."""
        session = await self.bench.open(name, timeout_ms)
        await self.bench.ask(name, session, 1, Create("/" + name, b"", OPEN_ACL, 1, 0, False))
        return session

    async def listed(self) -> List[str]:
        """The names of the holders."""
        rows = (await MemoryStore.query(self.store, SESSIONS, layout.holders_partition(NS))).rows
        return [sort for sort, _ in rows if sort != layout.MEMORY]

    async def alive(self, session: int) -> bool:
        """Whether the session exists."""
        return (await MemoryStore.get(self.store, [layout.session_key(NS, session)]))[0] is not None

    async def memory(self) -> Memory:
        """What the heartbeat remembers."""
        return Memory.of((await MemoryStore.get(self.store, [layout.memory_key(NS)]))[0])

    async def put(self, count: int, first: int, owning: bool) -> List[int]:
        """Sessions as they are stored."""
        sessions = list(range(first, first + count))
        for session in sessions:
            made = Session(session, bytes(32), 1000 * TIMEOUT_S, (), "%032x" % session)
            writes = [Put(layout.session_key(NS, session), layout.session_item(made, 2))]
            if owning:
                writes.append(Put(Key(SESSIONS, layout.ephemerals_partition(NS, session), "/x"), Item(2, b"")))
                writes.append(Put(layout.holder_key(NS, session), layout.holder_item(made, 2)))
            await MemoryStore.commit(self.store, writes)
            await self.store.increment(layout.beat_key(NS, session), 2)
        return sessions


def ticking(check: Callable[[Ticking], Awaitable[None]]) -> None:
    """Runs the check on a fresh namespace."""

    async def run() -> None:
        await check(Ticking())

    asyncio.run(run())


# --- one message ----------------------------------------------------------------------------------


def test_ticks_that_fail_do_not_multiply() -> None:
    """Half an hour in which each of them fails, and somebody wakes the heartbeat now and then."""

    async def check(place: Ticking) -> None:
        session = await place.holder("one")
        place.store.down = True
        for minute in range(30):
            await place.run(60, [session])
            assert len(place.timer.messages) == 1 + minute // 10
            if minute % 10 == 9:
                await place.timer.wake(NS)
        place.store.down = False
        await place.run(60, [session])
        assert len(place.timer.messages) == 1 and await place.alive(session)
        before = len(place.timer.done)
        await place.run(60, [session])
        assert 6 <= len(place.timer.done) - before <= 31, "one chain, at the pace of one"

    ticking(check)


def test_whoever_wakes_it_last_goes_on() -> None:
    """And an older message ends when it comes, also while nothing is remembered of the last one yet."""

    async def check(place: Ticking) -> None:
        session = await place.holder("one")
        for _ in range(5):
            await place.timer.wake(NS)
            await place.run(1, [session])
        latest = max(place.timer.messages)
        await place.run(2 * RARE_TICKS * TICK_S, [session])
        assert list(place.timer.messages) == [latest]
        assert (await place.memory()).sent == latest

    ticking(check)


def test_a_lost_message_is_replaced_when_the_next_ephemeral_comes() -> None:
    async def check(place: Ticking) -> None:
        session = await place.holder("one")
        await place.run(20, [session])
        place.timer.messages.clear()
        await place.run(REWAKE_S, [session])
        assert not place.timer.messages
        other = await place.holder("two")
        assert len(place.timer.messages) == 1
        await place.run(20, [other])
        assert not await place.alive(session) and await place.alive(other), "it had been silent for long"

    ticking(check)


def test_it_rests_when_nobody_owns_anything_and_begins_again() -> None:
    async def check(place: Ticking) -> None:
        session = await place.holder("one")
        await place.run(20, [session])
        await place.bench.ask("one", session, 2, Delete("/one", -1))
        await place.run(60)
        assert not place.timer.messages and await place.alive(session) and not await place.listed()
        head = await place.bench.head()
        assert head.ticking == 0
        await place.bench.ask("one", session, 3, Create("/again", b"", OPEN_ACL, 1, 0, False))
        assert len(place.timer.messages) == 1
        await place.run(30)
        assert not await place.alive(session)
        await place.run(60)
        assert not place.timer.messages

    ticking(check)


@pytest.mark.parametrize("timeout_s", [1, 4, 10, 60])
def test_an_end_comes_within_the_timeout_and_the_longest_pause(timeout_s: int) -> None:
    """And not before: counted from the last beat, whenever that was."""

    async def check(place: Ticking) -> None:
        for number in range(7):
            session = await place.holder("s%d" % number, 1000 * timeout_s)
            await place.run(2 * timeout_s + number * 0.7, [session], timeout_s / 3)
            assert await place.alive(session)
            last, gone = place.beaten_s, 0.0
            while await place.alive(session):
                await place.run(0.25)
                gone = place.bench.clock.now_s
            assert timeout_s < gone - last <= timeout_s + (RARE_TICKS + 1) * TICK_S + 0.5

    ticking(check)


def _metrics(printed: str) -> List[Tuple[str, str, float]]:
    """(function, metric, value) of lines in the embedded metric format."""
    found = []
    for line in map(json.loads, printed.splitlines()):
        (declared,) = line["_aws"]["CloudWatchMetrics"]
        (dimensions,), (metric,) = declared["Dimensions"], declared["Metrics"]
        assert declared["Namespace"] == metrics.NAMESPACE and metric["Unit"] == metrics.UNITS[metric["Name"]]
        assert all(isinstance(line[each], str) for each in dimensions) and line["namespace"] == NS
        assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 3600
        found.append((line["Function"], metric["Name"], line[metric["Name"]]))
    return found


def test_what_is_late_or_failed_is_told_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    async def check(place: Ticking) -> None:
        session = await place.holder("one")
        await place.run(30, [session])
        assert _metrics(capsys.readouterr().out) == []
        place.store.down = True
        await place.run(TIMEOUT_S, [session])
        place.store.down = False
        told = _metrics(capsys.readouterr().out)
        assert told and set(told) == {(names.HEARTBEAT, metrics.FAILED, 1)}
        await place.run(10, [session])
        ((function, metric, late_s),) = _metrics(capsys.readouterr().out)
        assert (function, metric) == (names.HEARTBEAT, metrics.LATE_S) and TICK_S < late_s < 3 * TIMEOUT_S

    ticking(check)


# --- what it costs --------------------------------------------------------------------------------


async def _requests_of_a_tick(place: Ticking, holders: Sequence[int]) -> List[str]:
    for session in holders:
        await place.store.increment(layout.beat_key(NS, session), 2)
    await place.pulse(Tick(NS, (1, "")))  # whatever is done now and then is done
    for session in holders:
        await place.store.increment(layout.beat_key(NS, session), 2)
    place.bench.clock.now_s += TICK_S
    place.store.requests.clear()
    assert await place.pulse(Tick(NS, (1, ""))) is not None
    return place.store.requests


@pytest.mark.parametrize("idle", [0, 1000, 5000])
@pytest.mark.parametrize("holders", [1, 10, 100])
def test_a_tick_takes_three_requests_however_many_sessions_there_are(idle: int, holders: int) -> None:
    """The idle ones have held something before, so that they have counters."""

    async def check(place: Ticking) -> None:
        await place.holder("first")
        await place.put(idle, LARGE_ID, owning=False)
        some = await place.put(holders - 1, 2 * LARGE_ID // 3, owning=True)
        found = await _requests_of_a_tick(place, [int((await place.listed())[0], 16), *some])
        assert sorted(found) == ["commit", "load", "query"]

    ticking(check)


def test_ten_thousand_holders_of_a_hundred_thousand_sessions() -> None:
    """Few requests, which take less than 2 s at the 99th percentile of what was measured of DynamoDB."""

    async def check(place: Ticking) -> None:
        await place.holder("first")
        holders = await place.put(10_000, LARGE_ID, owning=True)
        for other in range(90_000):  # counters of those that held something before: they sort first
            await place.store.increment(layout.beat_key(NS, (1 << 40) + other), 2)
        found = await _requests_of_a_tick(place, holders)
        assert sorted(set(found)) == ["commit", "load", "query"]
        assert found.count("query") <= 4 and found.count("load") <= 101 and found.count("commit") == 1
        (item,) = await place.store.get([layout.memory_key(NS)])
        assert item is not None and len(item.body) < DynamoStore.capabilities.item_bytes
        waves = -(-found.count("load") // CONNECTIONS)
        pages_ms = found.count("query") * of_operation("Query", 1 << 20, 0.99)
        counters_ms = waves * of_operation("BatchGetItem", 100 * 100, 0.99)
        assert pages_ms + counters_ms + of_operation("PutItem", len(item.body), 0.99) < 2000

    ticking(check)


def test_all_of_ten_thousand_holders_may_end_at_once() -> None:
    async def check(place: Ticking) -> None:
        await place.put(10_000, LARGE_ID, owning=True)
        asked = set()
        ticks = 0
        while len(asked) < 10_000:
            ticks += 1
            place.store.requests.clear()
            done = await place.pulse(Tick(NS, (1, "")))
            assert done is not None and len(place.store.requests) <= MAX_SUSPECTS + 110
            place.bench.clock.now_s += done.pause_s
            sent, place.bench.queue.sent = place.bench.queue.sent, []
            requests = [request for _, _, body in sent for request in decode(body).requests]
            ended = [request.session for request in requests if isinstance(request, Expire)]
            if ended:  # as the writer does it
                await MemoryStore.commit(place.store, [Remove(layout.holder_key(NS, session)) for session in ended])
            assert not asked & set(ended)
            asked.update(ended)
        assert ticks <= 10_000 / MAX_SUSPECTS + 4

    ticking(check)


def test_what_has_no_room_to_be_remembered_is_what_was_heard_of_last() -> None:
    """Those that are silent for longest are remembered, so they end."""

    async def check(place: Ticking) -> None:
        memory = await place.memory()
        count = KEPT_LEASES + 500
        memory.watched.leases = {n: (n, 1000.0 if n % 2 else 2000.0 + n) for n in range(count)}
        put = memory.put(NS, None)
        assert len(put.item.body) < DynamoStore.capabilities.item_bytes
        kept = Memory.of(put.item).watched.leases
        assert len(kept) == KEPT_LEASES and all(n in kept for n in range(count) if n % 2)
        assert all(0 <= since - memory.watched.leases[n][1] < 0.002 for n, (_, since) in kept.items())

    ticking(check)


# --- the list of holders --------------------------------------------------------------------------


def test_who_owns_something_is_listed_and_who_ends_is_not() -> None:
    async def check(place: Ticking) -> None:
        one, idle = await place.holder("one"), await place.bench.open("idle")
        assert await place.listed() == [layout.session_name(one)]
        await place.bench.ask("one", one, 2, Close())
        await place.bench.ask("idle", idle, 1, Close())
        assert not await place.listed()

    ticking(check)


def test_a_holder_that_creates_something_while_it_is_looked_at_stays_listed() -> None:
    """The heartbeat sees that it owns nothing; before it is taken off the list, an ephemeral comes."""

    async def check(place: Ticking) -> None:
        session = await place.holder("one")
        await place.run(20, [session])
        await place.bench.ask("one", session, 2, Delete("/one", -1))
        query = place.store.query

        async def racing(table: str, partition: str, *args: Any, **more: Any) -> Any:
            page = await query(table, partition, *args, **more)
            if partition == layout.ephemerals_partition(NS, session) and not page.rows:
                place.store.query = query  # type: ignore[method-assign]
                await place.bench.ask("one", session, 3, Create("/new", b"", OPEN_ACL, 1, 0, False))
            return page

        place.store.query = racing  # type: ignore[method-assign]
        for _ in range(30):
            if place.store.query is not racing:
                break
            await place.timer.run(place.functions, place.bench.clock.now_s + 1)
        assert place.store.query is not racing
        assert await place.listed() == [layout.session_name(session)]
        assert not any(
            isinstance(r, StopTicking) for _, _, body in place.bench.queue.sent for r in decode(body).requests
        )
        await place.run(60)
        assert not await place.alive(session)

    ticking(check)
