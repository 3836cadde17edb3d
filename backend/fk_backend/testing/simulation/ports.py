"""Each port does exactly what its docstring in `ports` allows, and now and then the worst of it.

What is stored, queued and pushed belongs to the `Deployment`; a process reaches it through proxies of its own, whose
every call goes through `Process.call`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union, cast

from ... import layout
from ...core.model import Blob
from ...core.requests import Multi
from ...errors import Refused, Unavailable
from ...mac import inbox_name
from ...messages import Message, Position, decode, split_id
from ...ports import (
    INTEREST,
    Capabilities,
    Clock,
    Delivery,
    Direct,
    Inboxes,
    Item,
    Key,
    Listing,
    Page,
    Ports,
    Pushed,
    Put,
    Queue,
    Remove,
    Store,
    after,
)
from ...providers.memory.store import MemoryStore
from ...writer import large
from ...writer.fanout import FanOutProgress
from . import committed
from .plan import PART
from .world import Process, World

EPOCH_MS = 1_700_000_000_000
RETRY_S = 0.1


class Waiting(NamedTuple):
    """A message in the queue."""

    message_id: str
    delivery: Delivery


class Commit(NamedTuple):
    """A commit that moved the head: from which zxid to which, judged at what time, and everything it wrote."""

    before: int
    after: int
    now_ms: int
    writes: Tuple[object, ...]


class Inbox:
    """Who listens, and what waits for nobody."""

    def __init__(self, process: Process, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self.process = process
        world = process.world
        self.there_at = world.now + process.random.random() * (0.0 if world.calm else world.knobs.late_inbox_s)
        self.receive: Optional[Callable[[bytes], None]] = receive
        self.lost: Optional[Callable[[str], None]] = lost


class Deployment:
    """What outlives every process: the store's items, the queue's messages, the inboxes."""

    def __init__(self, world: World, ns: str) -> None:
        self.world = world
        self.ns = ns
        self.items = MemoryStore()
        self.queue: List[Waiting] = []
        self.accepted: Dict[str, int] = {}
        self.inboxes: Dict[str, Inbox] = {}
        self.blobs: Dict[str, bytes] = {}
        self.on_message: Callable[[], None] = lambda: None
        self.on_send: Optional[Callable[[Process, str, Delivery], None]] = None
        """Where each process has a queue of its own: it takes a message."""
        self.on_tick: Callable[[Process], None] = lambda process: None
        """Called when a process looks after the namespace."""
        self.direct_of: Callable[[Process], Optional[Direct]] = lambda process: None
        """What writes for a client in its own process."""
        self.on_wake: Callable[[], None] = lambda: None
        self.is_idle: Callable[[], bool] = lambda: False
        """Whether no writer is at work for the queue."""
        self.is_looked_after: Callable[[], bool] = lambda: True
        """Whether the heartbeat will look after a session that is opened beside the queue."""
        self.holder: Optional[Process] = None
        """The client whose own writer is at work."""
        self.not_fanned_out = False
        """Whether such a one may have left a commit to be fanned out."""
        self.writing: Optional[Process] = None
        """The client in whose transaction nobody else can commit."""
        self.told = FanOutProgress()
        """Of all who write beside each other, where several do."""
        self._reserved: List[Message] = []
        """What is taken as soon as the node is written that the head promises."""
        self._held: List[Callable[[], None]] = []
        self.in_transit = 0
        """Pushes on their way to somebody who listens."""

    def ports(self, process: Process) -> Ports:
        """A function instance's ports."""
        return Ports(
            cast(Store, SimulatedStore(self, process)),
            cast(Inboxes, SimulatedInboxes(self, process)),
            cast(Queue, SimulatedQueue(self, process, internal=True)),
            cast(Clock, SimulatedClock(process)),
            SimulatedTimer(self, process) if self.world.knobs.charges_for_beats else None,
            self.blobs_of(process),
        )

    def blobs_of(self, process: Process) -> "Optional[SimulatedBlobs]":
        """Where a process finds what is too large for an item."""
        return SimulatedBlobs(self, process) if self.world.knobs.inline_bytes else None

    def gateway(self, process: Process) -> Any:
        """A client's end."""
        return SimulatedGateway(self, process)

    # --- taking turns with the queue ------------------------------------------------------------

    def hold(self, process: Process) -> bool:
        """Has the queue wait for a writer in a client's process. Whether it does: not if it is at work itself."""
        if self.holder is not None or not self.is_free():
            return False
        self.holder = process
        return True

    def release(self, process: Process, told: bool = False) -> None:
        """That one is done or dead."""
        if self.holder is not process:
            return
        self.holder, self.not_fanned_out = None, not told
        self._take_held()

    def _take_held(self) -> None:
        held, self._held = self._held, []
        for take in held:
            take()
        if self.not_fanned_out or held:
            self.on_message()

    def begin_transaction(self, process: Process) -> bool:
        """Whether it may commit, and nobody else. What the queue gets meanwhile is taken after that."""
        if self.writing is not None:
            return False
        self.writing = process
        return True

    def end_transaction(self, process: Process) -> None:
        """That one has committed or rolled back, or is dead."""
        if self.writing is process:
            self.writing = None
            self._take_held()

    def is_free(self) -> bool:
        """Whether the host has nothing to do, and leaves it to whoever asks."""
        return not self.queue and not self.not_fanned_out and self.is_idle() and self.is_looked_after()

    def tell(self) -> None:
        """The host is asked for the fan-out of what was written beside it."""
        self.not_fanned_out = True
        self.on_message()

    # --- effects, each in one instant -----------------------------------------------------------

    def at_once(self, coroutine: Any) -> Any:
        """The result of a coroutine that never waits, as those of the memory store."""
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("the store waited")

    def head_rev(self) -> int:
        """The head's zxid, 0 before the first commit."""
        (item,) = self.at_once(self.items.get([layout.head_key(self.ns)]))
        return 0 if item is None else int(item.rev)

    def commit(self, process: Process, writes: Sequence[object]) -> None:
        """A commit, with what it does to the head written down."""
        if self.writing is not None and self.writing.name != process.name and any(map(_locks, writes)):
            raise Unavailable("locked by another process")
        moves = any(isinstance(write, (Put, Remove)) and write.key == layout.head_key(self.ns) for write in writes)
        before = self.head_rev() if moves else 0
        self.at_once(self.items.commit(writes))
        if self.world.knobs.taken_by_commit:
            self._taken_by(process, writes, moves, self.head_rev() > before)
        kept = [write.item.rev for write in writes if isinstance(write, Put) and write.key.sort == layout.NODE]
        if kept and not moves:
            self.world.note(process.name, "kept", kept[0])
        if moves:
            self.world.note(process.name, "commit", Commit(before, self.head_rev(), process.checked_ms, tuple(writes)))
        if process.deserted is not None and (kept or moves):
            process.deserted()

    def _taken_by(self, process: Process, writes: Sequence[object], moves: bool, goes_on: bool) -> None:
        """Where writers are invoked beside the queue, what is committed is taken by that, in this order."""
        if moves and goes_on:
            self._reserved, process.asking = process.asking, []
        if moves and not goes_on:
            self._reserved = []  # void
        if (moves and not committed.promises(writes, self.ns)) or (not moves and any(map(committed.is_kept, writes))):
            self._take(process, self._reserved)
            self._reserved = []

    def looked(self, process: Process) -> None:
        """A writer has looked at the head: what failed by it has failed."""
        if process.looks_at is not None and process.looks_at == self.head_rev():
            asking, process.asking, process.looks_at = process.asking, [], None
            if process.direct is None:
                self._take(process, asking)
            else:  # which is so only if that is answered
                process.looked = self.world.note(process.name, "looked", self._whole(process.direct))

    def _take(self, process: Process, messages: Sequence[Message]) -> None:
        for message in messages:
            self.note_taken(process, message)

    def note_taken(self, process: Process, message: Message) -> None:
        """It counts, in this order."""
        self.world.note(process.name, "accepted", self._whole(message))

    def increment(self, process: Process, key: Key, by: int) -> int:
        """A beat, written down."""
        value = int(self.at_once(self.items.increment(key, by)))
        if key.partition == layout.beats_partition(self.ns):
            self.world.note(process.name, "beat", (int(key.sort, 16), value))
        return value

    def send(self, process: Process, message_id: str, body: bytes, internal: bool) -> None:
        """A message is taken, once."""
        if message_id in self.accepted:
            return
        self.accepted[message_id] = len(self.accepted)
        message = decode(body)
        assert split_id(message_id)[0] == message.inbox
        if self.on_send is not None:
            self.note_accepted(process, message)
            return self.on_send(process, message_id, Delivery(body, internal))
        waiting = Waiting(message_id, Delivery(body, internal, Position(len(self.accepted))))

        def take() -> None:
            self.note_accepted(process, message)
            self.queue.append(waiting)

        if self.holder is not None or self.writing is not None:
            self._held.append(take)
            return
        take()
        self.on_message()

    def note_accepted(self, process: Process, message: Message) -> None:
        """From here on it counts, in this order, unless it is taken when it is committed."""
        what = "sent" if self.world.knobs.taken_by_commit else "accepted"
        self.world.note(process.name, what, self._whole(message))

    def _whole(self, message: Message) -> Message:
        """The message with the data that it only names."""
        return message._replace(requests=tuple(map(self._filled, message.requests)))

    def _filled(self, request: Any) -> Any:
        if isinstance(request, Multi):
            return request._replace(ops=tuple(map(self._filled, request.ops)))
        data = getattr(request, "data", None)
        return request._replace(data=self.blobs[data.key]) if isinstance(data, Blob) else request

    def push(self, message: Pushed) -> None:
        """Posts something, once or twice, if there is still an inbox."""
        inbox = self.inboxes.get(message.inbox)
        late_s = 0.0 if inbox is None else max(0.0, inbox.there_at - self.world.now)
        if inbox is None or (late_s and not message.upto):
            return
        copies = 1 + (self.world.random.random() < self.world.knobs.doubles)
        for _ in range(copies):
            self._deliver_later(message, late_s + inbox.process.lag() * 2)

    def _deliver_later(self, message: Pushed, delay: float) -> None:
        self.in_transit += 1
        self.world.loop.call_later(delay, self._arrive, message)

    def _arrive(self, message: Pushed) -> None:
        self.in_transit -= 1
        inbox = self.inboxes.get(message.inbox)
        if inbox is None or inbox.receive is None or inbox.process.dead:
            return
        process = inbox.process
        if process.paused_until > self.world.now:
            self._deliver_later(message, process.paused_until - self.world.now + process.lag())
        elif process.trouble("inbox") == PART:
            self._deliver_later(message, RETRY_S)
        else:
            inbox.receive(message.body)

    def drop(self, name: str) -> None:
        """The inbox is gone; who listened hears of it."""
        inbox = self.inboxes.pop(name, None)
        if inbox is not None and inbox.lost is not None:
            self.world.loop.call_later(inbox.process.lag(), self._lose, inbox)

    def _lose(self, inbox: Inbox) -> None:
        process = inbox.process
        if process.dead or inbox.lost is None:
            return
        if process.paused_until > self.world.now or process.trouble("inbox") == PART:
            self.world.loop.call_later(RETRY_S, self._lose, inbox)
        else:
            inbox.lost("the session moved to another connection")


