"""What an operation costs as its surroundings grow: it should not matter.

All sizes of a case exist at the same time and are measured in turns, so that what else the machine does can't look
like growth. Where a whole deployment grows, each size has one of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

from . import figures
from .rows import DATA
from .systems import System, Told

FLAT_WITHIN = 1.5
MEGABYTE = 1_000_000  # a request has to stay below 1 MiB
PER_TRANSACTION = 100
IN_FLIGHT = 20

Step = Callable[[], float]
"""Does one operation; its seconds."""


class Case(NamedTuple):
    """``prepare`` makes the surroundings of a size, and returns what is timed in them."""

    name: str
    sizes: List[int]
    prepare: Callable[[Any, int], Step]
    apart: bool = False
    """Whether each size needs a deployment of its own."""
    cheap: bool = False
    """Whether every size is made in a moment."""


def _timed(work: Callable[[], Any], after: Callable[[], Any] = lambda: None) -> Step:
    def step() -> float:
        started = time.perf_counter()
        work()
        spent = time.perf_counter() - started
        after()
        return spent

    return step


def populate(client: Any, parent: str, count: int) -> None:
    """Children, by transactions."""
    client.ensure_path(parent)
    waiting: List[Any] = []
    for start in range(0, count, PER_TRANSACTION):
        transaction = client.transaction()
        for number in range(start, min(start + PER_TRANSACTION, count)):
            transaction.create("%s/%07d" % (parent, number), b"")
        waiting.append(transaction.commit_async())
        if len(waiting) == IN_FLIGHT:
            waiting.pop(0).get()
    for one in waiting:
        one.get()


def _siblings(client: Any, size: int) -> Step:
    parent = "/siblings/%d" % size
    populate(client, parent, size)
    return _timed(lambda: client.create(parent + "/one", DATA), lambda: client.delete(parent + "/one"))


def _tree(client: Any, size: int) -> Step:
    for branch in range(max(size // 1000, 1)):
        populate(client, "/tree/%04d" % branch, min(size, 1000))
    return _timed(lambda: client.create("/tree/0000/one", DATA), lambda: client.delete("/tree/0000/one"))


def _data_of_parent(client: Any, size: int) -> Step:
    parent = "/data/%d" % size
    client.create(parent, b"x" * size, makepath=True)
    return _timed(lambda: client.create(parent + "/one", DATA), lambda: client.delete(parent + "/one"))


def _depth(client: Any, size: int) -> Step:
    parent = "/depth%d%s" % (size, "/d" * (size - 1))
    client.ensure_path(parent)
    return _timed(lambda: client.create(parent + "/one", DATA), lambda: client.delete(parent + "/one"))


def _history(client: Any, size: int) -> Step:
    client.create("/history", DATA)
    waiting: List[Any] = []
    for _ in range(size):
        waiting.append(client.set_async("/history", DATA))
        if len(waiting) == 1000:
            for one in waiting:
                one.get()
            waiting.clear()
    return _timed(lambda: client.set("/history", DATA))


# --- many sessions: without threads of kazoo's for each -----------------------------------------


class _Ears:
    """What one of many sessions hears."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard
        self.answer: "asyncio.Future[Any]" = asyncio.get_event_loop().create_future()

    def replied(self, tag: Any, result: Any) -> None:
        """`Listener.replied`."""
        self.answer.set_result(result)

    def fired(self, event: Any) -> None:
        """`Listener.fired`."""
        self._heard()

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""


class Crowd:
    """Sessions of this process, in the loop of its client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sessions: List[Any] = []
        self._ears: List[_Ears] = []
        self._heard = 0
        self._wanted = 0

    def run(self, make: Callable[[], Any]) -> Any:
        """A coroutine's result."""
        from fk_kazoo import loop

        return loop.run(self._client.handler, make, 600.0)

    async def open(self, count: int) -> None:
        """Opens so many."""
        from fk_backend.session.engine import Session

        gateway = await self._client._connection._opening.gateway()
        for start in range(0, count, 50):
            ears = [_Ears(self._hear) for _ in range(min(50, count - start))]
            some = [Session(gateway, self._client.deployment.namespace, each) for each in ears]
            await asyncio.gather(*(session.open(3_600_000) for session in some))
            self._sessions += some
            self._ears += ears

    async def watch(self, path: str) -> None:
        """Everybody leaves a watch."""
        from fk_backend.session.ops import GetData

        for session, ears in zip(self._sessions, self._ears):
            ears.answer = asyncio.get_event_loop().create_future()
            session.submit(None, GetData(path, True))
        await asyncio.gather(*(ears.answer for ears in self._ears))
        self._heard, self._all = 0, asyncio.Event()

    def _hear(self) -> None:
        self._heard += 1
        if self._heard == len(self._sessions):
            self._all.set()

    async def everybody(self) -> None:
        """Returns when every watch has fired."""
        await self._all.wait()


