"""In a worker process: the surroundings that grow, and the operation that is measured in them.

Rule upheld here: what is measured is done by the ordinary client, through the host in its other process; so is the
filling, in transactions of which many are in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from .rows import DATA
from .systems import family

PER_TRANSACTION = 100
IN_FLIGHT = 20
BRANCH = 1000
"""Nodes under each node of a tree that is filled."""
EPHEMERAL = 1
QUIET_S = 0.004
"""So long the host has to do next to nothing until what was asked of it is taken to be over."""
NEXT_TO_NOTHING_S = 0.0003
LONGEST_S = 5.0


class Measured(NamedTuple):
    """The operation in its surroundings. ``work`` does the nth of a round, ``events`` of them at once.

    Not measured: ``prepare`` before each of them, ``before`` and ``after`` a round of so many.
    """

    work: Callable[[int], Any]
    after: Callable[[int], Any] = lambda count: None
    before: Callable[[int], Any] = lambda count: None
    prepare: Optional[Callable[[int], Any]] = None
    events: int = 1
    together: bool = False
    """Whether one operation has more and more events."""
    reached: Optional[int] = None
    """How far the filling came, where its time was up before the size was reached."""


def processor_s(*pids: int) -> Dict[int, float]:
    """Processor time that processes and their children have taken, each (Linux: clock_getcpuclockid(3))."""
    spent: Dict[int, float] = {}
    for pid in pids:
        for each in family(pid):
            with contextlib.suppress(OSError):  # a child that has just ended
                spent[each] = time.clock_gettime((~each << 3) | 2)
    return spent


def between(before: Dict[int, float], after: Dict[int, float]) -> float:
    """What was taken since then; without that of a child which ended meanwhile, as idle connections' do."""
    return sum(spent - before.get(pid, 0.0) for pid, spent in after.items())


def wait_for_host(host: int) -> None:
    """Until the host process rests: what it does after its answer belongs to the operation."""
    until = time.monotonic() + LONGEST_S
    while time.monotonic() < until:
        before = processor_s(host)
        time.sleep(QUIET_S)
        if between(before, processor_s(host)) < NEXT_TO_NOTHING_S:
            return


def measure(case: Measured, count: int, host: int) -> Tuple[List[float], float]:
    """Seconds of each operation, and the processor time of one: of this process and of the host."""
    times: List[float] = []
    spent = 0.0
    case.before(count)
    alone = case.prepare is not None
    for numbers in [[number] for number in range(count)] if alone else [range(count)]:
        if case.prepare is not None:
            case.prepare(numbers[0])
        wait_for_host(host)
        before = processor_s(host, os.getpid())
        for number in numbers:
            started = time.perf_counter()
            case.work(number)
            times.append((time.perf_counter() - started) / case.events)
        wait_for_host(host)
        spent += between(before, processor_s(host, os.getpid()))
    case.after(count)
    return times, spent / count / case.events


# --- filling ------------------------------------------------------------------------------------


class Flow:
    """Asynchronous calls, some of them in flight."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: List[Any] = []

    def add(self, result: Any) -> None:
        """Waits for the oldest when there are too many."""
        self._waiting.append(result)
        if len(self._waiting) >= self._most:
            self._waiting.pop(0).get()

    def end(self) -> None:
        """Waits for all."""
        while self._waiting:
            self._waiting.pop(0).get()


def populate(client: Any, paths: List[str]) -> None:
    """Nodes, by transactions."""
    flow = Flow(IN_FLIGHT)
    for start in range(0, len(paths), PER_TRANSACTION):
        transaction = client.transaction()
        for path in paths[start : start + PER_TRANSACTION]:
            transaction.create(path, b"")
        flow.add(transaction.commit_async())
    flow.end()


def _creating(client: Any, path: Callable[[int], str]) -> Measured:
    """Creating the nth of a round, deleted after it."""

    def delete(count: int) -> None:
        for number in range(count):
            client.delete(path(number))

    return Measured(lambda number: client.create(path(number), DATA), delete)


# --- the cases ----------------------------------------------------------------------------------


def siblings(client: Any, size: int, until: float) -> Measured:
    """Beside so many children."""
    parent = "/siblings/%d" % size
    client.ensure_path(parent)
    filled = 0
    while filled < size and (filled == 0 or time.monotonic() < until):
        some = range(filled, min(filled + IN_FLIGHT * PER_TRANSACTION, size))
        populate(client, ["%s/%07d" % (parent, number) for number in some])
        filled = some.stop
    return _creating(client, lambda number: "%s/new%d" % (parent, number))._replace(reached=filled)


def transactions(client: Any, size: int, until: float) -> Measured:
    """Beside so many children, many at once."""
    among = siblings(client, size, until)
    parent = "/siblings/%d" % size

    def paths(number: int) -> List[str]:
        return ["%s/new%d-%d" % (parent, number, each) for each in range(PER_TRANSACTION)]

    def delete(count: int) -> None:
        for number in range(count):
            transaction = client.transaction()
            for path in paths(number):
                transaction.delete(path)
            transaction.commit()

    work = lambda number: populate(client, paths(number))  # noqa: E731
    return Measured(work, delete, events=PER_TRANSACTION, reached=among.reached)


def tree(client: Any, size: int, until: float) -> Measured:
    """Anywhere in a tree: under a random one of its nodes, which nothing was done to since it was made."""
    branches = size // BRANCH
    populate(client, ["/tree", *("/tree/%04d" % branch for branch in range(branches))])
    filled = 0
    while filled < branches and (filled == 0 or time.monotonic() < until):
        populate(client, ["/tree/%04d/%03d" % (filled, number) for number in range(BRANCH)])
        filled += 1
    somewhere = random.Random(size)
    chosen: Dict[int, str] = {}

    def choose(count: int) -> None:
        for number in range(count):
            place = (somewhere.randrange(filled), somewhere.randrange(BRANCH))
            chosen[number] = "/tree/%04d/%03d/new%d" % (*place, number)

    return _creating(client, lambda number: chosen[number])._replace(before=choose, reached=filled * BRANCH)


def data_of_parent(client: Any, size: int, until: float) -> Measured:
    """Under a node with so many bytes."""
    parent = "/data/%d" % size
    client.create(parent, b"x" * size, makepath=True)
    return _creating(client, lambda number: "%s/new%d" % (parent, number))


def depth(client: Any, size: int, until: float) -> Measured:
    """So many levels down."""
    parent = "/depth%d%s" % (size, "/d" * (size - 1))
    client.ensure_path(parent)
    return _creating(client, lambda number: "%s/new%d" % (parent, number))


def history(client: Any, size: int, until: float) -> Measured:
    """After so many writes: of a node's data, and every tenth of them a creation or a deletion of another node."""
    client.create("/history", DATA)
    flow = Flow(1500)
    number = 0
    while number < size and (number % 1000 or time.monotonic() < until):
        if number % 20 == 9:
            flow.add(client.create_async("/history/%07d" % number, DATA))
        elif number % 20 == 19:
            flow.add(client.delete_async("/history/%07d" % (number - 10)))
        else:
            flow.add(client.set_async("/history", DATA))
        number += 1
    flow.end()
    return Measured(lambda number: client.set("/history", DATA), reached=number)


