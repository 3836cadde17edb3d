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
from typing import Any, Awaitable, Callable, Dict, List, NamedTuple, Tuple

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


class Times(NamedTuple):
    """Of one call, in microseconds: by the clock, and of processors, whoever's threads they ran."""

    wall: float
    processor: float


class Stopwatch:
    """Times so many calls."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> Times:
        """Since it was made."""
        now = time.perf_counter(), time.process_time()
        return Times(*((each - began) / self._calls * 1e6 for each, began in zip(now, self._began)))


async def _with_asyncio(zk: KazooClient, other: KazooClient, row: str, count: int) -> Times:
    async def one_set() -> object:
        return await zk.set("/a", DATA)

    async def one_get() -> object:
        return await zk.get("/a")

    async def one_watch() -> None:
        wakeup = asyncio.Event()
        await zk.get("/a", lambda event: wakeup.set())
        await other.set("/a", DATA)
        await wakeup.wait()

    async def one_lock() -> None:
        async with zk.Lock("/lock"):
            pass

    async def at_once() -> None:
        await asyncio.gather(*(one_set() for _ in range(TASKS)))

    calls: Dict[str, Callable[[], Awaitable[object]]] = dict(
        zip(ROWS, (one_set, one_get, one_watch, at_once, one_lock))
    )
    watch = Stopwatch(count)
    for _ in range(count):
        await calls[row]()
    return watch.read()


def _with_threads(zk: Any, other: Any, row: str, count: int) -> Times:
    def one_watch() -> None:
        wakeup = zk.handler.event_object()
        zk.get("/a", lambda event: wakeup.set())
        other.set("/a", DATA)
        wakeup.wait()

    def one_lock() -> None:
        with zk.Lock("/lock"):
            pass

    def at_once() -> None:
        for result in [zk.set_async("/a", DATA) for _ in range(TASKS)]:
            result.get()

    calls: Dict[str, Callable[[], object]] = dict(
        zip(ROWS, (lambda: zk.set("/a", DATA), lambda: zk.get("/a"), one_watch, at_once, one_lock))
    )

    watch = Stopwatch(count)
    for _ in range(count):
        calls[row]()
    return watch.read()


async def compare(scheme: str, rounds: int, count: int) -> List[str]:
    """A table's rows."""
    lines: List[str] = []
    loop = asyncio.get_running_loop()
    threaded, also = (ThreadedClient("%s://bench-threads" % scheme) for _ in range(2))
    url = "%s://bench-asyncio" % scheme
    for client in (threaded, also):
        await loop.run_in_executor(None, client.start)
    await loop.run_in_executor(None, threaded.ensure_path, "/a")
    async with KazooClient(url) as zk, KazooClient(url) as other:
        await zk.ensure_path("/a")
        for row, fewer in ROWS.items():
            each = max(1, count // fewer)
            pairs: List[Tuple[Times, Times]] = []
            for _ in range(rounds):
                ours = await _with_asyncio(zk, other, row, each)
                pairs.append((await loop.run_in_executor(None, _with_threads, threaded, also, row, each), ours))
            lines.append("| `%s://` | %s | %s |" % (scheme, row, " | ".join(_columns(pairs))))
    for client in (threaded, also):
        await loop.run_in_executor(None, client.stop)
        await loop.run_in_executor(None, client.close)
    return lines


def _columns(pairs: List[Tuple[Times, Times]]) -> List[str]:
    """Both, and the ratio: by the clock, then of processors."""
    found: List[str] = []
    for kind in range(2):
        theirs, ours = ([pair[which][kind] for pair in pairs] for which in range(2))
        ratio = statistics.median(their / our for their, our in zip(theirs, ours))
        found += ["%.0f" % statistics.median(theirs), "%.0f" % statistics.median(ours), "%.1f" % ratio]
    return found


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
        print("| | | threads, µs | asyncio, µs | ratio | threads, µs of processors | asyncio | ratio |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
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
