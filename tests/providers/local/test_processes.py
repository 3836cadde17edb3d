"""Several processes on the same files: what one has committed the others see, and what was acknowledged survives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from typing import Any, Callable, Coroutine, List, Optional, Set

import pytest

from fk_backend.ports import INTEREST, SESSIONS, STATE, Item, Key
from fk_backend.providers.local import database, files
from fk_backend.providers.local.store import LocalStore
from fk_backend.testing.harness import put
from tests.providers.local.children import BODY, COUNTER, HEAD, numbered
from tests.providers.local.conftest import Child, hear, tell

Use = Callable[[LocalStore], Coroutine[Any, Any, None]]


def on(place: files.Place, test: Use, writable_state: bool = False) -> None:
    """Runs a coroutine with a store that is closed after it."""
    store = LocalStore(place, writable_state)
    try:
        asyncio.run(test(store))
    finally:
        store.close()


async def one(store: LocalStore, key: Key) -> Optional[Item]:
    (item,) = await store.get([key])
    return item


def test_each_process_sees_what_the_other_committed(place: files.Place, child: Child) -> None:
    host = child("echo", "d")

    async def test(store: LocalStore) -> None:
        for n in range(1, 100):
            counted = await store.increment(COUNTER)
            tell(host, n)
            assert hear(host) == str(counted) == str(n)
            assert await store.get([HEAD, HEAD]) == [Item(n, b"%d\n" % n)] * 2
            assert (await store.query(STATE, HEAD.partition)).rows == [("head", Item(n, b"%d\n" % n))]

    on(place, test)


def test_a_get_never_sees_half_a_commit_of_another_process(place: files.Place, child: Child) -> None:
    host = child("twins", "d")
    assert hear(host) == "begun"
    seen: Set[int] = set()

    async def test(store: LocalStore) -> None:
        other = [Key(STATE, "ns:other", "head")]
        few, many = [HEAD, *other], [HEAD, *[numbered(STATE, n) for n in range(200)], *other]
        while len(seen) < 200:
            for keys in (few, many):
                items = await store.get(keys)
                assert items[0] is not None and items[-1] is not None
                assert items[0].rev == items[-1].rev
                seen.add(items[0].rev)

    on(place, test)
    tell(host, "stop")
    assert host.wait(30) == 0


def test_processes_that_write_interest_at_once_lose_nothing(place: files.Place, child: Child) -> None:
    clients = [child("count", "d", who, 200) for who in "abcd"]
    for client in clients:
        assert hear(client) == "ready"
    for client in clients:
        tell(client, "go")
    assert [client.wait(60) for client in clients] == [0, 0, 0, 0]

    async def test(store: LocalStore) -> None:
        assert await one(store, COUNTER) == Item(800, b"")
        page = await store.query(INTEREST, "ns:/a")
        assert {sort for sort, _ in page.rows} == {"%s-%d" % (who, n) for who in "abcd" for n in range(200)}
        assert [await store.purge(INTEREST, who) for who in "abcd"] == [200] * 4

    on(place, test)


def test_what_a_killed_process_acknowledged_is_there(place: files.Place, child: Child) -> None:
    """And all of every commit, or nothing; the last commit may be there without having been acknowledged."""
    last, acknowledged = 0, {0}
    for life in range(10):
        process = child("pour", "d", last + 1)
        acknowledged.update(int(hear(process)) for _ in range(1 + 7 * life))
        process.kill()
        assert process.stdout is not None  # and `communicate` would leave out what was read ahead
        said = process.stdout.read().split("\n")  # what it said before it died; the last line may be cut
        acknowledged.update(map(int, said[:-1]))
        last = _intact(place, acknowledged - {0})
        assert max(acknowledged) <= last <= max(acknowledged) + 1


def _intact(place: files.Place, acknowledged: Set[int]) -> int:
    """The number of the last commit, after everything up to it was found whole."""
    found: List[int] = []

    async def test(store: LocalStore) -> None:
        head = await one(store, HEAD)
        assert head is not None
        found.append(head.rev)
        revs = range(1, head.rev + 2)
        bodies = [Item(n, b"%d" % n * (n % 3000)) for n in revs[:-1]]
        assert await store.get([numbered(STATE, n) for n in revs]) == [*bodies, None]
        empty = [Item(n, b"") for n in revs[:-1]]
        assert await store.get([numbered(SESSIONS, n) for n in revs]) == [*empty, None]
        items = await store.get([numbered(INTEREST, n) for n in sorted(acknowledged)])
        assert items == [Item(n, b"") for n in sorted(acknowledged)]

    on(place, test)
    with contextlib.closing(sqlite3.connect(place.state)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return found[0]


def test_the_log_stays_bounded_while_others_read(place: files.Place) -> None:
    async def test(store: LocalStore) -> None:
        reader = LocalStore(place, writable_state=False)
        for n in range(2000):
            await store.commit([put(HEAD, n, BODY), put(numbered(STATE, n % 10), n, BODY)])
            assert await one(reader, HEAD) == Item(n, BODY)
        assert os.path.getsize(place.state + "-wal") <= 2 * database.WAL_KEPT_BYTES
        reader.close()

    on(place, test, writable_state=True)


@pytest.mark.parametrize("abandons", [True, False])
def test_a_forked_child_leaves_its_parents_files_alone(place: files.Place, child: Child, abandons: bool) -> None:
    """A program forks and is killed, and its child ends by itself, later. If the child closed what it inherited, as it
    does if it does not abandon it, SQLite would take it for the last one to close, and do away with the log."""
    program = child("orphan", "d", "abandons" if abandons else "")
    assert program.communicate()[0].split() == ["committed", "ends"]
    assert os.path.exists(place.state + "-wal") == os.path.exists(place.interest + "-wal") == abandons

    async def test(store: LocalStore) -> None:
        assert await one(store, HEAD) == Item(1, b"body")

    on(place, test)
