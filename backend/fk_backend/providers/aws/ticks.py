"""What the heartbeat remembers from one tick to the next is in a table, since no process lives that long.

Its clock is the wall clock of whichever machine runs it: AWS keeps those in step to well below a second (Amazon Time
Sync). A tick that finds the last one too recent is of a second chain of ticks, and ends there.
"""

from __future__ import annotations

import time
from typing import Any, List, Set

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


class WallClock(SystemClock):
    """A clock that goes on in another process."""

    def monotonic(self) -> float:
        """Seconds since the epoch."""
        return time.time()


def memory_key(ns: str) -> Key:
    """Of what the heartbeat remembers of a namespace."""
    return Key(SESSIONS, ns + ":heartbeat", "memory")


class Orders:
    """What the heartbeat has ordered: written before it is sent, where clients can't write."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def gave(self, ns: str, sent_id: str) -> bool:
        """Whether the heartbeat sent a message of this id lately."""
        (item,) = await self._store.get([memory_key(ns)])
        return item is not None and sent_id in codec.loads(item.body)[0]

    async def give(self, ns: str, sent_id: str) -> None:
        """Adds one by hand. Needs the heartbeat's permissions, not a client's."""
        key = memory_key(ns)
        while True:
            (item,) = await self._store.get([key])
            watched, ticking, given = _loaded(item)
            rev = 0 if item is None else item.rev
            body = _dumped(watched, ticking, [*given, sent_id])
            try:
                return await self._store.commit([Put(key, Item(rev + 1, body), expect=rev)])
            except Conflict:
                continue  # a tick was faster


class Pulse:
    """One tick of one namespace."""

    def __init__(self, heartbeat: Heartbeat, ports: Ports, orders: Orders) -> None:
        self._heartbeat = heartbeat
        self._ports = ports
        self._orders = orders

    async def __call__(self, ns: str) -> bool:
        """Ends what has to end. Whether there has to be another tick."""
        head = await load_head(self._ports, ns)
        if head is None or head.ticking == 0:
            return False
        key = memory_key(ns)
        (item,) = await self._ports.store.get([key])
        watched, ticking, given = _loaded(item)
        if 0 < self._ports.clock.monotonic() - watched.last_s < TICK_S / 2:
            return False
        if ticking != head.ticking:
            watched.idle.clear()  # one of them owns something now
        requests, busy = await self._heartbeat.look(ns, watched)
        if not busy:
            requests.append(Rest(head.zxid))
        messages = self._numbered(watched, requests)
        fresh = [message_id(message.inbox, message.first) for message in messages]
        body = _dumped(watched, head.ticking, [*given[-100:], *fresh])
        rev = 0 if item is None else item.rev
        try:
            await self._ports.store.commit([Put(key, Item(rev + 1, body), expect=rev)])
        except Conflict:
            return True  # another tick, or an order by hand: the next tick looks again
        for name, message in zip(fresh, messages):
            await self._ports.queue.send(ns, name, encode(message))
        return True

    def _numbered(self, watched: Watched, requests: List[Request]) -> List[Message]:
        run = self._ports.clock.random_bytes(8).hex()
        return [Message("%s:%s" % (SENDER, run), 0, number, (request,)) for number, request in enumerate(requests, 1)]


def _loaded(item: Any) -> Any:
    if item is None:
        return Watched(), 0, []
    given, ticking, leases, idle, strays, ticks, reapable, last_s = codec.loads(item.body)
    kept: Set[int] = set(idle)
    return (
        Watched({s: (count, since) for s, count, since in leases}, kept, dict(strays), ticks, reapable, last_s),
        ticking,
        given,
    )


def _dumped(watched: Watched, ticking: int, given: List[str]) -> bytes:
    leases = [[session, count, since] for session, (count, since) in watched.leases.items()]
    strays = [[name, rev] for name, rev in watched.strays.items()]
    return codec.dumps(
        [given, ticking, leases, sorted(watched.idle), strays, watched.ticks, watched.reapable, watched.last_s]
    )
