"""kazoo's recipes in the simulated world: their own code, its threads taking turns on virtual time, one seed one run.

All of it is shipped: kazoo's recipes and client, fk_kazoo's client and connection, the session engine, the functions.
What is not is below them (the simulation's store, queue and inboxes with their faults) and beside them: threads, locks,
sockets, clocks and chance come from `green`.
"""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections import defaultdict
from random import Random
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List, Tuple, cast
from unittest import mock

import kazoo.handlers.utils
import kazoo.protocol.connection
import kazoo.recipe.barrier
import kazoo.recipe.lock
import kazoo.recipe.party
import kazoo.recipe.queue
import kazoo.recipe.watchers
import kazoo.retry
from kazoo.protocol.states import KazooState

from fk_backend.ports import Gateway
from fk_backend.testing.faults import expire
from fk_backend.testing.simulation import workload
from fk_backend.testing.simulation.plan import LATE, PART, PAUSE, Fault, Plan
from fk_backend.testing.simulation.run import NS, Run, constants
from fk_backend.testing.simulation.world import Process
from fk_kazoo import client as shipped
from fk_kazoo import loop_thread
from fk_kazoo.connection import Channel, ConnectionHandler

from . import exclusion, faulty_clients, membership, queues_and_counters
from .faulty_clients import PATIENCE_S, TIMEOUT_S, Clients
from .virtual_threads import Event, Handler, SocketEnd, Thread, Threads, Uncontended

FOREVER_S = 1e6
EPOCH = datetime.datetime(2024, 1, 1)
PORTS = (("store",), ("store", "queue"), ("store", "inbox"), ("store", "queue", "inbox"))
"""What who is cut off may not reach: always the store, where beats go."""
SPAN_S = 6.0
"""So long functions and clients meet faults beside the one that is looked at."""
CLOCKED = (
    kazoo.handlers.utils, kazoo.protocol.connection, kazoo.recipe.lock, kazoo.recipe.watchers, kazoo.retry,
    exclusion, faulty_clients,
)  # fmt: skip
THREADED = (exclusion, membership, faulty_clients)
CHANCY = (kazoo.protocol.connection, kazoo.retry)
NAMED = (kazoo.recipe.barrier, kazoo.recipe.lock, kazoo.recipe.party, kazoo.recipe.queue, faulty_clients)


class Loop:
    """In place of the thread in which fk_kazoo has its event loop."""

    def __init__(self, simulated: Any) -> None:
        self._loop = simulated
        self.loop_lock = SimpleNamespace(
            run_if_free=lambda function, *args: None,
            times_released=0,
            release_temporarily=contextlib.nullcontext,
            release_in_handler=lambda: None,
        )

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """As `LoopThread.call`."""
        self._loop.call_soon(function, *args)

    def call_now(self, function: Callable[..., object], *args: Any) -> bool:
        """As `LoopThread.call_now`: never, nobody else's turn is to be had."""
        return False

    def release(self, opening: Any) -> None:
        """As `LoopThread.release`: there is nothing to close."""


class InOrder(Dict[Callable[..., object], None]):
    """In place of kazoo's sets of functions, whose order is that of addresses in memory: the first to come is first."""

    def add(self, function: Callable[..., object]) -> None:
        """As `set.add`."""
        self[function] = None

    def discard(self, function: Callable[..., object]) -> None:
        """As `set.discard`."""
        self.pop(function, None)


class _CuttableHandler(ConnectionHandler):
    def _dial(self, host: str, port: int) -> Channel:
        gateway = self.client.world.deployment.gateway(self.client.process)

        async def reached() -> Gateway:
            return cast(Gateway, gateway)

        return Channel(cast(loop_thread.Opening, SimpleNamespace(gateway=reached)), NS)


class Client(shipped.KazooClient):
    """The shipped client in a process of the simulated world."""

    def __init__(self, world: "Simulated") -> None:
        self.world = world
        self.process = Process(world.world, "client-%d" % len(world.made))
        world.made.append(self)
        super().__init__("memory://simulated", timeout=TIMEOUT_S, handler=Handler(world.threads, self.process))
        self._connection = _CuttableHandler(self, self._conn_retry.copy(), logger=self.logger)
        self.state_listeners = InOrder()
        loop_thread.clients.discard(self)

    def _reset_watchers(self) -> None:
        super()._reset_watchers()
        self._child_watchers, self._data_watchers = defaultdict(InOrder), defaultdict(InOrder)

    def cut(self) -> None:
        """As `faulty_clients.Client.cut`; nobody tells it."""
        for port in self.process.random.choice(PORTS):
            fault = Fault(PART, self.process.name, self.process.world.now, FOREVER_S, port)
            self.process.world.begin(fault, [self.process])

    def mend(self) -> None:
        """As `faulty_clients.Client.mend`."""
        self.process.troubles.clear()

    def expire(self) -> None:
        """As `faulty_clients.Client.expire`."""
        session, lost, back = self.client_id[0], Event(self.world.threads), Event(self.world.threads)

        def listen(state: str) -> bool:
            if state == KazooState.LOST:
                lost.set()
            elif state == KazooState.CONNECTED and lost.is_set():
                back.set()
            return back.is_set()

        self.add_listener(listen)
        while not lost.is_set():
            self.world.expire(session)
            lost.wait(1.0)
        assert back.wait(PATIENCE_S), "who was expired comes back"


