"""A client's beginning, what ends its connection or its session, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
import traceback
import tracemalloc
from typing import Any, List

import pytest
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState, KeeperState

from fk_backend.providers import memory
from fk_kazoo import exceptions
from fk_kazoo.aio import EventType, KazooClient, WatchedEvent
from fk_kazoo.why import Reason

from .support import expire, run


def test_a_lost_connection(memory_url: str) -> None:
    """kazoo's states; what is unanswered is ConnectionLoss; watches that stay are set again, and say so."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk, KazooClient(memory_url) as other:
            states: List[str] = []
            zk.add_listener(states.append)
            told: List[WatchedEvent] = []
            await zk.create("/a", ephemeral=True)
            await zk.exists("/a", told.append)
            session = zk.client_id
            async with zk.watch("/a") as events:
                assert zk._connection is not None
                zk._connection._at_once = False
                unanswered = zk._send(_set("/a"))
                zk._connection.hang_up()
                with pytest.raises(exceptions.ConnectionLoss):
                    await unanswered
                assert zk.client_state == KeeperState.CONNECTING
                assert (await zk.get("/a"))[1].ephemeralOwner == (session or (0,))[0]
                assert states == [KazooState.SUSPENDED, KazooState.CONNECTED] and zk.client_id == session
                assert [event.type for event in told] == [EventType.NONE]
                await other.set("/a", b"y")
                event = await events.__anext__()
                while event.type == EventType.CHANGED:  # of the write that nobody was answered
                    event = await events.__anext__()
                assert (event.type, event.path) == (EventType.NONE, None)
                assert (await events.__anext__()).type == EventType.CHANGED

    run(main())


def _set(path: str) -> Any:
    from kazoo.protocol.serialization import SetData

    return SetData(path, b"x", -1)


def test_an_expired_session(memory_url: str) -> None:
    """LOST, then a new session: the iterators go on, and a lock that is released meanwhile is no error."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk, KazooClient(memory_url) as other:
            states: List[str] = []
            zk.add_listener(states.append)
            lock = zk.Lock("/lock")
            await lock.acquire()
            async with zk.watch("/a") as events, zk.data_watch("/a") as data:
                assert await data.__anext__() == (None, None)
                session = zk.client_id
                await expire(other, session)
                await lock.release()
                assert states == [KazooState.LOST, KazooState.CONNECTED] and zk.client_id != session
                assert await other.get_children("/lock") == []
                assert (await events.__anext__()).type == EventType.NONE
                await other.create("/a", b"1")
                assert (await events.__anext__()).type == EventType.CREATED
                assert (await data.__anext__())[0] == b"1"

    run(main())


@pytest.mark.parametrize("seen_more", [0, 1, 1000])
def test_a_deployment_that_went_back(memory_url: str, seen_more: int) -> None:
    """Who was told more than it knows any more has lost its session; nobody else has."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk:
            states: List[str] = []
            await zk.create("/a", ephemeral=True)
            zk.last_zxid += seen_more
            await zk.exists("/")  # what is old does not make it forget what is newer
            zk.add_listener(states.append)
            session = zk.client_id
            assert zk._connection is not None
            zk._connection.hang_up()
            await zk.retry(zk.create, "/b")
            went = [KazooState.LOST] if seen_more else []
            assert states == [KazooState.SUSPENDED, *went, KazooState.CONNECTED]
            assert (zk.client_id == session) == (not seen_more)

    run(main())


def test_a_client_that_can_not_start(memory_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """kazoo's errors, in time; nothing of it is left."""

    async def main() -> None:
        with pytest.raises(exceptions.DeploymentConfigurationError):
            KazooClient("memory//x")
        with pytest.raises(exceptions.DeploymentConfigurationError):
            KazooClient("127.0.0.1:2181")
        with pytest.raises(exceptions.DeploymentConfigurationError):
            KazooClient(memory_url, auth_data=[("sasl", "a:b")])
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "broken").write_text("not a directory")
        with pytest.raises(exceptions.DeploymentConfigurationError):
            await KazooClient("local://broken").start()
        async with KazooClient(memory_url):
            memory.deployment(memory_url.partition("//")[2])._functions.halted = True
            zk = KazooClient(memory_url)
            with pytest.raises(KazooTimeoutError):
                await zk.start(timeout=0.3)
            reader = KazooClient(memory_url, read_only=True)
            await reader.start()
            assert reader.client_state == KeeperState.CONNECTED_RO and await reader.exists("/")
            with pytest.raises(exceptions.NotReadOnlyCallError):
                await reader.create("/a")
            memory.deployment(memory_url.partition("//")[2])._functions.halted = False
            while reader.client_state in (KeeperState.CONNECTED_RO, KeeperState.CONNECTING):
                await asyncio.sleep(0.05)
            await reader.stop()

    run(main())


