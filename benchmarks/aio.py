"""`python -m benchmarks.aio`: the client for asyncio beside the one with threads, in one run; and what a session takes.

Both have a deployment of their own of each kind. They take turns, round by round, so that whatever else the machine
does meets both; a ratio is of one round, and what is printed is the median of them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Awaitable, Callable, Dict, List

from fk_kazoo.aio import KazooClient
from fk_kazoo.client import KazooClient as ThreadedClient

DATA = b"x" * 100
TASKS = 20
ROWS = {
    "set, one after the other": 1,
    "get, one after the other": 1,
    "get with a watch, a set by another client, its event": 4,
    "%d sets at once" % TASKS: TASKS,
    "lock and release": 4,
}
"""Of each, a round has that many times fewer."""


async def _with_asyncio(zk: KazooClient, other: KazooClient, row: str, count: int) -> float:
    async def one_set() -> object:
        return await zk.set("/a", DATA)

    async def one_get() -> object:
        return await zk.get("/a")

    async def one_watch() -> None:
        bell = asyncio.Event()
        await zk.get("/a", lambda event: bell.set())
        await other.set("/a", DATA)
        await bell.wait()

    async def one_lock() -> None:
        async with zk.Lock("/lock"):
            pass

    async def at_once() -> None:
        await asyncio.gather(*(one_set() for _ in range(TASKS)))

    calls: Dict[str, Callable[[], Awaitable[object]]] = dict(
        zip(ROWS, (one_set, one_get, one_watch, at_once, one_lock))
    )
    started = time.perf_counter()
    for _ in range(count):
        await calls[row]()
    return time.perf_counter() - started


def _with_threads(zk: Any, other: Any, row: str, count: int, pool: ThreadPoolExecutor) -> float:
    def one_watch() -> None:
        bell = zk.handler.event_object()
        zk.get("/a", lambda event: bell.set())
        other.set("/a", DATA)
        bell.wait()

    def one_lock() -> None:
        with zk.Lock("/lock"):
            pass

    def at_once() -> None:
        for result in [zk.set_async("/a", DATA) for _ in range(TASKS)]:
            result.get()

    calls: Dict[str, Callable[[], object]] = dict(
        zip(ROWS, (lambda: zk.set("/a", DATA), lambda: zk.get("/a"), one_watch, at_once, one_lock))
    )

    def work() -> float:
        started = time.perf_counter()
        for _ in range(count):
            calls[row]()
        return time.perf_counter() - started

    return pool.submit(work).result()  # as an app's thread that is not the main one


async def compare(scheme: str, rounds: int, count: int) -> List[str]:
    """A table's rows: microseconds of each, and the ratio."""
    lines: List[str] = []
    threaded = [ThreadedClient("%s://bench-threads" % scheme) for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        for client in threaded:
            client.start()
        threaded[0].ensure_path("/a")
        url = "%s://bench-asyncio" % scheme
        async with KazooClient(url) as zk, KazooClient(url) as other:
            await zk.ensure_path("/a")
            for row in ROWS:
                each = max(1, count // ROWS[row])
                ours: List[float] = []
                theirs: List[float] = []
                for _ in range(rounds):
                    ours.append(await _with_asyncio(zk, other, row, each) / each * 1e6)
                    theirs.append(_with_threads(*threaded, row, each, pool) / each * 1e6)
                ratio = statistics.median(their / our for our, their in zip(ours, theirs))
                words = (scheme, row, statistics.median(theirs), statistics.median(ours), ratio)
                lines.append("| `%s://` | %s | %.0f | %.0f | %.1f |" % words)
        for client in threaded:
            client.stop()
            client.close()
    return lines


def resident_bytes() -> int:
    """Of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def sessions(url: str, count: int) -> float:
    """Bytes for each of so many started clients, as the system counts them."""
    clients = [KazooClient(url, timeout=600.0) for _ in range(count)]
    await clients[0].start()
    await asyncio.gather(*(client.start() for client in clients[1:11]))
    gc.collect()
    before = resident_bytes()
    for first in range(11, count, 100):
        await asyncio.gather(*(client.start(60.0) for client in clients[first : first + 100]))
    gc.collect()
    grown = resident_bytes() - before
    for first in range(0, count, 100):
        await asyncio.gather(*(client.stop() for client in clients[first : first + 100]))
    return grown / (count - 11)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.aio", description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--count", type=int, default=200, help="of each call in a round (default: %(default)s)")
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--only-sessions", metavar="URL", help="what a session takes, in this process")
    options = parser.parse_args()
    if options.only_sessions:
        print("%.1f" % (asyncio.run(sessions(options.only_sessions, options.sessions)) / 1000))
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("FK_KAZOO_HOME")) as home:
        os.environ["FK_KAZOO_HOME"] = home
        print("| | | threads, µs | asyncio, µs | times as fast |\n| --- | --- | --- | --- | --- |")
        for scheme in ("memory", "local"):
            print("\n".join(asyncio.run(compare(scheme, options.rounds, options.count))), flush=True)
        for scheme in ("memory", "local"):
            command = [sys.executable, "-m", "benchmarks.aio", "--only-sessions", "%s://sessions" % scheme]
            done = subprocess.run([*command, "--sessions", str(options.sessions)], stdout=subprocess.PIPE, check=True)
            words = (options.sessions, scheme, float(done.stdout))
            print("%d sessions in one process, %s://: %.1f kB each, with what the deployment keeps of them" % words)
        print("load: %.1f" % os.getloadavg()[0])


if __name__ == "__main__":
    main()
