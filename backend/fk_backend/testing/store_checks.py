"""What every `ports.Store` has to keep to, as tests that anybody's store can run.

With pytest (any version, no plugin), in a module of your tests::

    from fk_backend.testing.store_checks import StoreChecks

    class TestMyStore(StoreChecks):
        async def open_store(self):
            return MyStore(...)          # empty, or shared: every check keeps to partitions of its own

Optional: `close_store`; `reopen_store`, for the checks of what survives; ``concurrency``, how many tasks contend.
"""

from __future__ import annotations

import asyncio
from typing import Any, List, Tuple

from ..ports import INTEREST, SESSIONS, STATE, TABLES, Item, Put, Remove
from .harness import Checked, Sandbox, check, put
from .read_checks import ReadChecks


class CommitChecks(Checked):
    """Conditions, and all or nothing."""

    @check
    async def test_put_without_condition_creates_and_overwrites(self, at: Sandbox) -> None:
        for rev, body in ((5, b"one"), (3, b"two")):
            await at.store.commit([put(at.key("a"), rev, body)])
            assert await at.one(at.key("a")) == Item(rev, body)

    @check
    async def test_expect_0_is_for_what_is_absent(self, at: Sandbox) -> None:
        assert not await at.refused(put(at.key("a"), 7, b"x", expect=0))
        assert await at.refused(put(at.key("a"), 8, b"y", expect=0))
        assert await at.one(at.key("a")) == Item(7, b"x")

    @check
    async def test_expect_names_the_rev_it_has_now(self, at: Sandbox) -> None:
        assert await at.refused(put(at.key("a"), 2, expect=1))
        await at.store.commit([put(at.key("a"), 1)])
        assert not await at.refused(put(at.key("a"), 5, b"new", expect=1))
        assert await at.refused(put(at.key("a"), 6, expect=1))
        assert await at.refused(put(at.key("a"), 6, expect=4))
        assert await at.one(at.key("a")) == Item(5, b"new")

    @check
    async def test_remove(self, at: Sandbox) -> None:
        await at.store.commit([put(at.key("a"), 1), put(at.key("b"), 1)])
        await at.store.commit([Remove(at.key("a")), Remove(at.key("never was"))])
        assert await at.sorts() == ["b"]
        await at.store.commit([put(at.key("a"), 2, expect=0)])

    @check
    async def test_remove_with_expect_removes_that_very_item(self, at: Sandbox) -> None:
        await at.store.commit([put(at.key("a"), 3)])
        assert await at.refused(Remove(at.key("a"), expect=2))
        assert await at.one(at.key("a")) == Item(3, b"")
        assert not await at.refused(Remove(at.key("a"), expect=3))
        assert await at.one(at.key("a")) is None
        assert await at.refused(Remove(at.key("a"), expect=3))

    @check
    async def test_a_condition_that_fails_anywhere_undoes_everything(self, at: Sandbox) -> None:
        before = [put(at.key(sort), 1, b"old", owner=at.prefix) for sort in ("kept", "overwritten", "removed")]
        await at.store.commit(before)
        good = [
            put(at.key("new"), 1, expect=0),
            put(at.key("overwritten"), 2, b"new", expect=1),
            Remove(at.key("removed")),
            put(at.key("new", table=SESSIONS), 1),
        ]
        for bad in (put(at.key("kept"), 9, expect=8), put(at.key("x"), 9, expect=8), Remove(at.key("kept"), expect=8)):
            for position in range(len(good) + 1):
                assert await at.refused(*good[:position], bad, *good[position:])
        assert await at.sorts() == ["kept", "overwritten", "removed"]
        assert await at.sorts(table=SESSIONS) == []
        assert await at.store.get([write.key for write in before]) == [write.item for write in before]

    @check
    async def test_one_commit_spans_state_and_sessions(self, at: Sandbox) -> None:
        await at.store.commit([put(at.key("a", table=table), 1, table.encode()) for table in (STATE, SESSIONS)])
        assert await at.one(at.key("a")) == Item(1, b"state")
        assert await at.one(at.key("a", table=SESSIONS)) == Item(1, b"sessions")
        assert await at.one(at.key("a", table=INTEREST)) is None

    @check
    async def test_what_no_store_takes(self, at: Sandbox) -> None:
        wrong: List[Tuple[Any, List[Any]]] = [
            (ValueError, [put(at.key("a"), 1), put(at.key("a"), 2)]),
            (ValueError, [put(at.key("a"), 1), Remove(at.key("a"))]),
            (ValueError, [put(at.key("a"), 1), put(at.key("a", table=INTEREST), 1)]),
            (TypeError, [put(at.key("a"), 1), "a"]),
        ]
        for error, writes in wrong:
            try:
                await at.store.commit(writes)
            except error:
                pass
            else:
                raise AssertionError("taken: %r" % (writes,))
        assert await at.sorts() == []
        await at.store.commit([])

    @check
    async def test_of_contending_commits_one_wins(self, at: Sandbox) -> None:
        for rev in range(1, 4):
            writes = [
                [put(at.key("head"), rev, expect=rev - 1), put(at.key("%d/%d" % (rev, n)), 1)]
                for n in range(self.concurrency)
            ]
            lost = await asyncio.gather(*[at.refused(*write) for write in writes])
            assert lost.count(False) == 1
            assert len(await at.sorts(start="%d/" % rev, end="%d0" % rev)) == 1

    @check
    async def test_bodies_and_revs_come_back_as_they_were(self, at: Sandbox) -> None:
        items = [Item(1, b""), Item(2**62, at.large), Item(0, b"\0"), Item(1, b"\xff\xfe"), Item(-1, b"'\"")]
        keys = [at.key(str(n)) for n in range(len(items))]
        await at.store.commit([Put(key, item) for key, item in zip(keys, items)])
        assert await at.store.get(keys) == items
        assert [item for _, item in (await at.store.query(STATE, keys[0].partition)).rows] == items

    @check
    async def test_what_was_committed_outlives_the_process(self, at: Sandbox) -> None:
        keys = [at.key("a", table=table) for table in TABLES]
        await at.store.commit([put(keys[0], 1, b"x"), put(keys[1], 2, at.large)])
        await at.store.commit([put(keys[2], 3, b"z", owner=at.prefix)])
        later = await self.reopen_store(at.store)
        try:
            assert [await Sandbox(later, "").one(key) for key in keys] == [
                Item(1, b"x"),
                Item(2, at.large),
                Item(3, b"z"),
            ]
            assert await later.purge(INTEREST, at.prefix) == later.capabilities.indexes_owners
        finally:
            await self.close_store(later)


class StoreChecks(CommitChecks, ReadChecks):
    """All of them. Subclass it as ``Test...``."""
