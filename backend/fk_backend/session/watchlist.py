"""A session's watches: a trigger up to what the watch's own read showed is no news, a later one fires it once."""

from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..core import acls, paths, watches
from ..core.model import EventType, Family, Id, Node, Perms, Trigger
from ..core.watches import CHILD, DATA, PERSISTENT, RECURSIVE

Pair = Optional[Tuple[Node, Family]]
MAX_LATE = 1000
"""So many times may be caught up without the list before a push that is on its way is too late to be told."""


class Watch(NamedTuple):
    """``number`` is its registration's id; ``floor`` the zxid that its read showed; ``existed`` what it showed.

    ``readable``: whether the session might read the node then.
    """

    path: str
    mode: str
    number: int
    floor: int
    existed: bool
    readable: bool = True


class Event(NamedTuple):
    """Something that happened, as ZooKeeper's WatchedEvent."""

    zxid: int
    path: str
    kind: int


class WatchList:
    """The armed watches of one connection, at most one for each path and mode, and who may be told of what."""

    __slots__ = ("_armed", "_recursive", "_skipped", "_told", "_was", "asked")

    def __init__(self) -> None:
        self._armed: Dict[Tuple[str, str], Watch] = {}
        self._recursive = 0
        self._skipped: Tuple[Tuple[int, int], ...] = ()
        self._told: Tuple[int, ...] = ()
        self._was: List[Tuple[int, Tuple[Id, ...]]] = [(0, ())]
        self.asked: Dict[Tuple[str, str], None] = {}
        """(path, mode) of registrations that were asked for, while no armed watch answers for them."""

    def __len__(self) -> int:
        return len(self._armed)

    def get(self, path: str, mode: str) -> Optional[Watch]:
        """The armed watch, if there is one."""
        return self._armed.get((path, mode))

    def all(self) -> List[Watch]:
        """Every armed watch, in the order of arming."""
        return list(self._armed.values())

    def on(self, path: str) -> List[Watch]:
        """Every armed watch on a path."""
        found = (self._armed.get((path, mode)) for mode in (DATA, CHILD, PERSISTENT, RECURSIVE))
        return [watch for watch in found if watch is not None]

    def arm(self, watch: Watch) -> None:
        """Arms it, in place of one with the same path and mode."""
        self._recursive += watch.mode == RECURSIVE and (watch.path, RECURSIVE) not in self._armed
        self._armed[(watch.path, watch.mode)] = watch
        self.asked.pop((watch.path, watch.mode), None)

    def drop(self, watch: Watch) -> None:
        """Disarms it."""
        if self._armed.pop((watch.path, watch.mode), None) is not None:
            self._recursive -= watch.mode == RECURSIVE

    def looked_at(self, watch: Watch, number: int, event: Optional[Event]) -> List[Event]:
        """Its node was read: ``event`` is what it had missed; else it goes on with registration ``number``."""
        if event is None:
            self.arm(watch._replace(number=number))
            return []
        gone = self.on(watch.path) if event.kind == EventType.DELETED else [watch]
        for each in gone:  # a deletion is told once, and ends every watch on the node
            if watches.is_one_shot(each.mode):
                self.drop(each)
        return [event]

    def skip(self, after: int, upto: int) -> None:
        """Triggers with after < zxid <= upto were passed over unseen: what no node shows is in their pushes."""
        if self._armed:
            self._skipped = (*self._skipped[-MAX_LATE + 1 :], (after, upto))

    def late(self, triggers: Iterable[Trigger]) -> List[Event]:
        """Events from triggers that were passed over, each once: of watches that stay, and of what came and went."""
        events: List[Event] = []
        for trigger in triggers if self._skipped else ():
            if trigger.zxid not in self._told and any(a < trigger.zxid <= b for a, b in self._skipped):
                event = self.fire(trigger)
                events.extend([] if event is None else [event])
        if events:
            self._told = (*self._told, *(event.zxid for event in events))[-MAX_LATE:]
        return events

    def became(self, zxid: int, proved: Iterable[Id]) -> None:
        """Who the session is as well from ``zxid`` on. What comes late is judged by who it was."""
        identities = tuple(dict.fromkeys((*self.identities, *proved)))
        if identities != self.identities:
            self._was.append((zxid, identities))

    @property
    def identities(self) -> Tuple[Id, ...]:
        """Who the session is."""
        return self._was[-1][1]

    def _at(self, zxid: int) -> Tuple[Id, ...]:
        return next(identities for since, identities in reversed(self._was) if since <= zxid)

    def hit_by(self, trigger: Trigger) -> List[Watch]:
        """The armed watches that were waiting for a trigger."""
        candidates = self.on(trigger.path)
        if self._recursive:
            above = (self._armed.get((path, RECURSIVE)) for path in paths.ancestors(trigger.path))
            candidates.extend(watch for watch in above if watch is not None)
        return [
            watch
            for watch in candidates
            if watch.floor < trigger.zxid and watches.matches(watch.mode, watch.path, trigger)
        ]

    def fire(self, trigger: Trigger) -> Optional[Event]:
        """The event of a trigger, if a watch was waiting for it: one event, however many watches.

        None, and the watches that are there for once are gone, if the session may not know of it.
        """
        hit = self.hit_by(trigger)
        for watch in hit:
            if watches.is_one_shot(watch.mode):
                self.drop(watch)
        return Event(*trigger[:3]) if hit and acls.may_know(trigger.readers, self._at(trigger.zxid)) else None


def shown(mode: str, pair: Pair, head_zxid: int) -> int:
    """The zxid up to which a read of the node tells all that a watch of this mode waits for."""
    if pair is None:
        return head_zxid
    node, family = pair
    return family.pzxid if mode == CHILD else node.mzxid


def missed(watch: Watch, pair: Pair, head_zxid: int, identities: Tuple[Id, ...]) -> Optional[Event]:
    """What a watch must have missed, judging by its node as it is now (ZooKeeper's rule for SetWatches).

    Nothing of a node that the session may not read now, or might not when it was last seen. Whether it might at the
    change is in the push that is on its way.
    """
    if pair is None:
        return Event(head_zxid, watch.path, EventType.DELETED) if watch.existed and watch.readable else None
    zxid = shown(watch.mode, pair, head_zxid)
    if zxid <= watch.floor or not acls.allowed(pair[0].acl, Perms.READ, identities):
        return None
    if not watch.existed:
        return Event(zxid, watch.path, EventType.CREATED)
    return Event(zxid, watch.path, EventType.CHILD if watch.mode == CHILD else EventType.CHANGED)
