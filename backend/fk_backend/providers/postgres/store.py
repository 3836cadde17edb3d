"""A commit is one call of a function in the database, and a read is one statement: each of them is its own snapshot."""

from __future__ import annotations

import binascii
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ... import layout
from ...errors import Conflict, Taken
from ...ports import INTEREST, SESSIONS, STATE, TABLES, Capabilities, Item, Key, Listing, Page, Put
from ...ports import after as behind
from ..writes import Write, checked_writes
from .connections import Connections
from .failures import Deposed
from .schema import MOST_LOOKED
from .statements import COMMIT_AND_LOOK, COMMIT_AND_NOTIFY, LOAD, SQL, arguments

MOST = 1 << 40
"""More rows than there are."""
WATCH = "watch"
"""What the elected writer's channel is told, with a namespace: there is a session to look after."""


class PostgresStore:
    """`ports.Store` on one database. Raises Conflict, StorageFull, TooLarge, Unavailable and Unknown.

    ``epoch``: of a writer, whose commits are refused as soon as there is a later one; ``deposed`` is called then. None:
    of who is no writer. ``channel``: the elected writer's, who is told of sessions that a commit opens.
    """

    # A key has to fit an entry of a B-tree, 2704 bytes of a page of 8 kB (BTMaxItemSize).
    capabilities = Capabilities(
        writes=100_000,
        commit_bytes=1 << 26,
        item_bytes=1 << 25,
        partition_bytes=1300,
        sort_bytes=1300,
        has_latency=True,
    )

    def __init__(
        self,
        connections: Connections,
        epoch: Optional[int] = None,
        deposed: Optional[Callable[[], None]] = None,
        channel: str = "",
    ) -> None:
        self._connections = connections
        self._channel = channel
        self._epoch = epoch
        self._deposed = deposed

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`."""
        if not keys:
            return []
        if len(keys) == 1:
            table, partition, sort = keys[0]
            rows = await self._connections.read(SQL[table].get, partition.encode(), sort.encode())
            return [Item(rows[0][0], rows[0][1])] if rows else [None]
        parts, sorts = [key.partition.encode() for key in keys], [key.sort.encode() for key in keys]
        found: List[Optional[Item]] = [None] * len(keys)
        for number, rev, body in await self._connections.read(SQL[keys[0].table].several, parts, sorts):
            found[number - 1] = Item(rev, body)
        return found

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.load`: of however many tables, one request."""
        if len({key.table for key in keys}) < 2:
            return await self.get(keys)
        asked: Dict[str, Tuple[List[Any], List[Any], List[Any]]] = {table: ([], [], []) for table in TABLES}
        for number, (table, partition, sort) in enumerate(keys):
            for column, value in zip(asked[table], (partition.encode(), sort.encode(), number)):
                column.append(value)
        columns = [column for table in TABLES for column in asked[table]]
        found: List[Optional[Item]] = [None] * len(keys)
        for number, rev, body in await self._connections.read(LOAD, *columns):
            found[number] = Item(rev, body)
        return found

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """`ports.Store.query`; ``more`` is exact."""
        bounds = [partition.encode(), start.encode()]
        if end is None:
            rows = await self._connections.read(SQL[table].query, *bounds, min(limit, MOST) + 1)
        else:
            rows = await self._connections.read(SQL[table].query_to, *bounds, end.encode(), min(limit, MOST) + 1)
        return Page([(_text(sort), Item(rev, body)) for sort, rev, body in rows[:limit]], len(rows) > limit)

    async def listing(self, table: str, partition: str, start: str, prefix: str, limit: int) -> Listing:
        """`ports.Store.listing`; ``more`` is exact."""
        bounds = [text.encode() for text in (partition, start, prefix, max(start, prefix), behind(prefix))]
        prefix_bytes = len(prefix.encode())
        found = await self._connections.read(SQL[table].listing, *bounds, min(limit, MOST) + 1, prefix_bytes + 1)
        rows = sorted((_text(sort), Item(rev, body)) for sort, rev, body in found if sort is not None)
        (joined,) = [body for sort, _, body in found if sort is None]
        names = [] if joined is None else sorted(_text(joined).split("\0"))
        more = len(rows) + len(names) > limit
        del names[max(0, limit - len(rows)) :], rows[limit:]
        return Listing(rows, names, more)

    async def scan(
        self, table: str, prefix: str = "", after: Optional[Tuple[str, str]] = None, limit: int = 1000
    ) -> List[Tuple[Key, Item]]:
        """`ports.Store.scan`, in the order of (partition, sort); fewer than ``limit`` rows are the last ones."""
        start = (prefix, "") if after is None else max((after[0], after[1] + "\0"), (prefix, ""))
        rows = await self._connections.read(SQL[table].scan, start[0].encode(), start[1].encode(), limit)
        found = [(Key(table, _text(part), _text(sort)), Item(rev, body)) for part, sort, rev, body in rows]
        return [each for each in found if each[0].partition.startswith(prefix)]

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""
        checked = checked_writes(writes)
        if checked:
            table = checked[0].key.table
            epoch = None if table == INTEREST else self._epoch
            ns = opened_in(checked) if self._channel else ""
            if ns:
                told = self._channel, "%s %s" % (WATCH, ns)
                await self._committed(COMMIT_AND_NOTIFY, epoch, *arguments(checked), *told)
            else:
                await self._committed(SQL[table].commit, epoch, *arguments(checked))

    async def commit_and_look(
        self, writes: Sequence[object], partitions: Sequence[str], note: bytes
    ) -> Optional[List[Tuple[Key, Item]]]:
        """`ports.CommitAndLook`."""
        parts = [partition.encode() for partition in partitions]
        payload = "0 " + binascii.b2a_base64(note, newline=False).decode()
        values = (self._epoch, *arguments(checked_writes(writes)), parts, payload)
        row = await self._committed(COMMIT_AND_LOOK, *values)
        if not row[1] or len(row[2] or ()) > MOST_LOOKED:
            return None
        found = zip(*[each or () for each in row[2:]])
        return [(Key(INTEREST, _text(part), _text(sort)), Item(rev, body)) for part, sort, rev, body in found]

    async def _committed(self, sql: str, *values: Any) -> Any:
        """What a commit's statement returned."""
        try:
            (row,) = await self._connections.write(sql, *values)
        except Deposed:
            if self._deposed is not None:
                self._deposed()
            raise
        if row[0]:
            error = Conflict if row[0] == 1 else Taken
            raise error("a condition of the commit does not hold")
        return row

    async def increment(self, key: Key, by: int = 1) -> int:
        """`ports.Store.increment`. What is beyond 62 bits counts from 0 again."""
        rows = await self._connections.write(SQL[key.table].add, key.partition.encode(), key.sort.encode(), by)
        return int(rows[0][0])

    async def purge(self, table: str, owner: str) -> int:
        """`ports.Store.purge`. What was put without an owner stays, whatever ``owner`` is."""
        sql = "WITH gone AS (%s RETURNING 1) SELECT count(*) FROM gone" % SQL[table].purge
        rows = await self._connections.write(sql, owner.encode())
        return int(rows[0][0])

    async def namespaces(self) -> List[str]:
        """Those that anybody has written to."""
        found: List[str] = []
        after: Optional[Tuple[str, str]] = None
        while True:
            rows = await self.scan(STATE, "", after, 1)
            if not rows:
                return found
            key = rows[0][0]
            ns = key.partition.partition(":")[0]
            if key == layout.head_key(ns):
                found.append(ns)
            after = (ns + ";", "")  # the first partition after every one of this namespace


def opened_in(writes: Sequence[Write]) -> str:
    """The namespace in which a commit opens a session, or changes one; none: empty."""
    for write in writes:
        if write.key.table == SESSIONS and isinstance(write, Put):
            ns = write.key.partition.partition(":")[0]
            if write.key.partition == layout.sessions_partition(ns):
                return ns
    return ""


def _text(stored: bytes) -> str:
    """Of what any client may have written: bytes that are no text must not fail the rows beside them."""
    return stored.decode("utf-8", "replace")