def sessions(client: Any, size: int, until: float) -> Measured:
    """With so many sessions of others, each with an ephemeral node, which the heartbeat has to look after."""
    contenders = Contenders(client)
    contenders.run(lambda: contenders.open(size))
    client.create("/crowd")
    contenders.run(lambda: contenders.each(lambda number: _ephemeral("/crowd/%d" % number)))
    client.create("/among", DATA)
    return Measured(lambda number: client.set("/among", DATA))


def watchers(client: Any, size: int, until: float) -> Measured:
    """Of a node that so many sessions watch, until all of them have heard."""
    from fk_backend.session.ops import GetData

    contenders = Contenders(client)
    path = "/watched%d" % size
    client.create(path, DATA)
    contenders.run(lambda: contenders.open(size))

    def change(number: int) -> None:
        client.set_async(path, DATA)
        contenders.run(contenders.everybody)

    def watch(number: int) -> None:
        contenders.run(lambda: contenders.each(lambda number: GetData(path, True)))

    return Measured(change, prepare=watch, events=size, together=True)


def _ephemeral(path: str) -> Any:
    from fk_backend.core.acls import OPEN_ACL
    from fk_backend.core.requests import Create

    return Create(path, b"", OPEN_ACL, EPHEMERAL, 0, False)


# --- many sessions: without threads of kazoo's for each -----------------------------------------


class _Subscriber:
    """What one of many sessions hears."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self._received = heard
        self.answer: "asyncio.Future[Any]" = asyncio.get_event_loop().create_future()

    def replied(self, tag: Any, result: Any) -> None:
        """`Listener.replied`."""
        self.answer.set_result(result)

    def fired(self, event: Any) -> None:
        """`Listener.fired`."""
        self._received()

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""


class Contenders:
    """Sessions of this process, in the loop of its client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sessions: List[Any] = []
        self._watchers: List[_Subscriber] = []
        self._received = 0

    def run(self, make: Callable[[], Any]) -> Any:
        """A coroutine's result."""
        from fk_kazoo import loop_thread

        return loop_thread.run(self._client.handler, make, 600.0)

    async def open(self, count: int) -> None:
        """Opens so many."""
        from fk_backend.session.engine import Session

        gateway = await self._client._connection._opening.gateway()
        for start in range(0, count, 200):
            subscribers = [_Subscriber(self._receive) for _ in range(min(200, count - start))]
            some = [Session(gateway, self._client.deployment.namespace, each) for each in subscribers]
            await asyncio.gather(*(session.open(3_600_000) for session in some))
            self._sessions += some
            self._watchers += subscribers

    async def each(self, request: Callable[[int], Any]) -> None:
        """Everybody asks for something and is answered."""
        for start in range(0, len(self._sessions), 200):
            some = range(start, min(start + 200, len(self._sessions)))
            for number in some:
                self._watchers[number].answer = asyncio.get_event_loop().create_future()
                self._sessions[number].submit(None, request(number))
            await asyncio.gather(*(self._watchers[number].answer for number in some))
        self._received, self._all = 0, asyncio.Event()

    def _receive(self) -> None:
        self._received += 1
        if self._received == len(self._sessions):
            self._all.set()

    async def everybody(self) -> None:
        """Returns when every watch has fired."""
        await self._all.wait()
