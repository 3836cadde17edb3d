"""What runs the functions: a queue's trigger that hands over the same batch until it is done, and a timer.

Instances come and go: one that crashed is replaced, one that is late may still be at it when the next one begins, and
one that idles may be used again long after, with whatever it remembers.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, List, Optional, Sequence, Tuple, Union, cast

from ...codec import Malformed
from ...errors import Unavailable, Unknown
from ...functions.heartbeat import SENDER, TICK_S, Heartbeat
from ...functions.writer import Writer
from ...messages import decode, message_id
from ...ports import Clock, Delivery, Ports, Store
from ...providers.aws.ticks import Orders, Pulse, Tick
from ...providers.dispatch import Dispatcher
from ...providers.dispatch import Waiting as Handed
from ...providers.ticking import Ticking
from .loop import running
from .plan import CRASH, LATE, Fault
from .ports import Deployment
from .world import Process

RETRY_S = 0.05
FENCE_S = 0.001


class Instances:
    """The instances of one function."""

    def __init__(self, deployment: Deployment, kind: str, make: Callable[[Any], Any]) -> None:
        self._deployment = deployment
        self._world = deployment.world
        self._kind = kind
        self._make = make
        self._idle: List[Tuple[Process, Any]] = []
        self._faults: List[Tuple[float, Fault]] = []
        self._count = 0
        self.busy: List[Process] = []
        self.steady = False
        """No new instances any more, and one at a time."""

    def take(self) -> Tuple[Process, Any]:
        """One to use: an idle one, or a new one."""
        knobs = self._world.knobs
        self._idle = [(process, function) for process, function in self._idle if not process.dead]
        if self._idle and (self.steady or self._world.random.random() >= knobs.fresh):
            taken = self._idle.pop(0 if self.steady else self._world.random.randrange(len(self._idle)))
        else:
            self._count += 1
            process = Process(self._world, "%s-%d" % (self._kind, self._count))
            taken = process, self._make(self._deployment.ports(process))
        if not knobs.combined:  # there it has a queue, too, which may be at work
            taken[0].asking, taken[0].looks_at = [], None  # of what it did before, which may have failed
        self.busy = [process for process in self.busy if not process.dead]
        self.busy.append(taken[0])
        for until, fault in self._faults:
            if until > self._world.now:
                self._world.begin(fault._replace(span=until - self._world.now), [taken[0]])
                if fault.kind == CRASH:
                    self._faults.remove((until, fault))
                    break
        return taken

    @property
    def all_idle(self) -> bool:
        """Whether no instance is at work."""
        return all(process.dead for process in self.busy)

    def give_back(self, process: Process, function: Any) -> None:
        """It is done, and may be used again."""
        self.busy.remove(process)
        self._idle.insert(0, (process, function))

    def inject_fault(self, fault: Fault) -> None:
        """A fault of whoever runs now, or next."""
        if self.busy:
            self._world.begin(fault, self.busy[-1:])
        else:
            self._faults.append((self._world.now + max(fault.span, 1.0), fault))

    @property
    def all(self) -> List[Process]:
        """Those that work, and those that idle."""
        return [*self.busy, *(process for process, _ in self._idle)]

    def heal(self) -> None:
        """What is wrong with them is over."""
        self._faults.clear()
        self.steady = True
        for process in self.all:
            process.troubles.clear()
            process.kill_at = ""
            process.paused_until = 0.0


class Trigger:
    """The queue's end at the writer."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._world = deployment.world
        shares = deployment.world.knobs.invoked > 0
        told = deployment.told if deployment.world.knobs.beside else None
        self.writers = Instances(deployment, "writer", lambda ports: Writer(ports, shares=shares, told=told))
        host = deployment.ports(Process(deployment.world, "host"))
        self._dispatcher = Dispatcher(cast(Writer, self._once), cast(Heartbeat, None), host.inboxes, host.clock)
        """What finds out which message it is that can't be handled."""
        self._task: "Optional[asyncio.Task[None]]" = None
        deployment.on_message = self._start
        deployment.is_idle = lambda: self.idle and self.writers.all_idle

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not running(self._task)

    def _start(self) -> None:
        if not running(self._task):
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        queue, knobs = self._deployment.queue, self._world.knobs
        while self._deployment.writing is not None:  # whoever writes beside the host has begun before it has
            await self._world.sleep(FENCE_S)
        while queue or self._deployment.not_fanned_out:
            if self._deployment.not_fanned_out:
                while not await self._attempt([]):
                    await self._world.sleep(RETRY_S)
                self._deployment.not_fanned_out = False
                continue
            most = len(queue) if self._world.calm else min(len(queue), knobs.batch)
            count = self._world.random.randint(1, most)
            if knobs.poison:
                batch = [Handed(waiting.message_id, waiting.delivery) for waiting in queue[:count]]
                await self._dispatcher._handle(self._deployment.ns, batch)
                del queue[:count]
                continue
            while not await self._attempt([waiting.delivery for waiting in queue[:count]]):
                if knobs.rebatched:
                    count = self._world.random.randint(1, min(len(queue), knobs.batch))
                await self._world.sleep(RETRY_S)
            del queue[:count]

    async def _once(self, ns: str, batch: Sequence[Delivery]) -> None:
        error = await self._try(list(batch))
        if error is not None:
            raise error

    async def _attempt(self, batch: List[Delivery]) -> bool:
        """Whether the writer returned in time."""
        return await self._try(batch) is None

    async def _try(self, batch: List[Delivery]) -> Optional[BaseException]:
        """None if the writer returned in time; else what went wrong."""
        if self._world.knobs.charges_for_beats:
            batch = [delivery._replace(internal=self._is_ordered(delivery)) for delivery in batch]
        process, writer = self.writers.take()
        gone = self._world.loop.create_future()
        process.on_death = [lambda: None if gone.done() else gone.set_result(None)]
        self._world.note(process.name, "batch", len(batch))
        task = asyncio.ensure_future(writer(self._deployment.ns, batch))
        self._world.keep(task)
        task.add_done_callback(lambda _: self._finish(process, writer, task))
        await asyncio.wait((task, gone), timeout=self._world.knobs.visibility, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            self._world.note(process.name, "gone" if process.dead else "late")
            return Unknown("no answer from the writer")
        failure: Optional[BaseException] = task.exception()
        return failure

    def _is_ordered(self, delivery: Delivery) -> bool:
        """Whether the heartbeat wrote down that it would send this: the queue itself can't say who sent something."""
        try:
            message = decode(delivery.body)
        except Malformed:
            return False
        sent_id = message_id(message.inbox, message.first)
        if not sent_id.startswith(SENDER):
            return False
        orders = Orders(cast(Store, self._deployment.items))
        return bool(self._deployment.at_once(orders.gave(self._deployment.ns, sent_id)))

    def _finish(self, process: Process, writer: Any, task: "asyncio.Future[None]") -> None:
        error = task.exception()
        self._world.note(process.name, "returned", "" if error is None else "%s: %s" % (type(error).__name__, error))
        self.writers.give_back(process, writer)


def _pulse(ports: Ports) -> Pulse:
    return Pulse(Heartbeat(ports, TICK_S, owners_only=True), ports)


class Timer:
    """Calls the heartbeat."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._world = deployment.world
        self.heartbeats = Instances(
            deployment, "heartbeat", _pulse if self._world.knobs.charges_for_beats else Heartbeat
        )
        deployment.on_wake = self._wake
        self.late_s = 0.0
        self.twice = False
        self.due_s = 0.0
        """When it fires next."""
        self._sent = 0
        self.messages = 0
        """To the heartbeat, where it is woken by messages: those that are not done with."""

    def delay(self, fault: Fault) -> None:
        """The timer is late, or fires twice."""
        assert fault.kind == LATE
        self._world.note("timer", "fault", fault)
        self.late_s = fault.span
        self.twice = fault.detail == "twice"

    def heal(self) -> None:
        """It is not late again, and does not fire twice."""
        self.late_s, self.twice = 0.0, False
        self.heartbeats.heal()

    def _wake(self) -> None:
        """A message to the heartbeat is on its way."""
        self._sent += 1
        self._world.keep(asyncio.ensure_future(self._message(Tick(self._deployment.ns, (self._sent, "")))))

    async def _message(self, tick: Tick) -> None:
        """It comes again, in its time or after a failure, until there is nothing to come back for."""
        self.messages += 1
        pause_s = 0.0
        while True:
            await self._pause(pause_s)
            if self.twice:  # the same one
                self.twice = False
                self._world.keep(asyncio.ensure_future(self._tick(tick)))
            done = await self._tick(tick)
            if done is None:
                pause_s = RETRY_S
            elif done.result() is None:
                break
            else:
                pause_s = done.result().pause_s
        self.messages -= 1

    async def run(self) -> None:
        """For as long as the world turns."""
        knobs = self._world.knobs
        if knobs.charges_for_beats:
            await self._world.never()
        if (knobs.direct or knobs.beside) and not knobs.combined:
            await self._rest_at_times()
        while True:
            await self._pause(TICK_S)
            await self._look()

    async def _rest_at_times(self) -> None:
        """Where whoever opens a session beside the queue knows whether it will be looked after."""
        deployment, on_message = self._deployment, self._deployment.on_message
        ticking = Ticking(self._looked, lambda ns: not deployment.is_idle(), cast(Clock, self), TICK_S)

        def messages() -> None:
            if deployment.queue:
                ticking.start(deployment.ns)
            on_message()

        deployment.on_message, deployment.is_looked_after = messages, lambda: ticking.is_on(deployment.ns)
        try:
            await self._world.never()
        finally:
            ticking.cancel()

    async def sleep(self, seconds: float) -> None:
        """`ports.Clock.sleep`, between ticks."""
        await self._pause(seconds)

    async def _looked(self, ns: str) -> bool:
        """`Heartbeat.__call__`; Unavailable if there was no answer in time."""
        done = await self._look()
        if not all(done):
            raise Unavailable("no answer from the heartbeat")
        return any(each.result() for each in done if each is not None)

    async def _look(self) -> "List[Optional[asyncio.Future[Any]]]":
        if self._world.knobs.beside and not self._world.knobs.combined and self._deployment.is_free():
            if self._deployment.told.upto(self._deployment.ns) != self._deployment.head_rev():
                self._deployment.tell()  # whoever wrote beside the host was killed, or stopped
        ticks = [self._tick(self._deployment.ns) for _ in range(1 + self.twice)]
        self.twice = False
        return list(await asyncio.gather(*ticks))

    async def _pause(self, pause_s: float) -> None:
        pause, self.late_s = pause_s + self.late_s, 0.0
        self.due_s = max(self.due_s, self._world.now + pause)
        await self._world.sleep(pause)

    async def _tick(self, asked: Union[str, Tick]) -> "Optional[asyncio.Future[Any]]":
        """What the heartbeat returned, if it did in time."""
        process, heartbeat = self.heartbeats.take()
        self._deployment.on_tick(process)
        gone = self._world.loop.create_future()
        process.on_death = [lambda: None if gone.done() else gone.set_result(None)]
        task = asyncio.ensure_future(heartbeat(asked))
        self._world.keep(task)
        task.add_done_callback(lambda _: self._finish(process, heartbeat, task))
        await asyncio.wait((task, gone), timeout=self._world.knobs.visibility, return_when=asyncio.FIRST_COMPLETED)
        return task if task.done() and task.exception() is None else None

    def _finish(self, process: Process, heartbeat: Any, task: "asyncio.Future[Any]") -> None:
        error = task.exception()
        if error is not None:
            self._world.note(process.name, "returned", "%s: %s" % (type(error).__name__, error))
        self.heartbeats.give_back(process, heartbeat)
