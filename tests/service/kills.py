"""The kill test for as long as one likes: hosts, clients and both are killed, and survivors read everything again.

python -m tests.service.kills [KILLS] [--within SECONDS]: 0 if so many were killed, and nothing was lost, done
twice, told twice or not told. Unlike in the short test, who is out of touch for more than two seconds (on a busy
machine) may be told so; what it asked for then is in doubt.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

from fk_kazoo.client import KazooClient

from .processes import Program, eventually
from .test_kill import Crew, Worker, check_events, check_tree, tree_of

WORKERS = 6
STARTED = 3
"""How many have begun, at least, before the next kill."""
PAUSE_S = 0.03
SEED = 1


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
    """One strike: the host, a client, or both. How many it killed."""
    started = eventually(lambda: _started(crew), "some have begun")
    host = crew.host()
    clients = [worker for worker in started if worker is not host]
    victims = {0: [host], 1: [choice.choice(clients)], 2: [host, choice.choice(clients)]}[choice.randrange(3)]
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


def main() -> int:
    """Kills, and says what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.service.kills", description=str(__doc__).splitlines()[0])
    parser.add_argument("kills", nargs="?", type=int, default=500)
    parser.add_argument("--within", type=float, default=440.0, metavar="SECONDS")
    options = parser.parse_args()
    running: List[Program] = []

    def run(name: str, *arguments: object) -> Program:
        running.append(Program(name, *arguments))
        return running[-1]

    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        os.environ["FK_KAZOO_HOME"] = directory
        crew, reader, choice = Crew(run, home / "kill", home, PAUSE_S), Reader(home), random.Random(SEED)
        started, kills = time.monotonic(), 0
        try:
            for _ in range(WORKERS):
                crew.hire()
            while kills < options.kills and time.monotonic() - started < options.within:
                kills += kill_some(crew, reader, choice)
            nodes = finish(crew, KazooClient("local://kill"))
        except AssertionError:
            print("after %d kills, %.0f s:" % (kills, time.monotonic() - started))
            print("\n".join(_last_words(crew)))
            raise
        finally:
            for program in running:
                program.kill()
    doubts = sum(len(worker.lines("doubt")) for worker in [*crew.alive, *crew.dead])
    words = (kills, time.monotonic() - started, nodes, reader.count, doubts, max(crew.gaps))
    print("%d kills in %.0f s; %d nodes, %d read by survivors in between, %d in doubt; longest gap %.2f s" % words)
    return 0 if kills >= options.kills else 1


if __name__ == "__main__":
    sys.exit(main())
