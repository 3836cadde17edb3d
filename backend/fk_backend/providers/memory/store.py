"""The store in memory.

Rule: everything between two awaits is atomic: no method here awaits, so each is one step of the event loop.

A commit is one step of the interpreter, too: a client writes in the caller's thread, and in the main one a signal's
handler may run between any two instructions, and raise, or let the event loop go on. So a commit is worked out first,
as calls of what is written in C, and then made by one such call. It does nothing if somebody else came in between.

A partition is a dict beside a sorted list of its sort keys. Python orders strings by code point, which is also the
order of their UTF-8 bytes (RFC 3629, section 1), so the keys are sorted as they are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from functools import partial
from operator import methodcaller
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ...errors import Conflict
from ...ports import TABLES, UNLIMITED, Capabilities, Item, Key, Listing, Page, Put, after
from ..writes import checked_writes

ABSENT = Item(0, b"")
Calls = List[Callable[[], Any]]
"""Each a `partial` of a method that is written in C, on keys that are compared in C."""
_make = methodcaller("__call__")


class _Row(NamedTuple):
    """An item and whose it is."""

    item: Item
    owner: str


class _Partition:
    """Rows by sort key, and the sort keys in order."""

    __slots__ = ("rows", "sorts")

    def __init__(self) -> None:
        self.rows: Dict[str, _Row] = {}
        self.sorts: List[str] = []


class _Table:
    """The partitions of a table, and what each owner has in it."""

    def __init__(self) -> None:
        self.partitions: Dict[str, _Partition] = {}
        self.owned: Dict[str, Dict[Tuple[str, str], None]] = {}
        self._names: Dict[int, List[str]] = {}
        """The partitions in order, by how many there are; nothing while that is not known."""

    def row(self, partition: str, sort: str) -> Optional[_Row]:
        """The row under a key, if there is one."""
        found = self.partitions.get(partition)
        return None if found is None else found.rows.get(sort)

    def names(self) -> List[str]:
        """The partitions in order. Sorted when asked for, which is rare: there may be one for each node."""
        if 0 not in self._names:
            self._names[0] = sorted(self.partitions)
        return self._names[0]

    def changing(self, changes: "Changes") -> Calls:
        """What puts rows, and removes those that are None."""
        calls: Calls = []
        names_change = False
        for partition, rows in changes.items():
            found = self.partitions.get(partition)
            for sort, row in rows.items():
                was = None if found is None else found.rows.get(sort)
                if was is not None and was.owner:
                    calls.append(partial(self.owned[was.owner].pop, (partition, sort)))
                if row is not None and row.owner:
                    calls.append(partial(self.owned.setdefault(row.owner, {}).__setitem__, (partition, sort), None))
            if found is None:
                made = _made(rows)
                if made.rows:
                    names_change = True
                    calls.append(partial(self.partitions.__setitem__, partition, made))
            elif not any(rows.values()) and rows.keys() >= found.rows.keys():
                names_change = True
                calls.append(partial(self.partitions.pop, partition))
            else:
                calls += _changed(found, rows)
        if names_change:
            calls.append(self._names.clear)
        return calls


Changes = Dict[str, Dict[str, Optional[_Row]]]
"""By partition and sort key: a row, or None where there is to be none."""


def _made(rows: Dict[str, Optional[_Row]]) -> _Partition:
    """A partition of rows, which nobody knows yet."""
    made = _Partition()
    made.rows = {sort: row for sort, row in rows.items() if row is not None}
    made.sorts = sorted(made.rows)
    return made


def _changed(found: _Partition, rows: Dict[str, Optional[_Row]]) -> Calls:
    """What changes rows of a partition.

    From the last key to the first, so that each has the place in the order that it has before.
    """
    calls: Calls = []
    for sort in sorted(rows, reverse=True):
        row, is_there = rows[sort], sort in found.rows
        if row is None:
            if is_there:
                calls.append(partial(found.rows.pop, sort))
                calls.append(partial(found.sorts.pop, bisect_left(found.sorts, sort)))
            continue
        calls.append(partial(found.rows.__setitem__, sort, row))
        if not is_there:
            calls.append(partial(found.sorts.insert, bisect_left(found.sorts, sort), sort))
    return calls


class MemoryStore:
    """`ports.Store` in one process and one event loop; gone with the process.

    Fails with `Conflict` and with nothing else. Each operation on a key takes O(log n) comparisons. A commit that
    names a key twice, or keys of INTEREST and of another table, is a ValueError, as in every store.
    """

    def __init__(self, capabilities: Capabilities = UNLIMITED) -> None:
        self.capabilities = capabilities
        self._tables = {table: _Table() for table in TABLES}
        self._under_way: Dict[object, None] = {}
        """Changes that are being worked out. Who makes one takes all of them out."""

    def copy(self) -> "MemoryStore":
        """One with the same in it."""
        made = MemoryStore(self.capabilities)
        for name, table in self._tables.items():
            made._tables[name].owned = {owner: dict(keys) for owner, keys in table.owned.items()}
            for partition, found in table.partitions.items():
                same = made._tables[name].partitions[partition] = _Partition()
                same.rows, same.sorts = dict(found.rows), list(found.sorts)
        return made

    def moved(self) -> "MemoryStore":
        """A store with all that is in this one, which is empty then. From any thread.

        What somebody is working out for this one is not made any more.
        """
        other = MemoryStore(self.capabilities)
        other._tables, self._tables = self._tables, other._tables
        self._under_way.clear()
        return other

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`."""
        rows = [self._tables[table].row(partition, sort) for table, partition, sort in keys]
        return [None if row is None else row.item for row in rows]

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.load`."""
        return await self.get(keys)

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """`ports.Store.query`; ``more`` is exact."""
        found = self._tables[table].partitions.get(partition)
        if found is None:
            return Page([], False)
        first = bisect_left(found.sorts, start)
        last = len(found.sorts) if end is None else bisect_left(found.sorts, end)
        sorts = found.sorts[first : min(last, first + limit)]
        return Page([(sort, found.rows[sort].item) for sort in sorts], first + limit < last)

    async def listing(self, table: str, partition: str, start: str, prefix: str, limit: int) -> Listing:
        """`ports.Store.listing`; ``more`` is exact."""
        found = self._tables[table].partitions.get(partition)
        if found is None:
            return Listing([], [], False)
        first, last = bisect_left(found.sorts, start), bisect_left(found.sorts, after(prefix))
        stop = min(last, first + limit)
        own = min(max(first, bisect_left(found.sorts, prefix)), stop)
        rows = [(sort, found.rows[sort].item) for sort in found.sorts[first:own]]
        return Listing(rows, [sort[len(prefix) :] for sort in found.sorts[own:stop]], stop < last)

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`: every condition is checked before anything is written."""
        checked = checked_writes(writes)
        change = self._begin()
        tables: Dict[str, Changes] = {}
        for write in checked:
            if write.expect is not None:
                self._check(write.key, write.expect)
            table, partition, sort = write.key
            row = _Row(write.item, write.owner) if isinstance(write, Put) else None
            tables.setdefault(table, {}).setdefault(partition, {})[sort] = row
        self._make(change, [call for name, changes in tables.items() for call in self._tables[name].changing(changes)])

    def _begin(self) -> object:
        """A change that is worked out from now on."""
        change = object()
        self._under_way[change] = None
        return change

    def _make(self, change: object, calls: Calls) -> None:
        """Makes a change, in one step. Conflict, and nothing is done, if another one was made since it began."""
        every = [partial(self._under_way.__delitem__, change), *calls, self._under_way.clear]
        try:
            deque(map(_make, every), maxlen=0)
        except KeyError:
            raise Conflict("somebody else wrote meanwhile") from None

    def _check(self, key: Key, expect: int) -> None:
        table, partition, sort = key
        row = self._tables[table].row(partition, sort)
        holds = row is None if expect == 0 else row is not None and row.item.rev == expect
        if not holds:
            raise Conflict("%s %s %s is not at rev %d" % (table, partition, sort, expect))

    async def increment(self, key: Key, by: int = 1) -> int:
        """`ports.Store.increment`."""
        change = self._begin()
        row = self._tables[key.table].row(key.partition, key.sort) or _Row(ABSENT, "")
        was = row.item.rev
        rev = by + (was if type(was) is int and abs(was) < 1 << 62 else 0)
        changed = _Row(Item(rev, row.item.body), row.owner)
        self._make(change, self._tables[key.table].changing({key.partition: {key.sort: changed}}))
        return rev

    async def purge(self, table: str, owner: str) -> int:
        """`ports.Store.purge`. What was put without an owner stays, whatever ``owner`` is."""
        change = self._begin()
        keys = list(self._tables[table].owned.get(owner, ()))
        changes: Changes = {}
        for partition, sort in keys:
            changes.setdefault(partition, {})[sort] = None
        self._make(change, self._tables[table].changing(changes))
        self._tables[table].owned.pop(owner, None)
        return len(keys)

    async def scan(
        self, table: str, prefix: str = "", after: Optional[Tuple[str, str]] = None, limit: int = 1000
    ) -> List[Tuple[Key, Item]]:
        """`ports.Store.scan`, in the order of (partition, sort); fewer than ``limit`` rows are the last ones."""
        found: List[Tuple[Key, Item]] = []
        for partition, sorts in self._stretches(table, prefix, after):
            rows = self._tables[table].partitions[partition].rows
            found.extend((Key(table, partition, sort), rows[sort].item) for sort in sorts[: limit - len(found)])
            if len(found) == limit:
                break
        return found

    def _stretches(self, table: str, prefix: str, after: Optional[Tuple[str, str]]) -> Iterator[Tuple[str, List[str]]]:
        """(partition, its sort keys), from ``after`` on."""
        names = self._tables[table].names()
        first = bisect_left(names, prefix if after is None else max(prefix, after[0]))
        for position in range(first, len(names)):
            partition = names[position]
            if not partition.startswith(prefix):
                return
            sorts = self._tables[table].partitions[partition].sorts
            if after is not None and partition == after[0]:
                sorts = sorts[bisect_right(sorts, after[1]) :]
            yield partition, sorts
