"""Writes that a process commits by itself: one call, told to everybody, once, whoever dies or writes meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any, List, Sequence

import pytest

from fk_backend import layout
from fk_backend.core.model import Error
from fk_backend.core.requests import Close, Delete, SetData
from fk_backend.errors import Unknown
from fk_backend.functions.writer import TRIES
from fk_backend.ports import INTEREST, SESSIONS, STATE
from fk_backend.providers.contention import Contention
from fk_backend.providers.postgres.direct import DirectWrites
from fk_backend.providers.postgres.gateway import PostgresGateway
from fk_backend.providers.postgres.schema import COMMITS_LOCK, LOCKS
from fk_backend.session.ops import GetData

from .links import TERMINATE_WRITER, Gateways, asked, create, elected, node, opened, several, written

SET = SetData("/a", b"", -1)


def noted(gateway: PostgresGateway, reads: Sequence[str] = ()) -> List[str]:
    """What this process asks of the server from here on that changes something, or reads one of these tables."""
    connections, statements = gateway.link.connections, []
    read, write = connections.read, connections.write

    async def writing(sql: str, *arguments: Any) -> List[Any]:
        statements.append(sql.partition("(")[0].split(".")[-1])
        return await write(sql, *arguments)

    async def reading(sql: str, *arguments: Any) -> List[Any]:
        statements.extend(table for table in reads if "fk_kazoo." + table in sql)
        return await read(sql, *arguments)

    connections.write, connections.read = writing, reading  # type: ignore[method-assign]
    return statements


@several(2)
async def test_alone_a_write_is_one_call_and_others_hear_of_it(server: Any, at: Gateways, ns: str) -> None:
    first, others = await elected(at[0], ns)
    second, heard = await opened(at[1], ns)
    await written(second, heard, create("/a"))
    statements = noted(at[1], [STATE, SESSIONS, INTEREST])
    assert [(await written(second, heard, SET))[0].code for _ in range(3)] == [0, 0, 0]
    assert statements == ["commit_and_look"] * 3
    first.submit("watched", GetData("/a", True))
    assert (await others.answers.get())[1].code == 0
    await written(second, heard, SET)
    assert (await others.events.get()).path == "/a"
    assert statements == ["commit_and_look"] * 4 + ["tell", "note"]  # the event, and that the watch is gone
    (failed,) = await written(second, heard, SetData("/missing", b"", -1))
    assert failed.code == Error.NO_NODE and set(statements[6:]) == {STATE}


@several(2)
async def test_a_session_is_opened_directly_and_looked_after(server: Any, at: Gateways, ns: str) -> None:
    """In a namespace at which the elected writer's heartbeat does not look, since it knows of no session there."""
    await elected(at[0], ns + "-other")
    host = at[0].link._host
    assert host is not None
    statements = noted(at[1])
    assert not host._functions._ticking.is_on(ns)
    session, heard = await opened(at[1], ns)
    assert statements[0] == "commit" and "send" not in statements
    while not host._functions._ticking.is_on(ns):
        await asyncio.sleep(0.01)
    assert (await written(session, heard, create("/a")))[0].code == 0
    key = layout.session_key(ns, session.id)
    assert await at[0].store.get([key]) != [None]
    await written(session, heard, Close())
    assert await at[0].store.get([key]) == [None]


@several(2)
async def test_what_is_created_is_not_looked_for_before(server: Any, at: Gateways, ns: str) -> None:
    """That nothing is there the commit finds out; if there is something, it is read, and that is no conflict."""
    await elected(at[0], ns)  # its process reads at any time, for its heartbeat
    session, heard = await opened(at[1], ns)
    await written(session, heard, create("/a"))
    statements = noted(at[1], [STATE, SESSIONS, INTEREST])
    assert [(await written(session, heard, create(path)))[0].code for path in ("/a/b", "/c")] == [0, 0]
    assert statements == ["commit_and_look"] * 2
    writer = at[1].link.writer_for(ns)
    assert writer is not None
    for path, code in (("/a/b", Error.NODE_EXISTS), ("/a/c", 0)):
        writer._cache[ns].snapshot.nodes.pop("/a/b", None)  # what another process has made
        assert (await written(session, heard, create(path)))[0].code == code
    assert statements[2:] == ["commit_and_look", STATE, STATE, "commit_and_look"]  # it reads, and looks at the head
    writer._cache[ns].snapshot.nodes.pop("/a/b", None)
    (refused,) = await written(session, heard, create("/missing/b"))
    (deleted,) = await written(session, heard, Delete("/a/b", -1))
    assert (refused.code, deleted.code) == (Error.NO_NODE, 0)
    assert writer._cache[ns].assumed == set()


