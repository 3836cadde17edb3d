"""A process by itself: the shipped session engine or writer, which hears one thing at a time, and asks.

It sees nothing of the world but what it hears, so what it does next follows from what it heard so far, and from
nothing else. `explore` relies on that.
"""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, cast

from ...errors import BackendError, Conflict, Unknown
from ...functions.writer import Writer
from ...mac import inbox_name
from ...messages import Message, decode, encode
from ...ports import Capabilities, Clock, Delivery, Inboxes, Item, Key, Listing, Page, Ports, Pushed, Queue, Store
from ...session.engine import LOST
from .client import Connection, ConnectionStarted
from .plan import Knobs
from .ports import SimulatedClock
from .run import NS
from .world import Process, World

TIMEOUT_MS = 2000


class Ask(NamedTuple):
    """A call of a port. ``checked_ms`` is the time by which the caller judged."""

    who: str
    port: str
    name: str
    args: Tuple[Any, ...]
    checked_ms: int
    asking: Tuple[Message, ...] = ()
    """Where writers are invoked: what a commit takes, see `committed`."""
    looks_at: Optional[int] = None
    """And the zxid of the head by which something fails, if the head is still that."""


class Answered(NamedTuple):
    """Heard: what came of call ``number``."""

    number: int
    value: Any


class Failed(NamedTuple):
    """Heard: call ``number`` raised this."""

    number: int
    error: Exception


class Arrived(NamedTuple):
    """Heard: a push."""

    body: bytes
    inbox: str


class Evicted(NamedTuple):
    """Heard: its inbox is another connection's."""

    inbox: str


class Invoked(NamedTuple):
    """Heard: a client invokes it with a message."""

    body: bytes


class Program(NamedTuple):
    """Heard: what its app wants, all at once."""

    ops: Tuple[Any, ...]


class Batch(NamedTuple):
    """Heard: what the queue hands over."""

    deliveries: Tuple[Delivery, ...]


class Reaction(NamedTuple):
    """What came of hearing something: numbered calls, and what is to be written down (who, what, value)."""

    asks: Tuple[Tuple[int, Ask], ...]
    notes: Tuple[Tuple[str, str, Any], ...]


class IsolatedProcess:
    """A process, and a loop in which there is nothing else. Time stands still there."""

    def __init__(self, name: str, recent_bytes: int, two_steps: bool, invoked: bool) -> None:
        """``invoked``: some clients invoke writers of their own, beside the queue's."""
        self.name = name
        self.invoked = invoked
        self.ns = NS
        self.world = World(1, Knobs())
        self.process = FrozenProcess(self.world, name)
        self.capabilities = Capabilities(recent_bytes=recent_bytes, transactions_cost_double=two_steps)
        self._asks: List[Tuple[int, Ask]] = []
        self._waiting: Dict[int, "asyncio.Future[Any]"] = {}
        self._made = 0

    def receive(self, what: Any) -> Reaction:
        """One thing more."""
        loop = self.world.loop
        asyncio.events._set_running_loop(loop)
        try:
            if isinstance(what, Answered):
                self._waiting.pop(what.number).set_result(_fresh(what.value))
            elif isinstance(what, Failed):
                self._waiting.pop(what.number).set_exception(what.error)
            else:
                self.take(what)
            loop.drain()
        finally:
            asyncio.events._set_running_loop(None)
        for context in loop.failures:
            self.world.note(self.name, "failed", repr(context.get("exception")))
        loop.failures.clear()
        did = Reaction(tuple(self._asks), tuple((entry.who, entry.what, entry.value) for entry in self.world.log))
        self._asks, self.world.log = [], []
        return did

    def take(self, what: Any) -> None:
        """What only a client, or only a writer, hears."""
        raise NotImplementedError

    def start(self, body: Any) -> None:
        """A task whose failure is not overlooked."""

        def ended(task: "asyncio.Future[Any]") -> None:
            if not task.cancelled() and task.exception() is not None:
                self.world.loop.call_exception_handler({"exception": task.exception()})

        task: "asyncio.Future[Any]" = asyncio.ensure_future(body)
        self.world.keep(task)
        task.add_done_callback(ended)

    async def ask(self, port: str, name: str, *args: Any) -> Any:
        """A call; its answer is heard some time."""
        self._made += 1
        process, asking, looks_at = self.process, (), None
        if port == "store" and name == "commit":
            asking, process.asking = tuple(process.asking), []
        elif port == "store" and name == "get":
            looks_at = process.looks_at
        self._asks.append((self._made, Ask(self.name, port, name, args, process.checked_ms, asking, looks_at)))
        answer = self._waiting[self._made] = self.world.loop.create_future()
        return await answer

    def forget(self) -> None:
        """It is not needed any more: whatever is collected of it is not a failure."""
        self.world.loop._closed = True


class FrozenProcess(Process):
    """No second ever passes."""

    async def pass_time(self, seconds: float) -> None:
        """Time stands still."""
        await self.world.never()


