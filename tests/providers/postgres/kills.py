"""Processes killed with SIGKILL, servers too, while others write on; then every write that was answered is read again.

python -m tests.providers.postgres.kills ROUNDS
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

from compat_tests.on_postgres import PostgresServer
from fk_kazoo.client import KazooClient

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 45.0
SERVER_EVERY = 3
"""Each of so many rounds kills the server, the others a client: which one may be the writer."""


class Setter:
    """One `setter`, started again whenever it was killed."""

    def __init__(self, url: str, path: str) -> None:
        self._url, self.path = url, path
        self.said: List[Tuple[str, int, str]] = []
        self.start()

    def start(self) -> None:
        """In a process of its own."""
        command = [sys.executable, "-m", "tests.providers.postgres.setter", self._url, self.path]
        environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, args=[self.process])
        self._reader.start()

    def _read(self, process: Any) -> None:
        for line in process.stdout:
            if line.endswith("\n"):
                what, number, more = line.split()
                self.said.append((what, int(number), more))

    def kill(self) -> None:
        """As nobody can prevent."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.said.append(("killed", 0, ""))

    @property
    def answered(self) -> List[Tuple[int, int]]:
        """(number, version) of each write that was answered."""
        return [(number, int(more)) for what, number, more in self.said if what == "set"]

    def wait_for_more(self) -> None:
        """Until something more is answered."""
        count, until = len(self.answered), time.monotonic() + PATIENCE_S
        while len(self.answered) <= count:
            assert time.monotonic() < until, "%s: nothing is answered any more: %r" % (self.path, self.said[-5:])
            assert self.process.poll() is None, "the setter ended"
            time.sleep(0.01)

    def judge(self, data: bytes, version: int) -> None:
        """Nothing answered is lost, and nothing is done twice: each write adds one to the version."""
        numbers, versions = [n for n, _ in self.answered], [v for _, v in self.answered]
        assert versions == sorted(set(versions)), "versions go back or come twice"
        open_ends = len([1 for what, _, _ in self.said if what != "set"])
        assert len(versions) <= version <= len(versions) + open_ends, (len(versions), version, open_ends)
        assert not numbers or int(data) >= numbers[-1], "%s holds %r, %d was answered" % (self.path, data, numbers[-1])


def crash(server: PostgresServer) -> None:
    """The server is killed, and started again."""
    server.stop(signal.SIGKILL)
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return server.start()
        except AssertionError:  # its children have not noticed yet, and have its memory
            assert time.monotonic() < until
            time.sleep(0.2)


def run(server: PostgresServer, rounds: int, seed: int) -> Dict[str, int]:
    """Kills, and judges. How many of what."""
    chance = random.Random(seed)
    url = server.url + "?namespace=kills-%d" % seed
    setters = [Setter(url, "/set-%d" % number) for number in range(2)]
    killed = {"servers": 0, "clients": 0}
    try:
        for each in setters:
            each.wait_for_more()
        for number in range(1, rounds + 1):
            time.sleep(chance.random() * 0.3)
            if number % SERVER_EVERY == 0:
                crash(server)
                killed["servers"] += 1
            else:
                victim = setters[number % len(setters)]
                victim.kill()
                victim.start()
                killed["clients"] += 1
            for each in setters:
                each.wait_for_more()
    finally:
        for each in setters:
            each.kill()
    zk = KazooClient(url)
    zk.start(timeout=30)
    try:
        for each in setters:
            data, stat = zk.get(each.path)
            each.judge(data, stat.version)
    finally:
        zk.stop()
        zk.close()
    return {**killed, "answered": sum(len(each.answered) for each in setters)}


def main() -> None:
    """Prints what it did."""
    started, seed = time.monotonic(), random.randrange(1 << 16)
    with PostgresServer() as server:
        done = run(server, int(sys.argv[1]), seed)
    print("seed %d: %s in %.0f s: nothing answered was lost or done twice" % (seed, done, time.monotonic() - started))


if __name__ == "__main__":
    main()
