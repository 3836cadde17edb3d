"""A session ends only when its beat counter stood still for its whole timeout on this function's own clock.

The client's clock never counts. Expiry is a write in the namespace's queue like any other, carrying the count it
judged by, and is void if the counter moved in between. If this function itself was late (a paused process, a takeover)
every lease is given that time back, as ZooKeeper's leader gives every session a fresh timeout when it is elected.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Optional, Set, Tuple

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
MAX_STRAYS = 200
"""Counters of no session that are looked after in one tick. Clients write counters: there may be any number."""


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
        beats = await self._beats(ns, sessions)
        read = self._ports.clock.monotonic()
        for session, timeout_s in sessions.items():
            count = layout.count_of(beats.get(layout.session_name(session)))
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
        """Removes counters of no session that stood still since the last look: then it is not about to begin.

        What can be no session's is removed at once.
        """
        left: Dict[str, int] = {}
        for name in sorted(strays)[:MAX_STRAYS]:
            key, count = Key(INTEREST, layout.beats_partition(ns), name), layout.count_of(beats[name])
            understood = layout.interest_of(key) is not None
            if understood:
                left[name] = count
            if not understood or watched.strays.get(name) == count:
                expect = count if understood and count == beats[name].rev and count else None
                try:
                    await self._ports.store.commit([Remove(key, expect)])
                except (Conflict, StorageFull) as error:
                    log.debug("namespace %s: counter %s stays: %s", ns, name, error)
        watched.strays = left

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

    async def _beats(self, ns: str, sessions: Iterable[int]) -> Dict[str, Item]:
        """Counters by name: those of the sessions, and some others, if there are any."""
        names = {layout.session_name(session): session for session in sessions}
        rows = await self._all(INTEREST, layout.beats_partition(ns), len(names) + MAX_STRAYS)
        if len(rows) > len(names) + MAX_STRAYS:
            unseen = [name for name in names if name not in rows]
            found = await self._ports.store.load([layout.beat_key(ns, names[name]) for name in unseen])
            rows.update((name, item) for name, item in zip(unseen, found) if item is not None)
        return rows

    async def _all(self, table: str, partition: str, enough: Optional[int] = None) -> Dict[str, Item]:
        """All rows; fewer if there are more than ``enough``."""
        rows: Dict[str, Item] = {}
        last: Optional[str] = ""
        while last is not None and (enough is None or len(rows) <= enough):
            page = await self._ports.store.query(table, partition, last)
            rows.update(page.rows)
            last = page.rows[-1][0] + "\0" if page.more else None
        return rows
