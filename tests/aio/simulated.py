"""The simulation's clients, each a `fk_kazoo.aio.KazooClient`: what they ask of sessions is judged by the same checks.

Every step of a plan is a task of its own, and many are cancelled at some moment. What only this client can get wrong
is looked at when all is quiet: that each step asked for what it says and once, that whoever is to be told is, and that
nothing of a cancelled task is left.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from contextlib import ExitStack, suppress
from random import Random
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple
from unittest import mock

from kazoo.exceptions import KazooException
from kazoo.protocol.states import EventType, KeeperState
from kazoo.retry import KazooRetry
from kazoo.security import ACL, Id

from fk_backend import layout
from fk_backend.core.requests import Auth, Check, Close, Create, Delete, Flags, Multi, SetAcl, SetData
from fk_backend.core.watches import PERSISTENT, RECURSIVE, is_one_shot
from fk_backend.errors import BackendError
from fk_backend.ports import STATE
from fk_backend.session.ops import AddWatch, Exists, GetAcl, GetChildren, GetData, RemoveWatches, Sync
from fk_backend.session.watchlist import Event
from fk_backend.testing.simulation import run as simulation
from fk_backend.testing.simulation import workload
from fk_backend.testing.simulation.client import AGAIN_S, Asked, ConnectionStarted, Refused, Said
from fk_backend.testing.simulation.plan import HangUp, Lock, Plan, Step
from fk_backend.testing.simulation.ports import Deployment
from fk_backend.testing.simulation.world import Process
from fk_kazoo import wire
from fk_kazoo.aio import KazooClient, connection, retrying, session
from fk_kazoo.aio.recipes import lock as locks
from fk_kazoo.locks import Lost

SILENT = logging.getLogger("tests.aio.simulated")
SILENT.disabled = True
CANCELLED = 0.35
"""How many tasks are cancelled, at most so many seconds after they began."""
WITHIN_S = 0.15
WATCHED_S = 0.5


class Recorded(connection.Connection):
    """A connection that writes all down, as `simulation.client.Connection` does."""

    def __init__(self, gateway: Any, url: Any, owner: Any) -> None:
        super().__init__(gateway, url, owner)
        self._at_once = False
        self.app: App = owner.app
        self.process: Process = owner.process
        self.numbers: Dict[Any, int] = {}

    @property
    def name(self) -> str:
        """Its inbox."""
        return self._session.inbox

    def _note(self, what: str, value: Any) -> None:
        if not self.process.dead:
            self.app.world.note(self.app.name, what, value)

    async def open(self, session: int, password: bytes, timeout_ms: int, seen_zxid: int, gateway: Any) -> bool:
        """`Connection.open`."""
        try:
            opened = await super().open(session, password, timeout_ms, seen_zxid, gateway)
        except BackendError as error:
            self._note("unconnected", "%s: %s" % (type(error).__name__, error))
            raise
        if self.opened is not None:
            self._note(
                "begun", ConnectionStarted(self.name, session or None, self.opened.session, self.opened.timeout_ms)
            )
        else:
            self._note("refused", Refused(self.name, session, True))
        return opened

    def _ask(self, tag: Any, op: Any) -> None:
        if tag in self.app.sent:
            self.app.complain("sent twice: %r" % (op,))
        self.app.sent[tag] = None
        number = self.numbers[tag] = self.app.next_tag()
        if not self.reason:
            self._note("asked", Asked(self.name, number, op))

    def send(self, call: Any) -> None:
        """`Connection.send`."""
        self._ask(call, wire.operation(call.request))
        super().send(call)

    def disarm(self, armed: Any) -> None:
        """`Connection.disarm`."""
        tag, op = object(), RemoveWatches(armed.path, (armed.mode,))
        self._ask(tag, op)
        self._session.submit(tag, op)

    def replied(self, tag: Any, result: Any) -> None:
        """`Listener.replied`."""
        self._note("said", Said(self.name, self.numbers.pop(tag), result))
        super().replied(tag if tag in self.calls else None, result)

    def fired(self, event: Event) -> None:
        """`Listener.fired`."""
        self._note("said", Said(self.name, 0, event))
        super().fired(event)

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""
        self._note("said", Said(self.name, -1, (reason, why)))
        super().over(reason, why)


class Client(KazooClient):
    """One that gets to the deployment by a gateway of the simulation."""

    def __init__(self, app: App) -> None:
        retry = KazooRetry(max_tries=None, delay=AGAIN_S, backoff=1, max_jitter=0.0)
        url = "memory://simulated?namespace=" + app.deployment.ns
        super().__init__(url, app.timeout_ms / 1000, connection_retry=retry, command_retry=retry, logger=SILENT)
        self.app, self.process = app, app.process

    def _begin(self) -> None:
        async def gateway() -> Any:
            return self.app.deployment.gateway(self.process)

        self._pid, self._loop = os.getpid(), asyncio.get_running_loop()
        self._opening = SimpleNamespace(failed=lambda: False, gateway=gateway)  # type: ignore[assignment]
        self._stopped, self._failure = False, None
        self._ended.clear()
        self._go_on()

    async def _leave(self, opening: Any) -> None:
        while self._closing_tasks:
            await asyncio.wait(list(self._closing_tasks))

    def _stood_still(self) -> Tuple[float, float]:
        return (0.0, 0.0)

    def answered(self, call: Any, result: Any) -> None:
        """`Owner.answered`. Whose credentials were refused, or set aside, starts anew."""
        super().answered(call, result)
        if self._state == KeeperState.AUTH_FAILED and not (self.process.dead or self._stopped):
            self.app.do(Close())

    def _send(self, request: Any, watcher: Any = None, mode: str = "") -> "asyncio.Future[Any]":
        self.app.asks(request)
        return super()._send(request, watcher, mode)


class Watcher:
    """A watch function of one step."""

    def __init__(self, path: str, mode: str) -> None:
        self.path, self.mode = path, mode
        self.told: List[Any] = []
        self.armed = False

    def __call__(self, event: Any) -> None:
        self.told.append(event)
        if is_one_shot(self.mode) or event.type == EventType.NONE:
            self.armed = False


class App:
    """As `simulation.client.Client`: an app with one client, through crashes."""

    def __init__(
        self, deployment: Deployment, number: int, steps: Sequence[Step], timeout_ms: int, _lock: object
    ) -> None:
        self.deployment, self.world = deployment, deployment.world
        self.name, self.timeout_ms, self.steps = "client-%d" % number, timeout_ms, steps
        self.finished = self.program_done = False
        self.process: Process
        self.zk: Client
        self.sent: Dict[Any, None] = {}
        self.random = Random("%d cancels %d" % (self.world.seed, number))
        self._lives = self._position = 0
        self._tag = number * 1_000_000

    def next_tag(self) -> int:
        """Unique in the run."""
        self._tag += 1
        return self._tag

    def complain(self, what: str) -> None:
        """Something is wrong."""
        self.world.loop.call_exception_handler({"message": self.name, "exception": what})

    def start(self) -> None:
        """Begins, or begins again after a crash with nothing but the rest of the plan."""
        self._lives += 1
        self.process = Process(self.world, "%s.%d" % (self.name, self._lives))
        self.process.on_death.append(self._died)
        self.background_actions: "Dict[asyncio.Future[Any], Optional[Any]]" = {}
        self.watchers: List[Watcher] = []
        self.removed: Set[str] = set()
        self.zk = Client(self)
        self.world.keep(self.zk)
        self.zk._begin()
        self._run(self._play(self.process), None)

    def _run(self, body: Any, op: Any) -> "asyncio.Future[Any]":
        task: "asyncio.Future[Any]" = asyncio.ensure_future(body)
        self.world.keep(task)
        self.background_actions[task] = op
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Future[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        self.background_actions.pop(task, None)
        if error is not None and not isinstance(error, KazooException):
            self.complain(repr(error))

    def _died(self) -> None:
        self.zk._stopped = True  # nothing of it tries again
        if not self.finished:
            self.world.loop.call_later(0.3, self.start)

    @property
    def connection(self) -> Any:
        """With ``waiting``, for who tells why it does not come to rest."""
        return None if self.zk._connection is None else SimpleNamespace(waiting=self.zk._connection.calls)

    @property
    def quiet(self) -> bool:
        """As `Client.quiet`."""
        zk = self.zk
        current = zk._connection
        return bool(
            self.program_done
            and not self.process.dead
            and zk.connected
            and not self.background_actions
            and current is not None
            and not (zk._queue or current.calls or current._session.busy)
        )

    @property
    def over(self) -> bool:
        """As `Client.over`."""
        return self.process.dead or (self.zk._stopped and not self.zk._closing_tasks)

    # --- the program ----------------------------------------------------------------------------

    async def _play(self, process: Process) -> None:
        while self._position < len(self.steps):
            step = self.steps[self._position]
            await process.pass_time(max(0.0, step.at - self.world.now))
            while not self.zk.connected:
                await process.pass_time(0.02)
            self._position += 1
            self._do(step.op)
        self.program_done = True

    def _do(self, op: Any) -> None:
        if type(op).__name__ in ("HangUp", "Steal", "Guess"):
            if self.zk._connection is not None:
                self.zk._connection.hang_up()
            return
        self.do(op)

    def do(self, op: Any) -> None:
        """Does a step, in a task of its own."""
        op = askable(op)
        task = self._run(self._step(op), op)
        if op not in workload.SETUP and not isinstance(op, Close) and self.random.random() < CANCELLED:
            self.world.loop.call_later(self.random.random() * WITHIN_S, self._cancel, self.process, task)

    def _cancel(self, process: Process, task: "asyncio.Future[Any]") -> None:
        if not process.dead:
            task.cancel()

    async def _step(self, op: Any) -> None:
        zk = self.zk
        if isinstance(op, Lock):
            async with zk.Lock(op.path, lost=Lost.RAISE) as held:
                path = "%s/%s" % (op.path, held.node)
                await zk.process.pass_time(self.random.choice((0.0, 0.0, 0.1, 0.5)))
                is_lost = held.lost.is_set()
                await zk.set(op.resource, b"fence %d %s" % (held.fence, path.encode()))
                if is_lost:
                    self.complain("a body went on although its lock was lost")
        elif isinstance(op, Close):
            await zk.stop()
            if zk._stopped and not zk.process.dead:
                zk._begin()
        elif isinstance(op, AddWatch) and self.random.random() < 0.5:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._iterate(op), WATCHED_S)
        elif getattr(op, "watch", False) or isinstance(op, AddWatch):
            await self._watch(op)
        elif isinstance(op, RemoveWatches):
            self.removed.add(op.path)  # also without an answer
            await zk.remove_all_watches(op.path)
        else:
            await CALLS[type(op)](zk, op)

    async def _iterate(self, op: AddWatch) -> None:
        async with self.zk.watch(op.path, op.mode == RECURSIVE) as events:
            async for _ in events:
                pass

    async def _watch(self, op: Any) -> None:
        zk = self.zk
        mode = op.mode if isinstance(op, AddWatch) else "child" if isinstance(op, GetChildren) else "data"
        watcher = Watcher(op.path, mode)
        if isinstance(op, AddWatch):
            await zk.add_watch(op.path, watcher, op.mode)
        else:
            await _looks(zk, op)(op.path, watcher)
        if not watcher.told:
            watcher.armed = True
            self.watchers.append(watcher)

    def asks(self, request: Any) -> None:
        """By a step's own task: what the step says, or the recipe's."""
        op = self.background_actions.get(asyncio.current_task())  # type: ignore[arg-type]
        if op is None or isinstance(op, (Lock, Close)):
            return
        asked = wire.operation(request)
        if asked != op:
            self.complain("%r was asked for, and not %r" % (asked, op))

    # --- the end --------------------------------------------------------------------------------

    def finish(self, close: bool) -> None:
        """As `Client.finish`. All is quiet: whatever a task has left behind is here."""
        self.finished = True
        self._look()
        if close and not self.process.dead and self.zk.connected:
            self._run(self.zk.stop(), None)
        else:
            self.process.die()

    def _look(self) -> None:
        zk = self.zk
        if self.process.dead or zk._connection is None or not zk.connected:
            return
        armed = {(each.mode, each.path) for each in zk._connection._session._machine.watches.all()}
        table = zk._watches._watchers
        if armed != {(each.mode, each.path) for each in table}:
            self.complain("the session has the watches %s, and the client %s" % (armed, list(table)))
        left = [each for watchers in table.values() for each in watchers]
        for each in left:
            if each not in self.watchers or not each.armed:
                self.complain("a watch is left behind: %r" % (each,))
        for watcher in self.watchers:
            if watcher.armed and watcher not in left and watcher.path not in self.removed:
                self.complain("a watch function was forgotten: %s %s" % (watcher.mode, watcher.path))
        if zk._tasks or zk._listeners or zk._held_nodes or zk._queue:
            self.complain("left: %s %s %s" % (zk._tasks, zk._listeners, zk._held_nodes))
        for name, owner in self._contenders():
            if owner == zk._session_id:
                self.complain("a contender is left behind: %s" % name)

    def _contenders(self) -> Iterator[Tuple[str, int]]:
        """And whose they are."""
        items: Any = self.deployment.items
        ns, at_once = self.deployment.ns, self.deployment.at_once
        partition = layout.node_partition(ns, workload.LOCKS)
        for name in at_once(items.listing(STATE, partition, layout.CHILDREN, layout.CHILDREN, 1000)).names:
            (item,) = at_once(items.get([layout.node_keys(ns, "%s/%s" % (workload.LOCKS, name))[0]]))
            if item is not None:
                yield name, layout.node_of(item).owner


def plan(seed: int) -> Plan:
    """As `workload.plan`, with more of what this client does by itself: locks, and watches that stay."""
    made, r = workload.plan(seed), Random("%d tasks" % seed)
    programs = []
    for steps in made.clients:
        span = max((step.at for step in steps), default=0.0) + 0.2
        more = [Step(round(0.2 + r.random() * span, 4), _more(r)) for _ in range(4)]
        programs.append(tuple(sorted((*steps, *more), key=lambda step: step.at)))
    return made._replace(clients=tuple(programs))


def _more(r: Random) -> Any:
    mode = r.choice((PERSISTENT, RECURSIVE))
    lock = Lock(workload.LOCKS, workload.RESOURCE)
    return r.choice((lock, lock, HangUp(), HangUp(), AddWatch(r.choice(workload.PARENTS), mode)))


def _acls(acls: Any) -> List[ACL]:
    return [ACL(each.perms, Id(each.scheme, each.id)) for each in acls]


def askable(op: Any) -> Any:
    """The nearest to it that this client can ask for."""
    if isinstance(op, Multi):
        return Multi(tuple(_part(each) for each in op.ops))
    if isinstance(op, Create) and op.flags == Flags.CONTAINER:
        return op._replace(with_stat=True, data=op.data or b"")
    if isinstance(op, Create) and op.flags == Flags.TTL:
        return op._replace(with_stat=True, data=op.data or b"")
    return op


def _part(op: Any) -> Any:
    if isinstance(op, Create):
        return op._replace(data=op.data or b"", with_stat=False, ttl_ms=0, flags=op.flags & 3 if op.flags < 4 else 0)
    return op


async def _create(zk: Client, op: Create) -> None:
    acls = _acls(op.acl)
    if op.flags == Flags.CONTAINER:
        await zk.create_container(op.path, op.data, acls)  # type: ignore[arg-type]
    elif op.flags == Flags.TTL:
        await zk.create_ttl(op.path, op.ttl_ms, op.data, acls)  # type: ignore[arg-type]
    else:
        flags = {"ephemeral": bool(op.flags & 1), "sequence": bool(op.flags & 2), "include_data": op.with_stat}
        await zk.create(op.path, op.data, acls, **flags)  # type: ignore[call-overload]


async def _multi(zk: Client, op: Multi) -> None:
    t = zk.transaction()
    for each in op.ops:
        if isinstance(each, Create):
            t.create(each.path, each.data, _acls(each.acl), bool(each.flags & 1), bool(each.flags & 2))  # type: ignore[arg-type]
        elif isinstance(each, Delete):
            t.delete(each.path, each.version)
        elif isinstance(each, SetData):
            t.set_data(each.path, each.data, each.version)  # type: ignore[arg-type]
        else:
            assert isinstance(each, Check)
            t.check(each.path, each.version)
    await t.commit()


def _looks(zk: Client, op: Any) -> Callable[..., Any]:
    if isinstance(op, Exists):
        return zk.exists
    return zk.get if isinstance(op, GetData) else zk.get_children


CALLS: Dict[Any, Callable[[Client, Any], Any]] = {
    Create: _create,
    Multi: _multi,
    Delete: lambda zk, op: zk.delete(op.path, op.version),
    SetData: lambda zk, op: zk.set(op.path, op.data, op.version),
    SetAcl: lambda zk, op: zk.set_acls(op.path, _acls(op.acl), op.version),
    Exists: lambda zk, op: zk.exists(op.path),
    GetData: lambda zk, op: zk.get(op.path),
    GetChildren: lambda zk, op: zk.get_children(op.path),
    GetAcl: lambda zk, op: zk.get_acls(op.path),
    Sync: lambda zk, op: zk.sync(op.path),
    Auth: lambda zk, op: zk.add_auth(op.scheme, op.credential),
}


def run(plan: Plan) -> simulation.History:
    """Runs a plan with such clients."""
    numbers = Random("%d uuid" % plan.seed)
    made = SimpleNamespace(uuid4=lambda: SimpleNamespace(hex="%032x" % numbers.getrandbits(128)))
    with ExitStack() as stack:
        for place, name, value in (
            (simulation, "Client", App),
            (session, "Connection", Recorded),
            (locks, "uuid", made),
            (retrying, "random", numbers),
            (session, "monotonic", lambda: 0.0),
        ):
            stack.enter_context(mock.patch.object(place, name, value))
        gc.disable()  # what is forgotten closes itself: that has to be at the same moment in every run
        try:
            return simulation.run(plan)
        finally:
            gc.enable()
            gc.collect()  # what dead processes left half done ends here, and not within the next run
