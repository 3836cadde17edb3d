"""Processes killed with SIGKILL, servers too, while others write on; then every write that was answered is read again.

python -m tests.providers.postgres.kills ROUNDS [SECONDS]
"""

from __future__ import annotations

import math
import multiprocessing
import random
import signal
import sys
import threading
import time
from typing import Any, Dict, List, Sequence, Tuple

from compat_tests.on_postgres import PostgresServer
from fk_kazoo.client import KazooClient

from . import setter

PATIENCE_S = 45.0
SETTERS = 3
SERVER_EVERY, RESTART_EVERY = 8, 20
"""Each of so many rounds kills the server, or restarts it in order; the others a client, which may be the writer."""


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.providers.postgres.setter"])  # a new client has imported everything already


class Setter:
    """One `setter`, started again whenever it was killed. ``locks``: it locks, too, which the next one waits for."""

    def __init__(self, url: str, path: str, locks: bool = False) -> None:
        self._url, self.path, self._locks = url, path, locks
        self.said: List[Tuple[str, int, Any]] = []
        self.start()

    def start(self) -> None:
        """In a process of its own."""
        hears, says = FORKS.Pipe(duplex=False)
        self.process = FORKS.Process(target=setter.main, args=(self._url, self.path, self._locks, says), daemon=True)
        self.process.start()
        says.close()
        self._reader = threading.Thread(target=self._read, args=[hears])
        self._reader.start()

    def _read(self, hears: Any) -> None:
        with hears:
            while True:
                try:
                    self.said.append(hears.recv())
                except (EOFError, OSError):
                    return

    def kill(self) -> None:
        """As nobody can prevent."""
        self.process.kill()
        self.process.join()
        self._reader.join()
        self.said.append(("killed", 0, ""))

    @property
    def answered(self) -> List[Tuple[int, int]]:
        """(number, version) of each write that was answered."""
        return [(number, more) for what, number, more in self.said if what == "set"]

    def wait_for_more(self) -> None:
        """Until something more is answered."""
        count, until = len(self.answered), time.monotonic() + PATIENCE_S
        while len(self.answered) <= count:
            assert time.monotonic() < until, "%s: nothing is answered any more: %r" % (self.path, self.said[-5:])
            assert self.process.is_alive(), "the setter ended"
            time.sleep(0.01)

    def judge(self, data: bytes, version: int) -> None:
        """Nothing answered is lost, and nothing is done twice: each write adds one to the version."""
        numbers, versions = [n for n, _ in self.answered], [v for _, v in self.answered]
        assert versions == sorted(set(versions)), "versions go back or come twice"
        open_ends = len([1 for what, _, _ in self.said if what in ("unknown", "killed")])
        assert len(versions) <= version <= len(versions) + open_ends, (len(versions), version, open_ends)
        assert not numbers or int(data) >= numbers[-1], "%s holds %r, %d was answered" % (self.path, data, numbers[-1])


def judge_answered(url: str, setters: Sequence[Setter]) -> None:
    """What was answered was done, and once."""
    zk = KazooClient(url)
    zk.start(timeout=30)
    try:
        for each in setters:
            data, stat = zk.get(each.path)
            each.judge(data, stat.version)
    finally:
        zk.stop()
        zk.close()


def judge_holders(setters: Sequence[Setter]) -> int:
    """Never two holders of the lock: who wrote later under it had a later fence, or the same. How many wrote."""
    held = sorted((version, fence) for each in setters for what, fence, version in each.said if what == "held")
    fences = [fence for _, fence in held]
    assert fences == sorted(fences), "two holders of the lock: %r" % held
    assert len({version for version, _ in held}) == len(held)
    return len(held)


def crash(server: PostgresServer, how: int = signal.SIGKILL) -> None:
    """The server is killed, or stopped in another way, and started again."""
    server.stop(how)
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return server.start()
        except AssertionError:  # its children have not noticed yet, and have its memory
            assert time.monotonic() < until
            time.sleep(0.2)


def run(server: PostgresServer, rounds: int, seed: int, seconds: float = math.inf) -> Dict[str, int]:
    """Kills, and judges. How many of what; fewer if it takes longer than so long."""
    until = time.monotonic() + seconds
    chance = random.Random(seed)
    url = server.url + "?namespace=kills-%d" % seed
    setters = [Setter(url, "/set-%d" % number) for number in range(SETTERS)]
    killed = {"servers": 0, "restarts": 0, "clients": 0}
    try:
        for each in setters:
            each.wait_for_more()
        for number in range(1, rounds + 1):
            if time.monotonic() > until:
                break
            time.sleep(chance.random() * 0.1)
            if number % RESTART_EVERY == 0:
                crash(server, signal.SIGINT)
                killed["restarts"] += 1
            elif number % SERVER_EVERY == 0:
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
    judge_answered(url, setters)
    return {**killed, "answered": sum(len(each.answered) for each in setters)}


def main() -> None:
    """Prints what it did."""
    started, seed = time.monotonic(), random.randrange(1 << 16)
    with PostgresServer() as server:
        done = run(server, int(sys.argv[1]), seed, *map(float, sys.argv[2:]))
    print("seed %d: %s in %.0f s: nothing answered was lost or done twice" % (seed, done, time.monotonic() - started))


if __name__ == "__main__":
    main()
