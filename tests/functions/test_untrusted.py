"""Whatever anybody with a client's permissions stores or sends, other sessions go on, and expiry and upkeep too.

A hostile client fills INTEREST and the queue with garbage: bytes that are none of ours, keys that split wrongly,
numbers of any size, values of wrong types, and well-formed items and messages with odd contents. Around it an honest
session watches, writes and is told, one that went silent is expired, and the four letter words are answered.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fk_backend import codec, layout
from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Acl, Blob, Error
from fk_backend.core.requests import (
    Attach,
    Auth,
    Check,
    Close,
    Create,
    Delete,
    Expire,
    Multi,
    Open,
    Reap,
    SetAcl,
    SetData,
    StopTicking,
    WatchSubtrees,
)
from fk_backend.functions.heartbeat import Heartbeat
from fk_backend.functions.words import answer_word
from fk_backend.mac import TAG_BYTES, tag
from fk_backend.messages import Message, decode, encode
from fk_backend.ports import INTEREST, Delivery, Item, Key, Put
from fk_backend.providers.local import files
from fk_backend.providers.local.store import LocalStore

from .doubles import KEY, NS, Bench

HONEST, SILENT, HOSTILE = "honest", "silent", "hostile"
TIMEOUT_S = 4.0


class Stored(NamedTuple):
    """An item that a hostile client puts into INTEREST."""

    partition: Any
    sort: Any
    rev: Any
    body: Any


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
names = st.sampled_from((HONEST, SILENT, HOSTILE, "", ":", "heartbeat:sweep-x", "a:b", "é", "x" * 70, "\0")) | text
where = st.sampled_from(("/", "/a", "/a/b", "/zookeeper", "/a:data", "a", "", "//", "/\0", "/x" * 400)) | text
modes = st.sampled_from((*sorted(watches.MODES), "0", "1", "3", "", ":", "DATA", "data:data")) | text
numbers = st.sampled_from((0, -1, 1, (1 << 31), (1 << 62) - 1, 1 << 62, (1 << 63) - 1, -(1 << 63))) | st.integers(
    -(1 << 63), (1 << 63) - 1
)
counters = st.sampled_from(("%016x" % 0, "%016x" % 1, "f" * 16, "F" * 16, "0", "-0000000000000001", "")) | text
partitions = st.one_of(
    where.map(lambda path: layout.node_partition(NS, path)),
    st.sampled_from(
        (layout.recursive_partition(NS), layout.beats_partition(NS), NS + ":hello", NS + ":", NS, NS + "::")
    ),
)
sorts = st.one_of(
    st.tuples(modes, names).map(":".join), st.tuples(where, names).map(":".join), counters, names, st.just("session")
)
stored = st.builds(Stored, partitions, sorts, numbers, st.binary(max_size=10))

int32 = st.integers(-(1 << 31), (1 << 31) - 1)
data = st.one_of(
    st.none(),
    st.binary(max_size=10),
    st.builds(Blob, st.sampled_from(("uploads/ns/x", "data/ns/y", "")), st.integers(0)),
)
acls = st.lists(
    st.builds(
        Acl,
        int32,
        st.sampled_from(("world", "ip", "digest", "auth", "sasl", "")) | text,
        st.sampled_from(("anyone", "1.2.3." + "9" * 5000, "::/200", "a:b")) | text,
    ),
    max_size=3,
).map(tuple)
ops = st.one_of(
    st.builds(Create, where, data, st.just(OPEN_ACL) | acls, st.integers(0, 7) | int32, numbers, st.booleans()),
    st.builds(Delete, where, int32),
    st.builds(SetData, where, data, int32),
    st.builds(SetAcl, where, acls, int32),
    st.builds(Check, where, int32),
)
requests = st.one_of(
    ops,
    st.builds(Multi, st.lists(ops, max_size=4).map(tuple)),
    st.builds(Auth, st.sampled_from(("digest", "ip", "x")) | text, text),
    st.builds(Open, st.binary(max_size=40), numbers, names, st.none() | text),
    st.builds(Attach, numbers, st.binary(max_size=20), names, st.none() | text),
    st.just(Close()),
    st.builds(Expire, numbers, numbers),
    st.builds(Reap, where, numbers),
    st.builds(StopTicking, numbers),
    st.just(WatchSubtrees()),
)
others = names.filter(lambda name: name not in (HONEST, SILENT))
"""Whose inbox is known to nobody: that only its owner speaks for it is a test of its own."""
sessions = st.sampled_from((3, 3, 3, 1, 2))
"""The hostile client's own, and those of others."""
messages = st.builds(
    Message, others, sessions | numbers, st.integers(0, 1 << 62), st.lists(requests, max_size=5).map(tuple), numbers
)
values: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | numbers
    | text
    | st.binary(max_size=9),
    lambda v: st.lists(v, max_size=6),
    max_leaves=12,
)


