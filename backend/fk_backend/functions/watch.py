"""A commit first, then the registrations: who registered before this looked is told, who did not sees the new state.

Exactly the registrations that were read are dropped: one that was made again in the meantime has another number.
"""

from __future__ import annotations

import logging
from typing import Dict, Iterable, List, NamedTuple, Tuple

from .. import layout
from ..core import watches
from ..core.model import Trigger
from ..eager import together
from ..errors import Conflict, StorageFull
from ..messages import Bulletin, Fired, encode_note
from ..ports import INTEREST, Key, Ports, Pushed, Remove

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Registrations that are dropped side by side: making thousands of requests holds up those that are on their way."""
MANY = 20
"""Paths of one fan-out from which on it is worth to look first whether there are fewer registrations than paths."""


class Registration(NamedTuple):
    """A watch registration as the store has it."""

    key: Key
    number: int
    inbox: str
    path: str
    mode: str


async def registrations(ports: Ports, ns: str, triggers: List[Trigger], subtrees: bool) -> List[Registration]:
    """Those that any of the triggers fires. ``subtrees``: whether to look for watches on whole subtrees, too."""
    by_path: Dict[str, Dict[int, Trigger]] = {}
    for trigger in triggers:
        by_path.setdefault(trigger.path, {})[trigger.kind] = trigger
    hits: List[Registration] = []
    found = await _on(ports, ns, list(by_path))
    for (path, changes), rows in zip(by_path.items(), found):
        partition = layout.node_partition(ns, path)
        for sort, number in rows:
            mode, inbox = layout.registration_of(sort)
            if mode not in watches.MODES:
                await _ignore(ports, Key(INTEREST, partition, sort), number)
            elif any(watches.matches(mode, path, change) for change in changes.values()):
                hits.append(Registration(Key(INTEREST, partition, sort), number, inbox, path, mode))
    covered = watches.covered(triggers) if subtrees else ()
    for sort, number in await _rows(ports, layout.recursive_partition(ns)) if subtrees else ():
        root, inbox = layout.registration_of(sort)
        if root in covered:
            key = Key(INTEREST, layout.recursive_partition(ns), sort)
            hits.append(Registration(key, number, inbox, root, watches.RECURSIVE))
    return hits


async def _on(ports: Ports, ns: str, paths: List[str]) -> List[List[Tuple[str, int]]]:
    """What is registered on each of the paths: (sort key, number).

    A transaction of a thousand creates has a thousand paths on which there is nothing, as a rule. So, where a request
    costs as much as its rows, all registrations of the namespace are read at once, unless they are more than the paths.
    """
    if len(paths) >= MANY and not ports.store.limits.remote:
        rows = await ports.store.scan(INTEREST, layout.node_partition(ns, "/"), limit=len(paths))
        if len(rows) < len(paths):
            found: Dict[str, List[Tuple[str, int]]] = {}
            for key, item in rows:
                found.setdefault(key.partition, []).append((key.sort, item.rev))
            return [found.get(layout.node_partition(ns, path), []) for path in paths]
    looks = [_rows(ports, layout.node_partition(ns, path)) for path in paths]
    return await together(looks, ports.store.limits.remote)


async def _ignore(ports: Ports, key: Key, number: int) -> None:
    """Clients write registrations: one that nobody can understand is dropped, and stops nobody."""
    log.warning("a registration is not one and is removed: %.200r in %.200r", key.sort, key.partition)
    try:
        await _drop(ports, Remove(key, expect=number))
    except StorageFull as error:
        log.warning("it stays behind: %s", error)


async def _rows(ports: Ports, partition: str) -> List[Tuple[str, int]]:
    rows: List[Tuple[str, int]] = []
    more = True
    while more:
        page = await ports.store.query(INTEREST, partition, rows[-1][0] + "\0" if rows else "")
        rows.extend((sort, item.rev) for sort, item in page.rows)
        more = page.more
    return rows


def fired_notes(hits: Iterable[Registration], board: Bulletin) -> List[Pushed]:
    """One note for each inbox: which of its registrations fired."""
    fired: Dict[str, List[Tuple[str, str, int]]] = {}
    for hit in hits:
        fired.setdefault(hit.inbox, []).append((hit.path, hit.mode, hit.number))
    return [Pushed(inbox, encode_note(Fired(list(entries), board))) for inbox, entries in fired.items()]


async def drop_fired(ports: Ports, hits: List[Registration]) -> None:
    """Exactly the ids that were read: a newer registration under the same key stays."""
    removals = [Remove(hit.key, expect=hit.number) for hit in hits if watches.is_one_shot(hit.mode)]
    if not removals:
        return
    if len(removals) == 1 or ports.store.limits.together_is_dear:
        for first in range(0, len(removals), AT_ONCE):
            drops = [_drop(ports, removal) for removal in removals[first : first + AT_ONCE]]
            await together(drops, ports.store.limits.remote)
        return
    try:
        await ports.store.commit(removals)
    except Conflict:
        for removal in removals:
            await _drop(ports, removal)


async def _drop(ports: Ports, removal: Remove) -> None:
    try:
        await ports.store.commit([removal])
    except Conflict:
        pass  # it was made again
