"""The shipped sessions and writers on a virtual clock: a call takes as long as it took on AWS, and nothing else does.

A call has its effect in the middle of the time that it takes. What the code itself computes is not in it. Assumed,
because nobody measured it: how long an answer is on its way to the client that polls for it (``inbox``, see `INBOXES`),
that a queue hands over the next batch of a group ``gap_ms`` after the last one was done, and that making an inbox takes
what a send takes. Of the environments that are idle, the one that was used last gets the next batch, whatever its
namespace: what it remembers may be out of date.
"""

from __future__ import annotations

import asyncio
from collections import deque
from random import Random
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence

from fk_backend import layout
from fk_backend.errors import BackendError, Conflict
from fk_backend.functions.writer import Writer
from fk_backend.mac import inbox_name, shared_name
from fk_backend.messages import Message, Position, decode, encode
from fk_backend.ports import Capabilities, Delivery, Item, Key, Listing, Page, Ports, Pushed, Put, Written, after
from fk_backend.providers.aws.handlers import MAX_RETRY_S as MAX_HIDDEN_S
from fk_backend.providers.aws.queues import MAX_RETRY_S, RETRY_S
from fk_backend.providers.aws.store import DynamoStore
from fk_backend.providers.contention import Contention
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.testing.simulation.loop import SimulatedLoop
from fk_backend.writer.senders import begins

from .latency import FIFO_TRIGGER, PUT, SEND, STANDARD_TRIGGER, Chance, curve

BATCH = 10
"""Messages that Lambda takes from a FIFO queue at once, as the template says."""
LONG_POLL = "long poll"
INBOXES = {
    "a send and the way back of a poll": LONG_POLL,
    "a FIFO queue to a function": FIFO_TRIGGER,
    "a standard queue to a function": STANDARD_TRIGGER,
}
"""What an answer's way to its client may be taken for: a whole send and half of one, as a long poll waits already; or,
worse, what was measured from a sender to a function, which has to be called as well."""


