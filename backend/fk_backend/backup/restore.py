"""A backup becomes a new deployment: its nodes as they were, under zxids that nobody has seen, and no session.

All of the file is looked at before anything is written, and the heads are written last: without its head a namespace
is not there. Sessions, inboxes and watches are no part of a backup: clients come again and make them. What sessions
owned is deleted, as ZooKeeper deletes it when they expire: with the next zxid, which their parents show.

That zxid begins an epoch, as ZooKeeper's do (its high 32 bits): clients have seen what was written after the backup,
and must not see a zxid go back. The numbers of the queue do not come along: `messages.Position`'s are of one queue, and
the new head has none, so that it takes every message.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, BinaryIO, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Union

from .. import layout
from ..core import owners, paths
from ..core.model import Acl, Blob, Data, Error, Family, Node
from ..errors import Conflict, DeploymentError, Protected
from ..layout import Head, Stored, fresh_family
from ..ports import SESSIONS, AdminPorts, Item, Key, Ports, Put, Remove
from ..writer.loading import Write, refusal_reason, size_of
from .archive import VERSION, NoBackup, values
from .take import Progress

EPOCH_BITS = 32
LAST_ZXID = 1 << 40
"""Session ids have no room for larger ones."""
MARK = layout.RESTORING
WRITES_AT_ONCE = 90
BYTES_AT_ONCE = 2 << 20


class Restored(NamedTuple):
    """How often a node of a namespace was written, the zxid that it begins with, that of the backup; and how many nodes
    of sessions were left out.
    """

    ns: str
    written: int
    zxid: int
    was: int
    ephemerals: int


class Contents(NamedTuple):
    """What a backup has of a namespace, apart from the nodes themselves."""

    ns: str
    number: int
    zxid: int
    ephemerals: Set[str]
    reapable: bool

    @property
    def begins(self) -> int:
        """The zxid that it goes on with."""
        return ((self.zxid >> EPOCH_BITS) + 1) << EPOCH_BITS


class Change(NamedTuple):
    """What a value says of a node. ``again``: something was said of the path before. ``stored``: None, it is gone."""

    path: str
    again: bool
    stored: Optional[Stored]


async def restore(place: AdminPorts, file: BinaryIO, progress: Progress = lambda ns, count: None) -> List[Restored]:
    """Fills an empty deployment. NoBackup, or another DeploymentError if the deployment is not empty or can't take it:
    nothing was changed. Conflict is none of them: somebody used the deployment meanwhile.
    """
    contents = examine(file, place.ports)
    await _require_empty(place)
    await place.ports.store.commit([Put(MARK, Item(1, b""), expect=0)])
    try:
        counts = await _fill(place.ports, file, contents, progress)
        await _open(place.ports, contents)
    except Conflict as error:
        raise DeploymentError(
            "somebody used the deployment while it was being restored: remove it, make it anew and restore again"
        ) from error
    return [
        Restored(each.ns, counts[each.ns], each.begins, each.zxid, len(each.ephemerals)) for each in contents.values()
    ]


# --- looking --------------------------------------------------------------------------------------


def examine(file: BinaryIO, ports: Optional[Ports] = None) -> Dict[str, Contents]:
    """What is in the file, by namespace, once all of it was found good, and to fit there. NoBackup, DeploymentError."""
    found: Dict[str, Contents] = {}
    seen: Dict[str, int] = {}
    now: Optional[Contents] = None
    for number, value in enumerate(values(file)):
        kind, *fields = value
        if number == 0:
            _check_first(value)
        elif kind == "namespace" and now is None:
            now = _namespace(fields)
            if now.ns in found:
                raise NoBackup("it is damaged: namespace %s comes twice" % now.ns)
            seen = {"count": 0, "reapable": 0}
        elif kind == "point" and now is not None and seen["count"]:
            found[now.ns] = _ended(now, fields, seen)
            now = None
        elif now is not None:
            change = change_of(value)
            seen["count"] += 1
            seen["reapable"] += _note(now, change)
            if ports is not None:
                _check_fits(ports, now, change)
        else:
            raise NoBackup("it is damaged")
    if now is not None:
        raise NoBackup("it is damaged: namespace %s does not end" % now.ns)
    return found


def _check_first(value: List[Any]) -> None:
    if value[0] != "backup" or len(value) != 4 or type(value[1]) is not int:
        raise NoBackup("it is damaged")
    if value[1] > VERSION:
        raise NoBackup("it was made by a later version of fk_kazoo: upgrade this one")


def _namespace(fields: List[Any]) -> Contents:
    if len(fields) != 2 or not layout.is_namespace(fields[0]) or not _is_int(fields[1], 0, 1 << 23):
        raise NoBackup("it is damaged")
    return Contents(fields[0], fields[1], 0, set(), False)


def _ended(now: Contents, fields: List[Any], seen: Dict[str, int]) -> Contents:
    if len(fields) != 1 or not _is_int(fields[0], 1, LAST_ZXID):
        raise NoBackup("it is damaged")
    ended = now._replace(zxid=fields[0], reapable=seen["reapable"] > 0)
    if ended.begins >= LAST_ZXID:
        raise DeploymentError("namespace %s was restored too often: it has no zxids left" % now.ns)
    return ended


def _note(now: Contents, change: Change) -> bool:
    """Keeps count of what sessions own. Whether it is a node that the heartbeat looks after."""
    now.ephemerals.discard(change.path)
    if change.stored is None:
        return False
    if owners.is_ephemeral(change.stored.node.owner):
        now.ephemerals.add(change.path)
    return owners.is_reapable(change.stored.node.owner)


def _check_fits(ports: Ports, now: Contents, change: Change) -> None:
    """Another provider may have shorter keys than the one that the backup is of."""
    data = None if change.stored is None else change.stored.node.data
    if change.stored is not None and ports.blobs is not None and len(data or b"") > ports.blobs.inline_bytes:
        change = change._replace(
            stored=change.stored._replace(node=change.stored.node._replace(data=Blob("x" * 100, len(data or b""))))
        )
    writes = list(_writes(now, change, Counter()))
    why = refusal_reason(writes, ports.store.capabilities) if writes else Error.OK
    if why == Error.PATH_TOO_LONG:
        raise DeploymentError("the deployment can't have a path as long as %.100s…" % change.path)
    if why != Error.OK:
        raise DeploymentError("the deployment can't have a node as large as %.100s" % change.path)


def change_of(value: List[Any]) -> Change:
    """What a value says. NoBackup."""
    kind, *fields = value
    if kind == "gone" and len(fields) == 1 and _is_path(fields[0]):
        return Change(fields[0], True, None)
    if kind not in ("node", "again") or len(fields) != 4 or not _is_path(fields[0]):
        raise NoBackup("it is damaged")
    path, node, family, data = fields
    good = (
        isinstance(node, list)
        and len(node) == len(Node._fields) - 1
        and all(_is_int(field, -(1 << 63), 1 << 63) for field in node[:-1])
        and isinstance(node[-1], list)
        and all(_is_acl(entry) for entry in node[-1])
        and isinstance(family, list)
        and len(family) == len(Family._fields)
        and all(_is_int(field, -(1 << 63), 1 << 63) for field in family)
        and (data is None or isinstance(data, bytes))
    )
    if not good:
        raise NoBackup("it is damaged")
    acl = tuple(Acl(*entry) for entry in node[-1])
    return Change(path, kind == "again", Stored(Node._make([*node[:-1], acl, data]), Family(*family), 0, 0))


def _is_int(value: object, least: int, below: int) -> bool:
    return type(value) is int and least <= value < below


def _is_path(value: object) -> bool:
    return isinstance(value, str) and paths.is_valid(value)


def _is_acl(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return _is_int(value[0], 0, 32) and isinstance(value[1], str) and isinstance(value[2], str)


# --- writing --------------------------------------------------------------------------------------


async def _require_empty(place: AdminPorts) -> None:
    there = await place.namespaces()
    if there:
        raise Protected(
            "the deployment is not empty: it has the namespaces %s. Make a new one, and restore into that"
            % ", ".join(there)
        )
    (mark,) = await place.ports.store.get([MARK])
    if mark is not None:
        raise Protected("a restore into this deployment was broken off: remove it, make it anew, and restore into that")


async def _fill(ports: Ports, file: BinaryIO, contents: Dict[str, Contents], progress: Progress) -> Dict[str, int]:
    """Everything but the heads. How many nodes there are, by namespace."""
    counts: Dict[str, int] = {}
    batch = _Batch(ports)
    now = next(iter(contents.values()), None)
    below: "Counter[str]" = Counter()
    for value in values(file):
        if value[0] == "namespace":
            now = contents[value[1]]
            below = Counter(map(paths.parent, now.ephemerals))
            counts[now.ns] = 0
        elif value[0] in ("node", "again", "gone"):
            assert now is not None
            change = await _with_large(ports, now, change_of(value))
            counts[now.ns] += 1
            await batch.add(list(_writes(now, change, below)))
            progress(now.ns, counts[now.ns])
    await batch.flush()
    return counts


async def _with_large(ports: Ports, now: Contents, change: Change) -> Change:
    """With what is too large for an item kept apart."""
    if change.stored is None or ports.blobs is None or owners.is_ephemeral(change.stored.node.owner):
        return change
    data: Data = change.stored.node.data
    if not isinstance(data, bytes) or len(data) <= ports.blobs.inline_bytes:
        return change
    name = "%016x-%s" % (now.begins, ports.clock.random_bytes(8).hex())
    kept = await ports.blobs.keep(now.ns, name, data)
    return change._replace(stored=change.stored._replace(node=change.stored.node._replace(data=kept)))


def _writes(now: Contents, change: Change, below: "Counter[str]") -> Iterator[Write]:
    """Of a node, its family, its parent's entry, and the list of what the heartbeat looks after.

    ``below``: how many ephemerals there are below each path, which are deleted now.
    """
    path, again, stored = change
    key, family_key = layout.node_keys(now.ns, path)
    reapable = Key(SESSIONS, layout.reapable_partition(now.ns), path)
    if stored is None or owners.is_ephemeral(stored.node.owner):
        if again:
            yield from (Remove(key), Remove(family_key), Remove(layout.child_key(now.ns, path)), Remove(reapable))
        return
    node, family, zxid = stored.node, stored.family, now.begins
    if below[path]:
        family = family._replace(count=family.count - below[path], pzxid=zxid)
    family_rev = zxid if family != fresh_family(node) else 0
    yield Put(key, layout.node_item(node, zxid, family_rev))
    if family_rev:
        yield Put(family_key, layout.family_item(family, zxid, zxid))
    elif again:
        yield Remove(family_key)
    if path != paths.ROOT:
        yield Put(layout.child_key(now.ns, path), Item(node.czxid, b""))
    if owners.is_reapable(node.owner):
        yield Put(reapable, Item(zxid, b""))
    elif again:
        yield Remove(reapable)


class _Batch:
    """Writes that are committed together, as many as fit; those of one key one after the other."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._writes: Dict[Key, Write] = {}
        self._bytes = 0

    async def add(self, writes: Sequence[Write]) -> None:
        """Adds what belongs together."""
        size = sum(map(size_of, writes))
        full = len(self._writes) + len(writes) > WRITES_AT_ONCE or self._bytes + size > BYTES_AT_ONCE
        if full or any(write.key in self._writes for write in writes):
            await self.flush()
        self._writes.update((write.key, write) for write in writes)
        self._bytes += size

    async def flush(self) -> None:
        """Commits what there is."""
        writes, self._writes, self._bytes = list(self._writes.values()), {}, 0
        if writes:
            await self._ports.store.commit(writes)


async def _open(ports: Ports, contents: Dict[str, Contents]) -> None:
    """With their heads the namespaces are there, all of them at once, if there are not more than a commit takes."""
    heads: List[Union[Put, Remove]] = []
    for each in contents.values():
        zxid = each.begins
        head = Head(zxid, each.number, zxid, zxid, (), (), ticking=zxid if each.reapable else 0)
        heads.append(Put(layout.head_key(each.ns), layout.head_item(head), expect=0))
    heads.append(Remove(MARK))
    for first in range(0, len(heads), WRITES_AT_ONCE):
        await ports.store.commit(heads[first : first + WRITES_AT_ONCE])
