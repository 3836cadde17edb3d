"""Everything a process does reaches the world through one gate, where it can be slowed, failed, stopped or killed.

A process that is dead never goes on: what it waits for never comes. What happened is written down in one log.
"""

from __future__ import annotations

import asyncio
import hashlib
from random import Random
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, TypeVar

from ...errors import Unavailable, Unknown
from .loop import SimulatedLoop
from .plan import CRASH, DOUBLE_CRASH, JUMP, PART, PAUSE, STORM, Fault, Knobs

T = TypeVar("T")
HANG_S = 0.5
"""So long a call into the void takes to fail, at most."""


class Entry(NamedTuple):
    """Something that happened, at virtual second ``at``; ``what`` says how ``value`` is to be read (see history)."""

    step: int
    at: float
    who: str
    what: str
    value: Any


def trace_of(log: List[Entry]) -> str:
    """A hash of all that happened, so that two runs can be compared without being kept."""
    digest = hashlib.sha256()
    for entry in log:
        digest.update(repr(tuple(entry)).encode())
    return digest.hexdigest()


class World:
    """One run: its loop, its chance, its processes and its log."""

    def __init__(self, seed: int, knobs: Knobs) -> None:
        self.seed = seed
        self.knobs = knobs
        self.loop = SimulatedLoop(Random("%d loop" % seed))
        self.random = Random("%d world" % seed)
        self.log: List[Entry] = []
        self.calls = 0
        self.faults: List[Fault] = []
        """Those whose time has come and is not over."""
        self.crossed: Optional[Callable[["Process", str, str], Optional[str]]] = None
        """Asked at every call of a port: None, or "before" or "after" to kill the process there."""
        self.still_until = 0.0
        """Who begins before that begins then."""
        self.calm = False
        """Nothing is slow any more."""
        self._asleep: List[Any] = []

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.loop.now

    def note(self, who: str, what: str, value: Any = None) -> int:
        """Writes something down; its number."""
        step = len(self.log)
        self.log.append(Entry(step, self.loop.now, who, what, value))
        return step

    @property
    def trace(self) -> str:
        """See `trace_of`."""
        return trace_of(self.log)

    async def sleep(self, seconds: float) -> None:
        """For the world itself: nobody can stop it."""
        if seconds > 0:
            await self.loop.due(self.loop.now + seconds)

    def never(self) -> "asyncio.Future[None]":
        """What nobody will ever set."""
        future = self.loop.create_future()
        self._asleep.append(future)
        return future

    def keep(self, task: Any) -> None:
        """Nothing of a dead process may be collected while the run goes on: that would run its clean-up."""
        self._asleep.append(task)

    # --- faults ---------------------------------------------------------------------------------

    def begin(self, fault: Fault, processes: List["Process"]) -> None:
        """A fault's time has come; ``processes`` are those it names."""
        self.note(fault.who, "fault", fault)
        for process in processes:
            if fault.kind == PAUSE:
                process.paused_until = max(process.paused_until, self.now + fault.span)
            elif fault.kind == CRASH:
                process.kill_at = fault.detail
            elif fault.kind == DOUBLE_CRASH:
                process.deserting = 1 + (fault.detail == "second")
            elif fault.kind == JUMP:
                process.wall_s += fault.span
            elif fault.kind in (PART, STORM):
                process.troubles.append((self.now + fault.span, fault))


class Process:
    """Something that can die: a client, or an instance of a function."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.random = Random("%d %s" % (world.seed, name))
        self.dead = False
        self.paused_until = world.still_until
        self.kill_at = ""
        self.wall_s = 0.0
        self.troubles: List[Tuple[float, Fault]] = []
        self.on_death: List[Callable[[], None]] = []
        self.deserting = 0
        """After how many commits of what it invokes it dies: see `plan.DOUBLE_CRASH`."""
        self.is_gone = False
        """Whether nobody starts it again."""
        self.is_writing = False
        """Whether one of its connections writes beside a host."""
        self.direct: Any = None
        """The direct message that it was invoked with."""
        self.deserted: Optional[Callable[[], None]] = None
        """Called after a commit."""
        self.asking: List[Any] = []
        """Where writers are invoked beside the queue: the messages that its next commit of the head takes."""
        self.looks_at: Optional[int] = None
        """The zxid of the head by which those fail that change nothing."""
        self.looked: Optional[int] = None
        """The step at which its direct message failed, if it did."""
        self.checked_ms = 0
        """What it was told last when it asked for the time."""

    def die(self) -> None:
        """It is gone from here on."""
        if not self.dead:
            self.dead = True
            self.world.note(self.name, "died")
            for told in self.on_death:
                told()

    async def pass_time(self, seconds: float) -> None:
        """Sleeps for so long, and longer if it is stopped; for ever if it is dead."""
        loop = self.world.loop
        if seconds > 0:
            await loop.due(loop.now + seconds)
        while self.paused_until > loop.now:
            await loop.due(self.paused_until)
        if self.dead:
            await self.world.never()

    def lag(self) -> float:
        """How long something takes on its way."""
        knobs = self.world.knobs
        draw = self.random.random()
        if knobs.slow and not self.world.calm and self.random.random() < knobs.slow:
            return draw * draw * knobs.lag * 50
        return draw * knobs.lag

    def trouble(self, port: str) -> str:
        """What is wrong between this process and a port right now: nothing, "part", or how a call is to fail."""
        if not self.troubles:
            return ""
        self.troubles = [trouble for trouble in self.troubles if trouble[0] > self.world.now]
        for _, fault in self.troubles:
            if fault.kind == PART and fault.detail == port:
                return PART
            if fault.kind == STORM and self.random.random() < 1 / 3:
                return fault.detail
        return ""

    async def call(self, port: str, name: str, effect: Callable[[], T]) -> T:
        """A call across a port: there, its effect in one instant, and back; or one of the things that go wrong."""
        world = self.world
        world.calls += 1
        kill_at = self.kill_at or (world.crossed(self, port, name) if world.crossed is not None else None)
        if kill_at == "before":
            self.die()
        loop = world.loop
        # What `pass_time` does, in place: a coroutine for each takes a tenth of a run.
        await loop.due(loop.now + self.lag())
        if self.dead or self.paused_until > loop.now:
            await self.pass_time(0.0)
        trouble = self.troubles and self.trouble(port)
        if trouble in (PART, "unavailable"):
            await self.pass_time(self.lag() if trouble != PART else HANG_S * self.random.random())
            raise Unavailable("%s not reached" % port)
        if trouble == "undone":
            await self.pass_time(HANG_S * self.random.random())
            raise Unknown("no answer from %s" % port)
        value = effect()
        if kill_at == "after" or (self.kill_at == "after" and not self.dead):
            self.die()
        if trouble == "lost":
            await self.pass_time(HANG_S * self.random.random())
            raise Unknown("no answer from %s" % port)
        await loop.due(loop.now + self.lag())
        if self.dead or self.paused_until > loop.now:
            await self.pass_time(0.0)
        return value


Processes = Dict[str, Process]
