"""Every interleaving of a small scope, with the shipped engine and writer: nothing is drawn, every choice is taken.

A choice is which waiting call of a port takes effect next, which push arrives next (once, or twice while doubles are
left), whether the writer dies at its next call (while crashes are left). A run is repeated from its beginning for each
untried choice; a state that was met before is not gone on from. What a process does follows from what it heard, so a
state is: the store, the queue, what every process has heard so far, and what is on its way.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from ...core.acls import OPEN_ACL
from ...core.requests import Create, Delete, SetData
from ...functions.writer import Writer
from ...ports import TABLES, Delivery, Pushed
from ...session.ops import Exists, GetChildren, GetData
from .checks import CHECKS
from .client import Begun, Connection
from .plan import Knobs, Plan
from .ports import Deployment
from .replay import Replay
from .run import NS, History
from .world import Process, World

INSTANT = frozenset(("increment", "check", "listen", "send"))
"""Calls whose place in the order changes nothing that a scope looks at."""
LEAF_CHECKS = ("W1", "W3", "W4", "W5", "W6", "R1", "R2", "V1", "V2", "V3", "V4", "V5", "V6", "Q1", "Q3")
"""What is judged where nothing is left to choose: all that does not depend on who was first by the clock."""


class Scope(NamedTuple):
    """Who asks what, after the setup, and how much may go wrong."""

    name: str
    programs: Tuple[Tuple[Any, ...], ...]
    crashes: int = 0
    doubles: int = 0
    recent_bytes: int = 1 << 20


class Explored(NamedTuple):
    """What an exploration came to."""

    states: int
    runs: int
    leaves: int
    complete: bool
    violations: List[str]


class Choice(NamedTuple):
    """One thing that may happen next."""

    label: str
    act: Callable[[], None]
    costs: str = ""
    """What has to be left of: "crashes" or "doubles"."""


class Maze(World):
    """A world in which nothing happens by itself."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(1, Knobs(recent_bytes=scope.recent_bytes, doubles=0.0, slow=0.0))
        self.waiting: Dict[int, List[Choice]] = {}
        self.heard: Dict[str, int] = {}
        self.crashes = scope.crashes
        self.doubles = scope.doubles
        self.free = False
        """Before the scope begins: the first choice is taken, and no other is offered."""
        self._numbers = 0

    def offer(self, choices: List[Choice]) -> None:
        """Any one of these may happen, and then none of the others."""
        self._numbers += 1
        number = self._numbers

        def take(act: Callable[[], None]) -> Callable[[], None]:
            def taken() -> None:
                del self.waiting[number]
                act()

            return taken

        self.waiting[number] = [Choice(label, take(act), costs) for label, act, costs in choices]

    def hear(self, name: str, what: Any) -> None:
        """A process learns something: from here on it is another one."""
        self.heard[name] = hash((self.heard.get(name, 0), what))

    def choices(self) -> List[Choice]:
        """All that may happen now."""
        every = (choice for offered in self.waiting.values() for choice in offered)
        left = {"": 1, "crashes": self.crashes, "doubles": self.doubles}
        return [choice for choice in every if left[choice.costs]]


class Walker(Process):
    """A process whose calls wait to be chosen."""

    world: Maze

    async def pass_time(self, seconds: float) -> None:
        """Time stands still."""
        await self.world.never()

    async def call(self, port: str, name: str, effect: Callable[[], Any]) -> Any:
        """Waits to be chosen; then its effect, and its answer."""
        maze = self.world
        if name in INSTANT:
            return effect()
        future = maze.loop.create_future()

        def act() -> None:
            try:
                value = effect()
            except Exception as error:
                maze.hear(self.name, (name, type(error).__name__))
                future.set_exception(error)
            else:
                maze.hear(self.name, (name, _frozen(value)))
                future.set_result(value)

        choices = [Choice("%s %s" % (self.name, name), act)]
        if not maze.free and self.name.startswith("writer"):
            choices.append(Choice("%s dies at %s" % (self.name, name), self._crash, "crashes"))
        maze.offer(choices)
        return await future

    def _crash(self) -> None:
        self.world.crashes -= 1
        self.die()


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


