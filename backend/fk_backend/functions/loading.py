"""Fetch what the core asks for, in as few reads as there are tables, and write what it changed in one commit."""

from __future__ import annotations

from typing import Dict, List, Optional, Set, Tuple

from .. import layout
from ..core.initial import initial_nodes
from ..core.model import Id
from ..core.snapshot import Changes, Missing, Snapshot
from ..layout import Head
from ..ports import SESSIONS, Item, Key, Ports, Put, Remove

EMPTY = Item(0, b"")


async def load_head(ports: Ports, ns: str) -> Optional[Head]:
    """The head, or None for a namespace that nobody has written to."""
    (item,) = await ports.store.get([layout.head_key(ns)])
    return None if item is None else layout.head_of(item)


def fresh_head(ports: Ports) -> Head:
    """The head of a namespace before its first commit."""
    number = int.from_bytes(ports.clock.random_bytes(3), "big") >> 1
    return Head(0, number, 0, 0, (), (), (), ())


def snapshot_of(head: Head, super_id: Optional[Id]) -> Snapshot:
    """An empty snapshot as of a head."""
    snapshot = Snapshot(head.zxid, namespace_id=head.namespace_id, super_id=super_id)
    if head.zxid == 0:
        snapshot.nodes.update(initial_nodes())
    return snapshot


async def load(ports: Ports, ns: str, snapshot: Snapshot, wanted: Missing) -> None:
    """Adds to the snapshot what is wanted and not there yet."""
    await _load_nodes(ports, ns, snapshot, wanted.paths)
    await _load_sessions(ports, ns, snapshot, wanted.sessions)
    for session in wanted.ephemerals - snapshot.ephemerals.keys():
        snapshot.ephemerals[session] = frozenset(await partition_sorts(ports, layout.ephemerals_partition(ns, session)))
    beats = sorted(wanted.beats - snapshot.beats.keys())
    if beats:
        items = await ports.store.get([layout.beat_key(ns, session) for session in beats])
        snapshot.beats.update((s, 0 if item is None else item.rev) for s, item in zip(beats, items))


async def _load_nodes(ports: Ports, ns: str, snapshot: Snapshot, wanted: Set[str]) -> None:
    paths = sorted(wanted - snapshot.nodes.keys())
    if not paths:
        return
    items = await ports.store.get([key for path in paths for key in layout.node_keys(ns, path)])
    for position, path in enumerate(paths):
        snapshot.nodes[path] = layout.pair_of(items[2 * position : 2 * position + 2])


async def _load_sessions(ports: Ports, ns: str, snapshot: Snapshot, wanted: Set[int]) -> None:
    sessions = sorted(wanted - snapshot.sessions.keys())
    if not sessions:
        return
    items = await ports.store.get([layout.session_key(ns, session) for session in sessions])
    for session, item in zip(sessions, items):
        snapshot.sessions[session] = None if item is None else layout.session_of(item)


async def partition_sorts(ports: Ports, partition: str) -> List[str]:
    """Every sort key of a partition of the sessions table."""
    sorts: List[str] = []
    more = True
    while more:
        page = await ports.store.query(SESSIONS, partition, sorts[-1] + "\0" if sorts else "")
        sorts.extend(sort for sort, _ in page.rows)
        more = page.more
    return sorts


def writes_of(ns: str, snapshot: Snapshot, changes: Changes, head: Head) -> List[object]:
    """One commit: the head, on condition that it is still the snapshot's, and everything that changed."""
    writes: List[object] = [Put(layout.head_key(ns), layout.head_item(head), expect=snapshot.zxid)]
    if snapshot.zxid == 0:
        writes.extend(_founding(ns, changes))
    for path, node in changes.nodes.items():
        key = layout.node_keys(ns, path)[0]
        was = snapshot.nodes.get(path) is not None
        if node is None:
            writes.extend([Remove(key), Remove(layout.child_key(ns, path))] if was else [])
            continue
        writes.append(Put(key, layout.node_item(node)))
        if not was:
            writes.append(Put(layout.child_key(ns, path), Item(node.czxid, b"")))
    for path, family in changes.families.items():
        key = layout.node_keys(ns, path)[1]
        writes.append(Remove(key) if family is None else Put(key, layout.family_item(family)))
    writes.extend(_session_writes(ns, changes, head.zxid))
    return writes


def _session_writes(ns: str, changes: Changes, zxid: int) -> List[object]:
    mark = Item(zxid, b"")
    writes: List[object] = []
    for number, session in changes.sessions.items():
        key = layout.session_key(ns, number)
        writes.append(Remove(key) if session is None else Put(key, layout.session_item(session, zxid)))
    for (number, path), owned in changes.ephemerals.items():
        key = Key(SESSIONS, layout.ephemerals_partition(ns, number), path)
        writes.append(Put(key, mark) if owned else Remove(key))
    for path, reapable in changes.reapable.items():
        key = Key(SESSIONS, layout.reapable_partition(ns), path)
        writes.append(Put(key, mark) if reapable else Remove(key))
    return writes


def _founding(ns: str, changes: Changes) -> List[object]:
    """The nodes that every namespace starts with, except what this very commit changes."""
    writes: Dict[Key, object] = {}
    for path, (node, family) in initial_nodes().items():
        node_key, family_key = layout.node_keys(ns, path)
        if path not in changes.nodes:
            writes[node_key] = Put(node_key, layout.node_item(node))
        if path not in changes.families:
            writes[family_key] = Put(family_key, layout.family_item(family))
        if path != "/":
            writes[layout.child_key(ns, path)] = Put(layout.child_key(ns, path), EMPTY)
    return list(writes.values())


Pair = Tuple[str, int]
