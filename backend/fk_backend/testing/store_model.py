"""Any `ports.Store` against a dict, by random programs: whatever a program does, the two never differ.

Needs hypothesis. Run as `store_checks` are run::

    class TestMyModel(StoreModelChecks):
        async def open_store(self):
            return MyStore(...)
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Type

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ..errors import Conflict
from ..ports import INTEREST, SESSIONS, STATE, TABLES, Item, Key, Put, Remove
from .harness import Checked

PARTITIONS = ["", "a", "aé", "b"]
SORTS = ["!", "#", "/a", "/é", "/\uffff", "/\U0001f600", "0"]
OWNERS = ["", "x", "y"]
revs = st.integers(0, 3)
bodies = st.binary(max_size=5)
expects = st.none() | revs


class Owned(NamedTuple):
    """What the model keeps of an item."""

    item: Item
    owner: str


@st.composite
def commits(draw: Callable[..., Any]) -> List[Tuple[Any, ...]]:
    """(table, partition, sort, None to remove or (rev, body, owner), expect), on different keys, of one side."""
    tables = [INTEREST] if draw(st.booleans()) else [STATE, SESSIONS]
    key = st.tuples(st.sampled_from(tables), st.sampled_from(PARTITIONS), st.sampled_from(SORTS))
    value = st.tuples(st.integers(1, 3), bodies, st.sampled_from(OWNERS if tables == [INTEREST] else OWNERS[:1]))
    # A Remove does not expect 0: that is what a Put has for an absent item.
    write = st.tuples(key, value, expects) | st.tuples(key, st.none(), st.none() | st.integers(1, 3))
    return [(*key, value, expect) for key, value, expect in draw(st.lists(write, unique_by=lambda w: w[0], max_size=6))]


class Model:
    """The trivial store. Sort keys are compared as the bytes that they are."""

    def __init__(self) -> None:
        self.items: Dict[Key, Owned] = {}

    def commit(self, writes: List[Any]) -> bool:
        """Whether every condition held; if so, it is done."""
        for write in writes:
            found = self.items.get(write.key)
            if write.expect is not None and (found.item.rev if found else 0) != write.expect:
                return False
        for write in writes:
            if isinstance(write, Put):
                self.items[write.key] = Owned(write.item, write.owner)
            else:
                self.items.pop(write.key, None)
        return True

    def increment(self, key: Key, by: int) -> int:
        """The sum."""
        found = self.items.get(key, Owned(Item(0, b""), ""))
        self.items[key] = Owned(Item(found.item.rev + by, found.item.body), found.owner)
        return found.item.rev + by

    def purge(self, table: str, owner: str) -> int:
        """How many."""
        gone = [key for key, owned in self.items.items() if key.table == table and owned.owner == owner]
        for key in gone:
            del self.items[key]
        return len(gone)

    def rows(self, table: str, partition: str, start: str, end: Optional[str]) -> List[Tuple[str, Item]]:
        """A stretch of a partition."""
        rows = sorted(
            (key.sort.encode("utf-8"), owned.item)
            for key, owned in self.items.items()
            if key[:2] == (table, partition) and key.sort >= start and (end is None or key.sort < end)
        )
        return [(sort.decode("utf-8"), item) for sort, item in rows]


def state_machine(checks: Checked) -> Type[RuleBasedStateMachine]:
    """A machine whose rules are the methods of `ports.Store`, and whose invariant is that store and model agree."""

    class Machine(RuleBasedStateMachine):
        """One program."""

        def __init__(self) -> None:
            super().__init__()
            self.loop = asyncio.new_event_loop()
            self.store: Any = self.do(checks.open_store())
            self.model = Model()
            self.prefix = "model-%s:" % uuid.uuid4().hex

        def do(self, step: Any) -> Any:
            """Runs a coroutine to its end."""
            return self.loop.run_until_complete(step)

        def teardown(self) -> None:
            """After a program."""
            self.do(checks.close_store(self.store))
            self.loop.close()

        @rule(writes=commits())
        def commit(self, writes: List[Any]) -> None:
            """Some writes at once."""
            made = [_write(self.prefix, *write) for write in writes]
            try:
                self.do(self.store.commit(made))
            except Conflict:
                assert not self.model.commit(made)
            else:
                assert self.model.commit(made)

        @rule(
            key=st.tuples(st.sampled_from(TABLES), st.sampled_from(PARTITIONS), st.sampled_from(SORTS)),
            by=st.integers(-1, 2),
        )
        def increment(self, key: Tuple[str, str, str], by: int) -> None:
            """A counter."""
            at = Key(key[0], self.prefix + key[1], key[2])
            if self.model.items.get(at, Owned(Item(0, b""), "")).item.rev + by > 0:  # 0 means absent to conditions
                assert self.do(self.store.increment(at, by)) == self.model.increment(at, by)

        @rule(table=st.just(INTEREST), owner=st.sampled_from(OWNERS[1:]))
        def purge(self, table: str, owner: str) -> None:
            """An owner is gone."""
            found = self.do(self.store.purge(table, self.prefix + owner))
            known = self.store.capabilities.indexes_owners
            assert found == (self.model.purge(table, self.prefix + owner) if known else 0)

        @rule(
            table=st.sampled_from(TABLES),
            partition=st.sampled_from(PARTITIONS),
            start=st.sampled_from(["", "/a\0", *SORTS]),
            end=st.none() | st.sampled_from(SORTS),
            limit=st.integers(1, 8),
        )
        def query(self, table: str, partition: str, start: str, end: Optional[str], limit: int) -> None:
            """One page."""
            rows = self.model.rows(table, self.prefix + partition, start, end)
            page = self.do(self.store.query(table, self.prefix + partition, start, end, limit))
            assert page.rows == rows[: len(page.rows)] and len(page.rows) <= limit
            assert page.more or len(page.rows) == len(rows)

        @invariant()
        def agree(self) -> None:
            """Everything, by key and by scan."""
            for table in TABLES:
                keys = [Key(table, self.prefix + partition, sort) for partition in PARTITIONS for sort in SORTS]
                expected = {key: owned.item for key, owned in self.model.items.items() if key.table == table}
                assert self.do(self.store.get(keys)) == [expected.get(key) for key in keys]
                assert dict(self.do(self.store.scan(table, self.prefix))) == expected

    return Machine


def _write(
    prefix: str, table: str, partition: str, sort: str, value: Optional[Tuple[int, bytes, str]], expect: Optional[int]
) -> object:
    key = Key(table, prefix + partition, sort)
    if value is None:
        return Remove(key, expect)
    rev, body, owner = value
    return Put(key, Item(rev, body), expect, prefix + owner if owner else "")


class StoreModelChecks(Checked):
    """Mix in with the same ``open_store`` as `store_checks.StoreChecks`."""

    programs = 40

    def test_no_program_tells_it_from_a_dict(self) -> None:
        """`programs` random programs; a failing one is printed, as short as it can be made."""
        run_state_machine_as_test(
            state_machine(self),
            settings=settings(max_examples=self.programs, stateful_step_count=30, deadline=None, database=None),
        )
