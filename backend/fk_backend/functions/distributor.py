"""Nothing is told before it is committed, and everything committed is told: answers, watch events, ends of sessions.

All of it follows from the head alone, so a fan-out that a crash cut short is done again from the head: inboxes
deliver at least once, and a session drops what it has seen.
"""

from __future__ import annotations

import logging
from typing import Any, Dict, Iterable, List, NamedTuple, Tuple

from .. import layout
from ..core import watches
from ..core.model import Trigger
from ..errors import Conflict, StorageFull
from ..layout import Head
from ..messages import Answers, Bulletin, Ended, Fired, bulletin, encode_note
from ..ports import INTEREST, Key, Ports, Pushed, Remove

log = logging.getLogger(__name__)


class Registration(NamedTuple):
    """A watch registration as the store has it."""

    key: Key
    number: int
    inbox: str
    path: str
    mode: str


async def distribute(ports: Ports, ns: str, head: Head) -> None:
    """Fans out the last commit of ``head``. When it returns, the fan-out is confirmed."""
    board = bulletin(head.zxid, head.since, head.triggers)
    fresh = [trigger for trigger in head.triggers if trigger.zxid > head.confirmed]
    hits = await _registrations(ports, ns, fresh) if fresh else []
    notes = _notes(head, hits, board)
    if notes:
        await ports.inboxes.push(notes)
    try:
        await _tidy(ports, ns, head, [hit for hit in hits if watches.is_one_shot(hit.mode)])
    except StorageFull as error:
        log.warning("namespace %s: registrations stay behind: %s", ns, error)  # nobody waits for them any more


async def _tidy(ports: Ports, ns: str, head: Head, fired: List[Registration]) -> None:
    """Removes the registrations that fired, and what sessions and connections that are over have left."""
    await _drop_fired(ports, fired)
    for inbox in (*head.moved, *(ended.inbox for ended in head.ended)):
        await ports.store.purge(INTEREST, inbox)
    for inbox in head.moved:
        await ports.inboxes.drop(inbox)
    if head.ended:
        await ports.store.commit([Remove(layout.beat_key(ns, ended.session)) for ended in head.ended])


def _notes(head: Head, hits: Iterable[Registration], board: Bulletin) -> List[Pushed]:
    """Answers first: the sessions that wait are the ones that asked."""
    notes = answer_notes(head.answers, board)
    fired: Dict[str, List[Tuple[str, str, int]]] = {}
    for hit in hits:
        fired.setdefault(hit.inbox, []).append((hit.path, hit.mode, hit.number))
    notes.extend(Pushed(inbox, encode_note(Fired(list(entries), board))) for inbox, entries in fired.items())
    notes.extend(Pushed(e.inbox, encode_note(Ended(e.session, True))) for e in head.ended if e.expired)
    return notes


def answer_notes(answers: Iterable[Tuple[str, int, List[Any]]], board: Bulletin) -> List[Pushed]:
    """Answers as their inboxes get them."""
    return [
        Pushed(inbox, encode_note(Answers(first, results, board)), first + len(results))
        for inbox, first, results in answers
        if results
    ]


async def _registrations(ports: Ports, ns: str, triggers: List[Trigger]) -> List[Registration]:
    """Those that any of the triggers fires."""
    by_path: Dict[str, List[Trigger]] = {}
    for trigger in triggers:
        by_path.setdefault(trigger.path, []).append(trigger)
    hits: List[Registration] = []
    for path, changes in by_path.items():
        partition = layout.node_partition(ns, path)
        for sort, number in await _rows(ports, partition):
            mode, inbox = layout.registration_of(sort)
            if any(watches.matches(mode, path, change) for change in changes):
                hits.append(Registration(Key(INTEREST, partition, sort), number, inbox, path, mode))
    for sort, number in await _rows(ports, layout.recursive_partition(ns)):
        root, inbox = layout.registration_of(sort)
        if any(watches.matches(watches.RECURSIVE, root, change) for change in triggers):
            key = Key(INTEREST, layout.recursive_partition(ns), sort)
            hits.append(Registration(key, number, inbox, root, watches.RECURSIVE))
    return hits


async def _rows(ports: Ports, partition: str) -> List[Tuple[str, int]]:
    rows: List[Tuple[str, int]] = []
    more = True
    while more:
        page = await ports.store.query(INTEREST, partition, rows[-1][0] + "\0" if rows else "")
        rows.extend((sort, item.rev) for sort, item in page.rows)
        more = page.more
    return rows


async def _drop_fired(ports: Ports, hits: List[Registration]) -> None:
    """Exactly the ids that were read: a newer registration under the same key stays."""
    if not hits:
        return
    removals = [Remove(hit.key, expect=hit.number) for hit in hits]
    try:
        await ports.store.commit(removals)
    except Conflict:
        for removal in removals:
            try:
                await ports.store.commit([removal])
            except Conflict:
                continue


def keep(triggers: Iterable[Trigger], confirmed: int, most: int) -> Tuple[Tuple[Trigger, ...], int]:
    """What of the triggers stays in the head, and the highest zxid of what left (0 if nothing did).

    Only confirmed ones leave, oldest first, and all of one zxid together.
    """
    kept = list(triggers)
    dropped = 0
    while len(kept) > most and kept[0].zxid <= confirmed:
        dropped = kept[0].zxid
        while kept and kept[0].zxid == dropped:
            kept.pop(0)
    return tuple(kept), dropped