@several(2)
async def test_the_elected_writer_does_not_look_for_what_is_created_either(server: Any, at: Gateways, ns: str) -> None:
    await elected(at[0], ns)
    queued = await PostgresGateway.open(server.url.partition("://")[2], {"via": "queue"})
    try:
        session, heard = await opened(queued, ns)
        await written(session, heard, create("/a"))
        several_nodes = "%s ON part = p" % STATE  # not the head alone, which the heartbeat reads
        statements = noted(at[0], [several_nodes])
        assert [(await written(session, heard, create(path)))[0].code for path in ("/a/b", "/c")] == [0, 0]
        assert [each for each in statements if each in ("commit_and_look", several_nodes)] == ["commit_and_look"] * 2
        writer = at[0].link._host
        assert writer is not None

        async def kept() -> Any:
            """What it knows; it tells the answer before it is done with the batch."""
            while writer._functions._workers:
                await asyncio.sleep(0)
            return writer._writer._cache[ns]

        for path, code in (("/a/b", Error.NODE_EXISTS), ("/a/c", 0)):
            (await kept()).snapshot.nodes.pop("/a/b", None)  # what another process has made
            assert (await written(session, heard, create(path)))[0].code == code
        cache = await kept()
        assert (await node(at[0], ns, "/a/b")).version == 0 and cache.assumed == set()
    finally:
        await queued.close()


@several(2)
async def test_several_together_and_what_is_queued_go_to_the_writer(server: Any, at: Gateways, ns: str) -> None:
    await elected(at[0], ns)
    second, heard = await opened(at[1], ns)
    await written(second, heard, create("/a"))
    statements = noted(at[1])
    await written(second, heard, SET, SET, SET)
    assert "commit_and_look" not in statements and "send" in statements
    queued = await PostgresGateway.open(server.url.partition("://")[2], {"via": "queue"})
    try:
        third, hearing = await opened(queued, ns)
        statements = noted(queued)
        await written(third, hearing, SET)
        assert "commit_and_look" not in statements and "send" in statements
    finally:
        await queued.close()


@several(3)
async def test_who_meets_others_leaves_it_to_the_writer_and_nothing_is_lost(server: Any, at: Gateways, ns: str) -> None:
    """All three write as fast as they can; one of them is the elected writer's own process."""
    sessions = [await elected(at[0], ns), await opened(at[1], ns), await opened(at[2], ns)]
    await written(*sessions[0], create("/a"))
    statements = [noted(gateway) for gateway in at]

    async def work(session: Any, heard: Any) -> List[int]:
        return [(await written(session, heard, SET))[0].code for _ in range(40)]

    assert await asyncio.gather(*[work(*each) for each in sessions]) == [[0] * 40] * 3
    assert (await node(at[0], ns, "/a")).version == 120
    assert all("send" in each for each in statements[1:])


@several(3)
async def test_who_always_wins_leaves_off_when_the_writer_never_has_its_turn(
    server: Any, at: Gateways, ns: str
) -> None:
    """Whenever the elected writer is about to commit, somebody has just written directly: before, it never ended."""
    await elected(at[0], ns)
    second, heard = await opened(at[1], ns)
    third, hearing = await opened(at[2], ns)
    await written(second, heard, create("/a"))
    host = at[0].link._host
    assert host is not None and isinstance(at[1].direct, DirectWrites)
    commit, write, direct, lost = host.store._committed, at[1].direct.write, asyncio.Queue(), []  # type: ignore[var-annotated]

    async def noting(*asked: Any) -> Any:
        done = await write(*asked)
        direct.put_nowait(done is not None)
        return done

    async def late(*values: Any) -> Any:
        if not answered.done() and len(lost) < 50:
            second.submit(None, SET)
            if await direct.get():
                lost.append((await heard.answers.get())[1].code)
        return await commit(*values)

    at[1].direct._contention[ns] = Contention()  # whomever it met when sessions were opened
    at[1].direct.write = noting  # type: ignore[method-assign]
    host.store._committed = late  # type: ignore[method-assign]
    answered = asyncio.ensure_future(written(third, hearing, create("/b"), create("/c")))
    assert [each.code for each in await answered] == [0, 0]
    assert 0 < len(lost) <= TRIES + 1 and not any(lost)


