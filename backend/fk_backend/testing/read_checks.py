"""The part of `store_checks` about reading, counting and clearing up."""

from __future__ import annotations

import asyncio
from typing import Dict, List, Optional, Tuple

from ..ports import INTEREST, SESSIONS, STATE, Item, Key, Listing, Remove, after
from .harness import Checked, Sandbox, check, put

AWKWARD = [
    *("!", "#", "'", "/a", '/a"b', "/a%b", "/a_b", "/a;--", "/ab", "/z", "/é", "/日本", "/\uffff", "/\U0001f600"),
    *("0", "A", "a", "é"),
]
"""Sort keys whose order by bytes is not their order by UTF-16, by locale, or without case."""


class ReadChecks(Checked):
    """Snapshots, order, paging, counters, owners."""

    @check
    async def test_get_keeps_the_order_of_the_keys(self, at: Sandbox) -> None:
        await at.store.commit([put(at.key(sort), n, sort.encode()) for n, sort in enumerate("abc")])
        wanted = [at.key(sort) for sort in ("c", "none", "a", "c", "b")]
        items = await at.store.get(wanted)
        assert items == [Item(2, b"c"), None, Item(0, b"a"), Item(2, b"c"), Item(1, b"b")]
        assert await at.store.get([]) == []

    @check
    async def test_get_of_many_keys_in_many_partitions(self, at: Sandbox) -> None:
        for count in (2, 3, 64, 65, 100):
            keys = [at.key("s%d" % (n % 3), "%d-%d" % (count, n // 3)) for n in range(count)]
            await at.store.commit([put(key, n) for n, key in enumerate(keys) if n % 5])
            items = await at.store.get(keys)
            assert [item and item.rev for item in items] == [n if n % 5 else None for n in range(count)]

    @check
    async def test_get_is_one_snapshot(self, at: Sandbox) -> None:
        """Two items that change together never differ; nor do a hundred in a hundred partitions."""
        keys = [at.key("a", str(n)) for n in range(100)]
        done = False

        async def write() -> None:
            nonlocal done
            for rev in range(1, 21):
                await at.store.commit([put(key, rev) for key in keys])
                await asyncio.sleep(0)
            done = True

        async def read(wanted: List[Key]) -> None:
            while not done:
                seen = {item.rev if item else 0 for item in await at.store.get(wanted)}
                assert len(seen) == 1, seen
                await asyncio.sleep(0)

        await asyncio.gather(write(), read(keys[:2]), read(keys))

    @check
    async def test_a_read_sees_every_commit_before_it(self, at: Sandbox) -> None:
        for rev in range(1, 30):
            await at.store.commit([put(at.key("a"), rev), put(at.key("%03d" % rev), rev)])
            assert await at.one(at.key("a")) == Item(rev, b"")
            assert len((await at.store.query(STATE, at.key("").partition)).rows) == rev + 1

    @check
    async def test_query_is_in_the_order_of_bytes(self, at: Sandbox) -> None:
        await at.store.commit([put(at.key(sort), n) for n, sort in enumerate(AWKWARD)])
        page = await at.store.query(STATE, at.key("").partition)
        ordered = sorted(AWKWARD, key=lambda sort: sort.encode("utf-8"))
        assert page.rows == [(sort, Item(AWKWARD.index(sort), b"")) for sort in ordered]
        assert not page.more

    @check
    async def test_query_bounds_are_from_start_to_before_end(self, at: Sandbox) -> None:
        await at.store.commit([put(at.key(sort), 1) for sort in AWKWARD])
        ordered = sorted(AWKWARD, key=lambda sort: sort.encode("utf-8"))
        bounds: List[Tuple[str, Optional[str]]] = [(s, e) for s in ["", *ordered, "/a\0"] for e in [None, *ordered]]
        for start, end in bounds:
            expected = [s for s in ordered if s >= start and (end is None or s < end)]
            assert await at.sorts(start=start, end=end) == expected, (start, end)

    @check
    async def test_query_pages(self, at: Sandbox) -> None:
        names = ["/%04d" % n for n in range(250)]
        for first in range(0, 250, 50):
            await at.store.commit([put(at.key(name), 1) for name in names[first : first + 50]])
        for limit in (1, 7, 125, 249, 250, 251):
            assert await at.sorts(limit=limit) == names
        page = await at.store.query(STATE, at.key("").partition, limit=249)
        assert page.more or len(page.rows) == 250
        assert await at.sorts(limit=10, start="/0100", end="/0133") == names[100:133]

    @check
    async def test_listing_is_a_query_with_names_only_where_a_prefix_begins(self, at: Sandbox) -> None:
        await at.store.commit([put(at.key(sort), n, b"body") for n, sort in enumerate(AWKWARD)])
        place = STATE, at.key("").partition
        for start in ("", "!", "/", "/a", "/ab", "A"):
            for prefix in ("/", "/a", "a", "/z", "q"):
                for limit in (1, 3, 1 << 40):
                    found = await at.store.listing(*place, start, prefix, limit)
                    page = await at.store.query(*place, start, after(prefix), limit)
                    assert found == Listing.of(page, prefix), (start, prefix, limit)
        nothing = await at.store.listing(STATE, at.key("", "none").partition, "", "/", 9)
        assert nothing == Listing([], [], False)

    @check
    async def test_partitions_and_tables_keep_apart(self, at: Sandbox) -> None:
        places = [
            (partition, table) for partition in ("p", "P", "p ", "p:", "pp", "é", "e") for table in (STATE, SESSIONS)
        ]
        await at.store.commit([put(at.key(str(n), *place), n) for n, place in enumerate(places)])
        for n, place in enumerate(places):
            assert await at.sorts(*place) == [str(n)]
        assert await at.sorts("p", INTEREST) == await at.sorts("other") == []

    @check
    async def test_increment_counts_and_keeps_the_body(self, at: Sandbox) -> None:
        key = at.key("a", table=INTEREST)
        assert [await at.store.increment(key), await at.store.increment(key, 5)] == [1, 6]
        assert await at.one(key) == Item(6, b"")
        await at.store.commit([put(key, 100, b"body", expect=6, owner=at.prefix)])
        assert await at.store.increment(key, -1) == 99
        assert await at.one(key) == Item(99, b"body")
        await at.store.commit([Remove(key)])
        assert await at.store.increment(key) == 1

    @check
    async def test_no_increment_is_lost(self, at: Sandbox) -> None:
        key = at.key("a", table=INTEREST)
        sums = await asyncio.gather(*[at.store.increment(key) for _ in range(self.concurrency)])
        assert sorted(sums) == list(range(1, self.concurrency + 1))

    @check
    async def test_purge_removes_what_an_owner_put(self, at: Sandbox) -> None:
        ours, theirs = at.prefix + "é", at.prefix + "other"
        mine = [put(at.key(str(n), str(n % 7), INTEREST), 1, owner=ours) for n in range(60)]
        rest = [put(at.key("x", "1", INTEREST), 1, owner=theirs), put(at.key("y", "1", INTEREST), 1)]
        await at.store.commit([*mine, *rest])
        found = 60 if at.store.capabilities.indexes_owners else 0
        assert await at.store.purge(INTEREST, ours) == found
        assert await at.store.purge(INTEREST, ours) == 0
        assert await at.store.get([write.key for write in rest]) == [write.item for write in rest]
        left = [item for item in await at.store.get([write.key for write in mine]) if item is not None]
        assert len(left) == 60 - found

    @check
    async def test_an_item_belongs_to_the_owner_who_put_it_last(self, at: Sandbox) -> None:
        first, second = at.prefix + "1", at.prefix + "2"
        keys = [at.key(sort, table=INTEREST) for sort in "abc"]
        await at.store.commit([put(key, 1, owner=first) for key in keys])
        await at.store.commit([put(keys[0], 2, owner=second), put(keys[1], 2)])
        if not at.store.capabilities.indexes_owners:
            assert await at.store.purge(INTEREST, first) == 0
            return
        assert await at.store.purge(INTEREST, first) == 1
        assert await at.sorts(table=INTEREST) == ["a", "b"]
        await at.store.commit([Remove(keys[0])])
        assert await at.store.purge(INTEREST, second) == 0

    @check
    async def test_scan_finds_every_item_of_the_partitions(self, at: Sandbox) -> None:
        expected: Dict[Key, Item] = {}
        for partition in ("", "a", "a/b", "aé", "a\U0001f600", "b"):
            for sort in ("!", "é", "z"):
                expected[at.key(sort, partition)] = Item(len(expected), sort.encode())
        await at.store.commit([put(key, *item) for key, item in expected.items()])
        for limit in (1, 2, 18, 100):
            for part in ("", "a", "b", "none"):
                found = await _scan(at, part, limit)
                assert len(found) == len(set(found))
                assert dict(found) == {k: v for k, v in expected.items() if k.partition.startswith(at.prefix + part)}


async def _scan(at: Sandbox, part: str, limit: int) -> List[Tuple[Key, Item]]:
    """Page by page; a page that is not full is the last one."""
    found: List[Tuple[Key, Item]] = []
    after: Optional[Tuple[str, str]] = None
    while True:
        page = await at.store.scan(STATE, at.prefix + part, after, limit)
        found.extend(page)
        if len(page) < limit:
            return found
        after = page[-1][0][1:]