def _locks(write: Any) -> bool:
    """Whether it is in the file of which one process at a time writes."""
    return bool(write.key.table != INTEREST)


class SimulatedStore:
    """`ports.Store` for one process."""

    def __init__(self, deployment: Deployment, process: Process) -> None:
        self._deployment = deployment
        self._items: Any = deployment.items
        self._process = process
        knobs = deployment.world.knobs
        self.capabilities = Capabilities(
            recent_bytes=knobs.recent_bytes,
            atomic_queries=knobs.atomic_queries,
            transactions_cost_double=knobs.two_steps,
            has_latency=knobs.two_steps,
            charges_for_beats=knobs.charges_for_beats,
        )

    async def _call(self, name: str, *args: Any) -> Any:
        deployment = self._deployment
        return await self._process.call("store", name, lambda: deployment.at_once(getattr(self._items, name)(*args)))

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`."""
        if self._process.looks_at is not None and list(keys) == [layout.head_key(self._deployment.ns)]:
            return await self._process.call("store", "get", lambda: self._look(keys))
        found: List[Optional[Item]] = await self._call("get", keys)
        return found

    def _look(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        self._deployment.looked(self._process)
        found: List[Optional[Item]] = self._deployment.at_once(self._items.get(keys))
        return found

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.load`: in one go, or in two with anything in between."""
        if self.capabilities.atomic_queries or len(keys) < 2:
            return await self.get(keys)
        cut = self._process.random.randrange(1, len(keys))
        return [*await self.get(keys[:cut]), *await self.get(keys[cut:])]

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """`ports.Store.query`; where queries are not atomic, its rows are read one by one."""
        if self.capabilities.atomic_queries:
            page: Page = await self._call("query", table, partition, start, end, limit)
            return page
        rows: List[Tuple[str, Item]] = []
        position, count = start, self._process.random.randint(1, 3)
        while True:
            page = await self._call("query", table, partition, position, end, min(count, limit - len(rows)))
            rows.extend(page.rows)
            if not page.more or len(rows) >= limit:
                return Page(rows, page.more)
            position = rows[-1][0] + "\0"

    async def listing(self, table: str, partition: str, start: str, prefix: str, limit: int) -> Listing:
        """`ports.Store.listing`; as atomic as a query."""
        if self.capabilities.atomic_queries:
            listing: Listing = await self._call("listing", table, partition, start, prefix, limit)
            return listing
        return Listing.of(await self.query(table, partition, start, after(prefix), limit), prefix)

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""
        await self._process.call("store", "commit", lambda: self._deployment.commit(self._process, writes))

    async def increment(self, key: Key, by: int = 1) -> int:
        """`ports.Store.increment`."""
        return await self._process.call(
            "store", "increment", lambda: self._deployment.increment(self._process, key, by)
        )

    async def purge(self, table: str, owner: str) -> int:
        """`ports.Store.purge`."""
        return int(await self._call("purge", table, owner))

    async def scan(
        self, table: str, prefix: str = "", after: Optional[Tuple[str, str]] = None, limit: int = 1000
    ) -> List[Tuple[Key, Item]]:
        """`ports.Store.scan`."""
        rows: List[Tuple[Key, Item]] = await self._call("scan", table, prefix, after, limit)
        return rows


class SimulatedQueue:
    """`ports.Queue` for one process."""

    def __init__(self, deployment: Deployment, process: Process, internal: bool) -> None:
        self._deployment = deployment
        self._process = process
        self._internal = internal

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        deployment, process = self._deployment, self._process
        await process.call("queue", "send", lambda: deployment.send(process, message_id, body, self._internal))


class SimulatedInboxes:
    """`ports.Inboxes` for one process. A push that fails may have reached some."""

    def __init__(self, deployment: Deployment, process: Process) -> None:
        self._deployment = deployment
        self._process = process

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`."""

        def effect() -> None:
            for message in messages:
                self._deployment.push(message)

        if self._process.trouble("inbox") and messages:
            self._deployment.push(self._process.random.choice(messages))
        await self._process.call("inbox", "push", effect)

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        await self._process.call("inbox", "drop", lambda: self._deployment.drop(inbox))


