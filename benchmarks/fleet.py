"""`python -m benchmarks.fleet 100 500`: what a fleet of processes on postgresql:// takes of the server.

Each is a process with one client that holds an ephemeral; all are idle, and then all write at once. Beside them one
client sets a node of another namespace, alone, and one watches it: whether they notice how many others listen.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import statistics
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import asyncpg

from compat_tests.on_postgres import PostgresServer
from fk_kazoo.client import KazooClient

from .member import PATIENCE_S, member
from .report import machine
from .systems import family, proportional_kb

AT_A_TIME = 20
"""So many start together."""
SETTLED_S = 25.0
"""After so long a connection that nobody needed is closed."""
COUNT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fk_kazoo'"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["benchmarks.member", "fk_backend.providers.postgres.gateway"])


class Fleet:
    """The processes that run. ``grow`` it, and ``end`` it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ends: List[Connection] = []
        self._processes: List[Any] = []

    def grow(self, count: int) -> None:
        """Until there are so many."""
        while len(self._ends) < count:
            begun = []
            for _ in range(min(AT_A_TIME, count - len(self._ends))):
                here, there = FORKS.Pipe()
                process = FORKS.Process(target=member, args=(self._url, there), daemon=True)
                process.start()
                there.close()
                begun.append(here)
                self._processes.append(process)
            self._ends += begun
            self._receive(begun)

    def _receive(self, ends: Sequence[Connection]) -> List[Any]:
        for each in ends:
            if not each.poll(PATIENCE_S):
                raise RuntimeError("a process of the fleet says nothing")
        return [each.recv() for each in ends]

    def write(self) -> float:
        """All of them at once; milliseconds of a write, in the median of the processes."""
        for each in self._ends:
            each.send("write")
        return float(statistics.median(self._receive(self._ends)))

    def end(self) -> None:
        """All of them, in order."""
        for each in self._ends:
            each.send("end")
        self._receive(self._ends)
        for process in self._processes:
            process.join(PATIENCE_S)


class Peak:
    """The most connections that were seen while a block ran."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._over = threading.Event()
        self.most = 0
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            with contextlib.suppress(OSError, asyncio.TimeoutError, asyncpg.PostgresError):  # it may have no room
                self.most = max(self.most, int(self._server.ask(COUNT)[0][0]))

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _backends(server: PostgresServer, measure: Callable[[int], float]) -> Dict[int, float]:
    """Of each of the server's processes what is measured; they come and go."""
    assert server.process is not None
    found: Dict[int, float] = {}
    for pid in family(server.process.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[pid] = measure(pid)
    return found


def _processor_s(pid: int) -> float:
    fields = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def _alone(client: KazooClient, watcher: KazooClient) -> Dict[str, float]:
    """Milliseconds of a set with no company, and until a watch of another process's connection has heard of it."""
    sets, heard = [], []
    for n in range(100):
        came = threading.Event()
        watcher.get("/alone", watch=lambda event: came.set())  # noqa: B023
        started = time.perf_counter()
        client.set("/alone", b"%d" % n)
        sets.append(time.perf_counter() - started)
        assert came.wait(PATIENCE_S)
        heard.append(time.perf_counter() - started)
    return {"set": statistics.median(sets) * 1000, "event": statistics.median(heard) * 1000}


def run(sizes: Sequence[int], most: int) -> List[Dict[str, Any]]:
    """A row for each size."""
    rows: List[Dict[str, Any]] = []
    with PostgresServer(fsync=True, settings={"max_connections": str(most)}) as server:
        fleet = Fleet(server.url + "?namespace=fleet")
        clients = [KazooClient(server.url + "?namespace=alone" + more) for more in ("", "&via=queue")]
        for each in clients:
            each.start(PATIENCE_S)
        clients[0].create("/alone")
        for size in sizes:
            with Peak(server) as starting:
                fleet.grow(size)
            time.sleep(SETTLED_S)
            row: Dict[str, Any] = {"processes": size, "idle": int(server.ask(COUNT)[0][0]), "starting": starting.most}
            before = _backends(server, _processor_s)
            time.sleep(10.0)
            after = _backends(server, _processor_s)
            row["processor"] = sum(after[pid] - before[pid] for pid in before.keys() & after.keys()) / 10.0
            row["mb"] = sum(_backends(server, proportional_kb).values()) / 1024
            row.update(_alone(*clients))
            with Peak(server) as writing:
                row["all write"] = fleet.write()
            row["writing"] = writing.most
            rows.append(row)
            print(json.dumps(row), flush=True)
        fleet.end()
        for each in clients:
            each.stop()
    return rows


def main() -> None:
    """Prints the rows as they come."""
    parser = argparse.ArgumentParser("python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[1, 100, 500], help="how many processes")
    parser.add_argument("--max-connections", type=int, default=2000, help="of the server (default: %(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    print(json.dumps(machine()), flush=True)
    run(options.sizes, options.max_connections)


if __name__ == "__main__":
    main()
