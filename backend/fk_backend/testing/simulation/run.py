"""One plan, one run: what it leaves is everything that was asked, said and stored, ready to be judged.

After the plan everything is healed, everybody gets what he waits for, all sessions end, and the store is looked at.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from random import Random
from types import MappingProxyType
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence
from unittest import mock

from ... import layout
from ...core import apply as core
from ...functions import writer
from ...functions.heartbeat import TICK_S
from ...ports import INTEREST, SESSIONS, TABLES, Item, Key
from ...session import inbox
from ...writer import step
from . import committed, hostile
from .beside import SimulatedBeside
from .client import Client
from .direct import SimulatedDirect
from .hosts import Timer, Trigger
from .invoked import SimulatedInvocations
from .local.combined import Machine
from .loop import Stuck
from .plan import FORGOTTEN, GARBAGE, LATE, PART, PAUSE, POISON, STORM, WORLD, Fault, Plan
from .ports import Deployment
from .recipe import lock
from .world import Entry, Process, World, trace_of

NS = "ns"
PATIENCE_S = 60.0
"""Virtual seconds after the last fault in which everything has to come to rest."""
IDLE_TICKS = 2


class History(NamedTuple):
    """What a run left."""

    plan: Plan
    log: List[Entry]
    rest: Dict[Key, Item]
    """The store when every session was gone."""
    busy: Dict[Key, Item]
    """The store when everything was answered and before the sessions ended."""
    complaints: List[str]
    """What never came to rest, and tasks that failed."""
    calls: int
    recovered_at: float
    busy_blobs: Mapping[str, bytes] = MappingProxyType({})
    rest_blobs: Mapping[str, bytes] = MappingProxyType({})
    """What was kept as blobs at those moments."""

    @property
    def trace(self) -> str:
        """See `trace_of`."""
        return trace_of(self.log)


class Run:
    """A plan, being run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world = World(plan.seed, plan.knobs)
        self.deployment = Deployment(self.world, NS)
        if plan.knobs.direct:
            self.deployment.direct_of = lambda process: SimulatedDirect(self.deployment, process)
        if plan.knobs.beside:
            self.deployment.direct_of = lambda process: SimulatedBeside(self.deployment, process)
        self.machine = Machine(self.deployment) if plan.knobs.combined else None
        if self.machine is not None:
            self.deployment.direct_of = self.machine.user
        if plan.knobs.invoked:
            self.deployment.direct_of = lambda process: SimulatedInvocations(
                self.deployment, process, lambda: self.trigger.writers
            )
        self.clients: List[Client] = []
        self.complaints: List[str] = []
        self.busy: Dict[Key, Item] = {}
        self.busy_blobs: Dict[str, bytes] = {}
        self.recovered_at = 0.0

    def start_functions(self) -> None:
        """From now on the writer is called for what is sent, and the heartbeat by its timer."""
        self.trigger = Trigger(self.deployment)
        self.timer = Timer(self.deployment)
        self.ticking = asyncio.ensure_future(self.timer.run())

    async def main(self) -> None:
        """From the first client's first step to the store at rest."""
        self.start_functions()
        timeouts = self.plan.knobs.timeouts_ms
        for number, steps in enumerate(self.plan.clients):
            client = Client(self.deployment, number, steps, timeouts[number % len(timeouts)], lock)
            self.clients.append(client)
            client.start()
        for fault in self.plan.faults:
            await self.world.sleep(fault.at - self.world.now)
            self._begin(fault)
        await self._end()
        self.ticking.cancel()

    def _begin(self, fault: Fault) -> None:
        if fault.kind == LATE:
            self.timer.delay(fault)
        elif fault.kind == FORGOTTEN:
            assert self.machine is not None
            self.world.note("world", "fault", fault)
            self.machine.forget(int(fault.detail))
        elif fault.kind == GARBAGE:
            hostile.attack(self.deployment, Random(fault.detail))
        elif fault.who == WORLD:
            clients = [client.process for client in self.clients]
            self.world.still_until = max(self.world.still_until, self.world.now + fault.span)
            self.world.begin(fault, [*clients, *self.trigger.writers.all, *self.timer.heartbeats.all])
        elif fault.who == "writer":
            self.trigger.writers.inject_fault(fault)
        elif fault.who == "heartbeat":
            self.timer.heartbeats.inject_fault(fault)
        else:
            found: List[Process] = [client.process for client in self.clients if client.name == fault.who]
            self.world.begin(fault, found)

    async def _end(self) -> None:
        last = max((step.at for steps in self.plan.clients for step in steps), default=0.0)
        spans = [fault.at + fault.span for fault in self.plan.faults if fault.kind in (PART, STORM, PAUSE)]
        await self.world.sleep(max([last, *spans]) - self.world.now + 0.01)
        self._heal()
        await self._until(self._is_quiet, "answers")
        if self.plan.knobs.poll_s:  # what nobody told is found
            await self.world.sleep(max(self.plan.knobs.poll_s, *inbox.FAN_OUT_CHECK_S) + 1.0)
            await self._until(self._is_quiet, "answers")
        self.busy, self.busy_blobs = self.contents(), dict(self.deployment.blobs)
        self.world.note("world", "quiet")
        for number, client in enumerate(self.clients):
            client.finish(close=(self.plan.seed + number) % 3 != 0)
        await self._until(lambda: self._parted() and self._empty() and self._settled(), "sessions")
        await self._until(lambda: self.timer.messages <= 1, "one message of ticks")
        await self.world.sleep(IDLE_TICKS * TICK_S)

    def _is_quiet(self) -> bool:
        return all(client.quiet for client in self.clients) and self._settled()

    def _heal(self) -> None:
        self.world.note("world", "healed")
        # A timer that is late already stays so: nobody could be heard before it fires, and time is given back then.
        self.recovered_at = max(self.world.now, self.timer.due_s)
        self.world.calm = True
        self.trigger.writers.heal()
        self.timer.heal()
        if self.plan.knobs.charges_for_beats and self.plan.faults and self._ticking():
            self.deployment.on_wake()  # as the daily sweep does
        for client in self.clients:
            client.process.troubles.clear()
            client.process.kill_at, client.process.deserting = "", 0

    def _parted(self) -> bool:
        """Whether every client has heard of its end: until then it beats, and its counter may be there once more."""
        return all(client.over for client in self.clients)

    def _empty(self) -> bool:
        """Whether there is no session and no beat counter; where sessions that own nothing stay, no holder."""
        if self.plan.knobs.charges_for_beats:
            owned = [key for key in self.contents() if key.table == SESSIONS and key.sort.startswith("/")]
            listed = self.deployment.at_once(self.deployment.items.query(SESSIONS, layout.holders_partition(NS), "0"))
            return not listed.rows and all(key.partition.endswith(":reapable") for key in owned)
        places = (SESSIONS, layout.sessions_partition(NS)), (INTEREST, layout.beats_partition(NS))
        items: Any = self.deployment.items
        return not any(self.deployment.at_once(items.query(*place)).rows for place in places)

    def _ticking(self) -> bool:
        (item,) = self.deployment.at_once(self.deployment.items.get([layout.head_key(NS)]))
        return item is not None and layout.head_of(item).ticking > 0

    def _settled(self) -> bool:
        if self.deployment.holder is not None or self.deployment.in_transit:
            return False
        if self.machine is not None and not self.machine.is_idle():
            return False
        return self.trigger.idle and self.trigger.writers.all_idle

    async def _until(self, reached: Callable[[], bool], what: str) -> None:
        deadline = self.world.now + PATIENCE_S
        still = False
        while not (still and reached()):
            if self.world.now > deadline:
                self.complaints.append("never came to rest: %s, %s" % (what, self._not_quiescent()))
                return
            still = reached()
            await self.world.sleep(TICK_S / 4)

    def _not_quiescent(self) -> str:
        asked = {c.name: sorted(c.connection.waiting) if c.connection else "no connection" for c in self.clients}
        waiting = len(self.deployment.queue), self.deployment.in_transit, self.trigger.writers.all_idle
        return "%s; in queue, post, writers: %s" % (asked, waiting)

    def contents(self) -> Dict[Key, Item]:
        """Everything in the store."""
        items: Any = self.deployment.items
        rows: Dict[Key, Item] = {}
        for table in TABLES:
            rows.update(self.deployment.at_once(items.scan(table, limit=1 << 30)))
        return rows