class SimulatedTimer:
    """`ports.Timer` for one process."""

    def __init__(self, deployment: Deployment, process: Process) -> None:
        self._deployment = deployment
        self._process = process

    async def wake(self, ns: str) -> None:
        """`ports.Timer.wake`."""
        await self._process.call("timer", "wake", self._deployment.on_wake)


class SimulatedBlobs:
    """`ports.Blobs` for one process."""

    def __init__(self, deployment: Deployment, process: Process) -> None:
        self._kept = deployment.blobs
        self._process = process
        self.inline_bytes = deployment.world.knobs.inline_bytes

    def _put(self, key: str, data: bytes) -> Blob:
        self._kept[key] = data
        return Blob(key, len(data))

    async def upload(self, ns: str, name: str, data: bytes) -> Blob:
        """`ports.Blobs.upload`."""
        return await self._process.call(
            "blobs", "upload", lambda: self._put(large.prefix(large.UPLOADS, ns) + name, data)
        )

    async def keep(self, ns: str, name: str, data: Union[bytes, Blob]) -> Blob:
        """`ports.Blobs.keep`."""

        def effect() -> Blob:
            if isinstance(data, Blob) and data.key not in self._kept:
                raise Refused("%s is not there" % data.key)
            return self._put(
                large.prefix(large.KEPT, ns) + name, self._kept[data.key] if isinstance(data, Blob) else data
            )

        return await self._process.call("blobs", "keep", effect)

    async def fetch(self, blob: Blob) -> Optional[bytes]:
        """`ports.Blobs.fetch`."""
        return await self._process.call("blobs", "fetch", lambda: self._kept.get(blob.key))

    async def remove(self, keys: Sequence[str]) -> None:
        """`ports.Blobs.remove`."""
        await self._process.call("blobs", "remove", lambda: [self._kept.pop(key, None) for key in keys])


