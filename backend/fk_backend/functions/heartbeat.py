"""A session ends only when its beat counter stood still for its whole timeout on this function's own clock.

The client's clock never counts. Expiry is a write in the namespace's queue like any other, carrying the count it
judged by, and is void if the counter moved in between. If this function itself was late (a paused process, a takeover)
every lease is given that time back, as ZooKeeper's leader gives every session a fresh timeout when it is elected.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Set, Tuple

from .. import layout
from ..core.requests import Expire, Reap, Request
from ..errors import Conflict, StorageFull
from ..messages import Message, encode, message_id
from ..ports import INTEREST, SESSIONS, Item, Key, Ports, Remove
from .loading import partition_sorts

log = logging.getLogger(__name__)

TICK_S = 0.4
"""How often leases are looked at, where that costs nothing: expiry comes at most two ticks after the timeout."""
REAP_EVERY = 12
"""Ticks between looks at containers and TTL nodes (ZooKeeper: every 60 s)."""
AT_ONCE = 25
"""Requests in one message: they are done in as few commits as the store allows, and paths may be 2 kB each."""
SENDER = "heartbeat"
NEVER = Item(0, b"")
"""The counter of a session that has not beaten yet."""


@dataclass
class Watched:
    """What this function remembers of one namespace. Losing it only makes leases longer."""

    leases: Dict[int, Tuple[int, float]] = field(default_factory=dict)
    """Session → (count last seen, when it was first seen, in seconds)."""
    idle: Set[int] = field(default_factory=set)
    """Sessions that stood still for their timeout and own nothing."""
    strays: Dict[str, int] = field(default_factory=dict)
    """Counters of no session, as last seen: of a client that has not heard yet that its session is over."""
    ticks: int = 0
    reapable: int = 0
    """Containers and TTL nodes when they were last looked at."""
    last_s: float = 0.0
    sent: int = 0


def packed(requests: List[Request], run: str, first: int) -> List[Message]:
    """As few messages as take them all. ``first``: the first one's number in the run."""
    parts = [(at, tuple(requests[at : at + AT_ONCE])) for at in range(0, len(requests), AT_ONCE)]
    return [Message("%s:%s" % (SENDER, run), 0, first + at, part) for at, part in parts]


class Heartbeat:
    """The heartbeat function. Call it every ``tick_s`` for each namespace, while it asks for it."""

    def __init__(self, ports: Ports, tick_s: float = TICK_S, owners_only: bool = False) -> None:
        """``owners_only``: a session that owns nothing does not beat, and never ends by itself."""
        self._ports = ports
        self._tick_s = tick_s
        self._owners_only = owners_only
        self._watched: Dict[str, Watched] = {}
        self._run = ports.clock.random_bytes(8).hex()

    async def __call__(self, ns: str) -> bool:
        """Ends what has to end. Whether there is anything left to come back for."""
        watched = self._watched.setdefault(ns, Watched())
        requests, busy = await self.look(ns, watched)
        for message in packed(requests, self._run, watched.sent + 1):
            watched.sent += len(message.requests)
            await self._ports.queue.send(ns, message_id(message.inbox, message.first), encode(message))
        return busy

    async def look(self, ns: str, watched: Watched) -> Tuple[List[Request], bool]:
        """What has to be written to end what has to end, and whether there is anything to come back for."""
        requests: List[Request] = []
        sessions = await self._sessions(ns)
        now = self._ports.clock.monotonic()
        self._forgive(watched, now)
        beats = await self._all(INTEREST, layout.beats_partition(ns))
        read = self._ports.clock.monotonic()
        for session, timeout_s in sessions.items():
            count = beats.get(layout.session_name(session), NEVER).rev
            seen, since = watched.leases.get(session, (-1, read))
            if seen != count:
                watched.leases[session] = (count, read)
                watched.idle.discard(session)
            elif now - since > timeout_s and session not in watched.idle:
                if self._owners_only and not await self._any(layout.ephemerals_partition(ns, session)):
                    watched.idle.add(session)
                else:
                    requests.append(Expire(session, count))
                    watched.leases[session] = (count, read)  # it is not asked again while the queue takes its time
        for gone in watched.leases.keys() - sessions.keys():
            del watched.leases[gone]
            watched.idle.discard(gone)
        await self._sweep(ns, watched, beats.keys() - {layout.session_name(session) for session in sessions}, beats)
        if watched.ticks % REAP_EVERY == 0:
            reapable = await partition_sorts(self._ports, layout.reapable_partition(ns))
            watched.reapable = len(reapable)
            at_ms = self._ports.clock.now_ms()
            requests.extend(Reap(path, at_ms) for path in reapable)
        watched.ticks += 1
        busy = bool(sessions.keys() - watched.idle) or watched.reapable > 0
        return requests, busy or await self._any(layout.reapable_partition(ns))

    async def _any(self, partition: str) -> bool:
        page = await self._ports.store.query(SESSIONS, partition, limit=1)
        return bool(page.rows)

    async def _sweep(self, ns: str, watched: Watched, strays: Set[str], beats: Dict[str, Item]) -> None:
        """Removes counters of no session that stood still since the last look: then it is not about to begin."""
        for name in sorted(strays):
            if watched.strays.get(name) == beats[name].rev:
                key = Key(INTEREST, layout.beats_partition(ns), name)
                try:
                    await self._ports.store.commit([Remove(key, expect=beats[name].rev)])
                except (Conflict, StorageFull) as error:
                    log.debug("namespace %s: counter %s stays: %s", ns, name, error)
        watched.strays = {name: beats[name].rev for name in strays}

    def _forgive(self, watched: Watched, now: float) -> None:
        """Time in which nobody could have been heard is nobody's fault."""
        late = now - watched.last_s - self._tick_s
        if watched.last_s and late > self._tick_s:
            watched.leases = {s: (count, min(now, since + late)) for s, (count, since) in watched.leases.items()}
        watched.last_s = now

    async def _sessions(self, ns: str) -> Dict[int, float]:
        """Session → timeout in seconds."""
        found: Dict[int, float] = {}
        for item in (await self._all(SESSIONS, layout.sessions_partition(ns))).values():
            session = layout.session_of(item)
            found[session.id] = session.timeout_ms / 1000.0
        return found

    async def _all(self, table: str, partition: str) -> Dict[str, Item]:
        rows: Dict[str, Item] = {}
        last: Optional[str] = ""
        while last is not None:
            page = await self._ports.store.query(table, partition, last)
            rows.update(page.rows)
            last = page.rows[-1][0] + "\0" if page.more else None
        return rows
