"""What the core reads and what it changes. It asks for what it lacks instead of fetching it.

`apply` runs over a Snapshot. When it needs something that was not loaded it raises Missing, which
names everything it could find out so far; the caller loads that and calls again. The core is pure, so
calling again is free of consequences.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Set, Tuple

from .model import Family, Id, Node, Session, Trigger
from .requests import Result


@dataclass
class Snapshot:
    """A consistent view of one namespace as of ``zxid``. A key that maps to None is known to be absent."""

    zxid: int
    nodes: Dict[str, Optional[Tuple[Node, Family]]] = field(default_factory=dict)
    sessions: Dict[int, Optional[Session]] = field(default_factory=dict)
    ephemerals: Dict[int, FrozenSet[str]] = field(default_factory=dict)
    """Paths of the ephemerals of a session; needed only where a session ends."""
    beats: Dict[int, int] = field(default_factory=dict)
    """Beat counters; needed only for Expire."""
    namespace_id: int = 0
    """23 bits chosen when the namespace was first used: the high bits of its session ids."""
    super_id: Optional[Id] = None
    """The digest identity that is `super`, if the deployment has one."""
    subtrees: bool = False
    """Whether whole subtrees are watched."""
    ticking: int = 0
    """The zxid of the latest thing that needs the heartbeat; 0: it rests."""
    removals_per_commit: int = 1 << 30
    """How many ephemerals of one session are deleted under one zxid: what the store takes in a commit."""


class Missing(Exception):
    """The snapshot lacks what these name. Raised by the core, caught by the writer."""

    def __init__(
        self,
        paths: Iterable[str] = (),
        sessions: Iterable[int] = (),
        ephemerals: Iterable[int] = (),
        beats: Iterable[int] = (),
    ) -> None:
        super().__init__(paths, sessions, ephemerals, beats)
        self.paths: Set[str] = set(paths)
        self.sessions: Set[int] = set(sessions)
        self.ephemerals: Set[int] = set(ephemerals)
        self.beats: Set[int] = set(beats)

    def __str__(self) -> str:
        return "missing: paths %s, sessions %s, ephemerals %s, beats %s" % (
            sorted(self.paths),
            sorted(self.sessions),
            sorted(self.ephemerals),
            sorted(self.beats),
        )

    def raise_if_any(self) -> None:
        """Raise it unless it names nothing."""
        if self.paths or self.sessions or self.ephemerals or self.beats:
            raise self


@dataclass
class Changes:
    """What one commit writes, besides the head. None means removed.

    ``nodes`` holds what changed of a node itself, ``families`` what its children changed: an entry of its own for
    each, so that creating a child writes the parent's family and not its data. A removed node is in both.
    """

    nodes: Dict[str, Optional[Node]] = field(default_factory=dict)
    families: Dict[str, Optional[Family]] = field(default_factory=dict)
    sessions: Dict[int, Optional[Session]] = field(default_factory=dict)
    ephemerals: Dict[Tuple[int, str], bool] = field(default_factory=dict)
    """(session, path) → True: now owned, False: no longer."""
    reapable: Dict[str, bool] = field(default_factory=dict)
    """Containers and TTL nodes that came (True) or went (False): what the heartbeat has to look at."""
    subtrees: Dict[str, bool] = field(default_factory=dict)
    """"/" → True: whole subtrees are watched from now on."""
    stops_ticking: Dict[str, bool] = field(default_factory=dict)
    """"/" → True: the heartbeat has nothing to look after."""

    def needs_heartbeat(self) -> bool:
        """Whether something came that the heartbeat has to look after."""
        return any(self.ephemerals.values()) or any(self.reapable.values())


class Ended(NamedTuple):
    """A session that ended in this commit, and the inbox that must be told and then removed."""

    session: int
    inbox: str
    expired: bool


@dataclass
class Outcome:
    """What applying a batch comes to. ``results[i]`` answers ``calls[i]``."""

    zxid: int
    results: List[Result]
    changes: Changes
    triggers: List[Trigger]
    ended: List[Ended]
    moved: List[str] = field(default_factory=list)
    """Inboxes that lost their session to another one (Attach): their registrations are void."""
    closing: List[int] = field(default_factory=list)
    """Sessions that are over and have ephemerals left, for Sweep."""
