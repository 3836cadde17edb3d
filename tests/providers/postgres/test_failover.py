"""Another server takes over: what it may not have is noticed, and who was answered it has lost the session."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any

import pytest

from compat_tests.on_postgres import CLIENT, DATABASE, PostgresServer
from fk_backend.core.requests import SetData
from fk_backend.errors import DeploymentError, Unavailable, WentBack
from fk_backend.providers.postgres import link
from fk_backend.providers.postgres import server as examined
from fk_backend.providers.postgres.gateway import PostgresGateway
from fk_backend.providers.postgres.server import History
from fk_backend.session.engine import Session
from fk_kazoo.client import KazooClient

from .links import TERMINATE_WRITER, Gateways, Heard, asked, create, elected, several, written


@pytest.mark.parametrize("keeps", [False, True])
def test_a_server_that_took_over_may_not_have_what_was_answered(
    server: PostgresServer, keeps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing else tells: its zxid is a later one. What a standby had, too, is not lost."""

    @several(1)
    async def play(server: Any, at: Gateways, ns: str) -> None:
        gateway, heard, ns = at[0], Heard(), "took-over-%d" % keeps
        await elected(gateway, ns)
        gateway.link.history = gateway.link.history._replace(keeps=keeps)
        session = Session(gateway, ns, heard)
        opened = await session.open(10_000)
        other = History("another timeline", False)

        async def changed(connection: Any) -> History:
            return other

        monkeypatch.setattr(link, "history", changed)
        monkeypatch.setattr("fk_backend.providers.postgres.connections.history", changed)
        await asked(server, TERMINATE_WRITER)
        assert await heard.ended.get() == "lost"
        again = Session(gateway, ns, Heard())
        if keeps:
            assert await again.attach(opened.session, opened.password)
        else:
            with pytest.raises(WentBack):
                await again.attach(opened.session, opened.password)
        again.end("closed", "")
        assert await Session(gateway, ns, Heard()).open(10_000)

    play(server)


@several(1)
async def test_all_connections_are_to_the_same_server(server: Any, at: Gateways, ns: str) -> None:
    """What one of them has read, another one may not write on condition of at a server that has something else."""
    gateway = at[0]
    session, heard = await elected(gateway, ns)
    await written(session, heard, create("/a"))
    gateway.link.connections.belong("another one")
    with pytest.raises(Unavailable, match="another server"):
        await gateway.store.get([]) or await gateway.link.connections.read("SELECT 1")
    assert await heard.ended.get() == "lost"
    while gateway.link.connections._identity == "another one":
        await asyncio.sleep(0.01)
    assert await gateway.link.connections.read("SELECT 1")


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_failover_that_lost_one_write_is_told_to_who_saw_it(caplog: pytest.LogCaptureFixture) -> None:
    """An asynchronous standby is promoted. One who saw the write; one whose loss others' later writes hide."""
    with PostgresServer(fsync=True) as primary, PostgresServer(fsync=True, primary=primary) as standby:
        name = "%s@127.0.0.1:%d,127.0.0.1:%d/%s" % (CLIENT, primary.port, standby.port, DATABASE)
        examined._warned.clear()
        caplog.set_level(logging.WARNING)
        with pytest.raises(DeploymentError, match="synchronous_standby_names"):
            asyncio.run(PostgresGateway.open(name, {"durability": "standby"}))
        zk = KazooClient("postgresql://" + name + "?namespace=seen")
        zk.start(timeout=30)
        states: "list[str]" = []
        zk.add_listener(states.append)
        zk.create("/a")

        async def play() -> None:
            gateway, heard = await PostgresGateway.open(name, {}), Heard()
            session = Session(gateway, "hidden", heard)
            opened = await session.open(30_000)
            await written(session, heard, create("/a"))
            while await asked(primary, "SELECT 1 FROM pg_stat_replication WHERE replay_lsn < pg_current_wal_lsn()"):
                await asyncio.sleep(0.05)
            standby.stop(signal.SIGINT)
            await written(session, heard, SetData("/a", b"lost", -1))
            zk.set("/a", b"lost")
            primary.stop(signal.SIGKILL)
            await asyncio.get_running_loop().run_in_executor(None, standby.start)
            await asked(standby, "SELECT pg_promote()")
            other = await PostgresGateway.open(name, {})
            later, hearing = await elected(other, "hidden")
            for _ in range(5):
                await written(later, hearing, SetData("/a", b"later", -1))
            again = Session(gateway, "hidden", Heard())
            with pytest.raises(WentBack):
                while True:
                    try:
                        assert await again.attach(opened.session, opened.password) is None
                    except Unavailable:
                        await asyncio.sleep(0.05)
            for each in (gateway, other):
                await each.close()

        asyncio.run(asyncio.wait_for(play(), 120))
        assert len([each for each in caplog.records if "no synchronous standby" in each.getMessage()]) == 1
        try:
            while zk.retry(zk.exists, "/a").version:
                pass
            assert zk.get("/a")[0] == b"" and states == ["SUSPENDED", "LOST", "CONNECTED"]
        finally:
            zk.stop()
            zk.close()