class Cloud:
    """What is shared by all who are connected: one store, one queue with its groups, one function."""

    def __init__(
        self,
        seed: int,
        gap_ms: float = 0.0,
        inbox: str = LONG_POLL,
        conditional: str = PUT,
        loyal: bool = False,
        invoke_ms: float = 0.0,
        new_queue_s: float = 0.0,
    ) -> None:
        """``conditional``: what was measured that a write of one item with a condition is taken for.

        ``loyal``: a group is always served by the same environment. ``invoke_ms``: what a synchronous invocation takes
        in the median, beside what the function does; 0: writes go to the queue. ``new_queue_s``: so long after an inbox
        was made it is not there yet.
        """
        self.invoke_ms = invoke_ms
        self.new_queue_s = new_queue_s
        self.queues: Dict[str, float] = {}
        """When inboxes were made, in s."""
        self.loop = SimulatedLoop(Random(seed))
        self.chance = Chance(seed)
        self.random = Random(seed + 1)
        self.memory = MemoryStore(DynamoStore.capabilities)
        self.store = SimulatedStore(self)
        self.clock = SimulatedClock(self)
        self.gap_ms = gap_ms
        self.inbox_kind = inbox
        self.conditional = conditional
        self.subscribers: Dict[str, Callable[[bytes], None]] = {}
        self.loyal = loyal
        self.idle: Dict[str, List[Writer]] = {}
        """Environments, the one that was used last at the end; by group, if they are loyal."""
        self.groups: Dict[str, Deque[Delivery]] = {}
        self.busy: Dict[str, Any] = {}
        self.again = 0
        """How often a batch had to come again."""
        self.sequence = 0

    async def pause(self, ms: float) -> None:
        """Time passes."""
        future = self.loop.create_future()
        self.loop.call_later(ms / 1000, lambda: future.done() or future.set_result(None))
        await future

    async def take(self, operation: str, size: int, effect: Callable[[], Any]) -> Any:
        """A request: it takes its time, and happens in the middle of it. Effects are done without a pause."""
        ms = self.chance.operation_ms(operation, size)
        await self.pause(ms / 2)
        try:
            return await effect()
        finally:
            await self.pause(ms / 2)

    # --- the queue and its trigger --------------------------------------------------------------

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`. It arrives at the function as measured, however long the call takes to return."""
        self.sequence += 1
        delivery = Delivery(body, False, Position(self.sequence))
        self.groups.setdefault(group, deque()).append(delivery)
        size = len(body) * 4 // 3
        if group not in self.busy:
            self.busy[group] = asyncio.ensure_future(self._serve(group, self.chance.ms(FIFO_TRIGGER, size)))
        await self.pause(self.chance.ms(SEND, size))

    async def _serve(self, group: str, first_ms: float) -> None:
        queue, receives = self.groups[group], 1
        await self.pause(first_ms)
        while queue:
            batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
            idle, writer = self.environment(group)
            for delivery in batch:
                await self.admit(group, delivery.body)
            try:
                await writer(group, batch)
                receives = 1
            except Conflict:  # it comes again, as `providers.aws.handlers` has it
                self.again += 1
                queue.extendleft(reversed(batch))
                await self.pause(1000.0 * min(2**receives, MAX_HIDDEN_S))
                receives += 1
            idle.append(writer)
            if queue:
                await self.pause(self.gap_ms)
        del self.busy[group]

    def environment(self, group: str) -> "tuple[List[Writer], Writer]":
        """One that is idle, or a new one, and where to put it afterwards."""
        idle = self.idle.setdefault(group if self.loyal else "", [])
        return idle, idle.pop() if idle else Writer(Ports(self.store, self, self, self.clock), shares=True)

    async def admit(self, ns: str, body: bytes) -> None:
        """As the function does before it opens a session: see `providers.aws.handlers`."""
        message = decode(body)
        if begins(message):
            (hello,) = await self.store.get([layout.hello_key(ns, message.inbox)])
            assert hello is not None

    # --- inboxes --------------------------------------------------------------------------------

    async def make(self, inbox: str) -> None:
        """A client's queue, unless it is there."""
        name = shared_name(inbox)
        if name not in self.queues:
            await self.pause(self.chance.operation_ms("CreateQueue", 1))
            self.queues[name] = self.loop.now

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`: all at the same time; it returns when the slowest request has.

        What comes for an inbox that is not there yet is heard at `first_poll_s`: both ends try again and again until
        then (`providers.aws.queues`, `poll`), the writer where a message said that the inbox is new, as here it does.
        """
        for message in messages:
            late_s = max(0.0, self.queues.get(shared_name(message.inbox), 0.0) + self.first_poll_s - self.loop.now)
            ms = max(self._way_ms(len(message.body) * 4 // 3), 1000 * late_s)
            self.loop.call_later(ms / 1000, self._receive, message)
        await self.pause(max(self.chance.ms(SEND, len(message.body)) for message in messages))

    @property
    def first_poll_s(self) -> float:
        """So long after an inbox was made its client is heard there, and hears."""
        tried_s, retry_s = 0.0, RETRY_S
        while tried_s < self.new_queue_s:
            tried_s, retry_s = tried_s + retry_s, min(2 * retry_s, MAX_RETRY_S)
        return tried_s

    def _way_ms(self, size: int) -> float:
        if self.inbox_kind == LONG_POLL:
            return self.chance.ms(SEND, size) + self.chance.ms(SEND, 4) / 2
        return self.chance.ms(self.inbox_kind, size)

    def _receive(self, message: Pushed) -> None:
        subscriber = self.subscribers.get(message.inbox)
        if subscriber is not None:
            subscriber(message.body)

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        self.subscribers.pop(inbox, None)
        self.queues.pop(shared_name(inbox), None)


class SimulatedStore:
    """`ports.Store` of the memory provider, at DynamoDB's pace and by its rules: see `providers.aws.store`."""

    capabilities: Capabilities = DynamoStore.capabilities

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`."""
        operation = "GetItem" if len(keys) == 1 else "TransactGetItems"
        return await self._read(operation, lambda: self._cloud.memory.get(keys))

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.load`."""
        return await self._read("BatchGetItem", lambda: self._cloud.memory.get(keys))

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """`ports.Store.query`."""
        cloud = self._cloud
        return await self._read("Query", lambda: cloud.memory.query(table, partition, start, end, limit))

    async def listing(self, table: str, partition: str, start: str, prefix: str, limit: int) -> Listing:
        """`ports.Store.listing`."""
        return Listing.of(await self.query(table, partition, start, after(prefix), limit), prefix)

    async def _read(self, operation: str, effect: Callable[[], Any]) -> Any:
        """By the size of what there is when it begins: close enough."""
        found = await effect()
        items = [item for _, item in found.rows] if isinstance(found, Page) else found
        size = sum(len(item.body) + 60 for item in items if item is not None)
        return await self._cloud.take(operation, size, effect)

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""
        bodies = [write.item.body for write in writes if isinstance(write, Put)]
        operation = "PutItem" if len(writes) == 1 else "TransactWriteItems"
        if len(writes) == 1 and getattr(writes[0], "expect", None) is not None:
            operation = self._cloud.conditional
        size = max([len(body) + 60 for body in bodies] or [100])
        await self._cloud.take(operation, size, lambda: self._cloud.memory.commit(writes))

    async def increment(self, key: Key, by: int = 1) -> int:
        """`ports.Store.increment`."""
        found: int = await self._cloud.take("UpdateItem", 1, lambda: self._cloud.memory.increment(key, by))
        return found

    async def purge(self, table: str, owner: str) -> int:
        """`ports.Store.purge`."""
        found: int = await self._cloud.take("Query", 100, lambda: self._cloud.memory.purge(table, owner))
        return found


class SimulatedInvocations:
    """`ports.Direct`: an invocation, as `providers.aws.direct` asks for it. Nothing fails here.

    Its time is assumed, with the spread of what a send to a queue was measured to take: half of it before the function
    begins, half after it has ended.
    """

    never_waits = False

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._contention: Dict[str, Contention] = {}

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`."""
        cloud, contention = self._cloud, self._contention.setdefault(ns, Contention())
        contention.about_to(message, cloud.loop.now)
        if not contention.is_due(cloud.loop.now):
            return None
        body = encode(message, key)
        ms = cloud.chance.ms(SEND, len(body)) * cloud.invoke_ms / curve(SEND, 1024).at(0.5)
        await cloud.pause(ms / 2)
        idle, writer = cloud.environment(ns)
        written: Optional[Written] = None
        await cloud.admit(ns, body)
        try:
            written, conflicts = await writer.write_for(ns, body)
        except BackendError:
            conflicts = 1
        idle.append(writer)
        await cloud.pause(ms / 2)
        contention.met(cloud.loop.now) if conflicts else contention.alone()
        return written

    def in_turn(self, has_turn: Callable[[], bool]) -> None:
        """`ports.Direct.in_turn`."""

    def finish_fan_out(self, ns: str) -> None:
        """`ports.Direct.finish_fan_out`."""