@several(2)
async def test_what_was_committed_and_not_told_is_told_by_the_writer(server: Any, at: Gateways, ns: str) -> None:
    first, others = await elected(at[0], ns)
    second, heard = await opened(at[1], ns)
    await written(second, heard, create("/a"))
    first.submit("watched", GetData("/a", True))
    await others.answers.get()
    writer = at[1].link.writer_for(ns)
    assert writer is not None

    async def dies(*_: object) -> None:
        raise asyncio.CancelledError

    writer._tell = dies  # type: ignore[assignment]
    second.submit(None, SET)
    assert (await others.events.get()).path == "/a"
    assert (await node(at[0], ns, "/a")).version == 1


@several(2)
async def test_a_write_without_an_answer_ends_the_connection_and_the_next_one_goes_on(
    server: Any, at: Gateways, ns: str
) -> None:
    """Its connection to the server is cut while it commits."""
    await elected(at[0], ns)
    second, heard = await opened(at[1], ns)
    await written(second, heard, create("/a"), SET)
    holder = await at[0].link.connections.open()
    try:
        await holder.fetch("SELECT pg_advisory_lock(%d, %d)" % (LOCKS, COMMITS_LOCK))
        second.submit(None, SET)
        waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'"
        while not await asked(server, waiting):
            await asyncio.sleep(0.01)
        assert await heard.ended.get() == "lost"
    finally:
        holder.terminate()
    again, hearing = await opened(at[1], ns)
    assert (await written(again, hearing, SET))[0].code == 0
    assert (await node(at[0], ns, "/a")).version == 2


@several(3)
async def test_what_the_writer_does_not_know_to_be_done_is_not_done_again(server: Any, at: Gateways, ns: str) -> None:
    """Its commit has no answer; before it looks, somebody else has told what was done and written something else."""
    await elected(at[0], ns)
    second, heard = await opened(at[1], ns)
    third, hearing = await opened(at[2], ns)
    assert [each.code for each in await written(second, heard, create("/a"), create("/b"))] == [0, 0]
    host = at[0].link._host
    assert host is not None
    commit, cut, done = host.store._committed, [], asyncio.Event()

    async def unanswered(*values: Any) -> Any:
        row = await commit(*values)
        if not cut:
            cut.append(1)
            await written(third, hearing, SetData("/b", b"", -1))
            done.set()
            raise Unknown("cut")
        return row

    host.store._committed = unanswered  # type: ignore[method-assign]
    assert [each.code for each in await written(second, heard, SET, SET)] == [0, 0]
    await done.wait()
    assert [each.code for each in await written(second, heard, SetData("/b", b"", 1), SET)] == [0, 0]
    assert (await node(at[0], ns, "/a")).version == 3


@pytest.mark.parametrize("dies", [False, True])
def test_failures_of_the_queue_stay_failures(server: Any, dies: bool) -> None:
    """What failed and was told is not tried again under what somebody else wrote meanwhile."""

    @several(3)
    async def play(server: Any, at: Gateways, ns: str) -> None:
        ns = "%s-%d" % (ns, dies)
        await elected(at[0], ns)
        second, heard = await opened(at[1], ns)
        third, hearing = await opened(at[2], ns)
        host = at[0].link._host
        assert host is not None
        push, told, made = host.tells.push, [], asyncio.Event()

        async def unanswered(notes: Sequence[Any]) -> None:
            await push(notes)
            if not told:
                told.append(1)
                await written(third, hearing, create("/a"))
                made.set()
                if dies:
                    await asked(server, TERMINATE_WRITER)
                raise Unknown("cut")

        host.tells.push = unanswered  # type: ignore[method-assign]
        results = await written(second, heard, SET, SET)
        assert [each.code for each in results] == [Error.NO_NODE] * 2
        await made.wait()
        assert (await written(second, heard, SET))[0].code == 0
        assert (await node(at[2], ns, "/a")).version == 1

    play(server)
