"""The view that operations read and change: a snapshot, and what was done to it so far.

Rule: a view is the snapshot plus everything that was done so far, and any part of that can be taken back.

A view never raises for a node that the snapshot lacks: it notes it, guesses that it is absent, and goes on, so that
one pass finds out as much as possible. `apply` must not let out anything that rests on a guess: see `View.missing`.
All else (sessions, ephemerals, beats) can be told from the requests, so `apply` made sure of it before: see needs.py.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from .acls import OPEN_ACL, readers
from .model import Acls, Family, Node, Session, Trigger
from .paths import is_valid
from .snapshot import Changes, Ended, Snapshot

Found = Tuple[Node, Family]
"""A node as the store has it: what it holds, and what its children change."""

_ABSENT = object()


class Mark(NamedTuple):
    """A point to return to: how long each of the view's lists was."""

    undo: int
    triggers: int
    ended: int
    moved: int


class View:
    """One namespace while a batch is applied to it. ``now_ms`` is the time of every change in the batch."""

    def __init__(self, snapshot: Snapshot, now_ms: int) -> None:
        self.snapshot = snapshot
        self.now_ms = now_ms
        self.zxid = snapshot.zxid
        self.changes = Changes()
        self.triggers: List[Trigger] = []
        self.ended: List[Ended] = []
        self.moved: List[str] = []
        self.closing: List[int] = []
        self.missing: Set[str] = set()
        """Paths at which a node was guessed to be absent because the snapshot lacks it."""
        self._undo: List[Tuple[Dict[Any, Any], Any, Any]] = []

    @property
    def next_zxid(self) -> int:
        """The zxid that the request at hand takes if it changes anything."""
        return self.zxid + 1

    # Reading

    def find(self, path: str) -> Optional[Found]:
        """The node at ``path``, or None if there is none, which for an invalid path is certain."""
        node: Any = self.changes.nodes.get(path, _ABSENT)
        if node is None:
            return None
        family = self.changes.families.get(path)
        if node is _ABSENT and family is None:
            return self._loaded(path)
        if node is _ABSENT or family is None:
            base = self._loaded(path)
            if base is None:
                return None
            node = base[0] if node is _ABSENT else node
            family = family or base[1]
        return node, family

    def _loaded(self, path: str) -> Optional[Found]:
        found = self.snapshot.nodes.get(path)
        if found is not None or path in self.snapshot.nodes:
            return found
        if path not in self.changes.nodes and is_valid(path):
            self.missing.add(path)
        return None

    def session(self, session_id: int) -> Optional[Session]:
        """The session, or None if there is none any more."""
        if session_id in self.changes.sessions:
            return self.changes.sessions[session_id]
        return self.snapshot.sessions.get(session_id)

    def ephemerals(self, session_id: int) -> List[str]:
        """Paths of the session's ephemerals, sorted."""
        paths = set(self.snapshot.ephemerals.get(session_id, ()))
        for (owner, path), owned in self.changes.ephemerals.items():
            if owner == session_id:
                (paths.add if owned else paths.discard)(path)
        return sorted(paths)

    # Changing

    def put_node(self, path: str, node: Node) -> None:
        """The node itself changed."""
        self._put(self.changes.nodes, path, node)

    def put_family(self, path: str, family: Family) -> None:
        """What the node's children change, changed."""
        self._put(self.changes.families, path, family)

    def remove_node(self, path: str) -> None:
        """The node is gone, with what its children changed."""
        self._put(self.changes.nodes, path, None)
        self._put(self.changes.families, path, None)

    def put_session(self, session_id: int, session: Optional[Session]) -> None:
        """The session is new, changed, or gone (None)."""
        self._put(self.changes.sessions, session_id, session)

    def put_ephemeral(self, session_id: int, path: str, owned: bool) -> None:
        """The session owns the node at ``path``, or no longer."""
        self._put(self.changes.ephemerals, (session_id, path), owned)

    def put_reapable(self, path: str, exists: bool) -> None:
        """A container or a TTL node came or went."""
        self._put(self.changes.reapable, path, exists)

    def watch_subtrees(self) -> None:
        """From now on somebody may watch whole subtrees."""
        self._put(self.changes.subtrees, "/", True)

    def stop_ticking(self) -> None:
        """The heartbeat has nothing to look after."""
        self._put(self.changes.stops_ticking, "/", True)

    def trigger(self, path: str, kind: int, acl: Acls) -> None:
        """``kind`` (an EventType) happened to ``path``, which had this ACL, under the next zxid."""
        self.triggers.append(Trigger(self.zxid + 1, path, kind, None if acl is OPEN_ACL else readers(acl)))

    def _put(self, table: Dict[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = value

    # Taking back

    def mark(self) -> Mark:
        """The state as it is now."""
        return Mark(len(self._undo), len(self.triggers), len(self.ended), len(self.moved))

    def rollback(self, mark: Mark) -> None:
        """Return to ``mark``. Marks nest: an earlier one stays good. What was noted as missing stays noted."""
        while len(self._undo) > mark.undo:
            table, key, before = self._undo.pop()
            if before is _ABSENT:
                del table[key]
            else:
                table[key] = before
        del self.triggers[mark.triggers :]
        del self.ended[mark.ended :]
        del self.moved[mark.moved :]

    def changed_since(self, mark: Mark) -> bool:
        """Whether anything was changed since ``mark`` and not taken back."""
        return len(self._undo) > mark.undo

    def take_zxid(self, mark: Mark) -> None:
        """Use up the next zxid if anything was changed since ``mark``."""
        if self.changed_since(mark):
            self.zxid += 1
