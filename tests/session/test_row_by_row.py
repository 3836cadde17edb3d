"""Where a query is read row by row, what a reader shows is still the tree of one moment, and of one during the read.

The shipped writer makes every short history of a node that comes, goes and comes again, alone or with a child, in
single requests, in multis, and by promises that are kept or void. The shipped reader then reads the node and lists its
children with commits between any two rows: every one of the interleavings. The first test asks `layout.torn` alone,
about any two rows that a read can join.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from functools import lru_cache
from typing import Any, Callable, Coroutine, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple
from unittest import mock

import pytest

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.requests import Create, Delete, Multi, SetData
from fk_backend.messages import Message
from fk_backend.ports import STATE, Capabilities, Item, Key, Listing, Page, Put, after
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.session import reading
from fk_backend.session.reading import Reader
from fk_backend.session.watchlist import WatchList
from tests.functions.doubles import NS, Bench, Crash, deliveries

NODE, CHILD = "/b", "/b/c"
PARTITION = layout.node_partition(NS, NODE)
Rows = Dict[str, Item]
"""Sort key → item of the node's partition, as of one moment."""


def _create(path: str) -> Create:
    return Create(path, b"", OPEN_ACL, 0, 0, False)


SET, VOID = SetData(NODE, b"x", -1), "a promise that is void"
AGAIN = Delete(NODE, -1), _create(NODE)
NOTHING, ALONE, PARENT = "no node", "a node", "a node with a child"
STEPS: Tuple[Tuple[str, Any, str], ...] = (
    (NOTHING, _create(NODE), ALONE),
    (NOTHING, Multi((_create(NODE), _create(CHILD), Delete(CHILD, -1))), ALONE),
    *((where, step, where) for where in (ALONE, PARENT) for step in (SET, VOID)),
    (ALONE, Delete(NODE, -1), NOTHING),
    (ALONE, _create(CHILD), PARENT),
    (ALONE, Multi(AGAIN), ALONE),
    (ALONE, Multi((*AGAIN, _create(CHILD))), PARENT),
    (PARENT, Delete(CHILD, -1), ALONE),
    (PARENT, Multi((Delete(CHILD, -1), *AGAIN)), ALONE),
    (PARENT, Multi((Delete(CHILD, -1), *AGAIN, _create(CHILD))), PARENT),
    (PARENT, Multi((Delete(CHILD, -1), _create(CHILD))), PARENT),
)
"""What can happen, to what, and what it makes of it."""
LENGTH = 4
"""Steps of a history."""


class Recording(MemoryStore):
    """Keeps every state that the node's partition was in. ``fatal``: who promised a node dies before it is written."""

    def __init__(self) -> None:
        super().__init__(Capabilities(transactions_cost_double=True))
        self.moments: List[Rows] = [{}]
        self.fatal = False

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""
        if self.fatal and all(isinstance(write, Put) and write.key.sort == layout.NODE for write in writes):
            raise Crash
        await super().commit(writes)
        rows = dict((await self.query(STATE, PARTITION)).rows)
        if rows != self.moments[-1]:
            self.moments.append(rows)


async def _take(bench: Bench, session: int, number: int, step: Any) -> None:
    """Takes a step, with requests from ``number`` on."""
    if step != VOID:
        ((code, _, _),) = await bench.ask("client", session, number, step)
        assert code == 0
        return
    await bench.ask("client", session, number, SetData(NODE, b"", 99))  # it fails, and the writer knows the node now
    bench.store.fatal = True
    with pytest.raises(Crash):
        await bench.writer(NS, deliveries([Message("client", session, number + 1, (SET,))]))
    bench.store.fatal = False
    assert (await bench.head()).reserved is not None
    await bench.fresh_writer().recover(NS)
    assert (await bench.head()).reserved is None


async def _moments(steps: Sequence[Any]) -> List[Rows]:
    bench = Bench(Recording())
    session = await bench.open("client")
    for number, step in enumerate(steps):
        await _take(bench, session, 2 * number + 1, step)
    return list(bench.store.moments)