class MazeDeployment(Deployment):
    """Pushes wait to be chosen, too, and a batch is everything that waits."""

    world: Maze

    def __init__(self, maze: Maze) -> None:
        super().__init__(maze, NS)
        self.on_message = self._begin
        self._busy = False
        self._instances = 0
        self._writer: Optional[Tuple[Walker, Writer]] = None

    def push(self, message: Pushed) -> None:
        """On its way."""
        maze = self.world

        def arrive() -> None:
            inbox = self.inboxes.get(message.inbox)
            if inbox is not None and inbox.receive is not None:
                maze.hear(inbox.process.name, message.body)
                inbox.receive(message.body)

        def twice() -> None:
            maze.doubles -= 1
            arrive()
            self.push(message)

        choices = [Choice("push %d" % hash(message), arrive)]
        if not maze.free:
            choices.append(Choice("double %d" % hash(message), twice, "doubles"))
        maze.offer(choices)

    def _begin(self) -> None:
        if not self._busy and self.queue:
            self._busy = True
            self.world.offer([Choice("batch", self._hand_over)])

    def _hand_over(self) -> None:
        if self._writer is None or self._writer[0].dead:
            self._instances += 1
            process = Walker(self.world, "writer-%d" % self._instances)
            self._writer = process, Writer(self.ports(process))
        process, writer = self._writer
        count = len(self.queue)
        batch = [waiting.delivery for waiting in self.queue]
        self.world.hear(process.name, tuple(delivery.sequence for delivery in batch))
        self.world.note(process.name, "batch", count)
        process.on_death = [self._again]
        self.world.keep(asyncio.ensure_future(self._attempt(process, writer, batch)))

    def _again(self) -> None:
        self.world.offer([Choice("batch", self._hand_over)])

    async def _attempt(self, process: Walker, writer: Writer, batch: List[Delivery]) -> None:
        await writer(NS, batch)
        await process.call("queue", "delete", lambda: None)
        del self.queue[: len(batch)]
        self._busy = False
        self._begin()


class Asker:
    """A client: opens its session and asks its program, all at once."""

    def __init__(self, maze: Maze, deployment: MazeDeployment, number: int) -> None:
        self.world = maze
        self.deployment = deployment
        self.name = "client-%d" % number
        self.changed = asyncio.Event()
        self.process = Walker(maze, self.name + ".1")
        self._tag = number * 1000
        self.connection = Connection(self, self.process)  # type: ignore[arg-type] # as much of a Client as that needs

    def next_tag(self) -> int:
        """Unique in the run."""
        self._tag += 1
        return self._tag

    async def open(self) -> None:
        """Its session."""
        opened = await self.connection.session.open(2000)
        begun = Begun(self.connection.name, None, opened.session, opened.timeout_ms)
        self.world.note(self.name, "begun", begun)


