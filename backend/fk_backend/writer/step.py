"""What requests come to, before anything of it is written: the head and the items of one commit, and the answers.

A step is worked out from what is known of the namespace and changes nothing: it can be given up at any point, and
whoever has it decides how it is committed and how what follows from it is delivered. Writers differ in that alone.
"""

from __future__ import annotations

import logging
from functools import reduce
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..core.apply import apply
from ..core.model import Error
from ..core.requests import Attach, Call, Close, Create, Expire, Result, Sweep
from ..core.snapshot import Changes, Missing, Outcome
from ..errors import Refused
from ..layout import Head
from ..mac import shared_name
from ..messages import Entry, Position
from ..ports import Ports, Put
from .cache import Afterwards, Cache
from .distributor import keep
from .journal import noted
from .large import garbage, keep_large
from .loading import Write, load, note_absent, refusal_reason, writes_of
from .reservation import reservation
from .senders import COMBINED

log = logging.getLogger(__name__)

WRITES_OF_AN_END = 6
"""Writes for each ephemeral of a session that ends, at most, with room for the head."""

CARRIED_ZXIDS = 500
"""So long, at least, every head keeps an answer to a process for which another one has committed: see `_carried`."""

Answers = Tuple[Tuple[str, int, List[Any]], ...]
Answered = List[Tuple[str, int, List[Any]]]
"""Results by connection: (inbox, number of the first, results), numbers being consecutive."""


class Step(NamedTuple):
    """The first ``entries`` of what was asked, and what they come to."""

    entries: Sequence[Entry]
    results: Sequence[Result]
    head: Head
    """The one before, if there is nothing to commit."""
    writes: List[Write]
    """One commit, on condition that the head is still the one before; none if nothing changes."""
    changes: Changes
    stored: Afterwards
    """Every node that the commit writes."""
    begins: bool = False
    """Whether there is something to look after from now on, and was nothing before."""
    promise: Optional[Tuple[Put, Put]] = None
    """The same commit in two: see reserve.py."""

    @property
    def answers(self) -> Answered:
        """Of those that are connections' requests."""
        return answers_of(self.entries, self.results)


