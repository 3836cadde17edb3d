"""A backup shows each namespace at one zxid, while clients go on writing.

Namespaces have no order between them, so there is no common moment of two of them to be had. In one: from some zxid
on every commit says which nodes it wrote (`functions.journal`); then the tree is walked, each node at some moment of
its own; then what was written meanwhile is read again, which takes less and less time, until few enough are left to
be read in one snapshot, together with the head. That is the point: what was not written since it was read is as it
was.

Data that are kept apart are read with their node. If they are gone by then, the node was written since: it is read
again.
"""

from __future__ import annotations

import asyncio
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from .. import layout
from ..core import paths
from ..core.model import Blob, Data, plain
from ..errors import DeploymentError, NotFound
from ..layout import Stored
from ..ports import STATE, AdminPorts, Page, Ports
from ..writer import journal
from .archive import VERSION, Archive

SIDE_BY_SIDE = 32
"""Nodes that are read at the same time."""
PAGE = 1000
AT_THE_END = 49
"""So many nodes and the head fit in what the tightest store reads as one snapshot."""
ROUNDS = 1000

Progress = Callable[[str, int], None]
"""Told of every namespace how many nodes were read so far."""


class Taken(NamedTuple):
    """What a backup has of a namespace: how many nodes were read, and the zxid that it is of."""

    ns: str
    read: int
    zxid: int


async def take(
    place: AdminPorts,
    archive: Archive,
    of: str,
    only: Sequence[str] = (),
    progress: Progress = lambda ns, count: None,
) -> List[Taken]:
    """Writes a backup of the deployment, or of some of its namespaces, into the archive, and ends that.

    ``of``: the deployment's URL. DeploymentError: there is no such namespace; or commits said nothing of themselves.
    BackendError where the deployment can't be reached. What was written until then is no backup.
    """
    there = await place.namespaces()
    for ns in only:
        if ns not in there:
            raise NotFound("there is no namespace %s; there are: %s" % (ns, ", ".join(there) or "none"))
    archive.add("backup", VERSION, place.ports.clock.now_ms(), of)
    taken = []
    for ns in sorted(only or there):
        try:
            taken.append(await _Walk(place.ports, ns, archive, progress)())
        except journal.Gap as gap:
            raise DeploymentError(
                "%s: a function of an older version, or one that wrote as much as a commit takes. Deploy this version "
                "first, or try again" % gap
            ) from gap
    archive.end()
    return taken


class _Walk:
    """One namespace."""

    def __init__(self, ports: Ports, ns: str, archive: Archive, progress: Progress) -> None:
        self._ports = ports
        self._ns = ns
        self._archive = archive
        self._progress = progress
        self._read = 0
        self._known = 0
        """The zxid up to which it is known what was written."""
        self._left: Set[str] = set()
        """What was written since it was read."""

    async def __call__(self) -> Taken:
        begun = await journal.begin(self._ports, self._ns)
        assert begun is not None, "it was found by its head"
        try:
            (head,) = await self._ports.store.get([layout.head_key(self._ns)])
            assert head is not None
            self._archive.add("namespace", self._ns, layout.head_of(head).namespace_id)
            self._known = begun
            await self._tree()
            zxid = await self._catch_up()
            self._archive.add("point", zxid)
            return Taken(self._ns, self._read, zxid)
        finally:
            await journal.end(self._ports, self._ns)

    # --- the walk -------------------------------------------------------------------------------

    async def _tree(self) -> None:
        """The latest found first, so that what waits to be visited stays little."""
        waiting: List[Tuple[str, str]] = [(paths.ROOT, "")]
        while waiting:
            now, waiting = waiting[-SIDE_BY_SIDE:], waiting[:-SIDE_BY_SIDE]
            for found in await asyncio.gather(*(self._visit(path, start) for path, start in now)):
                waiting.extend(found)
            self._progress(self._ns, self._read)
            await journal.go_on(self._ports, self._ns)

    async def _visit(self, path: str, start: str) -> List[Tuple[str, str]]:
        """Writes a node down; where to go on: its children, and the rest of them."""
        page = await self._page(path, start)
        rows = dict(page.rows)
        stored = layout.stored_of((rows.get(layout.NODE), rows.get(layout.FAMILY)))
        if stored is not None:
            await self._write("node", path, stored)
        names = [sort[len(layout.CHILDREN) :] for sort, _ in page.rows if sort.startswith(layout.CHILDREN)]
        more = [(path, page.rows[-1][0] + "\0")] if page.more and page.rows else []
        return more + [(paths.join(path, name), "") for name in names]

    async def _page(self, path: str, start: str) -> Page:
        return await self._ports.store.query(STATE, layout.node_partition(self._ns, path), start, limit=PAGE)

    async def _write(self, kind: str, path: str, stored: Optional[Stored]) -> bool:
        """Whether it was written down: not if its data are gone, so that it has to be read again."""
        if stored is None:
            self._archive.add("gone", path)
            return True
        data = await self._data(stored.node.data)
        if isinstance(data, Blob):
            self._left.add(path)
            return False
        self._read += 1
        self._archive.add(kind, path, plain(stored.node[:-1]), list(stored.family), data)
        return True

    async def _data(self, data: Data) -> Data:
        """The data themselves; what stands for them if they are gone."""
        if not isinstance(data, Blob):
            return data
        assert self._ports.blobs is not None
        found = await self._ports.blobs.fetch(data)
        return data if found is None else found

    # --- the end --------------------------------------------------------------------------------

    async def _catch_up(self) -> int:
        """Reads again what was written since, until nothing is left. The zxid of the point."""
        for _ in range(ROUNDS):
            await journal.go_on(self._ports, self._ns)
            self._note(await journal.since(self._ports, self._ns, self._known))
            if len(self._left) > AT_THE_END:
                await self._again(sorted(self._left)[:AT_THE_END])
                continue
            zxid = await self._at_once()
            if zxid is not None:
                return zxid
        raise DeploymentError("namespace %s is written to faster than it can be read: try again later" % self._ns)

    def _note(self, written: Dict[int, List[str]]) -> None:
        if written:
            self._known = max(written)
            self._left.update(path for found in written.values() for path in found)

    async def _again(self, some: List[str]) -> None:
        keys = [key for path in some for key in layout.node_keys(self._ns, path)]
        self._left.difference_update(some)
        found = iter(await self._ports.store.load(keys))
        for path in some:
            await self._write("again", path, layout.stored_of((next(found), next(found))))
        self._progress(self._ns, self._read)

    async def _at_once(self) -> Optional[int]:
        """What is left, and the head, as one snapshot. Its zxid, if nothing else was written up to there."""
        some = sorted(self._left)
        keys = [key for path in some for key in layout.node_keys(self._ns, path)]
        head_item, *found = await self._ports.store.get([layout.head_key(self._ns), *keys])
        assert head_item is not None
        head = layout.head_of(head_item)
        written = await journal.since(self._ports, self._ns, self._known)
        if max(written, default=self._known) < head.zxid:
            raise journal.Gap("namespace %s: zxid %d did not say what it wrote" % (self._ns, head.zxid))
        until = {path for zxid, found_paths in written.items() if zxid <= head.zxid for path in found_paths}
        if head.reserved is not None or not until <= self._left:
            self._note(written)
            return None
        self._left.clear()
        items = iter(found)
        kept = [await self._write("again", path, layout.stored_of((next(items), next(items)))) for path in some]
        return head.zxid if all(kept) else None
