"""The distributor: fans a commit out to everybody whom it concerns.

Rule: nothing is told before it is committed, and everything committed is told: answers, watch events, ends of sessions.

All of it follows from the head alone, so a fan-out that a crash cut short is done again from the head: inboxes
deliver at least once, and a session drops what it has seen.
"""

from __future__ import annotations

import logging
from typing import Any, Dict, Iterable, List, Optional, Tuple

from .. import layout
from ..core.model import Trigger
from ..errors import StorageFull
from ..layout import Head
from ..messages import Answers, Ended, Fired, TriggerLog, encode_note, trigger_log_of
from ..ports import INTEREST, Ports, Pushed, Remove
from ..triggers import ENTRY_BYTES, Readers, bytes_of
from .concurrently import concurrently
from .watch import AT_ONCE, Registration, Rows, drop_fired, fired_notes, is_watched, partitions_of, registrations

log = logging.getLogger(__name__)


async def distribute(ports: Ports, ns: str, head: Head, looked: Optional[Rows] = None) -> None:
    """Fans out the last commit of ``head``. When it returns, the fan-out is confirmed.

    Answers go first: the sessions that wait are the ones that asked. Where requests take long they go while the
    registrations are looked up, elsewhere before. No answer overtakes an event by that: it carries the trigger log,
    from which its session delivers its own events before it shows the answer. That the answer is shown, its watch set
    again, and the new registration found here and consumed by the old trigger, is what a session makes good for any
    reader. ``looked``: what `CommitAndLook` has found; then all of it goes together.
    """
    if looked is not None and not (looked or head.answers or head.ended or head.moved or head.garbage):
        return  # a direct write that nobody watches
    trigger_log = trigger_log_of(head.zxid, head.since, head.triggers)
    fresh = fresh_triggers(head)
    notes = answer_notes(head.answers, trigger_log)
    hits: List[Registration] = []
    if fresh and looked is not None:
        hits = await registrations(ports, ns, fresh, head.subtrees, looked)
    elif fresh and notes and ports.store.capabilities.has_latency:
        async with concurrently(registrations(ports, ns, fresh, head.subtrees)) as looking:
            await ports.inboxes.push(notes)
        hits, notes = await looking, []
    elif fresh:
        if notes:
            await ports.inboxes.push(notes)
        hits, notes = await registrations(ports, ns, fresh, head.subtrees), []
    # If time runs out, what was told need not be told again.
    while ports.store.capabilities.has_latency and len(hits) > AT_ONCE:
        part, hits = hits[:AT_ONCE], hits[AT_ONCE:]
        await ports.inboxes.push([*notes, *fired_notes(part, trigger_log)])
        notes = []
        await drop_fired(ports, part)
    notes.extend(fired_notes(hits, trigger_log))
    notes.extend(Pushed(e.inbox, encode_note(Ended(e.session, True))) for e in head.ended if e.expired)
    if notes:
        await ports.inboxes.push(notes)
    try:
        await remove_leftovers(ports, ns, head, hits)
    except StorageFull as error:
        log.warning("namespace %s: registrations stay behind: %s", ns, error)  # nobody waits for them any more


async def push_events(ports: Ports, ns: str, head: Head) -> bool:
    """Has whoever watches told of the last commit of ``head`` by `Ports.events`; False where that can't be.

    BackendError: some may not be told, so that all of it is to be fanned out. Their registrations are there still.
    """
    fresh = fresh_triggers(head)
    if ports.events is None:
        return not await is_watched(ports, ns, fresh, head.subtrees)
    hits = await registrations(ports, ns, fresh, head.subtrees)
    if len(hits) > AT_ONCE:
        return False
    if hits:
        await ports.events(fired_notes(hits, trigger_log_of(head.zxid, head.since, head.triggers)))
        await drop_fired(ports, hits)
    return True


def fresh_triggers(head: Head) -> List[Trigger]:
    """The triggers that may not have been fanned out, in their order: the last ones."""
    fresh: List[Trigger] = []
    for trigger in reversed(head.triggers):
        if trigger.zxid <= head.confirmed:
            break
        fresh.append(trigger)
    return fresh[::-1]


def watched_partitions(ns: str, head: Head) -> List[str]:
    """Where somebody may watch what the last commit of ``head`` has changed."""
    return partitions_of(ns, fresh_triggers(head), head.subtrees)


def wake_note(head: Head) -> bytes:
    """For whoever watches something of that: enough to tell it, though not which registrations are used up."""
    return encode_note(Fired([], trigger_log_of(head.zxid, head.since, head.triggers)))


async def remove_leftovers(ports: Ports, ns: str, head: Head, hits: List[Registration]) -> None:
    """Removes the registrations that fired, and what sessions and connections that are over have left."""
    await drop_fired(ports, hits)
    for inbox in (*head.moved, *(ended.inbox for ended in head.ended)):
        await ports.store.purge(INTEREST, inbox)
    for inbox in head.moved:
        await ports.inboxes.drop(inbox)
    if head.garbage and ports.blobs is not None:
        await ports.blobs.remove(head.garbage)
    if head.ended:
        await ports.store.commit([Remove(layout.beat_key(ns, ended.session)) for ended in head.ended])


def answer_notes(answers: Iterable[Tuple[str, int, List[Any]]], trigger_log: TriggerLog) -> List[Pushed]:
    """Answers as their inboxes get them."""
    return [
        Pushed(inbox, encode_note(Answers(first, results, trigger_log)), first + len(results))
        for inbox, first, results in answers
        if results
    ]


def keep(triggers: Iterable[Trigger], confirmed: int, most_bytes: int) -> Tuple[Tuple[Trigger, ...], int]:
    """What of the triggers stays in the head, and the highest zxid of what left (0 if nothing did).

    Only confirmed ones leave, oldest first, and all of one zxid together.
    """
    kept = tuple(triggers)
    size = ENTRY_BYTES * len(kept)
    told: Dict[Readers, int] = {}
    for _, path, _, readers in kept:
        size += len(path)
        if readers is not None:
            size += 0 if readers in told else bytes_of(readers)
            told[readers] = told.get(readers, 0) + 1
    dropped = first = 0
    for zxid, path, _, readers in kept:
        if zxid > confirmed or (size <= most_bytes and zxid != dropped):
            break
        dropped = zxid
        size -= len(path) + ENTRY_BYTES
        if readers is not None:
            told[readers] -= 1
            size -= 0 if told[readers] else bytes_of(readers)
        first += 1
    return kept[first:], dropped
