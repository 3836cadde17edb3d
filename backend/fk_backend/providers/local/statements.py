"""The SQL of the store, and what runs within one transaction: all of it, or nothing.

Statements are few and never built from what is asked, so that SQLite keeps them prepared.
"""

from __future__ import annotations

import contextlib
import sqlite3
from functools import partial
from operator import attrgetter, methodcaller, not_, truth
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple, TypeVar

from ...ports import TABLES, Key, Put
from ..writes import Write
from . import database

T = TypeVar("T")
_make = methodcaller("__call__")
_ANY_TIME = partial(bool, True)
_ANY, _ONE, _ROW = partial(truth), partial(attrgetter("rowcount")), partial(methodcaller("fetchone"))
"""Whether a cursor says that it was done: as soon as there is one; for one row; for a row that it found."""
_NONE = partial(not_)
"""Whether what is nothing but done was done."""

Condition = Tuple[Callable[[], Any], "partial[Any]"]
"""What is looked at, and whether what was seen there lets one go on: both in C."""
ANY_TIME: Condition = (_ANY_TIME, _ANY)

BETWEEN = "\x01"
"""Comes between the names of a listing, and in none of them: see `core.paths`."""
KEYS_AT_ONCE = 64
"""Keys in one SELECT, a power of two. More are read by several, in one transaction."""
PURGED_AT_ONCE = 1000


class _Sql(NamedTuple):
    """The statements of one table."""

    get: str
    absent: str
    query: str
    query_to: str
    listing: str
    scan: str
    put: str
    create: str
    replace: str
    remove: str
    remove_at: str
    add: str
    purge: str


def _statements(table: str) -> _Sql:
    at = "WHERE part = ? AND sort = ?"
    insert = "INSERT INTO %s (part, sort, rev, owner, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (part, sort) DO " % table
    # A column takes values of any type. Bytes are above all text, and no key of ours (https://sqlite.org/datatype3.html).
    # Not with another bound above: SQLite would go through all rows up to the one, and compare each with the other.
    query = "SELECT sort, rev, body FROM %s WHERE part = ? AND sort >= ?" % table
    # A parameter alone would not let SQLite use the partial index (https://sqlite.org/partialindex.html, 3).
    owned = "SELECT rowid FROM %s WHERE owner = ? AND owner <> '' LIMIT %d" % (table, PURGED_AT_ONCE)
    return _Sql(
        get="SELECT rev, body FROM %s %s" % (table, at),
        absent="SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM %s %s)" % (table, at),
        query=query + " AND sort < x'' ORDER BY sort LIMIT ?",
        query_to=query + " AND sort < ? ORDER BY sort LIMIT ?",
        # Sort keys as one value: a row for each takes most of the time, and so does a separator that is no literal.
        listing=query + " AND sort < ? UNION ALL SELECT '', 0, group_concat(sort, '%s') "
        "FROM %s WHERE part = ? AND sort >= ? AND sort < ?" % (BETWEEN, table),
        scan="SELECT part, sort, rev, body FROM %s WHERE (part, sort) >= (?, ?) AND part < x'' AND sort < x'' "
        "ORDER BY part, sort LIMIT ?" % table,
        put=insert + "UPDATE SET rev = excluded.rev, owner = excluded.owner, body = excluded.body",
        create=insert + "NOTHING",
        replace="UPDATE %s SET rev = ?, owner = ?, body = ? %s AND rev = ?" % (table, at),
        remove="DELETE FROM %s %s" % (table, at),
        remove_at="DELETE FROM %s %s AND rev = ?" % (table, at),
        # What is no count that can grow begins anew: past 64 bits SQLite would go on in floating point.
        add=insert + "UPDATE SET rev = excluded.rev + CASE WHEN typeof(rev) = 'integer' AND abs(rev / 2) < %d "
        "THEN rev ELSE 0 END" % (1 << 61),
        purge="DELETE FROM %s WHERE rowid IN (%s)" % (table, owned),
    )


SQL = {table: _statements(table) for table in TABLES}


def _several(table: str, count: int) -> str:
    # Measured: this takes half the time of a UNION ALL; (part, sort) IN (VALUES ...) reads the whole table.
    return "SELECT part, sort, rev, body FROM %s WHERE %s" % (table, " OR ".join(["(part = ? AND sort = ?)"] * count))


_SEVERAL = {(table, count): _several(table, count) for table in TABLES for count in (1 << power for power in range(7))}


def selecting(keys: Sequence[Key]) -> Tuple[str, List[str]]:
    """A SELECT of several keys, the last one repeated, so that there are few different statements to keep prepared."""
    parameters: List[str] = []
    for key in keys:
        parameters += key[1:]
    count = 1 << (len(keys) - 1).bit_length()
    if count != len(keys):
        parameters += parameters[-2:] * (count - len(keys))
    return _SEVERAL[keys[0].table, count], parameters


