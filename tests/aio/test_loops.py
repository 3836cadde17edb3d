"""One deployment and several event loops, or a loop of another kind, or one that ends."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fk_backend.errors import Unavailable
from fk_backend.providers import memory
from fk_backend.providers.direct import InProcessDirect
from fk_kazoo import exceptions
from fk_kazoo.aio import EventType, KazooClient
from fk_kazoo.client import KazooClient as ThreadedClient

from .support import run

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
