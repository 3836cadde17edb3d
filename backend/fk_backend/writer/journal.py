"""The journal of a backup: which nodes each commit wrote.

Rule: while a backup is taken, every commit says which nodes it wrote: so what was read early can be read again.

Nothing else knows what changed since a zxid. The mark that asks for it is an item beside the head; whoever sets it
moves the head on, so that no writer goes on that has not seen the mark. zxids are dense: a commit that said nothing
(its writer is of a version before, or it was as large as a commit can be) shows as a gap, and is never overlooked.
The mark has an end, so that a backup that was killed costs nothing for long.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from .. import codec, layout
from ..core.model import Error
from ..errors import Conflict, DeploymentError, Unavailable, Unknown
from ..layout import Head
from ..ports import SESSIONS, STATE, Item, Ports, Put, Remove
from .cache import Cache
from .loading import Write, load_head, refusal_reason
from .reservation import complete_reservation

KEPT_FOR_MS = 300_000
"""So long the mark counts. A backup sets it anew in time."""
TRIES = 100
PAUSE_S = 0.05
REMOVED_AT_ONCE = 50


class Gap(Exception):
    """A commit said nothing of what it wrote."""


async def load_head_and_journal(ports: Ports, ns: str) -> Tuple[Optional[Head], int]:
    """The head, if there is one, and until when a backup wants to know of commits: ms since the epoch, or 0.

    Unavailable while a restore is at it: whoever begins a namespace then would be shown half a tree.
    """
    keys = [layout.head_key(ns), layout.journal_key(ns), layout.RESTORING]
    head, mark, restoring = await ports.store.load(keys)
    if head is None and restoring is not None:
        raise Unavailable("a restore fills the deployment: what it wrote until now is half a tree")
    return (None if head is None else layout.head_of(head)), (0 if mark is None else mark.rev)


def noted(ports: Ports, ns: str, cache: Cache, writes: List[Write]) -> List[Write]:
    """The writes of a commit, the first being its head, and what it says of them, if that is asked for and has room."""
    if not cache.journal_until_ms or cache.journal_until_ms <= ports.clock.now_ms():
        return writes
    head, *others = writes
    assert isinstance(head, Put)
    start = len(ns) + 1
    paths = sorted({write.key.partition[start:] for write in others if write.key.table == STATE})
    with_entry = [*writes, _entry(ns, head.item.rev, paths)]
    return with_entry if refusal_reason(with_entry, ports.store.capabilities) == Error.OK else writes


def _entry(ns: str, zxid: int, paths: List[str]) -> Put:
    return Put(layout.entry_key(ns, zxid), Item(zxid, codec.dumps(paths)))


# --- a backup's half ------------------------------------------------------------------------------


async def begin(ports: Ports, ns: str) -> Optional[int]:
    """The zxid after which every commit says what it wrote; None for a namespace that nobody has written to.

    DeploymentError: another backup is being taken.
    """
    (mark,) = await ports.store.get([layout.journal_key(ns)])
    left_ms = 0 if mark is None else mark.rev - ports.clock.now_ms()
    if left_ms > 0:
        raise DeploymentError(
            "another backup of namespace %s is being taken, or was killed: try again in %d s"
            % (ns, left_ms // 1000 + 1)
        )
    return await _move_on(ports, ns, asking=True)


async def go_on(ports: Ports, ns: str) -> None:
    """The mark counts anew, if it will not for long: before it ends, every writer has to see the new one."""
    (mark,) = await ports.store.get([layout.journal_key(ns)])
    if mark is None or mark.rev - ports.clock.now_ms() < KEPT_FOR_MS // 2:
        await _move_on(ports, ns, asking=True)


async def end(ports: Ports, ns: str) -> None:
    """Nobody says anything any more, and what was said is gone."""
    await _move_on(ports, ns, asking=False)
    while True:
        page = await ports.store.query(SESSIONS, layout.entry_key(ns, 0).partition, limit=REMOVED_AT_ONCE)
        if page.rows:
            await ports.store.commit([Remove(layout.entry_key(ns, int(sort, 16))) for sort, _ in page.rows])
        if not page.more:
            return


async def since(ports: Ports, ns: str, zxid: int) -> Dict[int, List[str]]:
    """What the commits after a zxid wrote, by theirs, without a gap among them. Gap."""
    for _ in range(TRIES):
        found: Dict[int, List[str]] = {}
        more = True
        while more:
            start = layout.entry_key(ns, zxid + len(found) + 1)
            page = await ports.store.query(SESSIONS, start.partition, start.sort, limit=1000)
            found.update((int(sort, 16), codec.loads(item.body)) for sort, item in page.rows)
            more = page.more
        if not found or max(found) == zxid + len(found):
            return found
        await ports.clock.sleep(PAUSE_S)  # queries may read row by row, while rows come
    raise Gap("namespace %s: a commit after zxid %d did not say what it wrote" % (ns, zxid))


async def _move_on(ports: Ports, ns: str, asking: bool) -> Optional[int]:
    """The next zxid, at which nothing changes but the mark. What the last commit left to tell is left to be told."""
    for _ in range(TRIES):
        head = await load_head(ports, ns)
        if head is None:
            return None
        try:
            if head.reserved is not None:
                head = await _settled(ports, ns, head)
            zxid = head.zxid + 1
            ticking = zxid if head.ticking == head.zxid else head.ticking  # so that whoever tells it still begins
            moved = layout.head_item(head._replace(zxid=zxid, reserved=None, ticking=ticking))
            mark = layout.journal_key(ns)
            until = Item(ports.clock.now_ms() + KEPT_FOR_MS, b"")
            await ports.store.commit(
                [
                    Put(layout.head_key(ns), moved, expect=head.zxid),
                    *([Put(mark, until), _entry(ns, zxid, [])] if asking else [Remove(mark)]),
                ]
            )
            return zxid
        except (Conflict, Unknown):
            await ports.clock.sleep(PAUSE_S)
    raise DeploymentError("namespace %s is written to so much that nothing else gets a turn: try again later" % ns)


async def _settled(ports: Ports, ns: str, head: Head) -> Head:
    """Whoever made the promise is given the time to keep it."""
    assert head.reserved is not None
    key = layout.node_keys(ns, head.reserved.path)[0]
    for _ in range(TRIES):
        (item,) = await ports.store.get([key])
        if item is None or layout.node_of(item).mzxid >= head.zxid:
            break
        await ports.clock.sleep(PAUSE_S)
    return await complete_reservation(ports, ns, head, ())
