"""Fetch what the core asks for, in as few reads as there are tables, and write what it changed in one commit."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple, Union

from .. import layout
from ..core import owners
from ..core.model import Error
from ..core.needs import named_next
from ..core.overlay import Found
from ..core.requests import Call, Create, Multi
from ..core.snapshot import Changes, Missing
from ..layout import Head, Stored
from ..ports import SESSIONS, UNLIMITED, Capabilities, Item, Key, Ports, Put, Remove
from .cache import Afterwards, Cache

Write = Union[Put, Remove]

AT_ONCE = 10_000
"""Rows of one page, if the store has room for as many."""
MANY = 20
"""Paths from which on it is worth to look first at which of them there is a node, where that takes no request."""


async def load_head(ports: Ports, ns: str) -> Optional[Head]:
    """The head, or None for a namespace that nobody has written to."""
    (item,) = await ports.store.get([layout.head_key(ns)])
    return None if item is None else layout.head_of(item)


def fresh_head(ports: Ports) -> Head:
    """The head of a namespace before its first commit."""
    number = int.from_bytes(ports.clock.random_bytes(3), "big") >> 1
    return Head(0, number, 0, 0, (), ())


def note_absent(cache: Cache, calls: Sequence[Call]) -> None:
    """That there is nothing yet at what is to be created, if that is known, so that nobody has to ask for it."""
    snapshot = cache.snapshot
    for call in calls:
        request = call.request
        parts: Sequence[Any] = request.ops if isinstance(request, Multi) else (request,)
        for op in parts:
            if isinstance(op, Create) and "/" in op.path:
                path = named_next(snapshot, op) if owners.is_sequential(op.flags) else op.path
                if path and path not in snapshot.nodes and cache.is_absent(path):
                    cache.add(path, None)


async def load(ports: Ports, ns: str, cache: Cache, wanted: Missing) -> None:
    """Adds what is wanted, which is not there yet."""
    snapshot = cache.snapshot
    paths, sessions = sorted(wanted.paths), sorted(wanted.sessions)
    beats, ephemerals = sorted(wanted.beats), sorted(wanted.ephemerals)
    if paths and not ports.store.capabilities.has_latency:
        paths = await _without_absent(ports, ns, cache, paths)
    keys = [
        *(key for path in paths for key in layout.node_keys(ns, path)),
        *(layout.session_key(ns, session) for session in sessions),
        *(layout.beat_key(ns, session) for session in beats),
    ]
    found = iter(await ports.store.load(keys) if keys else [])
    for path in paths:
        cache.add(path, layout.stored_of([next(found), next(found)]))
    for session in sessions:
        item = next(found)
        snapshot.sessions[session] = None if item is None else layout.session_of(item)
    for session in beats:
        item = next(found)
        snapshot.beats[session] = layout.count_of(item)
    for session in ephemerals:
        snapshot.ephemerals[session] = frozenset(await partition_sorts(ports, layout.ephemerals_partition(ns, session)))


async def _without_absent(ports: Ports, ns: str, cache: Cache, paths: List[str]) -> List[str]:
    """Those at which there may be a node; that there is none at the others is known then: a family is nowhere alone.

    What is to be created is not there, as a rule. Of a parent all of whose children are known that is known, too; and
    to ask for one item of each path is half as much.
    """
    unknown = []
    for path in paths:
        if cache.is_absent(path):
            cache.add(path, None)
        else:
            unknown.append(path)
    if len(unknown) < MANY:
        return unknown
    nodes = await ports.store.load([layout.node_keys(ns, path)[0] for path in unknown])
    there = []
    for path, node in zip(unknown, nodes):
        if node is None:
            cache.add(path, None)
        else:
            there.append(path)
    return there


async def partition_sorts(ports: Ports, partition: str) -> List[str]:
    """Every sort key of a partition of the sessions table."""
    return [sort for sort, _ in await partition_rows(ports, SESSIONS, partition)]


async def partition_rows(
    ports: Ports, table: str, partition: str, enough: Optional[int] = None
) -> List[Tuple[str, Item]]:
    """Every row of a partition, by its sort key; fewer if there are more than ``enough``."""
    rows: List[Tuple[str, Item]] = []
    more = True
    while more and (enough is None or len(rows) <= enough):
        page = await ports.store.query(table, partition, rows[-1][0] + "\0" if rows else "", limit=AT_ONCE)
        rows.extend(page.rows)
        more = page.more
    return rows


def writes_of(ns: str, cache: Cache, changes: Changes, head: Head, stored: Afterwards) -> List[Write]:
    """One commit: the head, on condition that it is still the one before, and everything that changed."""
    zxid, founding = head.zxid, cache.head.zxid == 0
    writes: List[Write] = [Put(layout.head_key(ns), layout.head_item(head), expect=cache.head.zxid)]
    for path, one in stored.items():
        itself = founding or path in changes.nodes
        _add_node_writes(writes, ns, path, None if founding else cache.snapshot.nodes.get(path), one, zxid, itself)
    if cache.assumed:
        absent = {layout.node_keys(ns, path)[0] for path in cache.assumed}
        writes = [put._replace(expect=0) if isinstance(put, Put) and put.key in absent else put for put in writes]
    if changes.sessions or changes.ephemerals or changes.reapable:
        writes.extend(_session_writes(ns, cache, changes, zxid))
    return writes


def _add_node_writes(
    writes: List[Write], ns: str, path: str, was: Optional[Found], stored: Optional[Stored], zxid: int, itself: bool
) -> None:
    """A node, if it is written ``itself``, and its family, if that has an item or had one."""
    key, family_key = layout.node_keys(ns, path)
    if was is not None and (stored is None or not stored[3]) and not layout.is_fresh(was[1], was[0]):
        writes.append(Remove(family_key))
    if stored is None:
        if was is not None:
            writes += (Remove(key), Remove(layout.child_key(ns, path)))
        return
    node, family, node_rev, family_rev = stored
    if itself:
        writes.append(Put(key, layout.node_item(node, zxid, family_rev)))
        if was is None and path != "/":
            writes.append(Put(layout.child_key(ns, path), Item(node.czxid, b"")))
    if family_rev == zxid:
        writes.append(Put(family_key, layout.family_item(family, zxid, node_rev)))


def _session_writes(ns: str, cache: Cache, changes: Changes, zxid: int) -> List[Write]:
    """With the holders: each is listed anew with each ephemeral, so that the heartbeat can't remove it meanwhile."""
    mark = Item(zxid, b"")
    writes: List[Write] = []
    for number, session in changes.sessions.items():
        key = layout.session_key(ns, number)
        writes.append(Remove(key) if session is None else Put(key, layout.session_item(session, zxid)))
        if session is None:
            writes.append(Remove(layout.holder_key(ns, number)))
    for number in dict.fromkeys(number for (number, _), owned in changes.ephemerals.items() if owned):
        holder = changes.sessions.get(number) or cache.snapshot.sessions.get(number)
        assert holder is not None, "it has just created something"
        writes.append(Put(layout.holder_key(ns, number), layout.holder_item(holder, zxid)))
    for (number, path), owned in changes.ephemerals.items():
        key = Key(SESSIONS, layout.ephemerals_partition(ns, number), path)
        writes.append(Put(key, mark) if owned else Remove(key))
    for path, reapable in changes.reapable.items():
        key = Key(SESSIONS, layout.reapable_partition(ns), path)
        writes.append(Put(key, mark) if reapable else Remove(key))
    return writes


def size_of(write: Write) -> int:
    """About the bytes that a write takes in a commit, and in the store."""
    size = len(write.key.partition.encode()) + len(write.key.sort.encode()) + 40
    return size + len(write.item.body) if isinstance(write, Put) else size


def _is_key(key: Key, limits: Capabilities) -> bool:
    return len(key.partition.encode()) <= limits.partition_bytes and len(key.sort.encode()) <= limits.sort_bytes


def refusal_reason(writes: List[Write], limits: Capabilities) -> int:
    """Why one commit does not take them: one of `Error`'s, OK if it does."""
    if limits is UNLIMITED:
        return Error.OK
    if not all(_is_key(write.key, limits) for write in writes):
        return Error.PATH_TOO_LONG
    sizes = [size_of(write) for write in writes]
    if max(sizes) > limits.item_bytes:
        return Error.TOO_LARGE
    return Error.TRANSACTION_TOO_LARGE if len(writes) > limits.writes or sum(sizes) > limits.commit_bytes else Error.OK
