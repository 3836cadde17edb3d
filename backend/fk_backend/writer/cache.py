"""The cache of an instance of the writer: the head, and the part of the tree that it knows.

Rule: what an instance of the writer knows of a namespace is true for as long as the head has not moved.

So nothing is read twice by an instance that goes on from its own last commit: the next commit, which is conditional on
the head, is the check. An instance that finds out otherwise forgets everything and begins with reading the head.
"""

from __future__ import annotations

from typing import Dict, Optional, Set, Tuple

from ..core.initial import initial_nodes
from ..core.model import Family, Id, Node
from ..core.paths import ROOT, parent
from ..core.snapshot import Changes, Snapshot
from ..layout import Head, Stored, fresh_family, is_fresh

MAX_NODES = 20_000
MAX_DATA_BYTES = 32 << 20
"""What is kept of a namespace between batches; more than this, and all of it is forgotten."""

Afterwards = Dict[str, Optional[Stored]]
"""By path, a node as it is stored after a commit; None: it is not."""


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
        self._children: Dict[str, int] = {}
        """Path → of how many children of the node it is known that they are there."""
        if head.zxid == 0:
            self.snapshot.nodes.update(initial_nodes())
            self._children.update((path, pair[1].count) for path, pair in initial_nodes().items())

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
        before = nodes.get(path)
        self._data_bytes += _data_bytes(pair) - _data_bytes(before)
        nodes[path] = pair
        if (pair is None) != (before is None) and path != ROOT:
            above = parent(path)
            self._children[above] = self._children.get(above, 0) + (1 if before is None else -1)

    def is_absent(self, path: str) -> bool:
        """Whether there certainly is no node: if it is not known, while all that its parent has are."""
        nodes = self.snapshot.nodes
        if path in nodes:
            return nodes[path] is None
        above = parent(path)
        pair = nodes.get(above)
        return pair is not None and pair[1].count == self._children.get(above, 0)

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
        if is_fresh(family, node):
            return Stored(node, family, node_rev, 0)
        return Stored(node, family, node_rev, zxid if path in changes.families else revs[1])

    def afterwards(self, changes: Changes, zxid: int) -> Afterwards:
        """What a commit of the changes as ``zxid`` writes, as it is stored then. The first one writes all nodes."""
        first = initial_nodes() if self.head.zxid == 0 else ()
        paths = dict.fromkeys((*first, *changes.nodes, *changes.families))
        return {path: self.after(path, changes, zxid) for path in paths}

    def advance(self, changes: Changes, head: Head, stored: Afterwards) -> None:
        """The changes are committed, under this head. ``stored``: what `afterwards` says of them."""
        self.assumed.clear()
        for path, one in stored.items():
            self.add(path, one)
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
            self._children.clear()
            self._data_bytes = 0
            self.snapshot.sessions.clear()
            self.revs.clear()


def _data_bytes(pair: Optional[Tuple[Node, Family]]) -> int:
    return len(pair[0].data) if pair is not None and isinstance(pair[0].data, bytes) else 0
