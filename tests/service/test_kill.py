"""Processes are killed all the time, the host above all: nothing that was answered is lost, nothing happens twice.

Four processes create sequential nodes and watch all of them through one persistent watch. Again and again one is
killed with SIGKILL, mostly the host, and another one is started. The survivors must not notice: only successes, no
change of state, every event once. In the end the tree must hold exactly what was acknowledged, and at most one more
node of each killed process: the one it was creating.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Set

import pytest

from .processes import Program, eventually, host_of

KILLS = 15
WORKERS = 4
BUDGET_S = 60.0
"""Of the kill loop. What a slow machine does not manage in it is left out, down to five kills."""


class Worker:
    """A worker process, and what it wrote down."""

    def __init__(self, program: Program, name: str, log: Path) -> None:
        self.program = program
        self.name = name
        self._log = log
        self._read = 0
        self._lines: Dict[str, List[List[str]]] = {}

    def lines(self, kind: str) -> List[List[str]]:
        """The lines of one kind, in words; a half-written last line is none."""
        if self._log.exists():
            with open(self._log, "rb") as file:
                file.seek(self._read)
                new = file.read().rpartition(b"\n")[0]
            self._read += len(new)
            for line in new.decode().split("\n"):
                found, *words = line.split() or [""]
                self._lines.setdefault(found, []).append(words)
        return self._lines.get(kind, [])

    def acks(self) -> int:
        """How many nodes it knows that it created."""
        return len(self.lines("ack"))


class Crew:
    """The workers of a deployment."""

    def __init__(self, run: Callable[..., Program], directory: Path, logs: Path, pause_s: float = 0.0) -> None:
        self._run = run
        self._pause_s = pause_s
        self._directory = directory
        self._logs = logs
        self._names = itertools.count()
        self.alive: List[Worker] = []
        self.dead: List[Worker] = []
        self.gaps: List[float] = []

    def hire(self) -> Worker:
        """Starts one more."""
        name = "w%d" % next(self._names)
        log = self._logs / name
        url = "local://" + self._directory.name
        self.alive.append(Worker(self._run("worker", url, name, log, self._pause_s), name, log))
        return self.alive[-1]

    def host(self) -> Worker:
        """The one that is the host."""
        pid = eventually(lambda: host_of(self._directory), "somebody is the host")
        return next(worker for worker in self.alive if worker.program.pid == pid)

    def kill(self, *victims: Worker) -> None:
        """Kills them; done when everybody else has gone on."""
        for victim in victims:
            self.alive.remove(victim)
        eventually(lambda: any(other.acks() for other in self.alive), "somebody else has begun")
        self.dead += victims
        others = {other: other.acks() for other in self.alive if other.acks()}
        killed_at = time.monotonic()
        for victim in victims:
            victim.program.process.kill()  # all of them, before the first one is waited for
        for victim in victims:
            victim.program.kill()
        eventually(lambda: all(other.acks() > before for other, before in others.items()), "the others go on")
        first = min(float(other.lines("ack")[before][0]) for other, before in others.items())
        longest = max(_longest_gap(other, killed_at) for other in others)
        self.gaps.append(max(first - killed_at, longest))


def _longest_gap(worker: Worker, since: float) -> float:
    """Between two of its acknowledgements, the last one before ``since`` included."""
    times = [float(at) for at, _, _ in worker.lines("ack")]
    later = [at for at in times if at > since]
    before = [at for at in times if at <= since][-1:]
    return max((b - a for a, b in zip([*before, *later], later)), default=0.0)


@pytest.mark.timeout(240)
def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(
    home: Path, tmp_path: Path, run: Callable[..., Program], connect: Callable[..., Any]
) -> None:
    crew = Crew(run, home / "kill", tmp_path)
    for _ in range(WORKERS):
        crew.hire()
    for worker in crew.alive:
        worker.program.expect("ready")
    started, kills = time.monotonic(), 0
    while kills < KILLS and (time.monotonic() - started < BUDGET_S or kills < 5):
        host = crew.host()
        others = [worker for worker in crew.alive if worker is not host]
        crew.kill(others[0] if kills % 4 == 3 else host)
        kills += 1
        crew.hire().program.expect("ready")
    for worker in crew.alive:
        assert worker.program.ask("pause") == ""
    check_survivors(crew)
    tree = tree_of(connect("local://kill"))
    check_tree(crew, tree)
    for worker in crew.alive:
        check_events(worker, set(tree))
        worker.program.ask("stop")
        assert worker.program.end() == 0
    print("gaps at %d kills, s: %s" % (kills, " ".join("%.2f" % gap for gap in crew.gaps)))
    assert max(crew.gaps) < 1.0, crew.gaps


def tree_of(client: Any) -> Dict[str, str]:
    """Path → data."""
    names = client.get_children("/items")
    reads = [(name, client.get_async("/items/" + name)) for name in names]
    return {"/items/" + name: read.get(30)[0].decode() for name, read in reads}


def check_survivors(crew: Crew) -> None:
    """Success is all that they saw."""
    for worker in crew.alive:
        assert worker.lines("error") == [] and worker.lines("state") == [], worker.name


def check_tree(crew: Crew, tree: Dict[str, str]) -> None:
    data = [value for path, value in tree.items() if "/n-" in path]
    assert len(data) == len(set(data)), "something was applied twice"
    acknowledged: Set[str] = set()
    for worker in [*crew.alive, *crew.dead]:
        acks = worker.lines("ack")
        doubts = {value for (value,) in worker.lines("doubt")}
        asked = ["%s-%d" % (worker.name, n) for n in range(len(acks) + len(doubts))]
        assert [value for _, _, value in acks] == [value for value in asked if value not in doubts]
        lost = [(path, value) for _, path, value in acks if tree.get(path) != value]
        assert not lost, "acknowledged and lost: %s" % lost[:5]
        acknowledged.update(value for _, _, value in acks)
    in_doubt = set(data) - acknowledged
    expected = {"%s-%d" % (worker.name, worker.acks() + len(worker.lines("doubt"))) for worker in crew.dead}
    expected.update(value for worker in [*crew.alive, *crew.dead] for (value,) in worker.lines("doubt"))
    assert in_doubt <= expected, "nobody asked for these: %s" % sorted(in_doubt - expected)[:5]


def check_events(worker: Worker, paths: Set[str]) -> None:
    """Of every node that came after its watch; sequence numbers are in the order of creation."""
    ((start,),) = worker.lines("start")
    since = int(start[-10:])
    expected = {path for path in paths if int(path[-10:]) >= since}

    def seen() -> List[str]:
        return [path for kind, path in worker.lines("event") if kind == "CREATED"]

    eventually(lambda: set(seen()) >= expected, "every event of %s" % worker.name)
    found = seen()
    assert len(found) == len(set(found)), "an event twice"
    early = sorted(int(path[-10:]) for path in set(found) - expected)
    assert early == list(range(since - len(early), since)), "what came between watch and start, and nothing else"
