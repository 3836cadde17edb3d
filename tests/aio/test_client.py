"""The client's operations, states and watches, on deployments in memory and on files."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import os
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any, List

import pytest
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState, KeeperState
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

from fk_backend.errors import Unavailable
from fk_backend.providers import memory
from fk_backend.providers.direct import InProcessDirect
from fk_kazoo import exceptions
from fk_kazoo.aio import EventType, KazooClient, WatchedEvent
from fk_kazoo.client import KazooClient as ThreadedClient
from fk_kazoo.why import Reason

from .support import run


def test_operations(url: str) -> None:
    """Each of them, with kazoo's answers and errors; nothing runs any more when the body is over."""

    async def main() -> None:
        threads = threading.active_count()
        async with KazooClient(url) as zk:
            assert threading.active_count() == threads
            assert zk.connected and zk.state == KazooState.CONNECTED and zk.client_id is not None
            assert await zk.create("/a/b", b"1", makepath=True) == "/a/b"
            data, stat = await zk.get("/a/b")
            assert (data, stat.version) == (b"1", 0)
            assert (await zk.set("/a/b", b"2", version=0)).version == 1
            assert await zk.get_children("/a") == ["b"]
            names, above = await zk.get_children("/a", include_data=True)
            assert (names, above.numChildren) == (["b"], 1)
            path, made = await zk.create("/a/s-", sequence=True, ephemeral=True, include_data=True)
            assert path == "/a/s-0000000001" and made.ephemeralOwner == zk.client_id[0]
            assert await zk.exists("/none") is None
            assert await zk.ensure_path("/a/b") is True and await zk.ensure_path("/n/m") == "/n/m"
            assert await zk.sync("/a") == "/a"
            assert (await zk.get_acls("/a"))[0] == OPEN_ACL_UNSAFE
            await zk.set_acls("/n", [make_digest_acl("me", "secret", all=True)])
            with pytest.raises(exceptions.NoAuthError):
                await zk.create("/n/o")
            assert await zk.add_auth("digest", "me:secret")
            assert await zk.create("/n/o") == "/n/o"
            for error, call in [
                (exceptions.NoNodeError, zk.get("/none")),
                (exceptions.NodeExistsError, zk.create("/a")),
                (exceptions.BadVersionError, zk.set("/a", b"", version=7)),
                (exceptions.NotEmptyError, zk.delete("/a")),
                (exceptions.NoChildrenForEphemeralsError, zk.create(path + "/x")),
                (exceptions.UnimplementedError, zk._ask(type("Odd", (), {"type": 1000})())),
                (TypeError, zk.create(b"/bytes")),  # type: ignore[call-overload]
                (TypeError, zk.set("/a", "text")),  # type: ignore[arg-type]
                (TypeError, zk.get("/a", watch="no function")),  # type: ignore[arg-type]
            ]:
                with pytest.raises(error):
                    await call
            assert await zk.delete("/a", recursive=True) is None and not await zk.exists("/a")
            assert (await zk.create_ttl("/ttl", 10**9), await zk.create_container("/box")) == ("/ttl", "/box")
            assert await zk.command(b"ruok") == "imok" and (await zk.server_version())[0] == 3
        with pytest.raises(exceptions.ConnectionClosedError):
            await zk.get("/a")
        assert not zk.connected and zk.client_id is None

    run(main())


def test_transactions(url: str) -> None:
    """All or nothing, with a result for each operation."""

    async def main() -> None:
        async with KazooClient(url) as zk:
            async with zk.transaction() as both:
                both.create("/a", b"1")
                both.set_data("/a", b"2")
                both.check("/a", 1)
                both.delete("/a")
            assert [type(each) for each in both.results[:2]] == [str, type(await zk.exists("/"))]
            assert both.results[2:] == [True, True]
            failing = zk.transaction()
            failing.create("/b")
            failing.delete("/none")
            results = await failing.commit()
            assert isinstance(results[0], exceptions.RolledBackError)
            assert isinstance(results[1], exceptions.NoNodeError)
            with pytest.raises(ValueError):
                await failing.commit()

    run(main())


