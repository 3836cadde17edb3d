"""What the heartbeat remembers from one tick to the next is in a table, since no process lives that long.

Its clock is the wall clock of whichever machine runs it: AWS keeps those in step to well below a second (Amazon Time
Sync). Each tick is a message, and whoever does it sends the next one first: so for the number of ticks that there were
there is always a message on its way, whatever comes twice, late, or is killed half-way. An older one ends, an early one
waits.
"""

from __future__ import annotations

import time
from typing import List, NamedTuple, Optional

from ... import codec
from ...core.requests import Rest
from ...errors import Conflict
from ...functions.heartbeat import Heartbeat, Watched, packed
from ...functions.loading import load_head
from ...messages import encode, message_id
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
    """A message to the heartbeat. ``after``: so many ticks; None: whoever wakes it, which takes the ticks over."""

    ns: str
    after: Optional[int] = None

    @classmethod
    def of(cls, body: str) -> "Tick":
        """Of the message's body."""
        ns, _, after = body.partition(" ")
        return cls(ns, int(after) if after else None)

    @property
    def body(self) -> str:
        """Of the message: no namespace has a space."""
        return self.ns if self.after is None else "%s %d" % (self.ns, self.after)


def memory_key(ns: str) -> Key:
    """Of what the heartbeat remembers of a namespace."""
    return Key(SESSIONS, ns + ":heartbeat", "memory")


class Memory(NamedTuple):
    """What is remembered: ``ticking`` as the head had it, and the ids of the ``orders`` that were given."""

    watched: Watched
    ticking: int
    orders: List[str]

    @classmethod
    def of(cls, item: Optional[Item]) -> "Memory":
        """As loaded."""
        if item is None:
            return cls(Watched(), 0, [])
        orders, ticking, leases, idle, strays, ticks, reapable, last_s = codec.loads(item.body)
        held = {session: (count, since) for session, count, since in leases}
        return cls(Watched(held, set(idle), dict(strays), ticks, reapable, last_s), ticking, orders)

    def ordering(self, sent_ids: List[str]) -> "Memory":
        """With these orders, and the latest of those before."""
        return self._replace(orders=[*self.orders[-KEPT_ORDERS:], *sent_ids])

    def put(self, ns: str, was: Optional[Item]) -> Put:
        """In place of what it was."""
        watched, rev = self.watched, 0 if was is None else was.rev
        leases = [[session, count, since] for session, (count, since) in watched.leases.items()]
        strays = [[name, rev] for name, rev in watched.strays.items()]
        ticked = [watched.ticks, watched.reapable, watched.last_s]
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

    async def __call__(self, tick: Tick) -> None:
        """Ends what has to end. The next message is sent before anything is remembered of this one."""
        assert self._ports.timer is not None
        key = memory_key(tick.ns)
        while True:
            head = await load_head(self._ports, tick.ns)
            if head is None or head.ticking == 0:
                return
            (item,) = await self._ports.store.get([key])
            memory = Memory.of(item)
            if tick.after is not None and tick.after < memory.watched.ticks:
                return  # it was done, and whoever did it had sent the next one
            if tick.after is not None and tick.after > memory.watched.ticks:
                return await self._ports.timer.wake(tick.ns, tick.after)  # the one before is still at it
            await self._ports.timer.wake(tick.ns, memory.watched.ticks + 1)
            if memory.ticking != head.ticking:
                memory.watched.idle.clear()  # one of them owns something now
            requests, busy = await self._heartbeat.look(tick.ns, memory.watched)
            run = self._ports.clock.random_bytes(8).hex()
            messages = packed(requests if busy else [*requests, Rest(head.zxid)], run, 1)
            orders = [message_id(message.inbox, message.first) for message in messages]
            ticked = memory.ordering(orders)._replace(ticking=head.ticking)
            try:
                await self._ports.store.commit([ticked.put(tick.ns, item)])
            except Conflict:
                continue  # another tick, or an order by hand
            for name, message in zip(orders, messages):
                await self._ports.queue.send(tick.ns, name, encode(message))
            return
