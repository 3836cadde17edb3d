"""What the heartbeat remembers from one tick to the next is in a table, since no process lives that long.

Its clock is the wall clock of whichever machine runs it: AWS keeps those in step to well below a second (Amazon Time
Sync). Each tick is a message that is followed by another one. Whatever comes twice, or is killed half-way, one chain of
them goes on, and only one: a message says which tick it is, and the memory says which message did the last one.
"""

from __future__ import annotations

import time
from typing import List, NamedTuple, Optional

from ... import codec
from ...core.requests import Request, Rest
from ...errors import Conflict
from ...functions.heartbeat import SENDER, Heartbeat, Watched
from ...functions.loading import load_head
from ...messages import Message, encode, message_id
from ...ports import SESSIONS, Item, Key, Ports, Put, Store
from ..clock import SystemClock

TICK_S = 2
"""Between ticks, while some session owns something: expiry comes at most two ticks after the timeout."""
KEPT_ORDERS = 100


class WallClock(SystemClock):
    """A clock that goes on in another process."""

    def monotonic(self) -> float:
        """Seconds since the epoch."""
        return time.time()


class Tick(NamedTuple):
    """A message to the heartbeat. ``name`` is the same each time it comes; ``after``: so many ticks (None: any)."""

    ns: str
    name: str
    after: Optional[int] = None

    @classmethod
    def of(cls, body: str, name: str) -> "Tick":
        """Of the message's body: a namespace, for whoever wakes the heartbeat, or a namespace and a number."""
        ns, _, after = body.partition(" ")
        return cls(ns, name, int(after) if after else None)


def memory_key(ns: str) -> Key:
    """Of what the heartbeat remembers of a namespace."""
    return Key(SESSIONS, ns + ":heartbeat", "memory")


class Memory(NamedTuple):
    """What is remembered: ``ticking`` as the head had it, the ids of ``orders`` given, which tick was done ``by``."""

    watched: Watched
    ticking: int
    orders: List[str]
    by: str

    @classmethod
    def of(cls, item: Optional[Item]) -> "Memory":
        """As loaded."""
        if item is None:
            return cls(Watched(), 0, [], "")
        orders, ticking, leases, idle, strays, ticks, reapable, last_s, by = codec.loads(item.body)
        held = {session: (count, since) for session, count, since in leases}
        return cls(Watched(held, set(idle), dict(strays), ticks, reapable, last_s), ticking, orders, by)

    def ordering(self, sent_ids: List[str]) -> "Memory":
        """With these orders, and the latest of those before."""
        return self._replace(orders=[*self.orders[-KEPT_ORDERS:], *sent_ids])

    def put(self, ns: str, was: Optional[Item]) -> Put:
        """In place of what it was."""
        watched, rev = self.watched, 0 if was is None else was.rev
        leases = [[session, count, since] for session, (count, since) in watched.leases.items()]
        strays = [[name, rev] for name, rev in watched.strays.items()]
        ticked = [watched.ticks, watched.reapable, watched.last_s, self.by]
        body = codec.dumps([self.orders, self.ticking, leases, sorted(watched.idle), strays, *ticked])
        return Put(memory_key(ns), Item(rev + 1, body), expect=rev)


class Orders:
    """What the heartbeat has ordered: written before it is sent, where clients can't write."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def gave(self, ns: str, sent_id: str) -> bool:
        """Whether the heartbeat sent a message of this id lately."""
        (item,) = await self._store.get([memory_key(ns)])
        return item is not None and sent_id in Memory.of(item).orders

    async def give(self, ns: str, sent_id: str) -> None:
        """Adds one by hand. Needs the heartbeat's permissions, not a client's."""
        key = memory_key(ns)
        while True:
            (item,) = await self._store.get([key])
            try:
                return await self._store.commit([Memory.of(item).ordering([sent_id]).put(ns, item)])
            except Conflict:
                continue  # a tick was faster


class Pulse:
    """One tick of one namespace."""

    def __init__(self, heartbeat: Heartbeat, ports: Ports) -> None:
        self._heartbeat = heartbeat
        self._ports = ports

    async def __call__(self, tick: Tick) -> Optional[int]:
        """Ends what has to end. What the next message has to say, or None if there need not be one.

        The message that did the last tick may have been killed before it was followed by another one: when it comes
        again, it is. A message whose tick was done by another one has nothing to do, nor has its successor.
        """
        key = memory_key(tick.ns)
        while True:
            head = await load_head(self._ports, tick.ns)
            if head is None or head.ticking == 0:
                return None
            (item,) = await self._ports.store.get([key])
            memory = Memory.of(item)
            if memory.by == tick.name:
                return memory.watched.ticks
            if tick.after is None and 0 <= self._ports.clock.monotonic() - memory.watched.last_s < TICK_S / 2:
                return None
            if tick.after not in (None, memory.watched.ticks):
                return None
            if memory.ticking != head.ticking:
                memory.watched.idle.clear()  # one of them owns something now
            requests, busy = await self._heartbeat.look(tick.ns, memory.watched)
            messages = self._numbered(requests if busy else [*requests, Rest(head.zxid)])
            orders = [message_id(message.inbox, message.first) for message in messages]
            ticked = memory.ordering(orders)._replace(ticking=head.ticking, by=tick.name)
            try:
                await self._ports.store.commit([ticked.put(tick.ns, item)])
            except Conflict:
                continue  # another tick, or an order by hand
            for name, message in zip(orders, messages):
                await self._ports.queue.send(tick.ns, name, encode(message))
            return memory.watched.ticks

    def _numbered(self, requests: List[Request]) -> List[Message]:
        run = self._ports.clock.random_bytes(8).hex()
        return [Message("%s:%s" % (SENDER, run), 0, number, (request,)) for number, request in enumerate(requests, 1)]