class IsolatedClient(IsolatedProcess):
    """A client: opens its session at once, and asks what it is told to."""

    address: Optional[str] = None
    blobs: Any = None

    def __init__(self, number: int, recent_bytes: int, two_steps: bool, invoked: bool, invokes: bool) -> None:
        """``invokes``: its own writes are invocations, and who has no answer attaches anew."""
        super().__init__("client-%d" % number, recent_bytes, two_steps, invoked)
        self.direct = _Invocations(self) if invokes else None
        self.store = _Store(self)
        self.queue = _Queue(self)
        self.clock = SimulatedClock(self.process)
        self.changed = self
        self.opened: Any = None
        self.deployment = self  # as much of a Client and its Deployment as a Connection needs
        self._inbox: Any = None
        self._tag = number * 1000
        self.connection = Connection(cast(Any, self), self.process)

    def gateway(self, process: Process) -> Any:
        """Its end of the deployment."""
        return self

    def next_tag(self) -> int:
        """Unique in the run."""
        self._tag += 1
        return self._tag

    def take(self, what: Any) -> None:
        """`Program`, `Arrived`, `Evicted`; before them, nothing: it opens its session."""
        if what is None:
            self.start(self._open())
        elif isinstance(what, Program):
            for op in what.ops:
                self.connection.ask(op)
        elif self._inbox is not None and self._inbox[0] == what.inbox:
            _, receive, lost = self._inbox
            if isinstance(what, Arrived):
                receive(what.body)
            else:
                lost("the session moved to another connection")

    async def _open(self) -> None:
        opened = self.opened = await self.connection.session.open(TIMEOUT_MS)
        begun = ConnectionStarted(self.connection.name, None, opened.session, opened.timeout_ms)
        self.world.note(self.name, "begun", begun)

    def set(self) -> None:
        """Called when a connection is over: that of who has no answer to an invocation."""
        if self.direct is not None and self.connection.over_with == LOST:
            self.start(self._attach())

    async def _attach(self) -> None:
        self.connection = Connection(cast(Any, self), self.process)
        opened = await self.connection.session.attach(self.opened.session, self.opened.password)
        assert opened is not None
        begun = ConnectionStarted(self.connection.name, opened.session, opened.session, opened.timeout_ms)
        self.world.note(self.name, "begun", begun)

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return inbox_name(ns, key, nonce)

    async def listen(self, inbox: str, receive: Any, lost: Any) -> None:
        """`ports.Gateway.listen`."""
        self._inbox = inbox, receive, lost

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        if self._inbox is not None and self._inbox[0] == inbox:
            self._inbox = None

    async def check(self) -> None:
        """`ports.Gateway.check`."""


class IsolatedWriter(IsolatedProcess):
    """An instance of the writer."""

    def __init__(self, number: int, recent_bytes: int, two_steps: bool, invoked: bool) -> None:
        super().__init__("writer-%d" % number, recent_bytes, two_steps, invoked)
        store, inboxes, queue = cast(Store, _Store(self)), cast(Inboxes, _Inboxes(self)), cast(Queue, _Queue(self))
        self._writer = Writer(Ports(store, inboxes, queue, cast(Clock, SimulatedClock(self.process))), shares=invoked)

    def take(self, what: Any) -> None:
        """`Batch` or `Invoked`; before it, nothing."""
        if isinstance(what, Invoked):
            self.process.direct = decode(what.body)
            self.start(self._write_for(what.body))
        if isinstance(what, Batch):
            self.start(self._handle(what.deliveries))

    async def _handle(self, deliveries: Tuple[Delivery, ...]) -> None:
        try:
            await self._writer(NS, deliveries)
        except Conflict:  # somebody else is at it
            await self.ask("queue", "again")
        else:
            await self.ask("queue", "delete", len(deliveries))

    async def _write_for(self, body: bytes) -> None:
        try:
            written, _ = await self._writer.write_for(NS, body)
        except Unknown as error:
            await self.ask("direct", "reply", error)
        except BackendError:
            await self.ask("direct", "reply", None)
        else:
            await self.ask("direct", "reply", written)


class _Invocations:
    """`ports.Direct` of a client alone."""

    never_waits = False

    def __init__(self, alone: IsolatedProcess) -> None:
        self._isolated = alone

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Any:
        """`ports.Direct.write`."""
        self._isolated.world.note(self._isolated.name, "sent", message)
        return await self._isolated.ask("direct", "invoke", encode(message, key))


class _Store:
    """`ports.Store` of a process alone. Each call is one instant."""

    def __init__(self, alone: IsolatedProcess) -> None:
        self._isolated = alone
        self._process = alone.process
        self.capabilities = alone.capabilities

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`."""
        found: List[Optional[Item]] = await self._isolated.ask("store", "get", tuple(keys))
        return found

    load = get

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """`ports.Store.query`."""
        page: Page = await self._isolated.ask("store", "query", table, partition, start, end, limit)
        return page

    async def listing(self, table: str, partition: str, start: str, prefix: str, limit: int) -> Listing:
        """`ports.Store.listing`."""
        listing: Listing = await self._isolated.ask("store", "listing", table, partition, start, prefix, limit)
        return listing

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""
        await self._isolated.ask("store", "commit", tuple(writes))

    async def increment(self, key: Key, by: int = 1) -> int:
        """`ports.Store.increment`."""
        return int(await self._isolated.ask("store", "increment", key, by))

    async def purge(self, table: str, owner: str) -> int:
        """`ports.Store.purge`."""
        return int(await self._isolated.ask("store", "purge", table, owner))


class _Queue:
    """`ports.Queue` of a process alone."""

    def __init__(self, alone: IsolatedProcess) -> None:
        self._isolated = alone

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        await self._isolated.ask("queue", "send", message_id, body, isinstance(self._isolated, IsolatedWriter))


class _Inboxes:
    """`ports.Inboxes` of a process alone."""

    def __init__(self, alone: IsolatedProcess) -> None:
        self._isolated = alone

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`."""
        await self._isolated.ask("inbox", "push", tuple(messages))

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        await self._isolated.ask("inbox", "drop", inbox)


def _fresh(value: Any) -> Any:
    """As the caller may change it."""
    if isinstance(value, Page):
        return Page(list(value.rows), value.more)
    if isinstance(value, Listing):
        return Listing(list(value.rows), list(value.names), value.more)
    return list(value) if isinstance(value, list) else value
