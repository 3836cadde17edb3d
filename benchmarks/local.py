"""fk_kazoo beside ZooKeeper on this machine: the same kazoo calls, in turns (A B C, B C A, …), in the same second."""

from __future__ import annotations

import contextlib
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional

from . import figures
from .limits import Limits
from .rows import PIPELINED, ROOT, SINGLE
from .systems import NAMES, System, WorkerProcess, missing, proportional_kb

CONTENDERS = 4
INCREMENTS = 20
PROCESSES = (1, 4, 16)

Say = Callable[[str], None]


class Size(NamedTuple):
    """How much is measured."""

    rounds: int
    single: int
    pipelined: int
    samples: int
    """Of what has to be set up for each sample, in one round."""
    seconds: float
    """Of everything that is counted over a time."""
    warm: int
    """Operations of each kind before the first that is timed: a server in Java gets fast by use."""
    crowd: int
    """Processes that come all at once."""


FULL = Size(rounds=7, single=120, pipelined=2000, samples=15, seconds=1.5, warm=1500, crowd=50)
QUICK = Size(rounds=3, single=40, pipelined=1000, samples=4, seconds=0.5, warm=300, crowd=50)
SMOKE = Size(rounds=1, single=4, pipelined=20, samples=1, seconds=0.05, warm=1, crowd=3)

OTHERS = (
    "lock cycles, 4 contenders",
    "a crowd of processes, %d locked increments each" % INCREMENTS,
    "watch event in another process",
    "connect, first of a process",
    "connect, another of a process",
    "memory of the whole",
    "nothing to first operation",
    *("%s, %d processes" % (what, count) for what in ("set", "get") for count in PROCESSES),
)
ALL = (*SINGLE, *PIPELINED, *OTHERS)


