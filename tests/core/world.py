"""A namespace in memory around the pure core: loads what `apply` asks for, stores what it changed, checks both.

Used wherever a test wants to run requests without a store. What it checks at every step is stated in `_check`.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from fk_backend.core.apply import apply
from fk_backend.core.initial import initial_nodes
from fk_backend.core.model import Family, Id, Node, Session, Trigger
from fk_backend.core.owners import is_ephemeral, is_reapable
from fk_backend.core.paths import ROOT, parent
from fk_backend.core.requests import Call, Open, Request, Result
from fk_backend.core.snapshot import Missing, Outcome, Snapshot

PASSWORD = b"p" * 16
MAX_ROUNDS = 3
"""Loads that one batch may take: the requests' own names, final names and ephemerals, and one for a wrong guess."""


class World:
    """One namespace. Every call of `run` is one batch, one millisecond after the last."""

    def __init__(self, namespace_id: int = 5, super_id: Optional[Id] = None, now_ms: int = 1_000) -> None:
        self.namespace_id = namespace_id
        self.super_id = super_id
        self.now_ms = now_ms
        self.zxid = 0
        self.nodes: Dict[str, Tuple[Node, Family]] = initial_nodes()
        self.sessions: Dict[int, Session] = {}
        self.ephemerals: Dict[int, Set[str]] = {}
        self.reapable: Set[str] = set()
        self.beats: Dict[int, int] = {}
        self.triggers: List[Trigger] = []
        self.rounds = 0
        self.last: Outcome

    def open(self, inbox: str = "inbox", address: Optional[str] = "127.0.0.1", timeout_ms: int = 5_000) -> int:
        """Open a session; its id."""
        request = Open(hashlib.sha256(PASSWORD).digest(), timeout_ms, inbox, address)
        opened: int = self.one(0, request).value[0]
        return opened

    def one(self, session: int, request: Request, inbox: str = "inbox") -> Result:
        """Run one request as a batch of its own."""
        return self.run([Call(session, inbox, request)])[0]

    def do(self, session: int, request: Request) -> Any:
        """Run one request that must succeed; its value."""
        result = self.one(session, request)
        assert result.code == 0, (request, result)
        return result.value

    def run(self, calls: Sequence[Call]) -> List[Result]:
        """Apply the calls as one batch and store what they changed."""
        self.now_ms += 1
        outcome = self._apply(calls)
        self._store(outcome)
        self._check(outcome)
        self.last = outcome
        return outcome.results

    def _apply(self, calls: Sequence[Call]) -> Outcome:
        snapshot = Snapshot(self.zxid, namespace_id=self.namespace_id, super_id=self.super_id)
        self.rounds = 0
        while True:
            try:
                return apply(snapshot, calls, self.now_ms)
            except Missing as missing:
                self.rounds += 1
                assert self.rounds <= MAX_ROUNDS, missing
                self._load(snapshot, missing)

    def _load(self, snapshot: Snapshot, missing: Missing) -> None:
        assert not missing.paths & snapshot.nodes.keys(), "asked twice"
        snapshot.nodes.update((path, self.nodes.get(path)) for path in missing.paths)
        snapshot.sessions.update((each, self.sessions.get(each)) for each in missing.sessions)
        snapshot.ephemerals.update((each, frozenset(self.ephemerals.get(each, ()))) for each in missing.ephemerals)
        snapshot.beats.update((each, self.beats.get(each, 0)) for each in missing.beats)

    def _store(self, outcome: Outcome) -> None:
        changes = outcome.changes
        for path in changes.nodes.keys() | changes.families.keys():
            self._store_node(path, changes.nodes, changes.families)
        for session_id, session in changes.sessions.items():
            if session is None:
                self.sessions.pop(session_id, None)
            else:
                self.sessions[session_id] = session
        for (session_id, path), owned in changes.ephemerals.items():
            paths = self.ephemerals.setdefault(session_id, set())
            (paths.add if owned else paths.discard)(path)
        for path, exists in changes.reapable.items():
            (self.reapable.add if exists else self.reapable.discard)(path)
        self.zxid = outcome.zxid
        self.triggers += outcome.triggers

    def _store_node(self, path: str, nodes: Dict[str, Optional[Node]], families: Dict[str, Optional[Family]]) -> None:
        if path in nodes and nodes[path] is None:
            assert families[path] is None, "a removed node must be in both"
            self.nodes.pop(path, None)
            return
        old = self.nodes.get(path, (None, None))
        node, family = nodes.get(path, old[0]), families.get(path, old[1])
        assert node is not None and family is not None, "half a node at " + path
        self.nodes[path] = (node, family)

    def _check(self, outcome: Outcome) -> None:
        """What holds after every batch: parents, counts, owners, lists of ephemerals and reapables, dense zxids."""
        counts: Dict[str, int] = {}
        for path in self.nodes:
            if path != ROOT:
                above = parent(path)
                assert above in self.nodes, path
                assert not is_ephemeral(self.nodes[above][0].owner), path
                counts[above] = counts.get(above, 0) + 1
        assert {p: f.count for p, (_, f) in self.nodes.items() if f.count} == counts
        owned = {(n.owner, p) for p, (n, _) in self.nodes.items() if is_ephemeral(n.owner)}
        assert owned == {(s, p) for s, paths in self.ephemerals.items() for p in paths}
        assert {session for session, _ in owned} <= self.sessions.keys()
        assert self.reapable == {p for p, (n, _) in self.nodes.items() if is_reapable(n.owner)}
        zxids = sorted({t.zxid for t in self.triggers})
        assert [t.zxid for t in self.triggers] == sorted(t.zxid for t in self.triggers)
        assert not zxids or zxids[-1] <= self.zxid