def test_a_chroot(url: str) -> None:
    """Paths are below it, in requests, answers and events."""

    async def main() -> None:
        async with KazooClient(url) as zk:
            await zk.ensure_path("/app/inside")
            async with KazooClient(url + "/app/inside") as inside:
                async with inside.watch("/", recursive=True) as events:
                    assert await inside.create("/a") == "/a"
                    assert (await events.__anext__()).path == "/a"
                async with inside.transaction() as one:
                    one.create("/b")
                assert one.results == ["/b"]
            assert sorted(await zk.get_children("/app/inside")) == ["a", "b"]

    run(main())


def test_watch_functions_are_called_before_the_answer_that_shows_it(url: str) -> None:
    """Once each, in order."""

    async def main() -> None:
        async with KazooClient(url) as zk, KazooClient(url) as other:
            told: List[Any] = []
            await zk.ensure_path("/a")
            await zk.get("/a", told.append)
            await zk.get_children("/a", told.append)
            await zk.exists("/b", told.append)
            await other.set("/a", b"1")
            await other.create("/a/c")
            await other.create("/b")
            assert await zk.exists("/b")
            expected = [(EventType.CHANGED, "/a"), (EventType.CHILD, "/a"), (EventType.CREATED, "/b")]
            assert [(event.type, event.path) for event in told] == expected
            await other.set("/a", b"2")
            await zk.sync("/")
            assert len(told) == 3

    run(main())


def test_iterators(url: str) -> None:
    """A node's data, its children, all that changes below it, and the states."""

    async def main() -> None:
        async with KazooClient(url) as zk, KazooClient(url) as other:
            async with zk.data_watch("/a") as data, zk.states() as states:
                assert await data.__anext__() == (None, None)
                await other.create("/a", b"1")
                assert (await data.__anext__())[0] == b"1"
                await other.set("/a", b"2")
                await other.set("/a", b"3")
                assert (await data.__anext__())[0] in (b"2", b"3")
                assert await states.__anext__() == KazooState.CONNECTED
            seen = []
            async for names in zk.children_watch("/a"):
                seen.append(names)
                if names == ["b"]:
                    await other.delete("/a", recursive=True)
                else:
                    await other.create("/a/b")
            assert seen[:2] == [[], ["b"]]
            with pytest.raises(exceptions.NoNodeError):
                await zk.children_watch("/none").__anext__()
            assert len(zk._watches) == 0

    run(main())