class Comparison:
    """Runs rows on systems."""

    def __init__(self, systems: List[System], size: Size, limits: Limits) -> None:
        self._systems = systems
        self._size = size
        self._limits = limits
        self._clients: Dict[str, WorkerProcess] = {}
        self.bare: Dict[str, List[float]] = {}
        self.failures: List[str] = []
        self.results: List[Dict[str, Any]] = []

    def prepare(self, rows: Iterable[str]) -> None:
        """A client for each system, its nodes, and its warm-up by these rows."""
        for system in self._systems:
            client = self._clients[system.name] = system.worker("main")
            client.ask("start")
            client.ask("prepare")
            for name in [row for row in rows if row in SINGLE or row in PIPELINED]:
                count = self._size.warm if name in PIPELINED else max(self._size.warm // 5, 1)
                with contextlib.suppress(RuntimeError):  # it fails again when it is measured, and that is told
                    client.ask("row", row=name, count=_share(system, count))

    def _in_turns(
        self, systems: List[System], measure: Callable[[System], List[float]]
    ) -> Dict[str, List[List[float]]]:
        """system → its samples of each round. A system that can't do it is left out."""
        found: Dict[str, List[List[float]]] = {system.name: [] for system in systems}
        for number in range(self._size.rounds):
            for position in range(len(systems)):
                system = systems[(number + position) % len(systems)]
                if system.name not in found:
                    continue
                try:
                    found[system.name].append(measure(system))
                except RuntimeError as error:
                    del found[system.name]
                    self.failures.append("%s: %s" % (system.name, error))
            for what, times in self._limits.measure(10).items():
                self.bare.setdefault(what, []).extend(times)
        return found

    def _add(self, name: str, kind: str, found: Dict[str, List[List[float]]], scale: float = 1000.0) -> None:
        rounds = {key: [statistics.median(each) * scale for each in samples] for key, samples in found.items()}
        p99 = {}
        if kind in ("single", "event", "lock"):
            for key, samples in found.items():
                ordered = sorted(each for some in samples for each in some)
                p99[key] = ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)] * scale
        self.results.append(figures.row(name, kind, rounds, p99))

    # --- rows -----------------------------------------------------------------------------------

    def run(self, name: str) -> None:
        """One row."""
        if name in ROWS_OF_SEVERAL:
            ROWS_OF_SEVERAL[name](self)
        else:
            count = self._size.pipelined if name in PIPELINED else self._size.single
            kind = "pipelined" if name in PIPELINED else "lock" if name == "lock cycle" else "single"
            found = self._in_turns(
                self._systems,
                lambda system: self._clients[system.name].ask("row", row=name, count=_share(system, count)),
            )
            self._add(name, kind, found)

    @property
    def _shared(self) -> List[System]:
        return [system for system in self._systems if system.shared]

    def event(self) -> None:
        """From the beginning of a set to the watch function of another process."""
        watchers = {system.name: system.worker("watcher") for system in self._shared}
        for watcher in watchers.values():
            watcher.ask("start")

        def measure(system: System) -> List[float]:
            times = []
            for _ in range(self._size.samples * 2):
                watchers[system.name].ask("arm", path=ROOT + "/watched")
                started = self._clients[system.name].ask("trigger", path=ROOT + "/watched")
                times.append((watchers[system.name].ask("heard") - started) / 1e9)
            return times

        self._add("watch event in another process", "event", self._in_turns(self._shared, measure))
        for system in self._shared:
            system.dismiss(watchers[system.name])

    def connect_first(self) -> None:
        """The first client of a process, everything imported."""

        def measure(system: System) -> List[float]:
            times = []
            for number in range(max(self._size.samples // 5, 1)):
                worker = system.worker("connect%d" % number)
                worker.ask("imported")
                times.append(worker.ask("start"))
                system.dismiss(worker)
            return times

        self._add("connect, first of a process", "connect", self._in_turns(self._shared, measure))

    def connect_again(self) -> None:
        """Another client of a process that has one."""

        def measure(system: System) -> List[float]:
            times: List[float] = self._clients[system.name].ask("again", count=self._size.samples)
            return times

        systems = [system for system in self._systems if system.name != "zake"]
        self._add("connect, another of a process", "connect", self._in_turns(systems, measure))

    def memory(self) -> None:
        """What serves, and one client: after all rows before, the same for each."""
        found = {}
        for system in self._systems:
            pids = [*system.served_by(), self._clients[system.name].pid]
            found[system.name] = [[sum(map(proportional_kb, pids)) / 1024.0]]
        self._add("memory of the whole", "memory", found, 1.0)

    def nothing(self) -> None:
        """Nothing runs, nothing is on disk: how long until the first node is there."""
        disk = Path(self._limits._path).parent

        def measure(system: System) -> List[float]:
            started = time.monotonic_ns()
            fresh = System(system.name, disk)
            if system.name == "zookeeper":  # its client's process starts beside the server and waits for it
                with contextlib.ExitStack() as stack:
                    client = WorkerProcess("zookeeper:127.0.0.1:1", "first", disk)
                    stack.callback(client.end)
                    client.tell("imported")
                    stack.enter_context(fresh)
                    client.answer()
                    spent = (client.ask("connect_and_create", url=fresh.url) - started) / 1e9
                    client.ask("stop")
                    return [spent]
            client = fresh.worker("first")
            try:
                return [(client.ask("first") - started) / 1e9]
            finally:
                fresh.__exit__()

        systems = [system for system in self._systems if system.name != "zake"]
        self._add("nothing to first operation", "start", self._in_turns(systems, measure), 1.0)

    def _together(self, what: str, count: int, kind: str, name: str) -> None:
        """Several processes do one thing for a while: how often all of them together."""
        crews: Dict[str, List[WorkerProcess]] = {}
        for system in self._shared:
            crew = crews[system.name] = [system.worker("%s%d-%d" % (what, count, number)) for number in range(count)]
            for worker in crew:
                worker.tell("start")
            for worker in crew:
                worker.answer()
                worker.ask("prepare" if what != "lock" else "imported")

        def measure(system: System) -> List[float]:
            started = time.monotonic_ns()
            until = started + int(self._size.seconds * 1e9)
            for worker in crews[system.name]:
                worker.tell("repeat", what=what, until_ns=until)
            total = sum(worker.answer() for worker in crews[system.name])
            return [total / ((time.monotonic_ns() - started) / 1e9)]

        self._add(name, kind, self._in_turns(self._shared, measure), 1.0)
        for system in self._shared:
            for worker in crews[system.name]:
                system.dismiss(worker)

    def contended(self) -> None:
        """Four processes want the same lock all the time."""
        self._together("lock", CONTENDERS, "contended", "lock cycles, 4 contenders")

    def crowd(self) -> None:
        """Fifty processes start at once, count up a node under one lock, and are done."""

        def measure(system: System) -> List[float]:
            path = "%s/crowd%d" % (ROOT, time.monotonic_ns())
            started = time.monotonic_ns()
            crew = [system.worker("crowd%d" % number) for number in range(self._size.crowd)]
            for worker in crew:
                worker.tell("increment", path=path, times=INCREMENTS)
            counted = max(worker.answer() for worker in crew)
            spent = (time.monotonic_ns() - started) / 1e9
            for worker in crew:
                system.dismiss(worker)
            if counted != INCREMENTS * len(crew):
                raise RuntimeError("%d increments were lost" % (INCREMENTS * len(crew) - counted))
            return [spent]

        self._add(OTHERS[1], "start", self._in_turns(self._shared, measure), 1.0)


def _share(system: System, count: int) -> int:
    """zake takes milliseconds once there are a thousand nodes, and nothing in it is ever in flight."""
    return max(count // 10, 1) if system.name == "zake" else count


def _throughput(what: str, count: int) -> Callable[[Comparison], None]:
    return lambda self: self._together(what, count, "throughput", "%s, %d processes" % (what, count))


ROWS_OF_SEVERAL: Dict[str, Callable[[Comparison], None]] = dict(
    zip(
        OTHERS,
        (
            Comparison.contended,
            Comparison.crowd,
            Comparison.event,
            Comparison.connect_first,
            Comparison.connect_again,
            Comparison.memory,
            Comparison.nothing,
            *(_throughput(what, count) for what in ("set", "get") for count in PROCESSES),
        ),
    )
)


def run(names: List[str], rows: List[str], size: Size, disk: Path, say: Say, delay_ms: float = 0.0) -> Dict[str, Any]:
    """The results of rows on systems. ``delay_ms``: of a network between them and their clients."""
    absent: Dict[str, Optional[str]] = {name: missing(name) for name in names}
    present = [name for name in NAMES if name in names and absent[name] is None]
    with contextlib.ExitStack() as stack:
        limits = stack.enter_context(Limits(disk))
        systems = [stack.enter_context(System(name, disk, delay_ms)) for name in present]
        comparison = Comparison(systems, size, limits)
        comparison.prepare(rows if size is SMOKE else ALL)  # a server in Java that was asked little is slow at all
        for name in rows:
            started = time.monotonic()
            comparison.run(name)
            say("%s: %.0f s" % (name, time.monotonic() - started))
        return {
            "rows": comparison.results,
            "limits": {
                what: {"unit": "ms", **figures.quartiles([1000 * each for each in times])._asdict()}
                for what, times in comparison.bare.items()
            },
            "left_out": [why for why in absent.values() if why] + sorted(set(comparison.failures)),
        }
