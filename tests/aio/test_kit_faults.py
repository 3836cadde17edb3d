"""The test kit's faults, as they happen to clients for asyncio: what a person would write who tests such a program."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any, Awaitable, Callable, List

import pytest

from fk_kazoo.aio import KazooClient
from fk_kazoo.exceptions import ConnectionLoss, LockLostError
from fk_kazoo.locks import Lost
from fk_kazoo.testing.kit import Kit

Play = Callable[[Kit, KazooClient, KazooClient], Awaitable[None]]


@pytest.fixture(params=["memory", "local"])
def play(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Play], None]:
    """Runs it with two clients of one deployment."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    url = None if request.param == "memory" else "local://kit"

    async def whole(kit: Kit, what: Play) -> None:
        async with KazooClient(kit.url, timeout=4.0) as zk, KazooClient(kit.url) as other:
            await asyncio.wait_for(what(kit, zk, other), 60)

    def run(what: Play) -> None:
        with Kit(url) as kit:
            asyncio.run(whole(kit, what))

    return run


def recorded(client: KazooClient) -> List[str]:
    states: List[str] = []
    client.add_listener(states.append)
    return states


def test_an_expired_session_loses_its_lock(play: Callable[[Play], None]) -> None:
    async def what(kit: Kit, zk: KazooClient, other: KazooClient) -> None:
        states, session = recorded(zk), zk.client_id
        with pytest.raises(LockLostError):
            async with zk.Lock("/lock", lost=Lost.RAISE):
                await kit.faults.aio.expire(zk)
                assert await other.Lock("/lock").acquire(timeout=5)
                await zk.get("/lock")
        assert states == ["LOST", "CONNECTED"] and zk.client_id != session

    play(what)


def test_a_broken_connection_keeps_its_session(play: Callable[[Play], None]) -> None:
    async def what(kit: Kit, zk: KazooClient, _: KazooClient) -> None:
        states, session = recorded(zk), zk.client_id
        await zk.create("/e", ephemeral=True)
        await kit.faults.aio.disconnect(zk)
        assert states == ["SUSPENDED", "CONNECTED"] and zk.client_id == session and await zk.exists("/e")

    play(what)


def test_who_is_cut_off_is_suspended_and_comes_back(play: Callable[[Play], None]) -> None:
    async def what(kit: Kit, zk: KazooClient, other: KazooClient) -> None:
        states = recorded(zk)
        async with kit.faults.aio.partition(zk):
            assert states == ["SUSPENDED"]
            later = asyncio.ensure_future(zk.exists("/a"))
            await other.create("/a")
            await kit.faults.aio.disconnect(zk)  # it has no connection that could break
            assert not later.done()
        assert await later and states == ["SUSPENDED", "CONNECTED"]

    play(what)


def test_who_is_cut_off_for_its_whole_session_is_told_afterwards(play: Callable[[Play], None]) -> None:
    async def what(kit: Kit, zk: KazooClient, other: KazooClient) -> None:
        states = recorded(zk)
        await zk.create("/e", ephemeral=True)
        async with kit.faults.aio.partition(zk):
            await kit.faults.aio.expire(zk)
            assert not await other.exists("/e") and states == ["SUSPENDED"]
        assert states == ["SUSPENDED", "LOST", "CONNECTED"]

    play(what)


def test_who_is_suspended_does_not_know(play: Callable[[Play], None]) -> None:
    async def what(kit: Kit, zk: KazooClient, other: KazooClient) -> None:
        states, lock = recorded(zk), zk.Lock("/lock")
        assert await lock.acquire()
        async with kit.faults.aio.suspend(zk):
            assert await other.Lock("/lock").acquire(timeout=5)
            assert zk.connected and lock.is_acquired and states == []
        assert states == ["LOST", "CONNECTED"]

    play(what)


def test_a_write_whose_outcome_is_not_known(play: Callable[[Play], None]) -> None:
    async def what(kit: Kit, zk: KazooClient, other: KazooClient) -> None:
        for done in (False, True):
            kit.faults.fail_next(zk, done=done)
            with pytest.raises(ConnectionLoss):
                await zk.create("/a")
            await zk.sync("/a")  # connected again
            assert bool(await zk.exists("/a")) is done
        with kit.faults.delay(zk, 0.2):
            before = asyncio.get_running_loop().time()
            await zk.set("/a", b"1")
            assert asyncio.get_running_loop().time() - before >= 0.2

    play(what)


def test_what_is_of_the_other_kind_is_refused() -> None:
    async def whole(kit: Kit, threads: Any) -> None:
        async with KazooClient(kit.url) as zk:
            with pytest.raises(TypeError, match="aio"):
                kit.faults.disconnect(zk)
            with pytest.raises(TypeError, match="threads"):
                await kit.faults.aio.disconnect(threads)
        with pytest.raises(ValueError, match="session"):
            await kit.faults.aio.expire(zk)

    with Kit() as kit:
        asyncio.run(whole(kit, kit.client()))


def test_faults_end_with_the_test(caplog: pytest.LogCaptureFixture) -> None:
    """Also where a client of another thread's loop is left behind, cut off."""

    async def whole(kit: Kit) -> None:
        zk = KazooClient(kit.url)
        await zk.start()
        async with kit.faults.aio.partition(zk):
            kit.faults.end()
            await asyncio.wait_for(zk.exists("/"), 20)
        await zk.stop()

    with caplog.at_level(logging.ERROR), Kit() as kit:
        asyncio.run(whole(kit))
    assert not caplog.records
