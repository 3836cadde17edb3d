"""Who is the writer, who takes over, and that a message is done once: several processes' links in one event loop."""

from __future__ import annotations

import asyncio
from typing import Any, List

import pytest

from fk_backend.core.requests import Close, SetData
from fk_backend.errors import Unavailable
from fk_backend.ports import STATE, Item, Key, Put
from fk_backend.providers.postgres import link as module
from fk_backend.providers.postgres.schema import PAYLOAD_BYTES
from fk_backend.providers.postgres.writer import TICK_S

from .links import TERMINATE_WRITER, Gateways, asked, create, elected, node, opened, several, written


async def _never() -> bool:
    """As somebody who is slower than others to become the writer."""
    return False


@several(2)
async def test_one_is_the_writer_and_what_is_large_goes_by_parcel(server: Any, at: Gateways, ns: str) -> None:
    first, _ = await elected(at[0], ns)
    second, heard = await opened(at[1], ns)
    assert [gateway.link._host is not None for gateway in at] == [True, False]
    sizes = (0, 1, PAYLOAD_BYTES * 3 // 4 - 300, PAYLOAD_BYTES, 900_000)
    made = [create("/%d" % size, b"x" * size) for size in sizes]
    assert [result.code for result in await written(second, heard, *made)] == [0] * len(sizes)
    for size in sizes:
        assert (await node(at[0], ns, "/%d" % size)).data == b"x" * size
    assert await at[0].link.connections.read("SELECT id FROM fk_kazoo.parcel") == []
    first.end("closed", "")
    second.end("closed", "")


@several(3, via="queue")
async def test_when_the_writer_is_lost_another_one_does_what_was_sent_once(server: Any, at: Gateways, ns: str) -> None:
    """Its connection is cut again and again, in the middle of increments that each have to be done exactly once."""
    idle, _ = await elected(at[0], ns)
    second, heard = await opened(at[1], ns)
    assert at[0].link._host is not None
    assert (await written(second, heard, create("/a")))[0].code == 0
    done = 0
    for _ in range(20):
        second.submit(None, SetData("/a", b"", -1))
        await asyncio.sleep(0)
    await asked(server, TERMINATE_WRITER)
    for _ in range(20):
        _, result = await heard.answers.get()
        assert result.code == 0
        done += 1
    assert (await node(at[1], ns, "/a")).version == done == 20
    idle.end("closed", "")
    second.end("closed", "")


@several(3, via="queue")
async def test_what_is_answered_is_not_done_again_by_the_next_writer(server: Any, at: Gateways, ns: str) -> None:
    """The answer is on its way when its asker hears, in another way, of another writer, which knows nothing of it."""
    first, other = await elected(at[0], ns)
    second, heard = await opened(at[1], ns)
    third, _ = await opened(at[2], ns)
    link, connections = at[1].link, at[1].link.connections
    assert (await written(second, heard, create("/a"), create("/b")))[0].code == 0
    transport = link._listener._transport
    transport.pause_reading()  # from here on what is told comes late
    link._become = _never  # type: ignore[method-assign]
    second.submit(None, SetData("/a", b"", -1))
    while (await node(at[0], ns, "/a")).version == 0:
        await asyncio.sleep(0.01)
    await written(first, other, SetData("/b", b"", -1))  # so the head does not know what was done before
    await asked(server, TERMINATE_WRITER)
    while at[2].link._host is None:
        await at[2].check()
    reads: "asyncio.Queue[str]" = asyncio.Queue()
    read = connections.read

    async def noted(sql: str, *arguments: Any) -> Any:
        rows = await read(sql, *arguments)
        reads.put_nowait(sql)
        return rows

    connections.read = noted  # type: ignore[method-assign]
    for _ in range(3):  # it asks who is the writer, again and again
        await reads.get()
    transport.resume_reading()
    results = [(await heard.answers.get())[1], *(await written(second, heard, SetData("/b", b"", -1)))]
    assert [result.code for result in results] == [0, 0]
    assert (await node(at[0], ns, "/a")).version == 1
    for session in (second, third):
        session.end("closed", "")


@several(2)
async def test_who_is_the_writer_no_more_can_commit_nothing(server: Any, at: Gateways, ns: str) -> None:
    await elected(at[0], ns)
    late = at[0].link._host
    assert late is not None
    listener = at[0].link._listener
    await late.store.commit([Put(Key(STATE, ns, "x"), Item(1, b""))])
    ((epoch, _),) = await at[1].link.connections.write("SELECT fk_kazoo.take_over(0), 0")
    assert epoch == late.epoch + 1
    with pytest.raises(Unavailable, match="another process is the writer"):
        await late.store.commit([Put(Key(STATE, ns, "x"), Item(2, b""))])
    assert await at[1].store.get([Key(STATE, ns, "x")]) == [Item(1, b"")]
    assert listener.is_closed()  # and with it went the lock


@several(2, via="queue")
async def test_a_writer_that_is_frozen_is_deposed(server: Any, at: Gateways, ns: str) -> None:
    """Its session holds the lock, and nobody is at home there."""
    other = await at[1].link.connections.open()
    try:
        assert await other.fetchval("SELECT pg_try_advisory_lock(%d, 1)" % module.LOCKS)
        await other.fetchval("SELECT fk_kazoo.take_over($1)", other.get_server_pid())
        before = module.FROZEN_S, module.ALIVE_S
        module.FROZEN_S, module.ALIVE_S = 0.5, 0.3
        try:
            session, heard = await opened(at[0], ns)
        finally:
            module.FROZEN_S, module.ALIVE_S = before
        assert (await written(session, heard, create("/a")))[0].code == 0
        assert other.is_closed()
    finally:
        other.terminate()


@several(2)
async def test_nobody_polls(server: Any, at: Gateways, ns: str) -> None:
    """Without sessions nothing is asked at all, by the writer as little as by anybody else."""
    await asked(server, "DELETE FROM fk_kazoo.sessions")  # of other tests, whose leases would be looked at
    session, heard = await opened(at[0], ns)
    await written(session, heard, create("/a"), Close())
    queries = "SELECT query_start FROM pg_stat_activity WHERE application_name = 'fk_kazoo' ORDER BY pid"
    before: List[Any] = []
    for _ in range(15):  # until what the session has left is swept
        seen = await asked(server, queries)
        if seen == before and len(seen) >= 2:
            return
        before = seen
        await asyncio.sleep(3 * TICK_S)
    raise AssertionError("somebody asks on and on")


FATAL = b"SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"


@several(1)
async def test_a_connection_that_the_driver_gives_up_without_a_word_is_replaced(
    server: Any, at: Gateways, ns: str
) -> None:
    """It is asked for a sign of life between a server's last words and the end of what came: asyncpg tells nobody."""
    _, heard = await elected(at[0], ns)
    link = at[0].link
    listener = link._listener
    listener._protocol.data_received(b"E" + (len(FATAL) + 4).to_bytes(4, "big") + FATAL)
    link._probe_soon()
    assert await asyncio.wait_for(heard.ended.get(), 20) == "lost"
    again, hearing = await opened(at[0], ns)
    assert link._listener is not listener
    assert (await written(again, hearing, create("/a")))[0].code == 0
