"""V1 to V7: a connection's events, walked through beside its answers with ZooKeeper's rules in hand.

Where the head keeps every trigger, events must be exactly the triggers. Where it forgets them, a session catches up
from its registrations and its nodes, as ZooKeeper's SetWatches does: then less is expected. What the session might not
read at the change by its ACL is told to nobody, and has fired all the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Counter, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from ....core.model import Error
from ....core.requests import Auth
from ....core.watches import CHILD, DATA, PERSISTENT, RECURSIVE
from ....session.ops import AddWatch, Exists, GetChildren, GetData, RemoveWatches
from ..model import CHANGED, CREATED, DELETED, READ, permitted
from ..model import CHILD as CHILDREN
from ..replay import CallRecord, ConnectionRecord, Replay
from ..workload import ADDRESS, ALL
from .reads import ReadWindow, read_windows

TABLE = {
    DATA: {CREATED, CHANGED, DELETED},
    CHILD: {CHILDREN, DELETED},
    PERSISTENT: {CREATED, CHANGED, DELETED, CHILDREN},
    RECURSIVE: {CREATED, CHANGED, DELETED},
}
Trigger = Tuple[int, str, int]


class Found(NamedTuple):
    """Something wrong, and the promise that it breaks."""

    check: str
    what: str


def _covers(path: str, mode: str, trigger: Trigger) -> bool:
    _, at, kind = trigger
    below = mode == RECURSIVE and (path == "/" or at.startswith(path + "/"))
    return kind in TABLE[mode] and (at == path or below)


def _identities(call_records: Dict[int, CallRecord]) -> List[Tuple[int, Tuple[Any, ...]]]:
    """Who the connection was, from which zxid on."""
    found: List[Tuple[int, Tuple[Any, ...]]] = [(0, (("ip", ADDRESS),))]
    for record in sorted(call_records.values(), key=lambda record: record.number):
        if isinstance(record.op, Auth) and record.result[0] == Error.OK:
            found.append((record.result[2], (*found[-1][1], *map(tuple, record.result[1]))))
    return found


class Walk:
    """One connection from its begin to its end."""

    def __init__(
        self, replay: Replay, conn: ConnectionRecord, call_records: Dict[int, CallRecord], reads: Dict[int, ReadWindow]
    ) -> None:
        self.replay = replay
        self.conn = conn
        self.call_records = call_records
        self.reads = reads
        self.triggers: List[Trigger] = replay.model.triggers
        self.identities = _identities(call_records)
        self.known = [self._may(z, acl) for (z, _, _), acl in zip(self.triggers, replay.model.acls)]
        """Of each trigger, whether the connection may be told of it."""
        told_of = [trigger for trigger, known in zip(self.triggers, self.known) if known]
        self.all = set(told_of)
        self.exact = replay.history.plan.knobs.recent_bytes >= ALL
        self.armed: Dict[Tuple[str, str], int] = {}
        self.expected_events: Dict[Tuple[str, str], int] = {}
        """Watches that stay → the zxid from which their events are due."""
        self.told: Set[Trigger] = set()
        self.heard: Counter[Trigger] = Counter()
        self.happened = Counter(told_of)  # a multi may change a node twice
        self.shown = 0
        self.last_event = 0

    def run(self) -> Iterator[Found]:
        """Everything that is wrong with it."""
        for step, tag, value in self.conn.said:
            if tag == 0:
                yield from self._event(step, tuple(value))
            elif tag > 0 and tag in self.call_records:
                yield from self._reply(step, self.call_records[tag])
        quiet = alive_when_quiescent(self.replay, self.conn)
        if quiet:
            yield from self._due(self.replay.head_at(quiet), "V3", "at rest", quiet)

    def _may(self, zxid: int, acl: Any) -> bool:
        who = [identities for since, identities in self.identities if since <= zxid][-1]
        return permitted(acl, READ, who)

    def _open(self, key: Tuple[str, str]) -> bool:
        """Whether the node of an armed watch could be read by the connection all the time since."""
        states = self.replay.model.states[self.armed[key] :]
        found = ((z, tree.get(key[0])) for z, tree in enumerate(states, self.armed[key]))
        return all(node is None or self._may(z, node.acl) for z, node in found)

    # --- events ---------------------------------------------------------------------------------

    def _event(self, step: int, event: Trigger) -> Iterator[Found]:
        zxid, path, kind = event
        where = "step %d: event %s of %s" % (step, event, self.conn.name[:6])
        self.heard[event] += 1
        if event in self.told and self.exact and self.heard[event] > self.happened[event]:
            yield Found("V1", where + " was told before")
        late = not self.exact and (  # told by its push, when that comes
            any(_covers(*key, event) for key in self.expected_events)
            or any(key[0] == path and (self._came_and_went(key) or not self._open(key)) for key in self.armed)
        )
        if zxid <= self.shown and not late:
            yield Found("V5", "%s comes after an answer that shows zxid %d" % (where, self.shown))
        if zxid < self.last_event and self.exact:
            yield Found("V6", "%s comes after one of zxid %d" % (where, self.last_event))
        self.last_event = max(self.last_event, zxid)
        waiting = [key for key in self.armed if key[0] == path]
        hits = [key for key in waiting if kind in TABLE[key[1]] and self._fires(key, event)]
        stays = [key for key, since in self.expected_events.items() if since < zxid and _covers(*key, event)]
        if not hits and not (stays and event in self.all):
            yield self._unwanted(where, waiting, event)
        if self.exact and event not in self.all:
            hidden = event in set(self.triggers)
            yield Found("V4", where + (" is of what it may not read" if hidden else " never happened"))
        if not self.exact and not (event in self.all or self._readable_since(event, step)):
            yield Found("V4", where + " is of what it may not read")
        for key in hits:
            del self.armed[key]
        self.told.add(event)

    def _readable_since(self, event: Trigger, step: int) -> bool:
        """Whether the node could be read in a state from which the event can have been told."""
        at = range(max(event[0] - 1, 0), self.replay.head_at(step) + 1)
        found = ((z, self.replay.model.states[z].get(event[1])) for z in at)
        return event[2] == DELETED or any(node is not None and self._may(z, node.acl) for z, node in found)

    def _fires(self, key: Tuple[str, str], event: Trigger) -> bool:
        first, known = self._first(key)
        if self.exact:
            return bool(known and first == event)
        return bool(first is not None and first[0] <= event[0])

    def _first(self, key: Tuple[str, str]) -> Tuple[Optional[Trigger], bool]:
        """What fires it, and whether it is told of that."""
        floor = self.armed[key]
        both = zip(self.triggers, self.known)
        return next(((t, known) for t, known in both if t[0] > floor and _covers(*key, t)), (None, False))

    def _unwanted(self, where: str, waiting: List[Tuple[str, str]], event: Trigger) -> Found:
        if event in self.told:
            return Found("V1", where + " was told before")
        if event in self.all and waiting:
            return Found("V2", "%s fires a watch that it does not belong to: %s" % (where, waiting))
        return Found("V7" if self.conn.attached else "V4", where + " was waited for by nobody")

    # --- answers --------------------------------------------------------------------------------

    def _reply(self, step: int, record: CallRecord) -> Iterator[Found]:
        code, _, zxid = record.result
        yield from self._due(zxid, "V5", "before the answer to tag %d, which shows zxid %d" % (record.tag, zxid), step)
        self.shown = max(self.shown, zxid)
        op = record.op
        if isinstance(op, AddWatch) and code == Error.OK:
            self.expected_events[op.path, op.mode] = self.shown
        elif isinstance(op, RemoveWatches) and code == Error.OK:
            for mode in op.modes:
                self.armed.pop((op.path, mode), None)
                self.expected_events.pop((op.path, mode), None)
        elif isinstance(op, (Exists, GetData, GetChildren)) and op.watch and record.tag in self.reads:
            at = self.reads[record.tag].zxid
            if at is not None and (code == Error.OK or (code == Error.NO_NODE and isinstance(op, Exists))):
                self.armed[op.path, CHILD if isinstance(op, GetChildren) else DATA] = at

    def _due(self, zxid: int, check: str, when: str, step: int) -> Iterator[Found]:
        """Watches that should have fired by ``zxid`` and have not."""
        for key in list(self.armed):
            first, known = self._first(key)
            if first is None or first[0] > zxid:
                continue
            if not known:  # it is gone, and nothing was said; without the list, only its push can tell
                if self.exact or check == "V3":
                    del self.armed[key]
            elif self.exact or check == "V3" or (self._open(key) and not self._came_and_went(key)):
                yield Found(check, "step %d: no event %s for %s %s" % (step, first, key, when))
                del self.armed[key]
        if self.exact or check == "V3":
            for key, since in self.expected_events.items():
                for trigger in self.triggers:
                    due = since < trigger[0] <= zxid and _covers(*key, trigger) and trigger in self.all
                    if due and trigger not in self.told:
                        yield Found(check, "step %d: no event %s for %s %s" % (step, trigger, key, when))
                        self.told.add(trigger)

    def _came_and_went(self, key: Tuple[str, str]) -> bool:
        """A node that was missing and is missing again: without the list only its push can tell."""
        states = self.replay.model.states
        absent = [z for z in range(self.armed[key], len(states)) if key[0] not in states[z]]
        return self.armed[key] in absent and any(z > self.armed[key] for z in absent)


def alive_when_quiescent(replay: Replay, conn: ConnectionRecord) -> int:
    """The step at which everything was answered, if the connection was still there then; else 0."""
    quiet = next((entry.step for entry in replay.log if entry.what == "quiet"), 0)
    if conn.stolen or any(tag == -1 and step < quiet for step, tag, _ in conn.said):
        return 0
    died = replay.death(conn)
    return 0 if died is not None and died < quiet else quiet


@lru_cache(maxsize=2)
def _findings(replay: Replay) -> List[Found]:
    call_records: Dict[str, Dict[int, CallRecord]] = {}
    for record in replay.call_records:
        if record.answered is not None:
            call_records.setdefault(record.conn, {})[record.tag] = record
    found: List[Found] = []
    for name, conn in replay.conns.items():
        reads = {look.record.tag: look for look in read_windows(replay).get(name, [])}
        found.extend(Walk(replay, conn, call_records.get(name, {}), reads).run())
    return found


def _named(replay: Replay, check: str) -> Iterator[str]:
    return (found.what for found in _findings(replay) if found.check == check)


def once(replay: Replay) -> Iterator[str]:
    """V1: a one-shot watch is told once, and each event once."""
    return _named(replay, "V1")


def only_by_the_table(replay: Replay) -> Iterator[str]:
    """V2: what fires which watch is ZooKeeper's table."""
    return _named(replay, "V2")


def none_lost(replay: Replay) -> Iterator[str]:
    """V3: when everything has come to rest, every watch that something happened to has fired."""
    return _named(replay, "V3")


def none_made_up(replay: Replay) -> Iterator[str]:
    """V4: every event happened, and somebody waited for it."""
    return _named(replay, "V4")


def event_before_state(replay: Replay) -> Iterator[str]:
    """V5: the event comes before any answer that shows its zxid."""
    return _named(replay, "V5")


def in_zxid_order(replay: Replay) -> Iterator[str]:
    """V6: events come in zxid order."""
    return _named(replay, "V6")


def armed_after_reconnecting(replay: Replay) -> Iterator[str]:
    """V7: a new connection of a session is told of what it asked for itself, and of nothing else."""
    return _named(replay, "V7")