SKEW_S = 0.05


class SimulatedClock:
    """`ports.Clock` of one process: its wall clock may jump, and stopping it stops its sleep.

    Where the heartbeat lives in many processes, their clocks are the same but for SKEW_S, as a cloud's are.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._offset = process.random.random() * (SKEW_S if process.world.knobs.charges_for_beats else 1000)

    def now_ms(self) -> int:
        """`ports.Clock.now_ms`."""
        process = self._process
        process.checked_ms = EPOCH_MS + int((process.world.now + process.wall_s) * 1000)
        return process.checked_ms

    def monotonic(self) -> float:
        """`ports.Clock.monotonic`."""
        return self._process.world.now + self._offset

    async def sleep(self, seconds: float) -> None:
        """`ports.Clock.sleep`."""
        await self._process.pass_time(seconds)

    def random_bytes(self, count: int) -> bytes:
        """`ports.Clock.random_bytes`."""
        return self._process.random.getrandbits(8 * count).to_bytes(count, "big")


class SimulatedGateway:
    """`ports.Gateway` of one client process."""

    address: Optional[str] = "10.0.0.1"

    def __init__(self, deployment: Deployment, process: Process) -> None:
        self.blobs = deployment.blobs_of(process)
        self._deployment = deployment
        self._process = process
        self.store = SimulatedStore(deployment, process)
        self.queue = SimulatedQueue(deployment, process, internal=False)
        self.direct = deployment.direct_of(process)
        self.clock = SimulatedClock(process)

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return inbox_name(ns, key, nonce)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""

        def effect() -> None:
            self._deployment.inboxes[inbox] = Inbox(self._process, receive, lost)

        await self._process.call("inbox", "listen", effect)

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`. Not a call that can fail: a provider has to see to it by itself."""
        found = self._deployment.inboxes.get(inbox)
        if found is not None and found.process is self._process:
            found.receive = found.lost = None
            if not keep:
                del self._deployment.inboxes[inbox]

    async def check(self) -> None:
        """`ports.Gateway.check`."""
        await self._process.call("queue", "check", lambda: None)

    async def close(self) -> None:
        """`ports.Gateway.close`."""
