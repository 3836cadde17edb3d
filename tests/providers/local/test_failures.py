"""What goes wrong on the way: no room, locks, damage, an unclear commit. The data is as it was, the store goes on."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from typing import Any, Iterator, Type

import pytest

from fk_backend.errors import NoPermission, NotADeployment, StorageFull, TooLarge, Unavailable, Unknown
from fk_backend.ports import INTEREST, STATE, Key
from fk_backend.providers.local import database, files, statements, store
from fk_backend.providers.local.store import LocalStore
from fk_backend.testing.harness import put
from tests.providers.local.children import BODY, numbered

A = Key(STATE, "p", "a")
WATCH = Key(INTEREST, "p", "a")


@pytest.fixture
def host(place: files.Place) -> Iterator[LocalStore]:
    opened = LocalStore(place, writable_state=True)
    yield opened
    opened.close()


# --- who may write -----------------------------------------------------------------------------------


def test_a_process_that_is_not_the_host_writes_no_state(place: files.Place, host: LocalStore) -> None:
    client = LocalStore(place, writable_state=False)
    for writing in (client.commit([put(A, 1)]), client.increment(A), client.purge(STATE, "o")):
        with pytest.raises(StorageFull):
            asyncio.run(writing)
    with pytest.raises(sqlite3.OperationalError):
        client._connections[STATE].execute("DELETE FROM state")
    asyncio.run(client.commit([put(WATCH, 1)]))
    client.close()
    assert asyncio.run(host.get([A])) == [None]


# --- locks ----------------------------------------------------------------------------------------


def test_a_locked_file_is_waited_for_without_stopping_the_loop(place: files.Place, host: LocalStore) -> None:
    async def run() -> None:
        other = sqlite3.connect(place.interest, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(host.commit([put(WATCH, 1)]))
        await asyncio.sleep(0)
        assert not waiting.done()
        other.execute("COMMIT")
        await waiting
        other.close()

    asyncio.run(run())


def test_a_file_that_stays_locked_is_unavailable(
    place: files.Place, host: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE_S", 0.1)
    other = sqlite3.connect(place.interest, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for writing in (host.commit([put(WATCH, 1)]), host.increment(WATCH), host.purge(INTEREST, "o")):
        with pytest.raises(Unavailable):
            asyncio.run(writing)
    assert asyncio.run(host.get([WATCH])) == [None]
    other.execute("COMMIT")
    other.close()
    assert asyncio.run(host.increment(WATCH)) == 1


def test_a_closed_store_is_unavailable(host: LocalStore) -> None:
    host.close()
    host.close()
    for using in (host.get([A]), host.get([A, WATCH]), host.query(STATE, "p"), host.commit([put(A, 1)])):
        with pytest.raises(Unavailable, match="closed"):
            asyncio.run(using)


# --- damage ---------------------------------------------------------------------------------------


def test_damage_is_found_when_it_is_read(place: files.Place) -> None:
    host = LocalStore(place, writable_state=True)
    asyncio.run(host.commit([put(numbered(STATE, n), n, BODY) for n in range(100)]))
    host.close()
    with open(place.state, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size // 2)
        file.write(b"\xa5" * (size // 2))
    host = LocalStore(place, writable_state=True)
    with pytest.raises(NotADeployment, match="restore it"):
        asyncio.run(host.scan(STATE))
    with pytest.raises(NotADeployment):
        asyncio.run(host.commit([put(numbered(STATE, n), n, BODY) for n in range(100)]))
    assert asyncio.run(host.increment(WATCH)) == 1
    host.close()


# --- unclear commits ------------------------------------------------------------------------------


class Failing(sqlite3.Connection):
    """A connection whose COMMIT fails."""

    failure: Any = None

    def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.failure is not None:
            raise self.failure
        return super().execute(sql, *rest)


def _error(code: int, text: str = "disk I/O error") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


FSYNC_FAILED, WRITE_FAILED, DISK_FULL = 1034, 778, 13


@pytest.mark.parametrize(
    "failure, explained",
    [
        (_error(FSYNC_FAILED), Unknown),
        (_error(WRITE_FAILED), StorageFull),
        (_error(DISK_FULL, "database or disk is full"), StorageFull),
        (sqlite3.OperationalError("disk I/O error"), Unknown),  # Python before 3.11
        (sqlite3.OperationalError("database or disk is full"), StorageFull),
    ],
)
def test_a_commit_that_fails(failure: sqlite3.Error, explained: Type[Exception]) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Failing)
    connection.executescript(database._TABLE.format("state"))
    connection.failure = failure
    with pytest.raises(explained):
        statements.write_all(connection, "path", [put(A, 1)])
    connection.failure = None
    assert statements.read(connection, [A]) == []
    assert statements.write_all(connection, "path", [put(A, 1, expect=0)])
    assert statements.read(connection, [A]) == [("p", "a", 1, b"")]
    connection.close()


def test_an_exception_of_ours_undoes_the_transaction(host: LocalStore) -> None:
    for wrong in (put(A, 2**63), put(Key(STATE, "p", "\ud800"), 1)):
        with pytest.raises((OverflowError, UnicodeError)):
            asyncio.run(host.commit([put(Key(STATE, "p", "first"), 1), wrong]))
    assert asyncio.run(host.query(STATE, "p")).rows == []
    asyncio.run(host.commit([put(A, 1)]))


@pytest.mark.parametrize(
    "code, text, doing, explained",
    [
        (5, "database is locked", "read", database.Busy),
        (5 | 2 << 8, "database is locked", "write", database.Busy),
        (15, "locking protocol", "read", database.Busy),
        (13, "database or disk is full", "write", StorageFull),
        (13, "database or disk is full", "open", StorageFull),
        (13, "database or disk is full", "read", Unavailable),
        (8, "attempt to write a readonly database", "write", StorageFull),
        (8, "attempt to write a readonly database", "open", NoPermission),
        (10, "disk I/O error", "write", StorageFull),
        (10, "disk I/O error", "read", Unavailable),
        (11, "database disk image is malformed", "read", NotADeployment),
        (26, "file is not a database", "open", NotADeployment),
        (14, "unable to open database file", "open", NoPermission),
        (14, "unable to open database file", "read", Unavailable),
        (18, "string or blob too big", "write", TooLarge),
        (1, "no such table: state", "open", NotADeployment),
        (1, "no such column", "read", sqlite3.OperationalError),
        (21, "bad parameter or other API misuse", "write", sqlite3.OperationalError),
    ],
)
def test_errors_in_our_words(code: int, text: str, doing: str, explained: Type[Exception]) -> None:
    """By code, and by message alone where Python does not tell the code."""
    for error in (_error(code, text), sqlite3.OperationalError(text)):
        assert type(database.explain(error, "path", doing)) is explained