def _mutated(body: bytes, cuts: List[Tuple[int, bytes]]) -> bytes:
    for at, piece in cuts:
        at %= len(body) + 1
        body = body[:at] + piece + body[at + len(piece) :]
    return body


def _replaced(body: bytes, path: List[int], value: Any) -> bytes:
    """The message with another value somewhere within."""
    whole = at = codec.loads(body[:-TAG_BYTES])
    for position in path:
        child = at[position % len(at)]
        if not isinstance(child, list) or not child:
            at[position % len(at)] = value
            break
        at = child
    return _tagged(codec.dumps(whole))


def _tagged(payload: bytes) -> bytes:
    """By the hostile client's own session."""
    return payload + tag(payload, KEY)


def _sealed(message: Message) -> bytes:
    return encode(message, KEY)


cuts = st.lists(st.tuples(st.integers(0, 500), st.binary(max_size=4)), min_size=1, max_size=3)
bodies = st.one_of(
    messages.map(_sealed),
    st.builds(lambda message, made: _mutated(_sealed(message), made), messages, cuts),
    st.builds(lambda message, made: _tagged(_mutated(_sealed(message)[:-TAG_BYTES], made)), messages, cuts),
    st.builds(
        lambda message, path, value: _replaced(_sealed(message), path, value),
        messages,
        st.lists(st.integers(0, 9), min_size=1, max_size=6),
        values,
    ),
    values.map(lambda value: _tagged(codec.dumps(value))),
    st.binary(max_size=40),
)


class Namespace:
    """A namespace with an honest session that watches and writes, and one that is silent from now on."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.session = 0
        self.number = 0

    async def begin(self) -> None:
        """Sessions, nodes and watches of everybody but the hostile client."""
        bench = self.bench
        self.session = await bench.open(HONEST, int(TIMEOUT_S * 1000))
        await bench.open(SILENT, int(TIMEOUT_S * 1000))
        assert await bench.open(HOSTILE, 3_600_000) == 3
        await self.ask(WatchSubtrees())
        for path in ("/a", "/a/b", "/honest"):
            await self.ask(Create(path, b"", OPEN_ACL, 0, 0, False))
        for mode in (watches.PERSISTENT, watches.RECURSIVE):
            await bench.watch(HONEST, "/a", mode, 1)

    async def ask(self, request: Any) -> Any:
        """Its result."""
        self.number += 1
        ((code, value, _),) = await self.bench.ask(HONEST, self.session, self.number, request)
        return code, value

    async def goes_on(self) -> None:
        """Writes are answered, watches told, who is silent is expired, who beats is not, and words are answered."""
        bench = self.bench
        heard = len(bench.inboxes.pushed)
        for path in ("/a", "/a/b"):
            code, _ = await self.ask(SetData(path, b"x", -1))
            assert code in (Error.OK, Error.NO_NODE, Error.NO_AUTH)  # a hostile client may delete what all may delete
        made = "/honest/%d" % self.number
        assert await self.ask(Create(made, b"", OPEN_ACL, 0, 0, False)) == (Error.OK, made)
        await bench.watch(HONEST, made, watches.DATA, 7)
        assert (await self.ask(SetData(made, b"y", -1)))[0] == Error.OK
        assert (made, watches.DATA, 7) in bench.told(HONEST, heard).fired
        await self.expires_the_silent()
        assert await answer_word(_Gate(bench.store), NS, "mntr", "url", "host")
        assert await answer_word(_Gate(bench.store), NS, "wchs", "url", "host")

    async def expires_the_silent(self) -> None:
        """Ticks of the heartbeat, with everything that it sends, until the silent session's timeout is over."""
        bench = self.bench
        heartbeat = Heartbeat(bench.ports())
        for _ in range(int(TIMEOUT_S / 0.4) + 4):
            await bench.store.increment(layout.beat_key(NS, self.session), 2)
            bench.clock.now_s += 0.4
            await heartbeat(NS)
            sent, bench.queue.sent = bench.queue.sent, []
            for _, _, body in sent:
                assert decode(body).requests
                await bench.writer(NS, [Delivery(body, True)])
        ended = {inbox for inbox in (HONEST, SILENT) if bench.told(inbox).ended}
        assert ended == {SILENT}