def test_cancelling_a_start_leaves_nothing(memory_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the deployment does not answer."""

    async def main() -> None:
        async with KazooClient(memory_url):
            memory.deployment(memory_url.partition("//")[2])._functions.halted = True
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(KazooClient(memory_url).start(), 0.05)
            memory.deployment(memory_url.partition("//")[2])._functions.halted = False

    run(main())


def test_two_tasks_stop_and_start_it(memory_url: str) -> None:
    """Each waits for the other: there is one session afterwards, or none."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk, KazooClient(memory_url) as other:
            for _ in range(3):
                await zk.create("/mine", ephemeral=True)
                await asyncio.gather(zk.stop(), zk.start())
                assert zk.connected
                await asyncio.gather(zk.restart(), zk.restart())
                assert zk.connected and await other.exists("/mine") is None
            lines = (await other.command(b"cons")).splitlines()
            assert len([line for line in lines if line.strip()]) == 2, lines
            await asyncio.gather(zk.stop(), zk.stop())
            assert not zk.connected

    run(main())


def test_credentials_that_are_refused(memory_url: str) -> None:
    """AUTH_FAILED, as kazoo has it, until it is started again."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk:
            with pytest.raises(exceptions.AuthFailedError):
                await zk.add_auth("nonsense", "x")
            with pytest.raises(exceptions.AuthFailedError):
                await zk.get("/")
            assert zk.state == KazooState.LOST
            with pytest.raises(exceptions.AuthFailedError):
                await zk.restart()
            zk.auth_data.clear()
            await zk.start()
            assert await zk.exists("/")

    run(main())


def test_a_session_goes_on_in_another_client(memory_url: str) -> None:
    """By its id and password."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk:
            await zk.create("/mine", ephemeral=True)
            session = zk.client_id
            assert zk._connection is not None
            zk._connection.hang_up()  # else each takes it from the other, again and again
            await zk.stop()
            async with KazooClient(memory_url, client_id=session) as heir:
                assert heir.client_id == session
                assert await heir.exists("/mine")

    run(main())


def test_a_forked_child_has_no_session() -> None:
    """Its calls say so, it holds nothing, and may start anew; the parent goes on."""

    async def main() -> None:
        async with KazooClient("local://forked") as zk, zk.Lock("/lock") as lock:
            await zk.create("/a")
            session, lost = zk.client_id, lock.lost
            child = os.fork()
            if child == 0:
                try:
                    assert lost.is_set() and zk.why.reason == Reason.FORKED and not zk.connected
                    with pytest.raises(exceptions.ConnectionClosedError):
                        zk.get("/a").send(None)
                    asyncio.run(_in_child(zk, session))
                    os._exit(0)
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(1)
            while True:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    break
                await asyncio.sleep(0.01)
            assert status == 0
            assert await zk.get("/a") and await zk.set("/a", b"x") and not lost.is_set()
            assert await zk.exists("/of-the-child")

    run(main())


async def _in_child(zk: KazooClient, session: Any) -> None:
    async with zk:
        assert zk.client_id != session
        await zk.create("/of-the-child")


def test_a_session_is_small(memory_url: str) -> None:
    """A few kilobytes, with what the deployment keeps of it: a thousand in one process are nothing special."""
    count = 100

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(10):
                await stack.enter_async_context(KazooClient(memory_url, timeout=600.0))
            gc.collect()
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                for _ in range(count):
                    zk = await stack.enter_async_context(KazooClient(memory_url, timeout=600.0))
                    await zk.set("/", b"x")
                gc.collect()
                each = (tracemalloc.get_traced_memory()[0] - before) / count
            finally:
                tracemalloc.stop()
            assert each < 10_000, each

    run(main())


@pytest.mark.parametrize("watching", [False, True])
def test_who_asks_on_and_on_lets_others_run(url: str, watching: bool) -> None:
    """Answers may be there at once. A beat is another task, too."""

    async def main() -> None:
        async with KazooClient(url) as zk:
            if watching:
                await zk.exists("/none", lambda event: None)
            ended = asyncio.Event()
            asyncio.get_running_loop().call_later(0.01, ended.set)
            while not ended.is_set():
                await zk.get("/")

    run(main())


def test_a_loop_that_stood_still_says_so(memory_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For so long that others may have what it held."""
    monkeypatch.setattr("fk_kazoo.aio.deployments.TICK_S", 0.05)
    monkeypatch.setattr("fk_kazoo.why.STILL_S", 0.2)

    async def main() -> None:
        async with KazooClient(memory_url, timeout=1.0) as zk, zk.Lock("/lock") as lock:
            told: List[Any] = []
            zk.add_listener(lambda state: told.append((state, zk.why.reason, lock.lost.is_set())))
            await asyncio.sleep(0.2)
            time.sleep(1.2)
            await lock.lost.wait()
            assert told[0] == (KazooState.SUSPENDED, Reason.PAUSED, True), told

    run(main())