def test_callbacks(memory_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """kazoo's DataWatch and ChildrenWatch: functions, coroutine functions and decorators; False ends them."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk, KazooClient(memory_url) as other:
            seen: List[Any] = []
            events: List[Any] = []
            news = asyncio.Event()

            async def on_data(data: Any, stat: Any, event: Any) -> None:
                seen.append((data, event and event.type))
                news.set()

            @zk.DataWatch("/a")
            def once(data: Any, stat: Any) -> bool:
                events.append(data)
                return False

            def on_children(names: List[str], event: Any) -> None:
                events.append((names, event and event.type))
                news.set()
                raise ZeroDivisionError

            async def told(value: Any) -> None:
                while value not in (*seen, *events):
                    news.clear()
                    await news.wait()

            watch = await zk.DataWatch("/a", on_data)
            assert seen == [(None, None)] and events == [None]
            with pytest.raises(exceptions.NoNodeError):
                await zk.ChildrenWatch("/a", on_children)
            with pytest.raises(exceptions.KazooException):
                watch(on_data)
            await other.create("/a", b"1")
            await told((b"1", EventType.CREATED))
            await zk.ChildrenWatch("/a", on_children, send_event=True)
            await other.create("/a/b")
            await told((["b"], EventType.CHILD))
            assert "ZeroDivisionError" in caplog.text
            assert zk._connection is not None
            zk._connection.hang_up()
            await other.set("/a", b"2")
            while seen[-1][0] != b"2":
                news.clear()
                await news.wait()
            await zk.ChildrenWatch("/a", print, allow_session_lost=False)
            assert len(zk._tasks) == 3
            watch.stop()
            await _expire(other, zk.client_id)
            while len(zk._tasks) > 1:
                await asyncio.sleep(0.01)
            while len(zk._watches) != 1:
                await asyncio.sleep(0.01)
            await other.delete("/a", recursive=True)
            while zk._tasks:
                await asyncio.sleep(0.01)
            await other.sync("/")
            assert events.count(None) == 1 and len(seen) == 3
        with pytest.raises(exceptions.ConnectionClosedError):
            zk.DataWatch("/a", print)

    run(main())


def test_an_iterator_that_is_forgotten_leaves_nothing(memory_url: str) -> None:
    """Who breaks out of it; and one that waits ends with the client."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk:
            await zk.create("/a")
            async for _ in zk.data_watch("/a"):
                break
            async for _ in zk.states():
                break
            watch = zk.watch("/a")
            waiting = asyncio.ensure_future(watch.__anext__())
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait({waiting})
            await zk.set("/a", b"x")
            assert (await watch.__anext__()).path == "/a"
            del watch, waiting
            assert len(zk._watches) == 0 and not zk._listeners
            ends = [asyncio.ensure_future(_all(each)) for each in (zk.watch("/a"), zk.states(), zk.data_watch("/a"))]
            await asyncio.sleep(0.01)
        assert [len(each) for each in await asyncio.gather(*ends)] == [0, 2, 1]

    async def _all(iterator: Any) -> List[Any]:
        return [each async for each in iterator]

    run(main())


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
                await _expire(other, session)
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


async def _expire(other: KazooClient, session: Any) -> None:
    """Takes the session over, and closes it, as kazoo's own tests expire one; but for its owner it has expired."""
    from fk_backend.core.requests import Expire
    from fk_backend.layout import beat_key
    from fk_backend.messages import Message, encode

    deployment = memory.deployment(other.deployment.deployment)
    (beats,) = await deployment.store.get([beat_key("default", session[0])])
    expiry = Expire(session[0], 0 if beats is None else beats.rev)
    await deployment.send("default", "heartbeat:test:0", encode(Message("", 0, 0, (expiry,), 0)))


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


# --- one deployment, several loops ------------------------------------------------------------------


@pytest.mark.parametrize("closed", [False, True], ids=["that runs", "that is closed"])
def test_a_client_of_another_loop(memory_url: str, closed: bool) -> None:
    """Every use is refused with what to do, instead of waiting for a loop that does not call it; a new client works."""
    zk = KazooClient(memory_url)

    async def elsewhere() -> None:
        uses = (zk.start(), zk.stop(), zk.restart(), zk.set("/a", b""), zk.get("/a"), zk.Lock("/l").acquire())
        for use in (*uses, zk.transaction().commit()):
            with pytest.raises(RuntimeError, match="another event loop.*" + ("closed" if closed else "use it there")):
                await asyncio.wait_for(use, 10)
        async with KazooClient(memory_url) as mine:
            await mine.create("/mine", b"")

    async def main() -> None:
        await zk.start()
        await zk.create("/a", b"1")
        if not closed:
            await asyncio.get_running_loop().run_in_executor(None, asyncio.run, elsewhere())
            assert await zk.get_children("/mine") == []
            await zk.stop()

    asyncio.run(main())
    if closed:
        asyncio.run(elsewhere())
    else:
        run(_starts_again(zk))


async def _starts_again(zk: KazooClient) -> None:
    """Which is allowed in any loop once it was stopped."""
    async with zk:
        assert (await zk.get("/a"))[0] == b"1"


def test_a_tree_outlives_its_event_loop(url: str) -> None:
    """One loop after the other; also where the first one was not closed properly."""

    async def first() -> None:
        async with KazooClient(url) as zk:
            await zk.create("/a", b"1")

    async def second() -> None:
        async with KazooClient(url) as zk:
            assert (await zk.get("/a"))[0] == b"1"

    async def never_stopped() -> None:
        await KazooClient(url).start()

    run(first())
    run(second())
    asyncio.run(never_stopped())  # which cancels what is left
    run(second())
    if url.startswith("memory"):
        loop = asyncio.new_event_loop()
        left_open = KazooClient(url)
        loop.run_until_complete(left_open.start())
        run(second())  # it stands still
        assert loop.run_until_complete(left_open.get("/a"))[0] == b"1"
        loop.run_until_complete(left_open.stop())
        loop.close()
        run(second())


@pytest.mark.parametrize("first", ["threads", "asyncio"])
def test_beside_a_client_with_threads(url: str, first: str) -> None:
    """In one process, whoever comes first: one tree, one order, and each other's locks."""

    async def main() -> None:
        threaded, zk = ThreadedClient(url), KazooClient(url)
        loop = asyncio.get_running_loop()
        if first == "asyncio":
            await zk.start()
        await loop.run_in_executor(None, threaded.start)
        await zk.start()
        try:
            await zk.create("/a", b"1")
            assert (await loop.run_in_executor(None, threaded.get, "/a"))[0] == b"1"
            async with zk.watch("/a") as events:
                await loop.run_in_executor(None, threaded.set, "/a", b"2")
                assert (await events.__anext__()).path == "/a"
            theirs = threaded.Lock("/lock", "threads")
            async with zk.Lock("/lock", "asyncio"):
                assert not await loop.run_in_executor(None, lambda: theirs.acquire(blocking=False))
                assert await loop.run_in_executor(None, threaded.Lock("/lock").contenders) == ["asyncio"]
            assert await loop.run_in_executor(None, theirs.acquire)
            ours = zk.Lock("/lock")
            assert not await ours.acquire(blocking=False)
            waiting = asyncio.ensure_future(ours.acquire(timeout=20))
            await loop.run_in_executor(None, theirs.release)
            assert await waiting and await ours.release()
        finally:
            await zk.stop()
            await loop.run_in_executor(None, threaded.stop)
            await loop.run_in_executor(None, threaded.close)
            loop.call_later(0, lambda: None)
            await loop.shutdown_default_executor()

    run(main())


def test_the_other_loop_of_a_deployment_may_end(memory_url: str) -> None:
    """A client with threads loses the loop in which its deployment lived: it goes on with the same session."""
    threaded = ThreadedClient(memory_url)

    async def main() -> None:
        async with KazooClient(memory_url) as zk:
            await asyncio.get_running_loop().run_in_executor(None, threaded.start)
            await asyncio.get_running_loop().run_in_executor(None, lambda: threaded.create("/mine", ephemeral=True))
            assert await zk.exists("/mine")

    run(main())
    assert threaded.retry(threaded.get, "/mine")[1].ephemeralOwner == threaded.client_id[0]  # type: ignore[index]
    threaded.stop()
    threaded.close()


@pytest.mark.parametrize("first", ["threads", "asyncio"])
def test_writes_in_callers_threads_beside_other_loops(memory_url: str, first: str, monkeypatch: Any) -> None:
    """Threads with clients of their own, loops with clients of their own: one order, and nothing is lost in it."""
    rounds, in_place, write = 25, [], InProcessDirect.write

    async def noted(self: Any, *args: Any) -> Any:
        written = await write(self, *args)
        in_place.append(written is not None)
        return written

    monkeypatch.setattr(InProcessDirect, "write", noted)

    def in_a_thread() -> None:
        client = ThreadedClient(memory_url)
        client.start()
        for _ in range(rounds):
            client.create("/made/n-", sequence=True)
            while True:
                value, stat = client.get("/count")
                try:
                    client.set("/count", b"%d" % (int(value) + 1), stat.version)
                    break
                except exceptions.BadVersionError:
                    continue
        client.stop()
        client.close()

    async def in_this_loop() -> None:
        async with KazooClient(memory_url) as zk:
            for _ in range(rounds):
                await zk.create("/made/n-", sequence=True)
                while True:
                    value, stat = await zk.get("/count")
                    try:
                        await zk.set("/count", b"%d" % (int(value) + 1), stat.version)
                        break
                    except exceptions.BadVersionError:
                        continue

    async def main() -> None:
        threaded, zk = ThreadedClient(memory_url), KazooClient(memory_url)
        loop, workers = asyncio.get_running_loop(), ThreadPoolExecutor(4)
        if first == "asyncio":
            await zk.start()
        await loop.run_in_executor(workers, threaded.start)
        await zk.start()
        await zk.create("/made")
        await zk.create("/count", b"0")
        apart = [
            loop.run_in_executor(workers, each) for each in (in_a_thread, in_a_thread, lambda: run(in_this_loop()))
        ]
        await asyncio.gather(in_this_loop(), *apart)
        assert (await zk.get("/count"))[0] == b"%d" % (4 * rounds)
        assert sorted(await zk.get_children("/made")) == ["n-%010d" % number for number in range(4 * rounds)]
        await zk.stop()
        await loop.run_in_executor(workers, threaded.stop)
        threaded.close()
        workers.shutdown()

    run(main())
    assert any(in_place)  # by whoever lives in the loop in which the deployment does


def test_uvloop(url: str) -> None:
    """As in asyncio's own loop."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def main() -> None:
        async with KazooClient(url) as zk, KazooClient(url) as other:
            async with zk.Lock("/lock"), zk.watch("/lock", recursive=True) as events:
                assert not await other.Lock("/lock").acquire(blocking=False)
                assert (await events.__anext__()).type == EventType.CREATED

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


TRIO = """
import sys
import trio
import trio_asyncio
from kazoo.protocol.states import EventType
from fk_kazoo.aio import KazooClient


async def main():
    async with trio_asyncio.open_loop():
        zk, other = KazooClient(sys.argv[1]), KazooClient(sys.argv[1])
        call = trio_asyncio.aio_as_trio
        async with call(zk), call(other):
            await call(zk.create)("/a")
            async with call(zk.watch("/a")) as events:
                await call(other.set)("/a", b"1")
                assert (await call(events.__anext__)()).type == EventType.CHANGED
            await call(other.Lock("/lock").acquire)()
            with trio.move_on_after(0.2) as scope:
                async with call(zk.Lock("/lock")):
                    raise AssertionError
            assert scope.cancelled_caught
            assert len(await call(zk.get_children)("/lock")) == 1


trio.run(main)
"""


def test_trio(url: str) -> None:
    """In the event loop of trio-asyncio: the calls, an iterator, and a cancel scope that leaves no contender behind.

    In a process of its own: importing trio-asyncio changes what an event loop is, for everybody.
    """
    pytest.importorskip("trio", reason="trio is not installed")
    if importlib.util.find_spec("trio_asyncio") is None:
        pytest.skip("trio-asyncio is not installed")
    subprocess.run([sys.executable, "-W", "ignore", "-c", TRIO, url], check=True, timeout=60)


def test_a_deployment_that_stops_answering(memory_url: str) -> None:
    """The end is bounded."""

    async def main() -> None:
        zk = KazooClient(memory_url)
        await zk.start()

        async def refuse(*_: Any) -> None:
            raise Unavailable("out of reach")

        deployment: Any = memory.deployment(memory_url.partition("//")[2])
        deployment.send, deployment.direct = refuse, None
        with pytest.raises(exceptions.ConnectionLoss):
            waiting = asyncio.ensure_future(zk.create("/a"))
            await asyncio.sleep(0.01)
            await zk.stop()
            await waiting

    run(main())