@contextmanager
def constants(plan: Plan) -> Iterator[None]:
    """Limits as small as the plan says, so that small runs reach them; and the bug that makes a message poison."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(writer, "MAX_CALLS", plan.knobs.commit_calls))
        if plan.knobs.poll_s:
            stack.enter_context(mock.patch.object(inbox, "LOOK_S", plan.knobs.poll_s))
        if plan.knobs.taken_by_commit:
            stack.enter_context(mock.patch.object(writer, "next_step", committed.witnessed(step.next_step)))
            stack.enter_context(mock.patch.object(writer, "recorded", committed.recording(step.recorded)))
        if plan.knobs.poison:
            stack.enter_context(mock.patch.object(step, "apply", _failing(core.apply)))
        yield


def poisonous(request: Any) -> bool:
    """Whether the writer fails on it."""
    return getattr(request, "path", None) == POISON


def _failing(apply: Any) -> Any:
    def failing(snapshot: Any, calls: Sequence[Any], now_ms: int) -> Any:
        if any(poisonous(call.request) for call in calls):
            raise ZeroDivisionError("a bug")
        return apply(snapshot, calls, now_ms)

    return failing


def run(plan: Plan, crossed: Optional[Callable[[Process, str, str], Optional[str]]] = None) -> History:
    """Runs a plan. ``crossed`` is asked at every call of a port, see `World.crossed`."""
    made = Run(plan)
    made.world.crossed = crossed
    with constants(plan):
        try:
            made.world.loop.run(made.main())
        except Stuck as error:
            made.complaints.append("stuck: %s" % error)
    made.complaints.extend(map(_told, made.world.loop.failures))
    world = made.world
    history = History(
        plan, world.log, made.contents(), made.busy, made.complaints, world.calls, made.recovered_at,
        made.busy_blobs, dict(made.deployment.blobs),
    )  # fmt: skip
    if made.machine is not None:
        made.machine.end()
    return history


def _told(context: Dict[str, Any]) -> str:
    return "a task failed: %s %r" % (context.get("message"), context.get("exception"))
