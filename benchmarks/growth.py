"""What an operation costs as its surroundings grow: it should not matter.

All sizes of a case exist at the same time and are measured in turns, so that what else the machine does can't look
like growth. Where a whole deployment grows, each size has one of its own. Beside the time, which on a busy machine is
mostly other programs', stands the processor time of client and host, which is judged by.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

from . import figures, surroundings
from .systems import System, WorkerProcess

FLAT_WITHIN = 1.5
SYSTEMS = ("local", "postgresql", "postgresql-queue")
"""Where it can be measured: what serves is a process, or its children."""
MB = 1_000_000  # a request has to stay below 1 MiB
MANY_EVENTS = 1000
"""Of a case with several events in each operation: about so many are enough for a round."""


class Case(NamedTuple):
    """``prepare`` makes the surroundings of a size, until a time at most (monotonic), and returns what is measured."""

    name: str
    sizes: List[int]
    prepare: Callable[[Any, int, float], surroundings.Measured]
    apart: bool = False
    """Whether each size needs a deployment of its own."""


CASES = [
    Case("create among siblings", [10, 1000, 10_000, 100_000], surroundings.siblings),
    Case(
        "100 creates in a transaction, among siblings (per create)",
        [1000, 10_000, 100_000, 200_000],
        surroundings.transactions,
    ),
    Case("create in a tree of nodes", [1000, 10_000, 100_000, 1_000_000], surroundings.tree, apart=True),
    Case(
        "create under a parent with bytes of data",
        [0, 1000, 100_000, MB],
        surroundings.data_of_parent,
    ),
    Case(
        "watch event, by watchers of the node (per event)",
        [1, 10, 100, 1000, 10_000],
        surroundings.watchers,
        apart=True,
    ),
    Case("set, by sessions with an ephemeral node", [1, 100, 1000, 2000], surroundings.sessions, apart=True),
    Case("set after so many writes", [10, 1000, 100_000, 1_000_000], surroundings.history, apart=True),
    Case("create at a depth", [1, 5, 20, 50], surroundings.depth),
]


class Growing:
    """In a worker process: the sizes that it prepared, by case."""

    def __init__(self, client: Any, host: int) -> None:
        self._client = client
        self._host = host
        self._prepared: Dict[str, surroundings.Measured] = {}

    def prepare(self, case: str, size: int, fill_s: float) -> int:
        """Makes the surroundings; of which size they became."""
        (found,) = [each for each in CASES if each.name == case]
        self._prepared["%s %d" % (case, size)] = made = found.prepare(self._client, size, time.monotonic() + fill_s)
        return size if made.reached is None else made.reached

    def measure(self, case: str, size: int, count: int) -> List[float]:
        """A round: the median seconds, and the processor time of one."""
        prepared = self._prepared["%s %d" % (case, size)]
        if prepared.together:
            count = max(1, min(count // 10, MANY_EVENTS // size))
        times, processor_s = surroundings.measure(prepared, count, self._host)
        return [statistics.median(times), processor_s]


class Extent(NamedTuple):
    """How far."""

    up_to: int
    rounds: int
    count: int
    fill_s: float
    """So long a size may take to be filled; what was reached by then is measured."""


def grow(case: Case, extent: Extent, disk: Path, say: Callable[[str], None], system: str) -> Dict[str, Any]:
    """One case on one of `SYSTEMS`, at all its sizes up to the extent's."""
    sizes = [size for size in case.sizes if size <= extent.up_to] or case.sizes[:1]
    rounds: Dict[int, List[List[float]]] = {size: [] for size in sizes}
    began, load = time.monotonic(), [os.getloadavg()[0]]
    filled_s, reached = {}, {}
    with contextlib.ExitStack() as stack:
        places: Dict[int, WorkerProcess] = {}
        systems: Dict[int, System] = {}
        for size in sizes:
            if case.apart or not places:
                systems[size] = stack.enter_context(System(system, disk))
                places[size] = systems[size].worker("grow")
                places[size].ask("start")
            else:
                places[size] = places[sizes[0]]
            started = time.monotonic()
            host = systems.get(size, systems[sizes[0]]).served_by()[0]
            reached[size] = places[size].ask("grow", case=case.name, size=size, host=host, fill_s=extent.fill_s)
            filled_s[size] = time.monotonic() - started
        for number in range(-1, extent.rounds):  # the first one warms up
            for position in range(len(sizes)):
                size = sizes[(number + position) % len(sizes)]
                found = places[size].ask("grown", case=case.name, size=size, count=extent.count)
                if number >= 0:
                    rounds[size].append([1000 * each for each in found])
            load.append(os.getloadavg()[0])
        on_disk = {str(reached[size]): systems[size].bytes_on_disk() for size in systems} if case.apart else {}
    row = _row(case, {reached[size]: found for size, found in rounds.items()})
    row.update(bytes_on_disk=on_disk, filled_s={str(size): round(spent, 1) for size, spent in filled_s.items()})
    row.update(seconds=round(time.monotonic() - began), load=[min(load), max(load)])
    growth = row["growth"]
    say(
        "%s, %d to %d (filled in %.0f s): time %.2f×, processor %.2f×"
        % (
            case.name,
            sizes[0],
            reached[sizes[-1]],
            filled_s[sizes[-1]],
            growth["ms"]["median"],
            growth["processor_ms"]["median"],
        )
    )
    return row


def _row(case: Case, rounds: Dict[int, List[List[float]]]) -> Dict[str, Any]:
    """``rounds``: size → for each round its time and its processor time, ms."""
    row: Dict[str, Any] = {"row": case.name, "sizes": [{"size": size} for size in rounds], "growth": {}, "flat": {}}
    first = next(iter(rounds.values()))
    for place, unit in enumerate(("ms", "processor_ms")):
        growth = []
        for step, values in zip(row["sizes"], rounds.values()):
            step[unit] = figures.spread([each[place] for each in values])._asdict()
            growth.append(figures.spread([b[place] / a[place] for a, b in zip(first, values)]))
        row["growth"][unit] = max(growth[1:] or growth)._asdict()
        row["flat"][unit] = max(growth).median <= FLAT_WITHIN
    return row


def run(names: List[str], extent: Extent, disk: Path, say: Callable[[str], None], system: str) -> Dict[str, Any]:
    """The results of cases."""
    return {"rows": [grow(case, extent, disk, say, system) for case in CASES if case.name in names], "left_out": []}


def with_others(results: Dict[str, Any], earlier: Path) -> Dict[str, Any]:
    """With the rows that were not measured now as they were last: filling a million nodes takes its time."""
    known = {row["row"]: row for row in json.loads(earlier.read_text())["rows"] if "load" in row}
    known.update((row["row"], row) for row in results["rows"])
    return {**results, "rows": [known[case.name] for case in CASES if case.name in known]}


def circumstances(results: Dict[str, Any], place: str) -> str:
    """One sentence on where the figures are from."""
    rows = results["rows"]
    load = min(row["load"][0] for row in rows), max(row["load"][1] for row in rows)
    text = "%s; load average %.1f to %.1f while they were measured. It took %d s."
    return text % (place, *load, sum(row["seconds"] for row in rows))
