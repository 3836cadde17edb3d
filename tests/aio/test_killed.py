"""Processes with clients for asyncio, killed with SIGKILL while they hold something: the others go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import AsyncIterator, List, Tuple

import pytest

from fk_kazoo.aio import KazooClient

from .support import run

HOLDER = """
import asyncio, sys
from fk_kazoo.aio import KazooClient

async def main(url, path):
    async with KazooClient(url, timeout=2.0) as zk:
        lock = zk.Lock(path, "killed")
        await lock.acquire()
        await zk.create(path + "-of-the-killed", b"", ephemeral=True)
        print("held", lock.fence, flush=True)
        await zk.get_children(path)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@contextlib.asynccontextmanager
async def holder(url: str, path: str) -> AsyncIterator[Tuple[asyncio.subprocess.Process, int]]:
    """A process that holds the lock, and the lock's fence."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, url, path, stdout=pipe)
    try:
        assert process.stdout is not None
        words = (await asyncio.wait_for(process.stdout.readline(), 30)).split()
        assert words and words[0] == b"held"
        yield process, int(words[1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("came_first", ["the killed", "the others"])
def test_who_holds_a_lock_is_killed(came_first: str) -> None:
    """Its lock and ephemeral go with its session; who waits gets it with a higher fence, watchers hear of it."""
    url = "local://killed-%d" % os.getpid()

    async def waits(zk: KazooClient, path: str, fences: List[int]) -> None:
        async with zk.Lock(path, "waits") as lock:
            assert lock.fence is not None
            fences.append(lock.fence)

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            if came_first == "the others":
                zk = await stack.enter_async_context(KazooClient(url))
            process, fence = await stack.enter_async_context(holder(url, "/lock"))
            if came_first == "the killed":
                zk = await stack.enter_async_context(KazooClient(url))
            events = await stack.enter_async_context(zk.watch("/lock-of-the-killed"))
            fences = [fence]
            waiting = [asyncio.ensure_future(waits(zk, "/lock", fences)) for _ in range(3)]
            while len(await zk.get_children("/lock")) < 1 + len(waiting):
                await asyncio.sleep(0)
            process.kill()
            await process.wait()
            assert (await events.__anext__()).type == "DELETED"
            await asyncio.gather(*waiting)
            assert fences == sorted(set(fences)) and len(fences) == 4
            assert zk.connected and await zk.get_children("/lock") == []

    run(main())
