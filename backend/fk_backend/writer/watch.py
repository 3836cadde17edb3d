"""Finds the registrations that triggers fire, and drops them.

Rule: a commit first, then the registrations: who registered before this looked is told, who did not sees the new state.

Exactly the registrations that were read are dropped: one that was made again in the meantime has another number.
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .. import layout
from ..core import watches
from ..core.model import Trigger
from ..eager import together
from ..errors import BackendError, Conflict
from ..messages import Fired, TriggerLog, encode_note
from ..ports import INTEREST, Item, Key, Ports, Pushed, Remove
from .ratelimit import log_limited

AT_ONCE = 200
"""Registrations that are dropped side by side: making thousands of requests holds up those that are on their way."""
MANY = 3
"""Paths of one fan-out from which on it is worth to look first whether there are fewer registrations than paths."""
NOTE_CHARS = 50_000
"""Of paths in one note: with each of them six bytes long it stays far below what a queue takes."""


Rows = Sequence[Tuple[Key, Item]]


class Registration(NamedTuple):
    """A watch registration as the store has it."""

    key: Key
    number: int
    inbox: str
    path: str
    mode: str


def partitions_of(ns: str, triggers: Iterable[Trigger], subtrees: bool) -> List[str]:
    """Where `registrations` looks."""
    partitions = [layout.node_partition(ns, path) for path in dict.fromkeys(trigger.path for trigger in triggers)]
    return [*partitions, layout.recursive_partition(ns)] if subtrees and partitions else partitions


async def registrations(
    ports: Ports, ns: str, triggers: List[Trigger], subtrees: bool, looked: Optional[Rows] = None
) -> List[Registration]:
    """Those that any of the triggers fires. ``subtrees``: whether to look for watches on whole subtrees, too.

    ``looked``: all that is in `partitions_of` them, read after the commit was there for others to see.
    """
    by_path: Dict[str, Dict[int, Trigger]] = {}
    for trigger in triggers:
        by_path.setdefault(trigger.path, {})[trigger.kind] = trigger
    hits: List[Registration] = []
    strange: List[Tuple[Key, Item]] = []
    there: Dict[str, List[Tuple[Key, Item]]] = {}
    for key, item in looked or ():
        there.setdefault(key.partition, []).append((key, item))
    if looked is None:
        found = await _on(ports, ns, list(by_path))
    else:
        found = [there.get(layout.node_partition(ns, path), []) for path in by_path]
    for changes, rows in zip(by_path.values(), found):
        for key, item in rows:
            registered = _registration(key, item)
            if registered is None:
                strange.append((key, item))
            elif any(watches.matches(registered.mode, registered.path, change) for change in changes.values()):
                hits.append(registered)
    covered = watches.covered(triggers) if subtrees else ()
    everywhere = layout.recursive_partition(ns)
    if subtrees and looked is None:
        there[everywhere] = await _rows(ports, everywhere)
    for key, item in there.get(everywhere, ()) if subtrees else ():
        registered = _registration(key, item)
        if registered is None:
            strange.append((key, item))
        elif registered.path in covered:
            hits.append(registered)
    if strange:
        await _ignore(ports, ns, strange)
    return hits


async def is_watched(ports: Ports, ns: str, triggers: List[Trigger], subtrees: bool) -> bool:
    """Whether anything at all is registered where the triggers are, one after the other: `registrations` tells what."""
    paths = list(dict.fromkeys([trigger.path for trigger in triggers]))
    if len(paths) >= MANY:
        if any(await _on(ports, ns, paths)):
            return True
        paths = []
    for path in paths:
        if (await ports.store.query(INTEREST, layout.node_partition(ns, path), limit=1)).rows:
            return True
    return subtrees and bool((await ports.store.query(INTEREST, layout.recursive_partition(ns), limit=1)).rows)


async def _on(ports: Ports, ns: str, paths: List[str]) -> List[List[Tuple[Key, Item]]]:
    """What is registered on each of the paths.

    A transaction of a thousand creates has a thousand paths on which there is nothing, as a rule. So, where a request
    costs as much as its rows, all registrations of the namespace are read at once, unless they are more than the paths.
    """
    if len(paths) >= MANY and not ports.store.capabilities.has_latency:
        rows = await ports.store.scan(INTEREST, layout.node_partition(ns, "/"), limit=len(paths))
        if not rows:
            return [[]] * len(paths)
        if len(rows) < len(paths):
            found: Dict[str, List[Tuple[Key, Item]]] = {}
            for key, item in rows:
                found.setdefault(key.partition, []).append((key, item))
            return [found.get(layout.node_partition(ns, path), []) for path in paths]
    looks = [_rows(ports, layout.node_partition(ns, path)) for path in paths]
    return await together(looks, ports.store.capabilities.has_latency)


def _registration(key: Key, item: Item) -> Optional[Registration]:
    """Of an item, which may be anything: clients write them."""
    found, number = layout.interest_of(key), layout.number_of(item)
    if number is None or not isinstance(found, layout.Registered):
        return None
    return Registration(key, number, *found)


async def _ignore(ports: Ports, ns: str, strange: List[Tuple[Key, Item]]) -> None:
    """What nobody can understand stops nobody. Some of it is removed each time, where nobody else can mean that key.

    Under a key that can be a client's, the client will write anew what somebody else has written.
    """
    log_limited(ports.clock, ns, "%d registrations are none: %.300r", len(strange), strange[0])
    lost = [Remove(key) for key, _ in strange if layout.interest_of(key) is None][:AT_ONCE]
    try:
        await together([ports.store.commit([removal]) for removal in lost], ports.store.capabilities.has_latency)
    except BackendError as error:
        log_limited(ports.clock, ns, "they stay behind: %s", error)


async def _rows(ports: Ports, partition: str) -> List[Tuple[Key, Item]]:
    rows: List[Tuple[Key, Item]] = []
    more = True
    while more:
        page = await ports.store.query(INTEREST, partition, rows[-1][0].sort + "\0" if rows else "")
        rows.extend((Key(INTEREST, partition, sort), item) for sort, item in page.rows)
        more = page.more
    return rows


def fired_notes(hits: Iterable[Registration], trigger_log: TriggerLog) -> List[Pushed]:
    """One note for each inbox, or as many as it takes: which of its registrations fired."""
    fired: Dict[str, List[Tuple[str, str, int]]] = {}
    for hit in hits:
        fired.setdefault(hit.inbox, []).append((hit.path, hit.mode, hit.number))
    notes = ((inbox, part) for inbox, entries in fired.items() for part in _parts(entries))
    return [Pushed(inbox, encode_note(Fired(list(part), trigger_log))) for inbox, part in notes]


def _parts(entries: List[Tuple[str, str, int]]) -> Iterator[List[Tuple[str, str, int]]]:
    first = chars = 0
    for position, (path, _, _) in enumerate(entries):
        chars += len(path) + 10
        if chars > NOTE_CHARS and position > first:
            yield entries[first:position]
            first, chars = position, len(path) + 10
    yield entries[first:]


async def drop_fired(ports: Ports, hits: List[Registration]) -> None:
    """Exactly the ids that were read: a newer registration under the same key stays."""
    removals = [Remove(hit.key, expect=hit.number) for hit in hits if watches.is_one_shot(hit.mode)]
    if not removals:
        return
    if len(removals) == 1 or ports.store.capabilities.transactions_cost_double:
        for first in range(0, len(removals), AT_ONCE):
            drops = [_drop(ports, removal) for removal in removals[first : first + AT_ONCE]]
            await together(drops, ports.store.capabilities.has_latency)
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
