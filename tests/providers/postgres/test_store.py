"""PostgresStore keeps to everything that is asked of a store, with the permissions of a client."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable

import asyncpg
import pytest

from compat_tests.on_postgres import PostgresServer
from fk_backend.errors import Conflict, Taken
from fk_backend.ports import INTEREST, STATE, Item, Key, Put
from fk_backend.providers.postgres.connections import Connections
from fk_backend.providers.postgres.place import Place
from fk_backend.providers.postgres.schema import FEW_LOOKED, MOST_LOOKED
from fk_backend.providers.postgres.store import PostgresStore
from fk_backend.providers.postgres.writer import channel_of
from fk_backend.testing.primitive_checks import PrimitiveChecks
from fk_backend.testing.store_checks import StoreChecks
from fk_backend.testing.store_model import StoreModelChecks
from tests.providers.exact import ExactPages


class InDatabase:
    """A client's own connections for each check."""

    name: str

    @pytest.fixture(autouse=True)
    def _deployment(self, server: PostgresServer) -> None:
        type(self).name = server.url.partition("://")[2]

    async def open_store(self) -> PostgresStore:
        return PostgresStore(Connections(Place(self.name, {})))

    async def close_store(self, store: PostgresStore) -> None:
        await store._connections.close()

    async def reopen_store(self, store: PostgresStore) -> PostgresStore:
        return await self.open_store()


class TestStore(InDatabase, StoreChecks, ExactPages):
    pass


@pytest.mark.slow
class TestModel(InDatabase, StoreModelChecks):
    programs = 10


class TestPrimitives(InDatabase, PrimitiveChecks):
    pass


NOTE = b"note"
IN_ALL = (("data", "one"), ("exists", "one"), ("data", "two"), ("data", "\u00e9"), ("data", ""))
"""Registrations by mode and inbox; the last two are none that a session makes."""
NODE, HEAD = Key(STATE, "looks:/a", "#"), Key(STATE, "looks:", "head")


def registered(number: int, partition: str = NODE.partition) -> Put:
    return Put(Key(INTEREST, partition, "%05d" % number), Item(number + 1, b"r"))


def looking(server: PostgresServer, play: Callable[[PostgresStore], Awaitable[None]]) -> None:
    """Plays with a store; the tables are as they were before, then."""

    async def run() -> None:
        store = PostgresStore(Connections(Place(server.url.partition("://")[2], {})))
        try:
            await asyncio.wait_for(play(store), 60)
        finally:
            await store._connections.close()

    try:
        asyncio.run(run())
    finally:
        for table in (STATE, INTEREST):
            server.ask("DELETE FROM fk_kazoo.%s WHERE part >= 'looks:' AND part < 'looks;'" % table)


def test_a_commit_brings_along_what_is_registered_in_its_partitions(server: PostgresServer) -> None:
    async def play(store: PostgresStore) -> None:
        await store.commit([registered(2), registered(1), registered(3, "looks:/b"), registered(4, "looks:/c")])
        found = await store.commit_and_look(
            [Put(HEAD, Item(1, b""), expect=0)], [NODE.partition, "looks:/b", "looks:/d"], NOTE
        )
        assert found == [tuple(registered(n, p)[:2]) for n, p in ((1, "looks:/a"), (2, "looks:/a"), (3, "looks:/b"))]
        assert await store.commit_and_look([Put(HEAD, Item(2, b""), expect=1)], ["looks:/d"], NOTE) == []
        with pytest.raises(Conflict):
            await store.commit_and_look([Put(HEAD, Item(3, b""), expect=1)], [NODE.partition], NOTE)
        with pytest.raises(Conflict):
            await store.commit_and_look(
                [Put(HEAD, Item(3, b"")), Put(NODE, Item(3, b""), expect=7)], [NODE.partition], NOTE
            )
        assert (await store.get([HEAD, NODE])) == [Item(2, b""), None]
        with_node = [Put(HEAD, Item(3, b""), expect=2), Put(NODE, Item(3, b""), expect=0)]
        assert await store.commit_and_look(with_node, ["looks:/d"], NOTE) == []
        with pytest.raises(Taken):
            await store.commit_and_look([Put(HEAD, Item(4, b""), expect=3), with_node[1]], ["looks:/d"], NOTE)
        assert (await store.get([HEAD, NODE])) == [Item(3, b"")] * 2
        await store.commit([registered(n) for n in range(MOST_LOOKED)])
        found = await store.commit_and_look([Put(HEAD, Item(3, b""))], [NODE.partition], NOTE)
        assert found is not None and len(found) == MOST_LOOKED
        await store.commit([registered(MOST_LOOKED)])
        assert await store.commit_and_look([Put(HEAD, Item(4, b""))], [NODE.partition], NOTE) is None
        assert (await store.get([HEAD])) == [Item(4, b"")]

    looking(server, play)


@pytest.mark.parametrize("cancelled", [False, True])
def test_it_looks_when_others_see_the_commit_and_whatever_happens_then_it_is_one(
    server: PostgresServer, cancelled: bool
) -> None:
    """Somebody locks the registrations: it is committed by then, and who registers until it looks is found."""

    async def play(store: PostgresStore) -> None:
        owner = await asyncpg.connect(server.url_of("postgres"))
        try:
            locked = owner.transaction()
            await locked.start()
            await owner.execute("LOCK fk_kazoo.interest IN ACCESS EXCLUSIVE MODE")
            committing = asyncio.ensure_future(store.commit_and_look([Put(HEAD, Item(1, b""))], [NODE.partition], NOTE))
            while await store.get([HEAD]) != [Item(1, b"")]:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            assert not committing.done()
            if cancelled:
                waits = "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE relation = 'fk_kazoo.interest'::regclass "
                while not await owner.fetch(waits + "AND NOT granted"):
                    await asyncio.sleep(0.01)
                assert await committing is None
            else:
                await owner.execute("INSERT INTO fk_kazoo.interest VALUES ('looks:/a', '00006', 7, '', 'r')")
                await locked.commit()
                assert await committing == [tuple(registered(6)[:2])]
        finally:
            await owner.close()

    looking(server, play)


def test_few_who_registered_are_woken_by_the_commit_itself(server: PostgresServer) -> None:
    async def play(store: PostgresStore) -> None:
        listener = await store._connections.open()
        told: "asyncio.Queue[Any]" = asyncio.Queue()
        for inbox in ("one", "two", "three"):
            await listener.add_listener(channel_of(inbox), lambda *heard: told.put_nowait(heard[2:]))
        rows = [Put(Key(INTEREST, NODE.partition, "%s:%s" % (what, inbox)), Item(1, b"")) for what, inbox in IN_ALL]
        await store.commit(rows)
        found = await store.commit_and_look([Put(HEAD, Item(1, b""))], [NODE.partition], NOTE)
        assert found is not None and len(found) == len(IN_ALL)
        heard = {await told.get(), await told.get()}
        assert heard == {(channel_of(inbox), "0 bm90ZQ==") for inbox in ("one", "two")}
        await store.commit([registered(n) for n in range(FEW_LOOKED)])
        await store.commit_and_look([Put(HEAD, Item(2, b""))], [NODE.partition], NOTE)
        await listener.fetch("SELECT 1")
        await listener.close()
        assert told.empty()

    looking(server, play)