async def next_step(
    ports: Ports, ns: str, cache: Cache, entries: Sequence[Entry], done: Dict[str, int], assumes: bool = False
) -> Step:
    """As many of the requests as fit into one commit. ``done``: inbox → number below which its batch is done before.

    What is missing is loaded, and data that are too large for their node are kept: nobody is told of either.
    ``assumes``: that a node which is to be created is not there need not be read; the commit finds out, as Taken.
    """
    count = len(entries)
    cache.snapshot.removals_per_commit = 1 << 30
    capabilities = ports.store.capabilities
    while True:
        part = entries[:count]
        outcome, known = await _apply(ports, ns, cache, [entry.call for entry in part], assumes)
        if outcome.zxid == cache.head.zxid:
            return Step(part, outcome.results, cache.head, [], outcome.changes, {})
        try:
            await keep_large(ports, ns, outcome.changes, outcome.zxid)
        except Refused as error:  # nothing is there that could be kept
            log.error("namespace %s: %s", ns, error)
            if count == 1:
                return _refused(part, Error.SYSTEM, cache)
            count = 1
            continue
        after = _next_head(
            cache.head, outcome, part, answers_of(part, outcome.results), done, capabilities.recent_bytes
        )
        after = _with_garbage(after, cache, outcome.changes)
        stored = cache.afterwards(outcome.changes, outcome.zxid)
        writes = noted(ports, ns, cache, writes_of(ns, cache, outcome.changes, after, stored))
        why = refusal_reason(writes, capabilities)
        if why == Error.OK:
            break
        if count > 1:
            count = max(1, min(count // 2, count * capabilities.writes // len(writes)))
        elif isinstance(part[0].call.request, (Close, Expire, Sweep)) and cache.snapshot.removals_per_commit > 1:
            cache.snapshot.removals_per_commit = max(1, capabilities.writes // WRITES_OF_AN_END)
        else:
            return _refused(part, why, cache)
    promise = None
    # What had to be read first has had its requests already.
    if capabilities.transactions_cost_double and known and count == 1:
        promise = reservation(cache, after, part[0], writes)
    begins = after.ticking == after.zxid and _is_quiescent(cache.head, outcome)
    return Step(part, outcome.results, after, writes, outcome.changes, stored, begins, promise)


def recorded(ports: Ports, ns: str, cache: Cache, step: Step, done: Dict[str, int]) -> Step:
    """A step that changes nothing, or as much of it as fits, as a commit of the head: its requests are done with.

    Needed where somebody else may commit before the batch is acknowledged: what failed would be done when it comes
    again, under another state, though its sender was told that it failed.
    """
    part, results = step.entries, step.results
    while True:
        outcome = Outcome(cache.head.zxid + 1, list(results), Changes(), [], [])
        after = _next_head(
            cache.head, outcome, part, answers_of(part, results), done, ports.store.capabilities.recent_bytes
        )
        writes = noted(ports, ns, cache, writes_of(ns, cache, outcome.changes, after, {}))
        why = refusal_reason(writes, ports.store.capabilities)
        if why == Error.OK:
            return Step(part, results, after, writes, outcome.changes, {})
        if len(part) > 1:
            part, results = part[: len(part) // 2], results[: len(part) // 2]
        else:
            results = [Result(why, None, cache.head.zxid)]


def unfinished(head: Head) -> Dict[str, int]:
    """What of messages is done that are not done to their end: connection → number below which all is.

    They come again, and no number of the queue tells how much of them is done: whoever commits first has to keep it.
    """
    found = {inbox: upto for inbox, upto, results in head.answers if not results}
    if head.reserved is not None and head.reserved.inbox:
        found[head.reserved.inbox] = head.reserved.number + 1
    return found


def _handled(head: Head, part: Sequence[Entry]) -> Position:
    return reduce(Position.later, (entry.handled for entry in part), head.handled)


def _refused(part: Sequence[Entry], code: int, cache: Cache) -> Step:
    return Step(part, [Result(code, None, cache.head.zxid)], cache.head, [], Changes(), {})


async def _apply(ports: Ports, ns: str, cache: Cache, calls: List[Call], assumes: bool = False) -> Tuple[Outcome, bool]:
    """What the calls come to, and whether everything that they need was known already."""
    now_ms = ports.clock.now_ms()
    known = True
    cache.forget_assumed()
    if not ports.store.capabilities.has_latency:
        note_absent(cache, calls)
    while True:
        try:
            outcome = apply(cache.snapshot, calls, now_ms)
            if not cache.assumed or outcome.zxid != cache.head.zxid:
                return outcome, known
            missing = Missing(paths=cache.assumed)  # nothing will be committed, so nothing would find out
            cache.forget_assumed()
        except Missing as lacking:
            missing = lacking
            created = _created(cache, calls, missing) if assumes else None
            if created is not None:
                cache.assume_absent(created)
                continue
        await load(ports, ns, cache, missing)
        known = False


def _created(cache: Cache, calls: List[Call], missing: Missing) -> Optional[str]:
    """The one path that is missing, if it is that of a node to be created below one that is known."""
    if missing.sessions or missing.ephemerals or missing.beats or len(missing.paths) != 1 or len(calls) != 1:
        return None
    (path,), request = missing.paths, calls[0].request
    if not isinstance(request, Create) or not path.startswith(request.path):
        return None
    return path if cache.snapshot.nodes.get(path.rpartition("/")[0] or "/") is not None else None


def answers_of(entries: Sequence[Entry], results: Sequence[Result]) -> Answered:
    """The results of the entries."""
    by_inbox: Dict[str, Tuple[int, List[Any]]] = {}
    for entry, result in zip(entries, results):
        if entry.inbox:
            by_inbox.setdefault(entry.inbox, (entry.number, []))[1].append(result)
    return [(inbox, first, found) for inbox, (first, found) in by_inbox.items()]


def _next_head(
    head: Head, outcome: Outcome, part: Sequence[Entry], answers: Answered, done: Dict[str, int], recent: int
) -> Head:
    """The head of this commit. That it is made says that the last one was fanned out.

    What else of the batch is done is noted as answers of nothing: if the batch comes again, it must not be done again.
    So is what is done of a message that goes on after this commit: see `unfinished`.
    """
    told = tuple(answers) + _carried(head, answers)
    if done:
        answered = {inbox for inbox, _, _ in answers}
        told += tuple((inbox, upto, []) for inbox, upto in sorted(done.items()) if inbox not in answered)
    if part and part[-1].inbox and not part[-1].last:
        told += ((part[-1].inbox, part[-1].number + 1, []),)
    triggers, dropped = keep(head.triggers + tuple(outcome.triggers), head.zxid, recent)
    return Head(
        outcome.zxid,
        head.namespace_id,
        head.zxid,
        max(head.since, dropped),
        triggers,
        told,
        tuple(outcome.ended),
        _left(outcome, part),
        head.subtrees or bool(outcome.changes.subtrees),
        (*head.closing[1:], *outcome.closing),  # while there is one to close, this commit is its sweep
        None,
        _ticking(head, outcome),
        (),
        _handled(head, part),
    )


def _carried(head: Head, answers: Answered) -> Answers:
    """What whoever committed may have died with before he handed it over, and nobody has asked for yet."""
    kept = [each for each in head.answers if each[0].startswith(COMBINED) and each[2]]
    if not kept:
        return ()
    again = {inbox for inbox, _, _ in answers}
    return tuple(each for each in kept if each[0] not in again and each[2][-1][2] > head.zxid - 2 * CARRIED_ZXIDS)


def _with_garbage(head: Head, cache: Cache, changes: Changes) -> Head:
    left = garbage(cache, changes)
    return head._replace(garbage=left) if left else head


def _left(outcome: Outcome, part: Sequence[Entry]) -> Tuple[str, ...]:
    """The inboxes that sessions have moved from: not where a client that connected again goes on with its queue."""
    if not outcome.moved:
        return ()
    attached = [entry.call.request.inbox for entry in part if isinstance(entry.call.request, Attach)]
    in_use = {shared_name(inbox) for inbox in attached if inbox not in outcome.moved}
    return tuple(inbox for inbox in outcome.moved if shared_name(inbox) not in in_use)


def _ticking(head: Head, outcome: Outcome) -> int:
    if outcome.changes.needs_heartbeat():
        return outcome.zxid
    return 0 if outcome.changes.stops_ticking else head.ticking


def _is_quiescent(head: Head, outcome: Outcome) -> bool:
    return head.ticking == 0 or bool(outcome.changes.stops_ticking)