@lru_cache(maxsize=1)
def _histories() -> Dict[Tuple[Any, ...], List[Rows]]:
    """Every history of LENGTH steps, and its moments."""
    ways: List[Tuple[Tuple[Any, ...], str]] = [((), NOTHING)]
    for _ in range(LENGTH):
        ways = [((*steps, step), then) for steps, at in ways for where, step, then in STEPS if where == at]
    return {steps: asyncio.run(_moments(steps)) for steps, _ in ways}


def _shown(rows: Rows) -> Tuple[Any, List[str]]:
    """The node with its family, and the names of its children."""
    pair = layout.pair_of([rows.get(layout.NODE), rows.get(layout.FAMILY)])
    return pair, [] if pair is None else [sort[1:] for sort in sorted(rows) if sort.startswith(layout.CHILDREN)]


def test_torn_is_what_is_of_no_common_moment_and_nothing_else() -> None:
    for steps, moments in _histories().items():
        for first, was in enumerate(moments):
            for last, now in enumerate(moments[first:], first):
                joined = [now.get(layout.NODE), was.get(layout.FAMILY)]
                if joined[0] is None:
                    continue
                between = ([rows.get(layout.NODE), rows.get(layout.FAMILY)] for rows in moments[first : last + 1])
                assert layout.torn(joined) is (joined not in between), (steps, first, last)


# --- the reader ---------------------------------------------------------------------------------


class Choices:
    """One way through a run: how many commits happen before each row. ``ahead``: those that are decided already."""

    def __init__(self, ahead: List[Tuple[int, int]]) -> None:
        self._ahead = ahead
        self.made: List[Tuple[int, int]] = []

    def choose(self, most: int) -> int:
        """A number up to ``most``."""
        number = self._ahead[len(self.made)][0] if len(self.made) < len(self._ahead) else 0
        self.made.append((number, most))
        return number

    def next(self) -> Optional["Choices"]:
        """The way after this one."""
        made = list(self.made)
        while made and made[-1][0] == made[-1][1]:
            made.pop()
        return Choices([*made[:-1], (made[-1][0] + 1, made[-1][1])]) if made else None


