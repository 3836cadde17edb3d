"""The heartbeat function: has sessions expire that give no sign of life.

Rule: a session ends only when its beat counter stood still for its whole timeout on this function's own clock.

The client's clock never counts. Expiry is a write in the namespace's queue like any other, carrying the count it
judged by, and is void if the counter moved in between. If this function itself was late (a paused process, a takeover)
every lease is given that time back, as ZooKeeper's leader gives every session a fresh timeout when it is elected.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

from .. import layout
from ..core.requests import Expire, Reap, Request
from ..eager import together
from ..errors import Conflict, StorageFull
from ..messages import Message, encode, message_id
from ..ports import INTEREST, SESSIONS, Item, Key, Ports, Remove
from ..writer.loading import partition_rows, partition_sorts

log = logging.getLogger(__name__)

TICK_S = 0.4
"""How often leases are looked at, where that costs nothing: expiry comes at most two ticks after the timeout."""
REAP_EVERY = 12
"""Ticks between looks at containers and TTL nodes (ZooKeeper: every 60 s)."""
RARE_TICKS = 5
"""Where every look is paid for, the longest pause between two of them, in ticks."""
AT_ONCE = 25
"""Requests in one message: they are done in as few commits as the store allows, and paths may be 2 kB each."""
SENDER = "heartbeat"
MAX_ORPHANED_COUNTERS = 200
"""Counters of no session that are looked after in one tick. Clients write counters: there may be any number."""
MAX_SUSPECTS = 500
"""Silent sessions of which it is found out in one tick whether they still own something: a request for each."""
MOMENT_S = 0.001
"""So much after a timeout it is over for certain."""
BY_NAME = 100
"""So many counters are read by their names: one request, whoever else has counters."""


@dataclass
class NamespaceMemory:
    """What this function remembers of one namespace. Losing it only makes leases longer."""

    leases: Dict[int, Tuple[int, float]] = field(default_factory=dict)
    """Session → (count last seen, when it was first seen, in seconds)."""
    orphans: Dict[str, int] = field(default_factory=dict)
    """Counters of no session, as last seen: of a client that has not heard yet that its session is over."""
    reapable: int = 0
    """Containers and TTL nodes when they were last looked at."""
    reaped_s: float = 0.0
    """When that was; 0: never."""
    due_s: float = 0.0
    """When the next look was due; 0: there was none."""
    sent: int = 0
    known: Dict[str, Tuple[int, int, "Lease"]] = field(default_factory=dict)
    """By its key, each session as it was read last: rev, id, and lease. Reading one takes longer than all else here."""


class Lease(NamedTuple):
    """A session that has to give signs of life. ``listed``: the rev of its entry among the holders, if it has one."""

    timeout_s: float
    listed: int = 0


class TickResult(NamedTuple):
    """What has to be written to end what has to end, and what is left to come back for, after ``pause_s``."""

    requests: List[Request]
    has_work: bool
    pause_s: float


def packed(requests: List[Request], run: str, first: int) -> List[Message]:
    """As few messages as take them all. ``first``: the first one's number in the run."""
    parts = [(at, tuple(requests[at : at + AT_ONCE])) for at in range(0, len(requests), AT_ONCE)]
    return [Message("%s:%s" % (SENDER, run), 0, first + at, part) for at, part in parts]