class _Gate(NamedTuple):
    """What a word is asked of."""

    store: Any

    async def check(self) -> None:
        """Always well."""


async def _prove(bench: Bench, put: Callable[[Stored], Any], items: List[Stored], sent: List[bytes]) -> None:
    namespace = Namespace(bench)
    await namespace.begin()
    for item in items:
        await put(item)
    for body in sent:
        await bench.writer(NS, [Delivery(body, False)])
    await namespace.goes_on()


def _putting(bench: Bench) -> Callable[[Stored], Any]:
    async def put(item: Stored) -> None:
        key = Key(INTEREST, item.partition, item.sort)
        if isinstance(layout.interest_of(key), layout.Beat) and await _is_held_elsewhere(bench, item.sort):
            return  # who may write the counters of others may keep them alive or not: that is no garbage
        await bench.store.commit([Put(key, Item(item.rev, item.body), owner=HOSTILE)])

    return put


async def _is_held_elsewhere(bench: Bench, sort: str) -> bool:
    (item,) = await bench.store.get([layout.session_key(NS, int(sort, 16))])
    return item is not None


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(stored, max_size=8), st.lists(bodies, max_size=6))
@example([Stored("ns:/a", "1:hostile", 1, b"")], [])
@example([Stored("ns:/a", "recursive:hostile", 1, b"")], [])
@example([Stored("ns:*", "session", 1, b""), Stored("ns:*", "/a:", 0, b"")], [])
@example([Stored("ns:beats", "f" * 16, (1 << 63) - 1, b"")], [])
@example([], [_sealed(Message(HOSTILE, 0, 1, (Expire(1, 1 << 62),)))])
def test_others_go_on_in_memory(items: List[Stored], sent: List[bytes]) -> None:
    """Every kind of item and message, structurally valid and not."""
    bench = Bench()
    asyncio.run(_prove(bench, _putting(bench), items, sent))