def _sessions(client: Any, size: int) -> Step:
    crowd = Crowd(client)
    crowd.run(lambda: crowd.open(size))
    client.create("/among", DATA)
    return _timed(lambda: client.set("/among", DATA))


def _watchers(client: Any, size: int) -> Step:
    crowd = Crowd(client)
    path = "/watched%d" % size
    client.create(path, DATA)
    crowd.run(lambda: crowd.open(size))

    def step() -> float:
        crowd.run(lambda: crowd.watch(path))
        started = time.perf_counter()
        client.set_async(path, DATA)
        crowd.run(crowd.everybody)
        return (time.perf_counter() - started) / size

    return step


CASES = [
    Case("create among siblings", [10, 1000, 10_000, 100_000], _siblings),
    Case("create in a tree of nodes", [1000, 10_000, 100_000, 1_000_000], _tree, apart=True),
    Case("create under a parent with bytes of data", [0, 1000, 100_000, MEGABYTE], _data_of_parent, cheap=True),
    Case("watch event, by watchers of the node (per event)", [1, 10, 100, 1000, 10_000], _watchers),
    Case("set, by sessions", [1, 100, 1000, 2000], _sessions, apart=True),
    Case("set after so many writes", [10, 1000, 10_000, 100_000, 1_000_000], _history, apart=True),
    Case("create at a depth", [1, 5, 20, 50], _depth, cheap=True),
]


class Growing:
    """In a worker process: the sizes that it prepared, by case."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._steps: Dict[str, Step] = {}

    def prepare(self, case: str, size: int) -> None:
        """Makes the surroundings."""
        (found,) = [each for each in CASES if each.name == case]
        self._steps["%s %d" % (case, size)] = found.prepare(self._client, size)

    def measure(self, case: str, size: int, count: int) -> List[float]:
        """Seconds, each."""
        step = self._steps["%s %d" % (case, size)]
        return [step() for _ in range(count)]


class Extent(NamedTuple):
    """How far."""

    up_to: int
    rounds: int
    count: int


def grow(case: Case, extent: Extent, disk: Path, say: Callable[[str], None]) -> Dict[str, Any]:
    """One case at all its sizes up to the extent's."""
    sizes = [size for size in case.sizes if case.cheap or size <= extent.up_to or size == case.sizes[0]]
    with contextlib.ExitStack() as stack:
        places: Dict[int, Told] = {}
        systems: Dict[int, System] = {}
        for size in sizes:
            if case.apart or not places:
                systems[size] = stack.enter_context(System("local", disk))
                places[size] = systems[size].worker("grow")
                places[size].ask("start")
            else:
                places[size] = places[sizes[0]]
            places[size].ask("grow", case=case.name, size=size)
        rounds: Dict[int, List[float]] = {size: [] for size in sizes}
        count = extent.count if "watchers" not in case.name else max(extent.count // 10, 1)
        for number in range(extent.rounds):
            for position in range(len(sizes)):
                size = sizes[(number + position) % len(sizes)]
                times = places[size].ask("grown", case=case.name, size=size, count=count)
                rounds[size].append(1000 * statistics.median(times))
        bytes_on_disk = {size: systems[size].bytes_on_disk() for size in systems} if case.apart else {}
    medians = {size: figures.spread(values) for size, values in rounds.items()}
    growth = figures.spread([after / before for before, after in zip(rounds[sizes[0]], rounds[sizes[-1]])])
    most = max(each.median for each in medians.values()) / medians[sizes[0]].median
    say("%s: %.2f× from %d to %d" % (case.name, growth.median, sizes[0], sizes[-1]))
    return {
        "row": case.name,
        "unit": "ms",
        "sizes": [{"size": size, **found._asdict()} for size, found in medians.items()],
        "bytes_on_disk": {str(size): count for size, count in bytes_on_disk.items()},
        "growth": growth._asdict(),
        "most": most,
        "flat": min(most, growth.median) <= FLAT_WITHIN,
    }


def run(names: List[str], extent: Extent, disk: Path, say: Callable[[str], None]) -> Dict[str, Any]:
    """The results of cases."""
    return {"rows": [grow(case, extent, disk, say) for case in CASES if case.name in names], "left_out": []}
