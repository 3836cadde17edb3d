"""What the heartbeat remembers from one tick to the next is in a table, since no process lives that long.

Its clock is the wall clock of whichever machine runs it: AWS keeps those in step to well below a second (Amazon Time
Sync). All ticks of a namespace are one message: it is not deleted when a tick is done, but hidden until the next one is
due. Nobody sends a second one by failing, coming again or being killed half-way: that only makes the same message come
later. Whoever wakes the heartbeat sends a new message. The one that was sent last goes on, an older one ends when it
next comes, so a message that was lost is replaced by any other.
"""

from __future__ import annotations

import struct
import time
from typing import Dict, List, NamedTuple, Optional, Tuple

from ... import codec, layout
from ...core.requests import Request, StopTicking
from ...errors import Conflict
from ...functions.heartbeat import Heartbeat, NamespaceMemory, holders, packed
from ...messages import encode, message_id
from ...ports import Item, Ports, Put, Store
from ...writer.loading import load_head
from ..clock import SystemClock

TICK_S = 2
"""The shortest pause between ticks, while some session owns something."""
ORDERS_KEPT_S = 100
KEPT_LEASES = 12_000
"""What has room in an item. Of more, those are remembered that have been silent for longest: they are what matters."""
_LEASE = struct.Struct(">QQI")
_MAX_MS = (1 << 32) - 1


class WallClock(SystemClock):
    """A clock that goes on in another process."""

    def monotonic(self) -> float:
        """Seconds since the epoch."""
        return time.time()


class Tick(NamedTuple):
    """A message to the heartbeat: ``sent`` tells when, and differs from that of every other message."""

    ns: str
    sent: Tuple[int, str]

    @classmethod
    def of(cls, body: str, sent_ms: int, message_id: str) -> "Tick":
        """Of a message. What follows the namespace is of versions that sent a message for each tick."""
        return cls(body.partition(" ")[0], (sent_ms, message_id))


class Memory(NamedTuple):
    """What is remembered: which message goes on, and the ids of the ``orders`` that were given."""

    watched: NamespaceMemory
    sent: Tuple[int, str]
    orders: List[str]

    @classmethod
    def of(cls, item: Optional[Item]) -> "Memory":
        """As loaded."""
        if item is None:
            return cls(NamespaceMemory(), (0, ""), [])
        orders, sent, base_s, leases, orphans, reapable, reaped_s, due_s = codec.loads(item.body)
        watched = NamespaceMemory(_leases_of(leases, base_s), dict(orphans), reapable, reaped_s, due_s)
        return cls(watched, (sent[0], sent[1]), orders)

    def ordering(self, sent_ids: List[str]) -> "Memory":
        """With these orders, and the latest of those before."""
        return self._replace(orders=[*self.orders[-ORDERS_KEPT_S:], *sent_ids])

    def put(self, ns: str, was: Optional[Item]) -> Put:
        """In place of what it was."""
        watched, rev = self.watched, 0 if was is None else was.rev
        base_s = max((since for _, since in watched.leases.values()), default=0.0)
        orphans = [[name, rev] for name, rev in watched.orphans.items()]
        seen = [watched.reapable, watched.reaped_s, watched.due_s]
        body = codec.dumps([self.orders, self.sent, base_s, _packed(watched.leases, base_s), orphans, *seen])
        return Put(layout.memory_key(ns), Item(rev + 1, body), expect=rev)


def _packed(leases: Dict[int, Tuple[int, float]], base_s: float) -> bytes:
    """20 bytes for each. How long it stands still is rounded down: a lease may only grow."""
    kept = leases.items()
    if len(leases) > KEPT_LEASES:
        kept = dict(sorted(kept, key=lambda one: one[1][1])[:KEPT_LEASES]).items()
    return b"".join(
        _LEASE.pack(session, count, min(_MAX_MS, int((base_s - since) * 1000))) for session, (count, since) in kept
    )


def _leases_of(packed_leases: bytes, base_s: float) -> Dict[int, Tuple[int, float]]:
    found = _LEASE.iter_unpack(packed_leases)
    return {session: (count, base_s - still_ms / 1000) for session, count, still_ms in found}


class Orders:
    """What the heartbeat has ordered: written before it is sent, where clients can't write."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def gave(self, ns: str, sent_id: str) -> bool:
        """Whether the heartbeat sent a message of this id lately."""
        (item,) = await self._store.get([layout.memory_key(ns)])
        return item is not None and sent_id in Memory.of(item).orders

    async def give(self, ns: str, sent_id: str) -> None:
        """Adds one by hand. Needs the heartbeat's permissions, not a client's."""
        key = layout.memory_key(ns)
        while True:
            (item,) = await self._store.get([key])
            try:
                return await self._store.commit([Memory.of(item).ordering([sent_id]).put(ns, item)])
            except Conflict:
                continue  # a tick was faster


class Ticked(NamedTuple):
    """A tick that was done: when its message has to come again, and how late it was."""

    pause_s: float
    late_s: float


class Pulse:
    """One tick of one namespace."""

    def __init__(self, heartbeat: Heartbeat, ports: Ports) -> None:
        self._heartbeat = heartbeat
        self._ports = ports

    async def __call__(self, tick: Tick) -> Optional[Ticked]:
        """Ends what has to end. None: the message has nothing to come back for."""
        while True:
            leases, item = await holders(self._ports, tick.ns)
            memory = Memory.of(item)
            if tick.sent < memory.sent:
                return None  # a later message goes on
            due_s = memory.watched.due_s
            late_s = self._ports.clock.monotonic() - due_s if due_s and tick.sent == memory.sent else 0.0
            result = await self._heartbeat.tick(tick.ns, memory.watched, leases)
            requests = result.requests
            if not result.has_work:
                rest = await self._rest(tick.ns)
                if rest is None:
                    return None
                requests = rest
            run = self._ports.clock.random_bytes(8).hex()
            messages = packed(requests, run, 1)
            orders = [message_id(message.inbox, message.first) for message in messages]
            try:
                await self._ports.store.commit([memory._replace(sent=tick.sent).ordering(orders).put(tick.ns, item)])
            except Conflict:
                continue  # another message, or an order by hand
            for name, message in zip(orders, messages):
                await self._ports.queue.send(tick.ns, name, encode(message))
            return Ticked(result.pause_s, max(0.0, late_s))

    async def _rest(self, ns: str) -> Optional[List[Request]]:
        """What is asked for if there is nothing to look after; None if that was said and done before.

        The head first: what came since then does not rest.
        """
        head = await load_head(self._ports, ns)
        if head is None or head.ticking == 0:
            return None
        leases, _ = await holders(self._ports, ns)
        return [] if leases or await self._heartbeat.reapable(ns) else [StopTicking(head.zxid)]
