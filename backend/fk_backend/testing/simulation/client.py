"""A client as apps are: it asks, pipelined, what its plan says, and connects again when it must. It writes all down.

A session that is lost is attached to again with its password; one that has expired is replaced by a new one.
"""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Dict, List, NamedTuple, Optional, Sequence

from ...core.requests import Close, Result
from ...errors import BackendError
from ...session.engine import CLOSED, EXPIRED, LOST, Session
from ...session.watchlist import Event
from .in_turn import InTurn
from .plan import Guess, HangUp, Lock, Steal, Step
from .ports import Deployment
from .world import Process

AGAIN_S = 0.1
"""Between tries to connect."""


class Asked(NamedTuple):
    """An op that a connection was asked, under a tag that is unique in the run."""

    conn: str
    tag: int
    op: Any


class Said(NamedTuple):
    """Something a connection said: the answer to a tag, an event (tag 0) or its end (tag -1)."""

    conn: str
    tag: int
    value: Any


class ConnectionStarted(NamedTuple):
    """A connection was made: of a new session (``attached`` is None) or of that one."""

    conn: str
    attached: Optional[int]
    session: int
    timeout_ms: int
    stolen: bool = False


class Refused(NamedTuple):
    """An attempt to attach was answered with: no such session, or not its password."""

    conn: str
    session: int
    right: bool


class Connection:
    """One `Session`, and who listens to it."""

    def __init__(self, client: "Client", process: Process) -> None:
        self.client = client
        self.process = process
        knobs = process.world.knobs
        kind = InTurn if knobs.direct or knobs.beside else Session
        self.session = kind(client.deployment.gateway(process), client.deployment.ns, self)
        self.waiting: Dict[int, "asyncio.Future[Optional[Result]]"] = {}
        self.over_with: Optional[str] = None

    @property
    def name(self) -> str:
        """Its inbox, once it has asked for a session."""
        return self.session.inbox

    def _say(self, tag: int, value: Any) -> None:
        if not self.process.dead:
            self.process.world.note(self.client.name, "said", Said(self.name, tag, value))

    def ask(self, op: Any) -> "asyncio.Future[Optional[Result]]":
        """The answer; None for a lost connection."""
        world = self.process.world
        tag = self.client.next_tag()
        answer = self.waiting[tag] = world.loop.create_future()
        if self.over_with is not None or self.process.dead:
            answer.set_result(None)
            return answer
        world.note(self.client.name, "asked", Asked(self.name, tag, op))
        self.session.submit(tag, op)
        return answer

    def replied(self, tag: Any, result: Result) -> None:
        """`Listener.replied`."""
        self._say(tag, result)
        answer = self.waiting.pop(tag, None)
        if answer is not None and not answer.done():
            answer.set_result(result)

    def fired(self, event: Event) -> None:
        """`Listener.fired`."""
        self._say(0, event)

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""
        self._say(-1, (reason, why))
        self.over_with = self.over_with or reason
        for answer in self.waiting.values():
            if not answer.done():
                answer.set_result(None)
        self.client.changed.set()


Recipe = Callable[["Client", Lock], Awaitable[None]]
"""What a client does that has a lock to take (`recipe.lock`)."""


