"""A writer that others have overtaken, by any number of commits, does what one writer that did everything would do.

What it knows of the namespace is old by several batches, and it finds that out from its own commit only. Batches go to
several writers that all go on living, in any order; some come again, at once or when many others are done. What is in
the store and what the sessions were told must be what one writer leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fk_backend import codec, layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, Delete, Request, SetData
from fk_backend.functions.writer import Writer
from fk_backend.messages import Message, Position, encode
from fk_backend.ports import STATE, UNLIMITED, Capabilities, Delivery, Ports
from fk_backend.providers.local.database import create as create_database
from fk_backend.providers.local.files import Place
from fk_backend.providers.local.store import LocalStore
from fk_backend.providers.memory.store import MemoryStore

from .doubles import KEY, NS, Bench, Crash, Doom, Told

INBOXES = ("one", "two")
WRITERS = 3


class Batch(NamedTuple):
    """Who handles what; ``again``: which writer is handed it once more, after so many other batches."""

    writer: int
    inbox: str
    requests: List[Request]
    again: Tuple[Tuple[int, int], ...]


def _create(path: str, flags: int = 0) -> Create:
    return Create(path, b"", OPEN_ACL, flags, 0, False)


paths = st.sampled_from(("/a", "/b", "/a/c"))
requests = st.one_of(
    st.builds(_create, paths, st.sampled_from((0, 0, 1, 2))),
    st.builds(Delete, paths, st.sampled_from((-1, 0, 1))),
    st.builds(SetData, paths, st.sampled_from((b"", b"y")), st.sampled_from((-1, 0, 1, 2))),
)
writers = st.integers(0, WRITERS - 1)
batches = st.builds(
    Batch,
    writers,
    st.sampled_from(INBOXES),
    st.lists(requests, min_size=1, max_size=3),
    st.lists(st.tuples(writers, st.integers(0, 6)), max_size=2).map(tuple),
)
OVERTAKEN = [
    Batch(0, "one", [_create("/a"), _create("/a/s-", 2)], ()),
    *[Batch(1, "two", [SetData("/a", b"%d" % n, -1), _create("/a/s-", 2)], ()) for n in range(5)],
    Batch(0, "one", [SetData("/a", b"late", 0), SetData("/a", b"good", 5), _create("/a/s-", 2)], ()),
    *[Batch(1, "two", [Delete("/a/s-000000000%d" % n, -1)], ()) for n in range(3)],
    Batch(2, "one", [Delete("/a", -1), _create("/a/s-", 2)], ()),
    Batch(0, "two", [_create("/b"), Delete("/a/s-0000000003", 0)], ((1, 2),)),
    Batch(1, "one", [SetData("/b", b"", 0)], ()),
    Batch(2, "two", [SetData("/b", b"", 1)], ((0, 4),)),
]
"""The first writer is behind by five batches, and then by five others; the third one knows the beginning only."""


REFUSED = [
    Batch(0, "one", [_create("/a")], ()),
    Batch(2, "one", [_create("/a")], ()),
    Batch(0, "two", [SetData("/a", b"refused", 1)], ((0, 2),)),
    Batch(0, "one", [_create("/a")], ()),
    Batch(2, "one", [SetData("/a", b"good", 0)], ()),
]
"""What was refused, without a commit, comes again when the head that promises a later change would let it pass."""


class Life(NamedTuple):
    """What is left."""

    contents: Dict[Any, Any]
    told: Dict[str, Told]


async def _lived(open_store: Callable[[], Any], plan: List[Batch], alone: bool) -> Life:
    """All batches, each by its writer, or all by one that is handed nothing twice."""
    bench = Bench(open_store())
    stores = [open_store() for _ in range(WRITERS)]
    team = [Writer(_with(bench.ports(), store)) for store in stores]
    try:
        sessions = {inbox: await bench.open(inbox) for inbox in INBOXES}
        number = dict.fromkeys(INBOXES, 1)
        late: List[Tuple[int, int, Delivery]] = []
        for index, batch in enumerate(plan):
            message = Message(batch.inbox, sessions[batch.inbox], number[batch.inbox], tuple(batch.requests))
            number[batch.inbox] += len(batch.requests)
            delivery = Delivery(encode(message, KEY), False, Position(index + 1, SENT_MS + index))
            if alone:
                await bench.writer(NS, [delivery])
                continue
            await team[batch.writer](NS, [delivery])
            late += [(index + after, writer, delivery) for writer, after in batch.again]
            for due in [each for each in late if each[0] == index]:
                await team[due[1]](NS, [due[2]])
        contents = {key: _plain(key, item) for key, item in (await bench.contents()).items()}
        return Life(contents, {inbox: bench.told(inbox) for inbox in INBOXES})
    finally:
        for store in [bench.store, *stores]:
            if isinstance(store, LocalStore):
                store.close()


def _with(ports: Ports, store: Any) -> Ports:
    return ports._replace(store=store)


def _plain(key: Any, item: Any) -> Any:
    if key == layout.head_key(NS):
        return item.rev
    if key.table == STATE and key.sort in (layout.NODE, layout.FAMILY):
        return codec.loads(item.body)[1:]
    return item.body


def _check(make: Callable[[], "contextlib.AbstractContextManager[Callable[[], Any]]"], plan: List[Batch]) -> None:
    with make() as one, make() as several:
        expected = asyncio.run(_lived(one, plan, alone=True))
        found = asyncio.run(_lived(several, plan, alone=False))
    assert found.told == expected.told
    assert not (items := found.contents.items() ^ expected.contents.items()), sorted(items)


@pytest.mark.parametrize("limits", [UNLIMITED, Capabilities(writes=14), Capabilities(transactions_cost_double=True)])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(batches, min_size=3, max_size=14))
@example(OVERTAKEN)
@example(REFUSED)
def test_overtaken_by_several_batches(limits: Capabilities, plan: List[Batch]) -> None:
    @contextlib.contextmanager
    def memory() -> Iterator[Callable[[], Any]]:
        store = MemoryStore(limits)
        yield lambda: store

    _check(memory, plan)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(batches, min_size=3, max_size=14))
@example(OVERTAKEN)
def test_overtaken_by_several_batches_on_files(tmp_path_factory: pytest.TempPathFactory, plan: List[Batch]) -> None:
    """Each writer with connections of its own, as a host has that was slow to notice that it no longer is one."""

    @contextlib.contextmanager
    def files() -> Iterator[Callable[[], Any]]:
        place = Place(str(tmp_path_factory.mktemp("deployment%d" % next(_numbers))))
        create_database(place.state, ("state", "sessions"))
        create_database(place.interest, ("interest",))
        yield lambda: LocalStore(place, writable_state=True)

    _check(files, plan)


_numbers = itertools.count()
SENT_MS = 1_700_000_000_000
MINUTE_MS = 60_000
"""At least so long after a queue is gone there is another one of its name."""


def test_a_queue_that_was_made_anew_begins_with_smaller_numbers() -> None:
    """What it brings is written. What comes again of it, or late of the one before, is not."""

    async def check() -> None:
        bench = Bench(MemoryStore())
        session = {inbox: await bench.open(inbox) for inbox in INBOXES}

        def delivery(inbox: str, first: int, position: Position, request: Request) -> Delivery:
            return Delivery(encode(Message(inbox, session[inbox], first, (request,)), KEY), False, position)

        late = bench.fresh_writer()
        before = delivery("one", 1, Position(10**6, SENT_MS), _create("/before-", 2))
        await late(NS, [before])
        anew = [
            delivery("two", 1 + n, Position(7 + n, SENT_MS + MINUTE_MS + n), _create("/anew-", 2)) for n in range(3)
        ]
        for each in anew:
            await bench.writer(NS, [each])
        for stale in (late, bench.fresh_writer()):
            for each in (*anew, before):
                await stale(NS, [each])
        names = {key.partition for key in await bench.contents() if "-" in key.partition}
        assert len(names) == 4 and [bench.told("two").answers[number][0] for number in (1, 2, 3)] == [0, 0, 0]

    asyncio.run(check())


@given(st.integers(1, 50), st.integers(0, 50), st.integers(1, 50), st.integers(0, 50))
def test_of_two_positions_one_is_later(number: int, second: int, other_number: int, other_second: int) -> None:
    """What was done after another one never counts as undone because of it, and is not forgotten for it."""
    first = Position(number, SENT_MS + 1000 * second)
    then = Position(other_number, SENT_MS + 1000 * other_second)
    latest = first.later(then)
    assert latest.covers(first) and latest.covers(then)
    assert number == other_number or first.covers(then) != then.covers(first)
    assert first.later(Position()) == first.later(Position(-1)) == first and not first.covers(Position())


def test_what_was_refused_stays_so_while_a_later_message_is_half_done() -> None:
    """The commit of the first half of a message says that all messages before it are done, those without one too."""

    async def check(at: int) -> Tuple[int, Any]:
        bench = Bench(MemoryStore())
        session = {inbox: await bench.open(inbox) for inbox in INBOXES}
        await bench.ask("one", session["one"], 1, _create("/a"), _create("/b"))

        def delivery(inbox: str, first: int, sequence: int, *requests: Request) -> Delivery:
            message = Message(inbox, session[inbox], first, requests)
            return Delivery(encode(message, KEY), False, Position(sequence, SENT_MS))

        late, doom = bench.fresh_writer(), Doom(at)
        refused = delivery("two", 1, 3, SetData("/a", b"refused", 1))
        await late(NS, [refused])
        bench.store.capabilities = Capabilities(writes=2)
        half = delivery("one", 3, 7, SetData("/a", b"1", 0), SetData("/b", b"1", 0))
        with contextlib.suppress(Crash):
            await bench.fresh_writer(doom)(NS, [half])
        await late(NS, [refused])
        (item,) = await bench.store.get([layout.node_keys(NS, "/a")[0]])
        assert layout.node_of(item).data in (b"", b"1") and bench.told("two").answers[1][0] == Error.BAD_VERSION
        return doom.calls, layout.node_of(item).version

    seen = [asyncio.run(check(at)) for at in range(1, 20)]
    assert {version for _, version in seen} == {0, 1} and any(calls < at for at, (calls, _) in enumerate(seen, 1))
