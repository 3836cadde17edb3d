"""`python -m benchmarks.gateway`: a gateway on local:// beside a ZooKeeper, with the same client of kazoo's.

Both force their writes to the disk. Rounds of the two take turns, so that whatever else the machine does hits both; a
ratio is of neighbouring rounds. Beside the time is what the server's process took of a processor, which depends less on
who else uses the machine.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from kazoo.client import KazooClient

from fk_kazoo import jute
from tests.differential.zookeeper_server import ZookeeperServer

from .report import machine
from .systems import HEAP, REPOSITORY, proportional_kb

PIPELINED = 300
IDLE_TIMEOUT_MS = 600_000
OPENED_TOGETHER = 50
PATIENCE_S = 60.0


class Side(NamedTuple):
    """A server that runs."""

    name: str
    port: int
    pid: int
    client: KazooClient


Work = Callable[[KazooClient, int], None]
"""One round, so many times."""


def _each(call: Callable[[KazooClient, int], Any]) -> Work:
    def work(client: KazooClient, count: int) -> None:
        for n in range(count):
            call(client, n)

    return work


def _together(call: Callable[[KazooClient], Any]) -> Work:
    def work(client: KazooClient, count: int) -> None:
        for answer in [call(client) for _ in range(count)]:
            answer.get(timeout=PATIENCE_S)

    return work


ROWS: Dict[str, Work] = {
    "set": _each(lambda client, n: client.set("/node", b"x" * 100)),
    "create": _each(lambda client, n: client.create("/many/n-", b"x" * 100, sequence=True)),
    "get": _each(lambda client, n: client.get("/node")),
    "exists": _each(lambda client, n: client.exists("/node")),
    "pipelined sets": _together(lambda client: client.set_async("/node", b"x" * 100)),
    "pipelined gets": _together(lambda client: client.get_async("/node")),
}


def _processor_s(pid: int) -> float:
    fields = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def _measured(side: Side, work: Work, count: int) -> Tuple[float, float]:
    """Milliseconds of one: by the clock, and of the server's processor."""
    before, started = _processor_s(side.pid), time.perf_counter()
    work(side.client, count)
    took = time.perf_counter() - started
    return took / count * 1000, (_processor_s(side.pid) - before) / count * 1000


def _compared(sides: Sequence[Side], rounds: int, count: int) -> Iterator[Dict[str, Any]]:
    for name, work in ROWS.items():
        many = PIPELINED if name.startswith("pipelined") else count
        for side in sides:
            work(side.client, many)  # whatever is only slow at first
        found: List[List[Tuple[float, float]]] = [
            [_measured(side, work, many) for side in sides] for _ in range(rounds)
        ]
        row: Dict[str, Any] = {"row": name}
        for n, side in enumerate(sides):
            row[side.name] = statistics.median(each[n][0] for each in found)
            row[side.name + " processor"] = statistics.median(each[n][1] for each in found)
        row["speed"] = statistics.median(zookeeper[0] / gateway[0] for gateway, zookeeper in found)
        yield row


def _idle(port: int, count: int) -> List[socket.socket]:
    """So many clients that have a session and say nothing, some of them opened together."""
    with ThreadPoolExecutor(OPENED_TOGETHER) as pool:
        return list(pool.map(lambda _: _opened(port), range(count)))


def _opened(port: int) -> socket.socket:
    begins = jute.framed(struct.pack(">iqiq", 0, 0, IDLE_TIMEOUT_MS, 0) + jute.buffer(bytes(16)) + b"\0")
    made = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    made.sendall(begins)
    answer = b""
    while len(answer) < 41:
        part = made.recv(64)
        assert part, "hung up on"
        answer += part
    return made


def _grown(side: Side, steps: Sequence[int], count: int) -> Iterator[Dict[str, Any]]:
    """Memory with idle clients, what they take of a processor, and what others notice of them."""
    idle: List[socket.socket] = []
    for step in steps:
        idle += _idle(side.port, step - len(idle))
        set_ms = statistics.median(_measured(side, ROWS["set"], count)[0] for _ in range(3))
        get_ms = statistics.median(_measured(side, ROWS["get"], count)[0] for _ in range(3))
        before = _processor_s(side.pid)
        time.sleep(5.0)
        busy = (_processor_s(side.pid) - before) / 5.0
        mb = proportional_kb(side.pid) / 1024
        yield {"side": side.name, "idle": step, "mb": mb, "processor": busy, "set": set_ms, "get": get_ms}
    for each in idle:
        each.close()


def _client(port: int) -> KazooClient:
    client = KazooClient("127.0.0.1:%d" % port, timeout=60.0)
    client.start(PATIENCE_S)
    client.create("/node", b"")
    client.create("/many")
    return client


def run(options: argparse.Namespace) -> Dict[str, Any]:
    """The results."""
    results: Dict[str, Any] = {"machine": machine(), "rows": [], "idle": []}
    with tempfile.TemporaryDirectory(dir=options.disk) as place:
        (Path(place) / "zookeeper").mkdir()
        environ = {**os.environ, "FK_KAZOO_HOME": place}
        command = [sys.executable, "-m", "fk_kazoo", "serve", "local://bench", "--listen", "127.0.0.1:0"]
        with (
            ZookeeperServer(Path(place) / "zookeeper", durable=True, heap=HEAP) as zookeeper,
            subprocess.Popen(
                [*command, "--max-client-cnxns", "0"], stdout=subprocess.PIPE, text=True, env=environ
            ) as gateway,
        ):
            try:
                assert gateway.stdout is not None
                port = int(gateway.stdout.readline().rpartition(":")[2])
                sides = [Side("gateway", port, gateway.pid, _client(port))]
                sides.append(Side("zookeeper", zookeeper.port, zookeeper.pid, _client(zookeeper.port)))
                for row in _compared(sides, options.rounds, options.count):
                    results["rows"].append(row)
                    print(json.dumps(row), flush=True)
                for side in sides:
                    for row in _grown(side, options.idle, options.count):
                        results["idle"].append(row)
                        print(json.dumps(row), flush=True)
                for side in sides:
                    side.client.stop()
            finally:
                gateway.terminate()
    results["load at the end"] = os.getloadavg()[0]
    return results


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--count", type=int, default=200, help="of each in a round; pipelined ones: %d" % PIPELINED)
    parser.add_argument("--idle", type=int, nargs="*", default=[0, 1000, 2000, 5000])
    parser.add_argument(
        "--disk", type=Path, default=REPOSITORY / ".cache", help="a directory on a real disk (default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    print(json.dumps(run(_arguments()), indent=1))