class Trip:
    """One run through the maze: along a given way, and then always by the first choice."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.maze = Maze(scope)
        self.deployment = MazeDeployment(self.maze)

    def run(self, way: Sequence[int], seen: Set[int], stack: List[Tuple[int, ...]]) -> bool:
        """Whether it came to an end of its own: False where the state was known."""
        loop = self.maze.loop
        asyncio.events._set_running_loop(loop)
        try:
            self._set_up()
            return self._walk(way, seen, stack)
        finally:
            asyncio.events._set_running_loop(None)
            loop._closed = True

    def _set_up(self) -> None:
        maze = self.maze
        maze.free = True
        askers = [Asker(maze, self.deployment, number) for number in range(len(self.scope.programs))]
        for asker in askers:
            maze.keep(asyncio.ensure_future(asker.open()))
            self._settle()
        askers[0].connection.ask(Create("/a", b"", OPEN_ACL, 0, 0, False))
        self._settle()
        maze.free = False
        for asker, program in zip(askers, self.scope.programs):
            for op in program:
                asker.connection.ask(op)
        maze.loop.drain()

    def _settle(self) -> None:
        self.maze.loop.drain()
        while self.maze.waiting:
            self.maze.choices()[0].act()
            self.maze.loop.drain()

    def _walk(self, way: Sequence[int], seen: Set[int], stack: List[Tuple[int, ...]]) -> bool:
        maze, path = self.maze, list(way)
        for index in way:
            maze.choices()[index].act()
            maze.loop.drain()
        while maze.waiting:
            state = self._state()
            if state in seen:
                return False
            seen.add(state)
            choices = maze.choices()
            stack.extend((*path, index) for index in range(1, len(choices)))
            path.append(0)
            choices[0].act()
            maze.loop.drain()
        return True

    def _state(self) -> int:
        maze, items = self.maze, self.deployment.items
        rows: Any = [
            (table, partition, sort, row)
            for table in TABLES
            for partition, found in items._tables[table].partitions.items()
            for sort, row in found.rows.items()
        ]
        labels = frozenset((choice.label, number) for number, choice in _counted(maze.choices()))
        queue = tuple(waiting.message_id for waiting in self.deployment.queue)
        heard = frozenset(maze.heard.items())
        return hash((frozenset(rows), labels, queue, heard, maze.crashes, maze.doubles))

    def judge(self) -> List[str]:
        """What is wrong with a run that came to its end."""
        maze = self.maze
        rows: Any = {}
        for table in TABLES:
            items: Any = self.deployment.items
            rows.update(self.deployment.at_once(items.scan(table, limit=1 << 30)))
        maze.note("world", "quiet")
        complaints = ["a task failed: %r" % context.get("exception") for context in maze.loop.failures]
        plan = Plan(1, maze.knobs, (), ())
        replay = Replay(History(plan, maze.log, "", rows, rows, complaints, 0, 0.0))
        return ["%s: %s" % (name, what) for name in LEAF_CHECKS for what in CHECKS[name](replay)]


def _counted(choices: List[Choice]) -> List[Tuple[int, Choice]]:
    """Each with how many of its kind came before: the same push twice on its way is not the same as once."""
    counts: Dict[str, int] = {}
    found = []
    for choice in choices:
        counts[choice.label] = counts.get(choice.label, 0) + 1
        found.append((counts[choice.label], choice))
    return found


def explore(scope: Scope, limit: int = 10_000_000, stop_at: int = 5) -> Explored:
    """Every state of a scope, or as many as the limit allows."""
    seen: Set[int] = set()
    stack: List[Tuple[int, ...]] = [()]
    violations: List[str] = []
    runs = leaves = 0
    while stack and len(seen) < limit and len(violations) < stop_at:
        way = stack.pop()
        trip = Trip(scope)
        runs += 1
        if trip.run(way, seen, stack):
            leaves += 1
            violations.extend("%s: %s" % (way, what) for what in trip.judge())
    return Explored(len(seen), runs, leaves, not stack, violations)


LOOK = GetData("/a", True)
WRITE = SetData("/a", b"1", -1)
B = Create("/b", b"", OPEN_ACL, 0, 0, False)

SMALL_SCOPES = (
    Scope("one watch, one write, a push that comes twice", ((LOOK,), (WRITE,)), doubles=1),
    Scope("one watch, one write, a crash", ((LOOK,), (WRITE,)), crashes=1),
    Scope("one watch, one deletion, no list", ((Exists("/a", True),), (Delete("/a", -1),)), recent_bytes=0),
)
"""What a change has to pass."""
LARGE_SCOPES = (
    Scope("one watch, one write, a crash and a double", ((LOOK,), (WRITE,)), crashes=1, doubles=1),
    Scope("two reads, two writes", ((LOOK, LOOK), (WRITE, B)), crashes=1, doubles=1),
    Scope("three reads, two writes", ((LOOK, GetChildren("/", True), LOOK), (WRITE, B)), crashes=1, doubles=1),
    Scope("three clients", ((LOOK, GetData("/a", False)), (WRITE,), (Delete("/a", -1), B)), crashes=1, doubles=1),
)
"""For a long run."""
