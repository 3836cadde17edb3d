"""What an instance of the writer knows of a namespace is true for as long as the head has not moved.

So nothing is read twice by an instance that goes on from its own last commit: the next commit, which is conditional on
the head, is the check. An instance that finds out otherwise forgets everything and begins with reading the head.
"""

from __future__ import annotations

from typing import Dict, Optional, Set, Tuple

from ..core.initial import initial_nodes
from ..core.model import Family, Id, Node
from ..core.snapshot import Changes, Snapshot
from ..layout import Head, Stored, fresh_family

MAX_NODES = 20_000
MAX_DATA_BYTES = 32 << 20
"""What is kept of a namespace between batches; more than this, and all of it is forgotten."""


class Cache:
    """The head, and the part of the tree that was read or written since this instance began with the namespace."""

    def __init__(self, head: Head, super_id: Optional[Id], journal_until_ms: int = 0) -> None:
        self.head = head
        self.journal_until_ms = journal_until_ms
        """Until then, by the wall clock, a backup wants to know of every commit."""
        self.snapshot = Snapshot(head.zxid, namespace_id=head.namespace_id, super_id=super_id)
        self.snapshot.subtrees, self.snapshot.ticking = head.subtrees, head.ticking
        self.revs: Dict[str, Tuple[int, int]] = {}
        """Path → revs of the node's item and its family's (0: it has none)."""
        self._data_bytes = 0
        self.assumed: Set[str] = set()
        """Paths at which there is nothing, if the commit that is being made finds it so."""
        if head.zxid == 0:
            self.snapshot.nodes.update(initial_nodes())

    def add(self, path: str, stored: Optional[Stored]) -> None:
        """A node as it was read, or is now."""
        self._know(path, stored and (stored.node, stored.family))
        if stored is None:
            self.revs.pop(path, None)
        else:
            self.revs[path] = (stored.node_rev, stored.family_rev)

    def assume_absent(self, path: str) -> None:
        """Until `forget_assumed`, or a commit that has found it so."""
        self.add(path, None)
        self.assumed.add(path)

    def forget_assumed(self) -> None:
        """What is at these paths is not known."""
        while self.assumed:
            self.snapshot.nodes.pop(self.assumed.pop(), None)

    def _know(self, path: str, pair: Optional[Tuple[Node, Family]]) -> None:
        """Counts as it goes: looking at all that is known would cost every batch the more, the more that is."""
        nodes = self.snapshot.nodes
        self._data_bytes += _data_bytes(pair) - _data_bytes(nodes.get(path))
        nodes[path] = pair

    def after(self, path: str, changes: Changes, zxid: int) -> Optional[Stored]:
        """A node as it is stored after a commit of the changes as ``zxid``; None: it is not."""
        was = self.snapshot.nodes.get(path)
        itself = path in changes.nodes
        node = changes.nodes[path] if itself else was and was[0]
        if node is None:
            return None
        family = changes.families.get(path) or (was[1] if was else fresh_family(node))
        revs = self.revs.get(path, (zxid, zxid))
        node_rev = zxid if itself else revs[0]
        if family == fresh_family(node):
            return Stored(node, family, node_rev, 0)
        return Stored(node, family, node_rev, zxid if path in changes.families else revs[1])

    def advance(self, changes: Changes, head: Head) -> None:
        """The changes are committed, under this head."""
        self.assumed.clear()
        if self.head.zxid == 0:
            for path in list(self.snapshot.nodes):
                self.add(path, self.after(path, changes, head.zxid))
        for path in {**changes.nodes, **changes.families}:
            self.add(path, self.after(path, changes, head.zxid))
        self.snapshot.sessions.update(changes.sessions)
        self.snapshot.ephemerals.clear()
        self.snapshot.beats.clear()
        self.snapshot.zxid = head.zxid
        self.snapshot.subtrees, self.snapshot.ticking = head.subtrees, head.ticking
        self.head = head

    def trim(self) -> None:
        """Between batches: what changes without a commit is not kept, nor is more than there is room for."""
        self.snapshot.beats.clear()
        nodes = self.snapshot.nodes
        if len(nodes) + len(self.snapshot.sessions) > MAX_NODES or self._data_bytes > MAX_DATA_BYTES:
            nodes.clear()
            self._data_bytes = 0
            self.snapshot.sessions.clear()
            self.revs.clear()


def _data_bytes(pair: Optional[Tuple[Node, Family]]) -> int:
    return len(pair[0].data) if pair is not None and isinstance(pair[0].data, bytes) else 0