class RowByRow:
    """The store as a reader finds it whose query is not atomic: before any row, and any get, commits may happen."""

    capabilities = Capabilities(atomic_queries=False)

    def __init__(self, moments: Sequence[Rows], choices: Choices) -> None:
        self._moments = moments
        self._choices = choices
        self.at = 0
        self._steps = 0

    def _go_on(self) -> Rows:
        self._steps += 1
        assert self._steps < 100, "it reads for ever"
        self.at += self._choices.choose(len(self._moments) - 1 - self.at)
        return self._moments[self.at]

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`."""
        rows = self._go_on()
        return [rows.get(key.sort) for key in keys]

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """`ports.Store.query`."""
        found: List[Tuple[str, Item]] = []
        while True:
            rows = self._go_on()
            sorts = sorted(sort for sort in rows if end is None or sort < end)
            position = bisect_left(sorts, start)
            if position == len(sorts):
                return Page(found, False)
            if len(found) == limit:
                return Page(found, True)
            start = sorts[position] + "\0"
            found.append((sorts[position], rows[sorts[position]]))

    async def listing(self, table: str, partition: str, start: str, prefix: str, limit: int) -> Listing:
        """`ports.Store.listing`."""
        return Listing.of(await self.query(table, partition, start, after(prefix), limit), prefix)


class Read(NamedTuple):
    """What a read showed, and what it may have shown: what was there at some moment from its beginning to its end."""

    shown: Any
    moments: List[Any]


Way = Callable[[Reader], Coroutine[Any, Any, Any]]


def _reads(moments: Sequence[Rows], way: Way, of: Callable[[Rows], Any]) -> Iterator[Read]:
    """A read that begins at the first of the moments, under every interleaving with the rest of them."""
    choices: Optional[Choices] = Choices([])
    while choices is not None:
        store: Any = RowByRow(moments, choices)
        reading_it = way(Reader(store, None, NS, WatchList()))
        try:
            reading_it.send(None)
            raise AssertionError("a store of this test never waits")
        except StopIteration as done:
            yield Read(done.value, [of(rows) for rows in moments[: store.at + 1]])
        choices = choices.next()


def _beginnings(at_once: int) -> Iterator[Tuple[Tuple[Any, ...], List[Rows]]]:
    """The last ``at_once`` commits of every history, with the moment before them; each but once."""
    seen = set()
    for steps, moments in _histories().items():
        last = moments[-at_once - 1 :]
        key = repr(last)
        if key not in seen:
            seen.add(key)
            yield steps, last


def _node(reader: Reader) -> Any:
    return reader._pair(NODE)


async def _listed(reader: Reader) -> Any:
    pair, names = await reader._family(NODE)
    return pair, names if pair else []


def _seen(way: Way, of: Callable[[Rows], Any], commits: int) -> Tuple[int, List[Any]]:
    """How many reads there are with so many commits meanwhile, and the histories in which one shows what never was."""
    count, wrong = 0, []
    for steps, moments in _beginnings(commits):
        for read in _reads(moments, way, of):
            count += 1
            if read.shown not in read.moments:
                wrong.append(steps)
    return count, wrong


def test_a_node_is_of_one_moment() -> None:
    count, wrong = _seen(_node, lambda rows: _shown(rows)[0], 3)
    assert count > 5_000 and wrong == []


@pytest.mark.parametrize("page, commits", [(1000, 2), (2, 2)])
def test_a_listing_is_of_one_moment(page: int, commits: int) -> None:
    """``page``: rows in one query, the first two being the node's own."""
    with mock.patch.object(reading, "PAGE", page):
        count, wrong = _seen(_listed, _shown, commits)
    assert count > 2_000 and wrong == []


async def _without_the_missing(self: Any, path: str) -> Any:
    """A listing is taken if the family is the same before and after, be it that there is none."""
    while True:
        found = await self._store.listing(STATE, PARTITION, layout.FAMILY, layout.CHILDREN, 1000)
        own = dict(found.rows)
        before = own.get(layout.FAMILY)
        (now,) = await self._store.get([layout.node_keys(NS, path)[1]])
        if layout.NODE not in own or (now and now.rev) == (before and before.rev):
            return layout.pair_of([own.get(layout.NODE), before]), found.names


def _without_the_removed(items: Sequence[Optional[Item]]) -> bool:
    """A family is taken that is older than a node that does not name it."""
    node, family = items
    return node is not None and layout.codec.loads(node.body)[0] > (family.rev if family else 0)


@pytest.mark.parametrize(
    "place, name, mistake, way",
    [
        (layout, "torn", lambda items: False, _node),
        (layout, "torn", _without_the_removed, _node),
        (Reader, "_family", _without_the_missing, _listed),
    ],
)
def test_it_would_be_seen(place: Any, name: str, mistake: Any, way: Way) -> None:
    """Each mistake is planted, and shows."""
    of = _shown if way is _listed else lambda rows: _shown(rows)[0]
    with mock.patch.object(place, name, mistake):
        assert _seen(way, of, 2)[1]


def test_a_promise_that_an_older_version_made_void_can_be_read() -> None:
    """It moved the node's rev and left what the node names: torn, for whoever reads it, and yet to be shown."""

    async def check() -> None:
        bench = Bench()
        session = await bench.open("client")
        await bench.ask("client", session, 1, _create(NODE), _create(CHILD))
        await bench.ask("client", session, 3, SET)
        rows = dict((await bench.store.query(STATE, PARTITION)).rows)
        rev = rows[layout.FAMILY].rev + 10
        left = {**rows, layout.NODE: Item(rev, layout.node_item(layout.node_of(rows[layout.NODE]), rev, 0).body)}
        (read,) = _reads([left], lambda reader: reader._pair(NODE), _shown)
        assert read.shown == read.moments[0][0]
        (read,) = _reads([left], lambda reader: reader._family(NODE), _shown)
        assert read.shown == read.moments[0]

    asyncio.run(check())