def read(connection: sqlite3.Connection, keys: Sequence[Key]) -> List[Any]:
    """Any number of keys from one snapshot."""
    rows: List[Any] = []
    _roll_back(connection)
    connection.execute("BEGIN")
    try:
        for start in range(0, len(keys), KEYS_AT_ONCE):
            rows.extend(connection.execute(*selecting(keys[start : start + KEYS_AT_ONCE])))
    finally:
        _roll_back(connection)
    return rows


def transaction(connection: sqlite3.Connection, path: str, work: Callable[[sqlite3.Connection], T]) -> T:
    """All of ``work`` or nothing."""
    _roll_back(connection)  # what somebody was interrupted in
    try:
        connection.execute("BEGIN IMMEDIATE")
        result = work(connection)
    except BaseException:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(connection)
        raise database.explain(error, path, "commit") from error
    return result


def _roll_back(connection: sqlite3.Connection) -> None:
    """Some errors have rolled back already (https://sqlite.org/lang_transaction.html, 3.1)."""
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass


def write_all(
    connection: sqlite3.Connection,
    path: str,
    writes: Sequence[Write],
    has_turn: Callable[[], Any] = _ANY_TIME,
    may: Condition = ANY_TIME,
) -> bool:
    """All of the writes in one transaction; nothing, and False, if a condition does not hold, or the turn is lost.

    A client writes in the caller's thread, and in the main one a signal's handler may run between any two instructions,
    and raise, or let the event loop go on. So the transaction is one call of what is written in C: `all` goes from
    statement to statement, and stops where a condition does not hold; then `any` goes on to what rolls it back. Who has
    lost the turn (``has_turn``, in C, too) touches nothing: another thread may be in the middle of a transaction.
    ``may`` is looked at when no other process writes, and none will before this is done.
    """
    reached: List[str] = []
    looked, holds = may
    statements, checked = _statements_of(connection, writes)
    begin = [has_turn, partial(connection.execute, "BEGIN IMMEDIATE"), looked]
    commit = [partial(reached.append, "commit"), partial(connection.execute, "COMMIT"), partial(reached.append, "end")]
    checks: List[Any] = [_ANY, _ANY, holds, *checked, _NONE, _ANY, _NONE]
    steps: Iterator[Any] = map(partial.__call__, checks, map(_make, [*begin, *statements, *commit]))
    undoing = map(_make, _undoing(connection, has_turn))
    if connection.in_transaction:
        _undo(connection, has_turn)
    try:
        any(map(_make, [partial(all, steps), partial(all, undoing)]))
    except BaseException as error:
        _undo(connection, has_turn)
        if "commit" in reached and isinstance(error, sqlite3.Error):
            raise database.explain(error, path, "commit") from error
        raise
    return "end" in reached


def _undo(connection: sqlite3.Connection, has_turn: Callable[[], Any]) -> None:
    """Rolls back what was begun in this turn and not brought to its end, in one step."""
    with contextlib.suppress(sqlite3.Error):
        all(map(_make, _undoing(connection, has_turn)))


def _undoing(connection: sqlite3.Connection, has_turn: Callable[[], Any]) -> "List[Callable[[], Any]]":
    return [has_turn, partial(getattr, connection, "in_transaction"), partial(connection.execute, "ROLLBACK")]


def _statements_of(connection: sqlite3.Connection, writes: Sequence[Write]) -> "Tuple[List[Any], List[partial[Any]]]":
    """What makes the writes, and what tells of each cursor whether it was done. What is alike is made by one call."""
    statements: List[Any] = []
    checks: "List[partial[Any]]" = []
    alike: Dict[Tuple[str, partial[Any]], List[Tuple[Any, ...]]] = {}
    for write in writes:
        sql, values, check = _part(write)
        if write.expect is None:
            alike.setdefault((sql, check), []).append(values)
        else:
            statements.append(partial(connection.execute, sql, values))
            checks.append(check)
    for (sql, check), several in alike.items():
        one = len(several) == 1
        statements.append(
            partial(connection.execute, sql, *several) if one else partial(connection.executemany, sql, several)
        )
        checks.append(check)
    return statements, checks


def _part(write: Write) -> Tuple[str, Tuple[Any, ...], "partial[Any]"]:
    """What writes it, and what tells of the cursor whether its condition held."""
    (_, partition, sort), sql, expect = write.key, SQL[write.key.table], write.expect
    if isinstance(write, Put):
        (rev, body), owner = write.item, write.owner
        if expect:
            return sql.replace, (rev, owner, body, partition, sort, expect), _ONE
        return sql.put if expect is None else sql.create, (partition, sort, rev, owner, body), _ONE
    if expect is None:
        return sql.remove, (partition, sort), _ANY
    if expect == 0:
        return sql.absent, (partition, sort), _ROW
    return sql.remove_at, (partition, sort, expect), _ONE