class Client:
    """One client, through crashes and reconnections."""

    tags = 0

    def __init__(
        self, deployment: Deployment, number: int, steps: Sequence[Step], timeout_ms: int, lock: "Recipe"
    ) -> None:
        self.deployment = deployment
        self._lock = lock
        self.world = deployment.world
        self.name = "client-%d" % number
        self.timeout_ms = timeout_ms
        self.steps = steps
        self.changed = asyncio.Event()
        self.connection: Optional[Connection] = None
        self.known: Optional[Any] = None
        self.finished = False
        self.program_done = False
        self.lives = 0
        self.process: Process
        self.background_actions: List["asyncio.Future[Any]"] = []
        self._position = 0
        self._tag = number * 1_000_000

    def next_tag(self) -> int:
        """Unique in the run."""
        self._tag += 1
        return self._tag

    def start(self) -> None:
        """Begins, or begins again after a crash with nothing but the rest of the plan."""
        self.lives += 1
        self.process = Process(self.world, "%s.%d" % (self.name, self.lives))
        self.process.on_death.append(self._died)
        self.connection = None
        self.known = None
        self.background_actions = []
        self.changed = asyncio.Event()
        for body in (self._keep_connected(), self._play()):
            self._run(body)

    def _run(self, body: Any) -> "asyncio.Future[Any]":
        task: "asyncio.Future[Any]" = asyncio.ensure_future(body)
        self.world.keep(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Future[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.world.loop.call_exception_handler({"message": self.name, "exception": error})

    def _died(self) -> None:
        if not self.finished and not self.process.is_gone:
            self.world.loop.call_later(0.3, self.start)

    @property
    def quiet(self) -> bool:
        """Whether its program is over and everything is answered."""
        if self.process.is_gone:
            return True
        connection = self.connection
        return (
            self.program_done
            and not self.process.dead
            and connection is not None
            and connection.over_with is None
            and not connection.waiting
            and not connection.session.busy
            and all(chore.done() for chore in self.background_actions)
        )

    @property
    def over(self) -> bool:
        """Whether it is dead, or knows that its connection is over."""
        return self.process.dead or (self.connection is not None and self.connection.over_with is not None)

    # --- connections ----------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        while not self.finished:
            connection = Connection(self, self.process)
            if not await self._connect(connection):
                await self.process.pass_time(AGAIN_S)
                continue
            self.connection = connection
            self.changed.set()
            while connection.over_with is None:
                self.changed.clear()
                await self.changed.wait()
            if connection.over_with in (EXPIRED, CLOSED):
                self.known = None

    async def _connect(self, connection: Connection) -> bool:
        known = self.known
        try:
            if known is None:
                opened: Any = await connection.session.open(self.timeout_ms)
            else:
                opened = await connection.session.attach(known.session, known.password)
        except BackendError as error:
            self.world.note(self.name, "unconnected", "%s: %s" % (type(error).__name__, error))
            return False
        if opened is None:
            assert known is not None
            self.world.note(self.name, "refused", Refused(connection.name, known.session, True))
            self.known = None
            return False
        self.known = opened
        attached = None if known is None else known.session
        self.world.note(
            self.name, "begun", ConnectionStarted(connection.name, attached, opened.session, opened.timeout_ms)
        )
        return True

    # --- the program ----------------------------------------------------------------------------

    async def _play(self) -> None:
        while self._position < len(self.steps):
            step = self.steps[self._position]
            await self.process.pass_time(max(0.0, step.at - self.world.now))
            connection = await self.connected()
            self._position += 1
            self._do(connection, step.op)
        self.program_done = True

    async def connected(self) -> Connection:
        """The connection, as soon as there is one."""
        while self.connection is None or self.connection.over_with is not None:
            await self.process.pass_time(0.02)
        return self.connection

    def _do(self, connection: Connection, op: Any) -> None:
        if isinstance(op, HangUp):
            connection.session.end(LOST, "hung up")
        elif isinstance(op, (Steal, Guess)):
            self._background_action(self._intrude(connection, isinstance(op, Steal)))
        elif isinstance(op, Lock):
            self._background_action(self._lock(self, op))
        else:
            connection.ask(op)

    def _background_action(self, body: Any) -> None:
        self.background_actions.append(self._run(body))

    async def _intrude(self, connection: Connection, right: bool) -> None:
        """Another connection of the same process attaches, with the password or without it."""
        known = self.known
        if known is None:
            return
        other = Connection(self, self.process)
        try:
            opened = await other.session.attach(known.session, known.password if right else b"?" * 16)
        except BackendError:
            return
        if opened is None:
            self.world.note(self.name, "refused", Refused(other.name, known.session, right))
            return
        if not right:
            self.world.note(self.name, "broken-in", known.session)
        begun = ConnectionStarted(other.name, known.session, opened.session, opened.timeout_ms, stolen=True)
        self.world.note(self.name, "begun", begun)
        await self.process.pass_time(0.05)
        other.session.end(LOST, "hung up")

    # --- the end --------------------------------------------------------------------------------

    def finish(self, close: bool) -> None:
        """It asks for nothing more: closes its session, or dies without a word."""
        self.finished = True
        if close and not self.process.dead and self.connection is not None and self.connection.over_with is None:
            self.connection.ask(Close())
        else:
            self.process.die()