class SimulatedClock:
    """`ports.Clock` of everybody."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def now_ms(self) -> int:
        """`ports.Clock.now_ms`."""
        return 1_800_000_000_000 + int(self._cloud.loop.now * 1000)

    def monotonic(self) -> float:
        """`ports.Clock.monotonic`."""
        return self._cloud.loop.now

    async def sleep(self, seconds: float) -> None:
        """`ports.Clock.sleep`."""
        await self._cloud.pause(seconds * 1000)

    def random_bytes(self, count: int) -> bytes:
        """`ports.Clock.random_bytes`."""
        return self._cloud.random.getrandbits(8 * count).to_bytes(count, "big")


class SimulatedGateway:
    """`ports.Gateway` of a client."""

    address: Optional[str] = None
    blobs: Any = None

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.store = cloud.store
        self.queue = cloud
        self.clock = cloud.clock
        self.direct = SimulatedInvocations(cloud) if cloud.invoke_ms else None

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return inbox_name(ns, key, nonce)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""
        await self._cloud.make(inbox)
        self._cloud.subscribers[inbox] = receive

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        self._cloud.subscribers.pop(inbox, None)
        if not keep:
            self._cloud.queues.pop(shared_name(inbox), None)

    async def check(self) -> None:
        """`ports.Gateway.check`."""

    async def close(self) -> None:
        """`ports.Gateway.close`."""