odd: Any = st.none() | st.booleans() | st.floats() | numbers | text | st.binary(max_size=9) | st.just(1 << 90)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(stored, odd, odd), min_size=1, max_size=6))
@example([(Stored("ns:/a", "data:hostile", 0, b""), "x", None)])
@example([(Stored("ns:*", "/a:hostile", 0, b""), None, None)])
def test_others_go_on_beside_values_of_wrong_types(items: List[Tuple[Stored, Any, Any]]) -> None:
    """Under keys like ours, items whose number is none."""
    bench = Bench()
    asyncio.run(_prove(bench, _putting(bench), [item._replace(rev=rev, body=body) for item, rev, body in items], []))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], files.Place]]:
    """Makes deployments of this machine."""
    home = tmp_path_factory.mktemp("home")
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FK_KAZOO_HOME", str(home))

        def make() -> files.Place:
            made.append(0)
            return files.prepare("d%d" % len(made))

        yield make


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(stored, odd, odd, odd), min_size=1, max_size=8), st.lists(bodies, max_size=3))
@example([(Stored("ns:beats", "x", 0, b""), None, b"\xff\xfe", 1.5)], [])
@example([(Stored("ns:/a", "x", 0, b""), None, "text", "text")], [])
@example([(Stored("ns:/a", "x", 0, b""), float("nan"), 1, b"")], [])
def test_others_go_on_on_a_machine(
    place: Callable[[], files.Place], items: List[Tuple[Stored, Any, Any, Any]], sent: List[bytes]
) -> None:
    """SQLite takes any type in any column, and text that is no UTF-8."""
    store = LocalStore(place(), writable_state=True)
    connection = store._connections[INTEREST]
    sql = "INSERT OR REPLACE INTO interest (part, sort, rev, owner, body) VALUES (?, ?, ?, '', ?)"

    async def put(item: Stored) -> None:
        if type(item.sort) is str and layout.interest_of(Key(INTEREST, item.partition, item.sort)) is not None:
            return await usual(item)
        values = (item.partition, item.sort, item.rev, item.body)
        if all(_is_stored(value) for value in values):
            connection.execute(sql, values)
            if isinstance(item.sort, bytes):
                connection.execute(sql.replace("(?, ?,", "(?, CAST(? AS TEXT),"), values)

    async def fuzz() -> None:
        made = [
            item._replace(rev=rev, sort=item.sort if sort is None else sort, body=body)
            for item, sort, rev, body in items
        ]
        await _prove(bench, put, made, sent)

    bench = Bench(store)
    usual = _only_valid(_putting(bench))
    try:
        asyncio.run(fuzz())
    finally:
        store.close()


def _is_stored(value: Any) -> bool:
    """Whether SQLite has it: integers have 64 bits, and a NaN is NULL, which no column takes."""
    if isinstance(value, int):
        return abs(value) < 1 << 63
    return value is not None and value == value


def _only_valid(put: Callable[[Stored], Any]) -> Callable[[Stored], Any]:
    async def checked(item: Stored) -> None:
        if type(item.rev) is int and _is_stored(item.rev) and item.body is not None:
            await put(item._replace(body=b""))

    return checked


keys = st.builds(Key, st.just(INTEREST), partitions | odd, sorts | odd)


@given(keys, odd | numbers)
def test_parsing_is_total_and_exact(key: Key, rev: Any) -> None:
    """What is understood is what a session writes under that very key; and nothing raises."""
    item = Item(rev, b"")
    number, count = layout.number_of(item), layout.count_of(item)
    assert number is None or (type(number) is int and number > 0)
    assert type(count) is int and -(1 << 63) <= count < 1 << 63
    found = layout.interest_of(key)
    if isinstance(found, layout.Registered):
        assert layout.registration_key(NS, found.path, found.mode, found.inbox) == key
    elif isinstance(found, layout.Beat):
        assert layout.beat_key(NS, found.session) == key
    elif isinstance(found, layout.Hello):
        assert layout.hello_key(NS, found.inbox) == key


@given(where.filter(lambda path: path.startswith("/")), st.sampled_from(sorted(watches.MODES)))
def test_what_a_session_writes_is_understood(path: str, mode: str) -> None:
    """Of every valid path, whatever characters it has."""
    key = layout.registration_key(NS, path, mode, HONEST)
    found: Optional[Any] = layout.interest_of(key)
    assert found == (layout.Registered(HONEST, path, mode) if layout.paths.is_valid(path) else None)
    assert layout.interest_of(layout.beat_key(NS, 7)) == layout.Beat(7)
    assert layout.interest_of(layout.hello_key(NS, HONEST)) == layout.Hello(HONEST)
