"""Every promise has a name, and every name a function that looks for a run in which it was broken.

A check yields what it found, one sentence each; nothing means that it holds. `judge` runs all of them.

Imports: core, the records of a run. Never: kazoo, fk_kazoo, fk_backend.providers, time, random.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, NamedTuple

from ..linear import searched
from ..replay import Replay
from ..run import History
from . import quiescence, reads, sessions, watches, writes

Check = Callable[[Replay], Iterator[str]]

CHECKS: Dict[str, Check] = {
    "W1": writes.zxids_are_dense,
    "W2": writes.order_respects_real_time,
    "W3": writes.sessions_keep_their_order,
    "W4": writes.applied_at_most_once,
    "S2": sessions.nothing_after_the_end,
    "S5": sessions.passwords_are_checked,
    "W5": writes.answers_are_the_models,
    "W6": writes.multis_are_whole,
    "W7": writes.sequences_are_unique,
    "W8": writes.answered_is_committed,
    "R1": reads.one_state,
    "R2": reads.never_back,
    "R3": reads.not_stale,
    "R4": reads.sees_what_was_answered,
    "V1": watches.once,
    "V2": watches.only_by_the_table,
    "V3": watches.none_lost,
    "V4": watches.none_made_up,
    "V5": watches.event_before_state,
    "V6": watches.in_zxid_order,
    "V7": watches.armed_after_reconnecting,
    "S1": sessions.expiry_is_on_time,
    "S3": sessions.ephemerals_have_owners,
    "S4": sessions.transitions_are_legal,
    "Q1": quiescence.storage_is_the_log,
    "Q2": quiescence.nothing_left_behind,
    "Q3": quiescence.everything_answered,
    "Q4": quiescence.poison_is_set_aside,
    "Q5": quiescence.locks_exclude,
    "Q6": quiescence.the_heartbeat_rests_in_time,
}


class Violation(NamedTuple):
    """A promise that was broken."""

    check: str
    what: str


def judge(history: History, search: bool = False) -> List[Violation]:
    """Everything that is wrong with a run; with ``search``, also that no order explains its answers."""
    try:
        replay = Replay(history)
    except Exception as error:  # what can't even be replayed is wrong
        return [Violation("Q1", "the log can't be replayed: %r" % error)]
    found = [Violation(name, what) for name, check in CHECKS.items() for what in _found(check, replay)]
    if search and searched(replay) is False:
        found.append(Violation("linearizability", "no order of the operations explains the answers"))
    return found


def _found(check: Check, replay: Replay) -> List[str]:
    try:
        return list(check(replay))
    except Exception as error:  # as what can't be replayed: an answer, say, that no such request could have
        return ["it can't be judged: %r" % error]
