"""Everything between two awaits is atomic: no method here awaits, so each is one step of the event loop.

A partition is a dict beside a sorted list of its sort keys. Python orders strings by code point, which is also the
order of their UTF-8 bytes (RFC 3629, section 1), so the keys are sorted as they are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ...errors import Conflict
from ...ports import TABLES, UNLIMITED, Item, Key, Limits, Listing, Page, Put, after
from ..writes import Write, checked_writes

ABSENT = Item(0, b"")


class _Row(NamedTuple):
    """An item and whose it is."""

    item: Item
    owner: str


class _Partition:
    """Rows by sort key, and the sort keys in order."""

    def __init__(self) -> None:
        self.rows: Dict[str, _Row] = {}
        self.sorts: List[str] = []

    def put(self, sort: str, row: _Row) -> None:
        """Adds or replaces a row."""
        if sort not in self.rows:
            insort(self.sorts, sort)
        self.rows[sort] = row

    def remove(self, sort: str) -> None:
        """Removes a row that is there."""
        del self.rows[sort]
        del self.sorts[bisect_left(self.sorts, sort)]


class _Table:
    """The partitions of a table, and what each owner has in it."""

    def __init__(self) -> None:
        self.partitions: Dict[str, _Partition] = {}
        self.owned: Dict[str, Set[Tuple[str, str]]] = {}
        self._names: Optional[List[str]] = []

    def row(self, partition: str, sort: str) -> Optional[_Row]:
        """The row under a key, if there is one."""
        found = self.partitions.get(partition)
        return None if found is None else found.rows.get(sort)

    def put(self, partition: str, sort: str, row: _Row) -> None:
        """Adds or replaces a row; it belongs to its new owner only."""
        self._disown(partition, sort)
        if row.owner:
            self.owned.setdefault(row.owner, set()).add((partition, sort))
        if partition not in self.partitions:
            self.partitions[partition] = _Partition()
            self._names = None
        self.partitions[partition].put(sort, row)

    def remove(self, partition: str, sort: str) -> None:
        """Removes a row if it is there."""
        if self.row(partition, sort) is None:
            return
        self._disown(partition, sort)
        self.partitions[partition].remove(sort)
        if not self.partitions[partition].rows:
            del self.partitions[partition]
            self._names = None

    def names(self) -> List[str]:
        """The partitions in order. Sorted when asked for, which is rare: there may be one for each node."""
        if self._names is None:
            self._names = sorted(self.partitions)
        return self._names

    def _disown(self, partition: str, sort: str) -> None:
        row = self.row(partition, sort)
        if row is not None and row.owner:
            keys = self.owned[row.owner]
            keys.discard((partition, sort))
            if not keys:
                del self.owned[row.owner]


class MemoryStore:
    """`ports.Store` in one process and one event loop; gone with the process.

    Fails with `Conflict` and with nothing else. Each operation on a key takes O(log n) comparisons. A commit that
    names a key twice, or keys of INTEREST and of another table, is a ValueError, as in every store.
    """

    atomic_queries = True

    def __init__(self, limits: Limits = UNLIMITED) -> None:
        self.limits = limits
        self._tables = {table: _Table() for table in TABLES}

    def moved(self) -> "MemoryStore":
        """A store with all that is in this one, which is empty then."""
        other = MemoryStore(self.limits)
        other._tables, self._tables = self._tables, other._tables
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
        for write in checked:
            self._check(write)
        for write in checked:
            table, partition, sort = write.key
            if isinstance(write, Put):
                self._tables[table].put(partition, sort, _Row(write.item, write.owner))
            else:
                self._tables[table].remove(partition, sort)

    def _check(self, write: Write) -> None:
        if write.expect is None:
            return
        table, partition, sort = write.key
        row = self._tables[table].row(partition, sort)
        holds = row is None if write.expect == 0 else row is not None and row.item.rev == write.expect
        if not holds:
            raise Conflict("%s %s %s is not at rev %d" % (table, partition, sort, write.expect))

    async def increment(self, key: Key, by: int = 1) -> int:
        """`ports.Store.increment`."""
        row = self._tables[key.table].row(key.partition, key.sort) or _Row(ABSENT, "")
        was = row.item.rev
        rev = by + (was if type(was) is int and abs(was) < 1 << 62 else 0)
        self._tables[key.table].put(key.partition, key.sort, _Row(Item(rev, row.item.body), row.owner))
        return rev

    async def purge(self, table: str, owner: str) -> int:
        """`ports.Store.purge`. What was put without an owner stays, whatever ``owner`` is."""
        keys = list(self._tables[table].owned.get(owner, ()))
        for partition, sort in keys:
            self._tables[table].remove(partition, sort)
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