class Simulated(Run):
    """A deployment with its functions, and clients whose code is kazoo's."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.threads = Threads(self.world.loop, plan.seed)
        self.made: List[Client] = []
        self.operator = Process(self.world, "operator")

    def expire(self, session: int) -> None:
        """Asks for it, as the heartbeat does."""
        ports = self.deployment.ports(self.operator)
        self.world.keep(self.world.loop.create_task(expire(cast(Gateway, ports), NS, session)))

    async def perform(self, play: Callable[[], None]) -> None:
        """Runs what blocks, under the plan's faults."""
        self.start_functions()
        done = self.world.loop.create_future()
        thread = Thread(self.threads, lambda: _finish(play, done))
        thread.start()
        troubles = self.world.loop.create_task(self._trouble())
        try:
            await done
        finally:
            troubles.cancel()
            self.ticking.cancel()
            self.threads.end()

    async def _trouble(self) -> None:
        for fault in self.plan.faults:
            await self.world.sleep(fault.at - self.world.now)
            if fault.who.startswith("client"):
                self.world.begin(fault, [made.process for made in self.made if made.process.name == fault.who])
            else:
                self._begin(fault)
        await self.world.sleep(SPAN_S - self.world.now)
        self._heal()


def _finish(play: Callable[[], None], done: Any) -> None:
    try:
        play()
    except BaseException as error:
        done.set_exception(error)
    else:
        done.set_result(None)


def plan_of(recipe: str, fault: str, seed: int) -> Plan:
    """What the world is like. Nothing is so slow and nobody so long away that more clients than one lose touch."""
    r = Random("%s %s %d" % (recipe, fault, seed))
    knobs = workload.knobs(r)._replace(timeouts_ms=(int(TIMEOUT_S * 1000),), lag=r.choice((0.001, 0.002, 0.005)))
    faults = list(workload.faults(r, r.choice((0, 1, 3)), 0, SPAN_S))
    for number in r.sample(range(4), r.choice((0, 0, 1, 2))):  # twice, and somebody may lose touch who should not
        who = "client-%d" % number
        faults.append(Fault(PAUSE, who, round(r.random() * SPAN_S, 4), r.choice((0.05, 0.3, TIMEOUT_S / 4))))
    faults = [fault for fault in faults if fault.kind != LATE or fault.span <= 1.0]
    return Plan(seed, knobs, (), tuple(sorted(faults, key=lambda fault: fault.at)))


@contextlib.contextmanager
def _in_place(made: Simulated) -> Iterator[None]:
    """Threads, clocks, chance and the loop are the simulated ones, for as long as it lasts."""
    threads, chance = made.threads, Random("%d chance" % made.plan.seed)

    def uuid4() -> uuid.UUID:
        return uuid.UUID(int=chance.getrandbits(128))

    current = Loop(made.world.loop)
    patches: List[Tuple[Any, str, Any]] = [
        (loop_thread, "current", lambda: current),
        (loop_thread, "socket_pair", SocketEnd.pair),
        (loop_thread, "real_lock", Uncontended),
        *((module, "time", threads.as_time()) for module in CLOCKED),
        *((module, "threading", threads.as_threading()) for module in THREADED),
        *((module, "random", chance) for module in CHANCY),
        (queues_and_counters, "utcnow", lambda: EPOCH + datetime.timedelta(seconds=made.world.now)),
        *((module, "uuid", SimpleNamespace(uuid4=uuid4)) for module in NAMED),
    ]
    with contextlib.ExitStack() as stack:
        for module, name, replacement in patches:
            stack.enter_context(mock.patch.object(module, name, replacement))
        yield


def simulate(check: Callable[[Clients, faulty_clients.Fault], None], recipe: str, fault: str, seed: int) -> Simulated:
    """One recipe under one fault in the world of a seed. AssertionError if it does not keep what it is for."""
    made = Simulated(plan_of(recipe, fault, seed))

    def play() -> None:
        clients = Clients(lambda _: Client(made))
        try:
            check(clients, faulty_clients.FAULTS[fault])
        finally:
            clients.close()

    with _in_place(made), constants(made.plan):
        made.world.loop.run(made.perform(play))
    assert not made.world.loop.failures, made.world.loop.failures
    return made