class Heartbeat:
    """The heartbeat function. Call it every ``tick_s`` for each namespace, while it asks for it.

    Where a session that owns nothing does not beat, and so never ends by itself, `tick` is called instead, with the
    `holders`: what it costs follows those, however many sessions there are.
    """

    def __init__(self, ports: Ports, tick_s: float = TICK_S, owners_only: bool = False) -> None:
        """``owners_only``: it is given the `holders`, and pauses for as long as nobody's timeout can be over."""
        self._ports = ports
        self._tick_s = tick_s
        self._owners_only = owners_only
        self._interval_s = tick_s / 4 if owners_only else 0.0
        """Each look may be by another machine: so far apart their clocks may be."""
        self._watched: Dict[str, NamespaceMemory] = {}
        self._run = ports.clock.random_bytes(8).hex()

    async def __call__(self, ns: str) -> bool:
        """Ends what has to end. Whether there is anything left to come back for."""
        watched = self._watched.setdefault(ns, NamespaceMemory())
        result = await self.tick(ns, watched, await self._sessions(ns, watched))
        for message in packed(result.requests, self._run, watched.sent + 1):
            watched.sent += len(message.requests)
            await self._ports.queue.send(ns, message_id(message.inbox, message.first), encode(message))
        return result.has_work

    async def tick(self, ns: str, watched: NamespaceMemory, leases: Mapping[int, Lease]) -> TickResult:
        """Looks at the sessions: who stood still for the timeout is given up, unless it is listed and owns nothing."""
        now = self._ports.clock.monotonic()
        names = {session: layout.session_name(session) for session in leases}
        beats = await self._beats(ns, names)
        read = self._ports.clock.monotonic()
        self._give_time_back(watched, now)
        watched.due_s = now + self._tick_s  # what fails from here on has looked, so the next look has to come in time
        silent: Dict[int, int] = {}
        pauses = [RARE_TICKS * self._tick_s]
        for session, lease in leases.items():
            count = layout.count_of(beats.get(names[session]))
            seen, since = watched.leases.get(session, (-1, read))
            if seen != count:
                watched.leases[session] = (count, read)
                pauses.append(lease.timeout_s * 2 / 3)
            elif now - since > lease.timeout_s + self._interval_s:
                silent[session] = count
            else:
                pauses.append(since + lease.timeout_s + self._interval_s - now + MOMENT_S)
        for gone in watched.leases.keys() - leases.keys():
            del watched.leases[gone]
        requests = await self._expiries(ns, leases, silent)
        watched.leases.update((each.session, (each.beats, read)) for each in requests)  # asked again after a timeout
        if not self._owners_only:
            await self._remove_orphaned_counters(ns, watched, beats.keys() - names.values(), beats)
        reaps, reapable = await self._reap_requests(ns, watched, now, bool(leases))
        pause_s = max(min(pauses), self._tick_s) if self._owners_only and not silent else self._tick_s
        watched.due_s = now + pause_s
        return TickResult([*requests, *reaps], bool(leases or watched.orphans) or reapable, pause_s)

    async def _expiries(self, ns: str, leases: Mapping[int, Lease], silent: Mapping[int, int]) -> List[Expire]:
        """Of silent sessions and their counts, those that have to end. A holder that owns nothing is none any more."""
        if not self._owners_only:
            return [Expire(session, count) for session, count in silent.items()]
        suspects = list(silent)[:MAX_SUSPECTS]
        looks = [self._has_rows(layout.ephemerals_partition(ns, session)) for session in suspects]
        owns = dict(zip(suspects, await together(looks, self._ports.store.capabilities.has_latency)))
        over = [
            self._remove_from_holders(ns, session, leases[session].listed) for session in suspects if not owns[session]
        ]
        await together(over, self._ports.store.capabilities.has_latency)
        return [Expire(session, silent[session]) for session in suspects if owns[session]]

    async def _remove_from_holders(self, ns: str, session: int, listed: int) -> None:
        """Whoever came to own something since it was listed so is listed anew, and stays."""
        try:
            await self._ports.store.commit([Remove(layout.holder_key(ns, session), expect=listed)])
        except Conflict:
            log.debug("namespace %s: session %x owns something again", ns, session)

    async def _reap_requests(
        self, ns: str, watched: NamespaceMemory, now: float, busy: bool
    ) -> Tuple[List[Reap], bool]:
        """Now and then, what has to be asked of containers and TTL nodes; and whether there are any."""
        if not watched.reaped_s or now - watched.reaped_s > (REAP_EVERY - 0.5) * self._tick_s:
            paths = await partition_sorts(self._ports, layout.reapable_partition(ns))
            watched.reapable, watched.reaped_s = len(paths), now
            at_ms = self._ports.clock.now_ms()
            return [Reap(path, at_ms) for path in paths], bool(paths)
        return [], watched.reapable > 0 or (not busy and await self.reapable(ns))

    async def reapable(self, ns: str) -> bool:
        """Whether there are containers or TTL nodes."""
        return await self._has_rows(layout.reapable_partition(ns))

    async def _has_rows(self, partition: str) -> bool:
        page = await self._ports.store.query(SESSIONS, partition, limit=1)
        return bool(page.rows)

    async def _remove_orphaned_counters(
        self, ns: str, watched: NamespaceMemory, orphans: Set[str], beats: Dict[str, Item]
    ) -> None:
        """Removes counters of no session that stood still since the last look: then it is not about to begin.

        What can be no session's is removed at once.
        """
        left: Dict[str, int] = {}
        for name in sorted(orphans)[:MAX_ORPHANED_COUNTERS]:
            key, count = Key(INTEREST, layout.beats_partition(ns), name), layout.count_of(beats[name])
            understood = layout.interest_of(key) is not None
            if understood:
                left[name] = count
            if not understood or watched.orphans.get(name) == count:
                expect = count if understood and count == beats[name].rev and count else None
                try:
                    await self._ports.store.commit([Remove(key, expect)])
                except (Conflict, StorageFull) as error:
                    log.debug("namespace %s: counter %s stays: %s", ns, name, error)
        watched.orphans = left

    def _give_time_back(self, watched: NamespaceMemory, now: float) -> None:
        """Time in which nobody could have been heard is nobody's fault."""
        late = now - watched.due_s
        if watched.due_s and late > self._tick_s:
            watched.leases = {s: (count, min(now, since + late)) for s, (count, since) in watched.leases.items()}

    async def _sessions(self, ns: str, watched: NamespaceMemory) -> Dict[int, Lease]:
        """All of them: each has to beat."""
        known: Dict[str, Tuple[int, int, Lease]] = {}
        for sort, item in await partition_rows(self._ports, SESSIONS, layout.sessions_partition(ns)):
            before = watched.known.get(sort)
            if before is None or before[0] != item.rev:
                session = layout.session_of(item)
                before = (item.rev, session.id, Lease(session.timeout_ms / 1000.0))
            known[sort] = before
        watched.known = known
        return {session: lease for _, session, lease in known.values()}

    async def _beats(self, ns: str, names: Mapping[int, str]) -> Dict[str, Item]:
        """Counters by name: those of the sessions, and some others, if there are any, unless these are holders."""
        rows: Dict[str, Item] = {}
        if not self._owners_only or len(names) > BY_NAME:
            enough = len(names) + MAX_ORPHANED_COUNTERS
            rows.update(await partition_rows(self._ports, INTEREST, layout.beats_partition(ns), enough))
            if len(rows) <= enough:
                return rows
        unseen = [session for session, name in names.items() if name not in rows]
        found = await self._ports.store.load([layout.beat_key(ns, session) for session in unseen])
        rows.update((names[session], item) for session, item in zip(unseen, found) if item is not None)
        return rows


async def holders(ports: Ports, ns: str) -> Tuple[Dict[int, Lease], Optional[Item]]:
    """The sessions that own something, or did; and what is remembered of the namespace, which is kept with them."""
    found: Dict[int, Lease] = {}
    memory: Optional[Item] = None
    for sort, item in await partition_rows(ports, SESSIONS, layout.holders_partition(ns)):
        if sort == layout.MEMORY:
            memory = item
        else:
            found[int(sort, 16)] = Lease(layout.held_for_ms(item) / 1000.0, item.rev)
    return found, memory
