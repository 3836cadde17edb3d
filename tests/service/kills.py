"""The kill test for as long as one likes: hosts, clients and both are killed, and survivors read everything again.

python -m tests.service.kills [KILLS] [--within SECONDS] [--longest SECONDS]: 0 if so many were killed, nothing was
lost, done twice, told twice or not told, nobody who survived waited for too long, and what the dead left did not pile
up. Several deployments at once, because most of a kill is waiting.
Unlike in the short test, who is out of touch for more than two seconds (on a busy machine) may be told so; what it
asked for then is in doubt.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List

from fk_kazoo.client import KazooClient

from .nursery import Forked
from .processes import Program, eventually
from .test_kill import Crew, Worker, check_events, check_tree, tree_of

DEPLOYMENTS = 3
WORKERS = 6
STARTED = 4
"""How many have begun, at least, before the next kill: one of them survives it."""
PAUSE_S = 0.05
SEED = 1
LONGEST_S = 1.5
"""Longest wait of a survivor. A takeover is a matter of a second at most on a machine that has nothing else to do; here
three deployments are killed at once on what may be two busy cores.
"""
SOCKETS = 200
"""How many may be there: those of the dead go after a while, so about as many after five hundred kills as after fifty.
"""
STRIKES = ((True, 0), (False, 1), (True, 1), (False, 2), (True, 2))
"""Who is killed at once: the host or not, and how many other clients."""


class Reader:
    """Has survivors read what anybody was told since the last time."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "expected"
        self._read: Dict[Worker, int] = {}
        self.count = 0

    def read(self, crew: Crew, by: Worker) -> None:
        """All that was acknowledged before now is there. AssertionError if not."""
        expected: List[str] = []
        for worker in [*crew.alive, *crew.dead]:
            acks = worker.lines("ack")
            expected += ["%s %s\n" % (path, data) for _, path, data in acks[self._read.get(worker, 0) :]]
            self._read[worker] = len(acks)
        self._file.write_text("".join(expected))
        self.count += len(expected)
        missing = by.program.ask("verify %s" % self._file)
        assert not missing, "acknowledged and not there: " + missing


def kill_some(crew: Crew, reader: Reader, choice: random.Random) -> int:
    """One strike: the host, clients, or both. How many it killed."""
    started = eventually(lambda: _started(crew), "some have begun")
    host = crew.host()
    with_host, clients = choice.choice(STRIKES)
    victims = [*[host] * with_host, *choice.sample([worker for worker in started if worker is not host], clients)]
    crew.kill(*victims)
    reader.read(crew, choice.choice([worker for worker in started if worker not in victims]))
    for _ in victims:
        crew.hire()
    return len(victims)


def _started(crew: Crew) -> List[Worker]:
    started = [worker for worker in crew.alive if worker.acks()]
    return started if len(started) >= STARTED else []


def _last_words(crew: Crew) -> List[str]:
    """How everybody fared, for whoever has to find out."""
    found = []
    for worker in [*crew.alive, *crew.dead[-2:]]:
        told = [worker.lines(kind)[-3:] for kind in ("ack", "state", "error")]
        found.append("%s pid %d: %s %s" % (worker.name, worker.program.pid, told, worker.program.output[-5:]))
    return found


def finish(crew: Crew, client: Any) -> int:
    """The last look: everything that the short test looks at. How many nodes there are."""
    eventually(lambda: all(worker.acks() for worker in crew.alive), "everybody has begun")
    for worker in crew.alive:
        assert worker.program.ask("pause") == ""
    assert not any(worker.lines("error") for worker in crew.alive), _last_words(crew)
    client.start(30)
    tree = tree_of(client)
    client.stop()
    client.close()
    check_tree(crew, tree)
    for worker in crew.alive:
        if not worker.lines("state"):  # what happens while one is disconnected is not told afterwards
            check_events(worker, set(tree))
        worker.program.ask("stop")
        assert worker.program.end() == 0
    return len(tree)


class Deployment:
    """A deployment with its crew, and what became of both."""

    def __init__(self, name: str, home: Path, seed: int, running: List[Program], starting: threading.Lock) -> None:
        def run(program: str, *arguments: object) -> Program:
            with starting:  # the one that forks serves one at a time
                running.append(Forked(program, *arguments))
                return running[-1]

        logs = home / ("logs-" + name)
        logs.mkdir()
        self._client = KazooClient("local://" + name)
        self._choice = random.Random(seed)
        self.crew, self.reader = Crew(run, home / name, logs, PAUSE_S), Reader(logs)
        self._directory = home / name
        self.kills = self.nodes = self.sockets = 0

    def run(self, enough: Callable[[], bool]) -> None:
        """Kills until it is enough; then the last look."""
        for _ in range(WORKERS):
            self.crew.hire()
        try:
            while not enough():
                self.kills += kill_some(self.crew, self.reader, self._choice)
                self.sockets = max(self.sockets, len(list(self._directory.glob("events-*.sock"))))
            self.nodes = finish(self.crew, self._client)
        except AssertionError:
            print("after %d kills:\n%s" % (self.kills, "\n".join(_last_words(self.crew))))
            raise

    def doubts(self) -> int:
        """How many writes nobody knows about."""
        return sum(len(worker.lines("doubt")) for worker in [*self.crew.alive, *self.crew.dead])


def main() -> int:
    """Kills, and says what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.service.kills", description=str(__doc__).splitlines()[0])
    parser.add_argument("kills", nargs="?", type=int, default=500)
    parser.add_argument("--within", type=float, default=900.0, metavar="SECONDS")
    parser.add_argument("--longest", type=float, default=LONGEST_S, metavar="SECONDS", help="default: %(default)s")
    options = parser.parse_args()
    running: List[Program] = []
    starting = threading.Lock()
    started = time.monotonic()
    failed = threading.Event()

    home = Path(tempfile.mkdtemp())
    try:
        os.environ["FK_KAZOO_HOME"] = str(home)
        all_ = [Deployment("kill%d" % n, home, SEED + n, running, starting) for n in range(DEPLOYMENTS)]

        def enough() -> bool:
            late = time.monotonic() - started > options.within
            return failed.is_set() or late or sum(each.kills for each in all_) >= options.kills

        def run(deployment: Deployment) -> None:
            try:
                deployment.run(enough)
            except BaseException:
                failed.set()
                raise

        with ThreadPoolExecutor(DEPLOYMENTS) as pool:
            for done in [pool.submit(run, each) for each in all_]:
                done.result()
    finally:
        for program in running:
            program.kill()
        shutil.rmtree(home, ignore_errors=True)  # for a moment, this process itself may still be a host there
    kills = sum(each.kills for each in all_)
    nodes, read = sum(each.nodes for each in all_), sum(each.reader.count for each in all_)
    gaps = [gap for each in all_ for gap in each.crew.gaps]
    words = (kills, time.monotonic() - started, nodes, read, sum(each.doubts() for each in all_))
    print("%d kills in %.0f s; %d nodes, %d read by survivors in between, %d in doubt" % words)
    sockets = max(each.sockets for each in all_)
    waits = (max(gaps), statistics.median(gaps), options.longest, sockets, os.getloadavg()[0])
    print("longest wait %.2f s (median %.2f, at most %.1f); up to %d sockets; load average %.1f" % waits)
    return 0 if kills >= options.kills and max(gaps) <= options.longest and sockets <= SOCKETS else 1


if __name__ == "__main__":
    sys.exit(main())
