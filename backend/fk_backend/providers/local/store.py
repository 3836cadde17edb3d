"""A commit is one SQLite transaction and a get is one SELECT; after any error it is as if nothing had been tried.

Everything runs in the caller's thread: a statement takes microseconds, a commit of STATE and SESSIONS as long as one
fsync. Waiting for another process does not block the event loop for longer than `database.BUSY_MS` at a time.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple, TypeVar

from ... import layout
from ...errors import Conflict, DeploymentError, StorageFull, Unavailable
from ...ports import INTEREST, SESSIONS, STATE, UNLIMITED, Item, Key, Listing, Page, after
from ..descriptors import missed
from ..writes import checked_writes
from . import closed_files, database, files
from .statements import (
    ANY_TIME,
    BETWEEN,
    KEYS_AT_ONCE,
    PURGED_AT_ONCE,
    SQL,
    Condition,
    read,
    selecting,
    transaction,
    write_all,
)

T = TypeVar("T")

PATIENCE_S = 5.0
"""How long a lock is asked for, again and again, and each time for `database.BUSY_MS`."""
RETRY_S = 0.001
STATE_BUSY_MS = 2
"""So long who commits waits for a lock: he has the commit lock, so that hardly anybody is in the way."""


_always = partial(bool, True)


def _text(stored: bytes) -> str:
    """Of what any process may have written: text that is none must not fail the rows beside it."""
    return stored.decode("utf-8", "replace")


_discarded: List[object] = []
_inherited: Set[str] = set()
"""Files that were open when this process was forked: SQLite would take no locks on them here."""


class LocalStore:
    """`ports.Store` of one process on the files of a deployment. For one thread at a time.

    ``writable_state``: whether STATE and SESSIONS are written through it. A commit waits for the disk there
    (synchronous=FULL), and not in INTEREST (NORMAL). A commit that names a key twice, or keys of INTEREST and of
    another table, is a ValueError, as in every store.

    Opening raises what `files.check` raises, and DeploymentError in a forked child that inherited the files open. Reads
    raise Unavailable, and NotADeployment where the file is damaged; writes also StorageFull, TooLarge and Unknown.
    """

    capabilities = UNLIMITED

    def __init__(self, place: files.Place, writable_state: bool) -> None:
        files.check(place)
        self._writable_state = writable_state
        self._may: Callable[[str], Condition] = lambda ns: ANY_TIME
        self._paths = {STATE: place.state, SESSIONS: place.state, INTEREST: place.interest}
        self._connections: Dict[str, sqlite3.Connection] = {}
        self._opened = 0
        self._suspended = False
        self.has_turn: Callable[[], bool] = _always
        """Whether this thread has the event loop's turn, or none was ever given."""
        self._locked_since: Optional[float] = None
        self._open()

    def in_turn(self, has_turn: Callable[[], bool]) -> None:
        """`ports.Direct.in_turn`: several threads take turns, and who loses his meanwhile changes nothing."""
        self.has_turn = has_turn

    def only_while(self, may: Callable[[str], Condition]) -> None:
        """A namespace is written to only while that holds: looked at within each commit to STATE and SESSIONS."""
        self._may = may

    def locked_s(self) -> float:
        """For how long another process has been in the way of what is to be written; 0: it is not."""
        return 0.0 if self._locked_since is None else time.monotonic() - self._locked_since

    async def fence(self) -> None:
        """When it returns, every commit of another process is over that had begun before. Unavailable."""
        await self._transact(STATE, lambda connection: None)

    def _open(self) -> None:
        if _inherited.intersection(map(os.path.realpath, self._paths.values())):
            raise DeploymentError(
                "%s was open when this process was forked, and nobody was told: it can't be used here. Fork by Python "
                "or by libc's fork, or start the first client after the fork" % self._paths[STATE]
            )
        with closed_files.changing(set(self._paths.values())):
            self._connect()

    def _connect(self) -> None:
        try:
            state = database.connect(self._paths[STATE], (STATE, SESSIONS), True, self._writable_state, STATE_BUSY_MS)
            self._connections = {STATE: state, SESSIONS: state}
            interest = database.connect(self._paths[INTEREST], (INTEREST,), False, True)
            interest.text_factory = _text
            self._connections[INTEREST] = interest
            self._opened += 1
        except BaseException:
            self._close_connections()
            raise

    def rest(self) -> None:
        """Gives the files back until the store is used again."""
        self._suspended = self._suspended or bool(self._connections)
        self._close_connections()

    def close(self) -> None:
        """Gives the files back. Closing again is no error; using the store afterwards is Unavailable."""
        self._suspended = False
        self._close_connections()

    def _close_connections(self) -> None:
        connections, self._connections = set(self._connections.values()), {}
        if connections:
            with closed_files.changing(set(self._paths.values())):
                for connection in connections:
                    connection.close()

    def abandon(self, forked: bool = True) -> None:
        """The store can't be used any more. In a forked child its connections are never closed, not even at exit.

        https://sqlite.org/howtocorrupt.html, 2.6: closing them would be using them. Where somebody else closed the
        files, they are closed before the files are used again.
        """
        self._suspended = False
        connections, self._connections = set(self._connections.values()), {}
        if connections and not forked:
            closed_files.leave(set(self._paths.values()), connections)
        elif connections:
            _inherited.update(map(os.path.realpath, self._paths.values()))
            for connection in connections:
                closed_files.keep(connection)
                _discarded.append(connection)

    def data_size(self) -> int:
        """Bytes in the database files, free pages included. Unavailable if it can't be read."""
        sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return sum(self._connection(table).execute(sql).fetchone()[0] for table in (STATE, INTEREST))

    def changes(self) -> Tuple[int, int, int]:
        """Something else after each commit to STATE or SESSIONS, whoever made it. Unavailable if it can't be read."""
        connection = self._connection(STATE)
        self._require_ours(STATE)
        try:
            ((others,),) = connection.execute("PRAGMA data_version").fetchall()
        except sqlite3.Error as error:
            raise database.explain(error, self._paths[STATE], "read") from error
        return self._opened, int(others), connection.total_changes

    # --- reading --------------------------------------------------------------------------------

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`."""
        if len(keys) > 1:
            return await self._get_several(keys)
        if not keys:
            return []
        table, partition, sort = keys[0]
        rows = await self._select(table, SQL[table].get, (partition, sort))
        return [Item(*rows[0])] if rows else [None]

    async def _get_several(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        table = keys[0].table
        if len(keys) <= KEYS_AT_ONCE:
            rows = await self._select(table, *selecting(keys))
        else:
            rows = await self._attempt(table, "read", lambda connection: read(connection, keys))
        found = {row[:2]: row for row in rows}
        found_rows = [found.get(key[1:]) for key in keys]
        return [None if row is None else Item(row[2], row[3]) for row in found_rows]

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.load`."""
        found: Dict[Key, Optional[Item]] = {}
        for table in dict.fromkeys(key.table for key in keys):
            wanted = [key for key in keys if key.table == table]
            found.update(zip(wanted, await self.get(wanted)))
        return [found[key] for key in keys]

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """`ports.Store.query`; ``more`` is exact."""
        if end is None:
            rows = await self._select(table, SQL[table].query, (partition, start, limit + 1))
        else:
            rows = await self._select(table, SQL[table].query_to, (partition, start, end, limit + 1))
        more = len(rows) > limit
        if more:
            rows.pop()
        new = tuple.__new__  # what Item(rev, body) does, in half the time: listings have thousands of rows
        return Page([(sort, new(Item, (rev, body))) for sort, rev, body in rows], more)

    async def listing(self, table: str, partition: str, start: str, prefix: str, limit: int) -> Listing:
        """`ports.Store.listing`; ``more`` is exact. Reads all of the stretch: nobody asks for less here."""
        wanted = (partition, start, prefix, partition, max(start, prefix), after(prefix))
        *rows, (_, _, joined) = await self._select(table, SQL[table].listing, wanted)
        rows.sort()  # SQL promises no order here; they come by the index, though
        names = [] if joined is None else sorted(joined[len(prefix) :].split(BETWEEN + prefix))
        more = len(rows) + len(names) > limit
        del names[max(0, limit - len(rows)) :], rows[limit:]
        return Listing([(sort, Item(rev, body)) for sort, rev, body in rows], names, more)

    async def scan(
        self, table: str, prefix: str = "", after: Optional[Tuple[str, str]] = None, limit: int = 1000
    ) -> List[Tuple[Key, Item]]:
        """`ports.Store.scan`, in the order of (partition, sort); fewer than ``limit`` rows are the last ones."""
        start = (prefix, "") if after is None else max((after[0], after[1] + "\0"), (prefix, ""))
        rows = await self._select(table, SQL[table].scan, (*start, limit))
        return [
            (Key(table, partition, sort), Item(rev, body))
            for partition, sort, rev, body in rows
            if partition.startswith(prefix)
        ]

    # --- writing --------------------------------------------------------------------------------

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""
        checked = checked_writes(writes)
        if not checked:
            return

        table = checked[0].key.table
        path = self._writable(table)
        ns = checked[0].key.partition.partition(":")[0]
        may = looked, holds = ANY_TIME if table == INTEREST else self._may(ns)
        if not await self._attempt(table, "write", lambda c: write_all(c, path, checked, self.has_turn, may)):
            if not holds(looked()):
                raise Unavailable("namespace %s: what was taken up is not asked for any more" % ns)
            conditions = [(*write.key, write.expect) for write in checked if write.expect is not None]
            raise Conflict("one of these is not at its rev: %s" % conditions[:5])

    async def increment(self, key: Key, by: int = 1) -> int:
        """`ports.Store.increment`. What is beyond 62 bits, or no integer, counts from 0 again."""
        table, partition, sort = key

        def add(connection: sqlite3.Connection) -> int:
            connection.execute(SQL[table].add, (partition, sort, by, "", b""))
            (row,) = connection.execute(SQL[table].get, (partition, sort)).fetchall()
            return int(row[0])

        return await self._transact(table, add)

    async def purge(self, table: str, owner: str) -> int:
        """`ports.Store.purge`. What was put without an owner stays, whatever ``owner`` is."""
        total = 0
        while True:
            count = await self._transact(table, lambda c: c.execute(SQL[table].purge, (owner,)).rowcount)
            total += count
            if count < PURGED_AT_ONCE:
                return total

    # --- attempts -------------------------------------------------------------------------------

    def _connection(self, table: str) -> sqlite3.Connection:
        if self._suspended:
            self._open()
            self._suspended = False
        try:
            return self._connections[table]
        except KeyError:
            raise Unavailable("the store is closed") from None

    def _require_ours(self, table: str, shared: bool = False) -> None:
        """Unavailable if somebody else closed the files: SQLite would wait, or write into what came after them."""
        path = self._paths[table]
        if closed_files.is_gone(path, shared):
            missed.append(path)
            raise Unavailable("%s was closed by somebody else" % path)

    async def _select(self, table: str, sql: str, parameters: Sequence[Any]) -> List[Any]:
        try:
            connection = self._connections[table]
            self._require_ours(table, shared=True)
            return connection.execute(sql, parameters).fetchall()
        except (KeyError, sqlite3.Error):  # the long way round tells why, and tries again
            return await self._attempt(table, "read", lambda c: c.execute(sql, parameters).fetchall())

    def _writable(self, table: str) -> str:
        """The file of a table that may be written to."""
        if table != INTEREST and not self._writable_state:
            raise StorageFull("%s is not written through this store" % self._paths[table])
        return self._paths[table]

    async def _transact(self, table: str, work: Callable[[sqlite3.Connection], T]) -> T:
        path = self._writable(table)
        return await self._attempt(table, "write", lambda connection: transaction(connection, path, work))

    async def _attempt(self, table: str, doing: str, step: Callable[[sqlite3.Connection], T]) -> T:
        """Tries until nothing is in the way."""
        give_up_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_s:
            try:
                connection = self._connection(table)
                self._require_ours(table)
                result = step(connection)
                if doing == "write" and table != INTEREST:
                    self._locked_since = None
                return result
            except sqlite3.Error as error:
                self._require_ours(table)
                explained = database.explain(error, self._paths[table], doing)
                if not isinstance(explained, database.Busy):
                    raise explained from error
            except database.Busy:
                pass
            if doing == "write" and table != INTEREST and self._locked_since is None:
                self._locked_since = time.monotonic()
            await asyncio.sleep(0)  # whoever has no event loop gives up here
            await asyncio.sleep(RETRY_S)
        raise Unavailable("%s is locked by another process" % self._paths[table])


async def namespaces(store: LocalStore) -> List[str]:
    """Those that anybody has written to."""
    found: List[str] = []
    after: Optional[Tuple[str, str]] = None
    while True:
        rows = await store.scan(STATE, "", after, 1)
        if not rows:
            return found
        key: Key = rows[0][0]
        ns = key.partition.partition(":")[0]
        if key == layout.head_key(ns):
            found.append(ns)
        after = (ns + ";", "")  # the first partition after every one of this namespace
