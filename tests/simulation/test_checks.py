"""Each check can fail: what no planted bug breaks is broken by hand, in the record of a run in which all was well.

Together with the bugs that are planted, that makes every letter.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest

from fk_backend.core.model import Error
from fk_backend.core.requests import Create, Multi, SetData
from fk_backend.testing.simulation.checks import CHECKS, judge
from fk_backend.testing.simulation.replay import CallRecord, Replay
from fk_backend.testing.simulation.run import History, run
from fk_backend.testing.simulation.workload import ALL, RESOURCE, plan

Tampering = Callable[[Replay], bool]
"""Makes one thing wrong; False if this run has nothing that it could be done to."""


def _good(replay: Replay, kind: type) -> Iterator[Tuple[int, CallRecord]]:
    for at, line in enumerate(replay.call_records):
        if isinstance(line.op, kind) and line.answered is not None and line.result[0] == Error.OK:
            yield at, line


def asked_after_the_answer_of_a_later_one(replay: Replay) -> bool:
    writes = [
        (at, line)
        for at, line in enumerate(replay.call_records)
        if line.answered and (line.conn, line.number) in replay.done
    ]
    for at, line in writes:
        place = replay.done[line.conn, line.number].told.position
        for _, later in writes:
            if replay.done[later.conn, later.number].told.position > place:
                replay.call_records[at] = line._replace(asked=(later.answered or 0) + 1)
                return True
    return False


def answered_a_second_time(replay: Replay) -> bool:
    for conn in replay.conns.values():
        for step, tag, value in conn.said:
            if tag > 0:
                conn.said.insert(0, (step, tag, value))
                return True
    return False


def a_multi_of_two_zxids(replay: Replay) -> bool:
    for at, line in _good(replay, Multi):
        code, parts, zxid = line.result
        if len(parts) > 1:
            first, *rest = ([*part] for part in parts)
            first[2] += 1
            replay.call_records[at] = line._replace(result=(code, [first, *rest], zxid))
            return True
    return False


def a_number_given_again(replay: Replay) -> bool:
    for _, line in _good(replay, Create):
        if line.op.flags in (2, 3):
            replay.call_records.append(line)
            return True
    return False


def an_event_told_again(replay: Replay) -> bool:
    if replay.history.plan.knobs.recent_bytes < ALL:
        return False
    for conn in replay.conns.values():
        for at, (_, tag, _) in enumerate(conn.said):
            if tag == 0:
                conn.said.insert(at, conn.said[at])
                return True
    return False


def events_that_changed_places(replay: Replay) -> bool:
    if replay.history.plan.knobs.recent_bytes < ALL:
        return False
    for conn in replay.conns.values():
        for at in range(len(conn.said) - 1):
            (here, tag, event), (there, next_tag, next_event) = conn.said[at : at + 2]
            if tag == next_tag == 0 and event[0] < next_event[0]:
                conn.said[at : at + 2] = [(here, 0, next_event), (there, 0, event)]
                return True
    return False


def written_by_who_was_not_first_in_line(replay: Replay) -> bool:
    previous = 0
    for at, done in enumerate(replay.order):
        took, previous = done.told.zxid > previous, max(previous, done.told.zxid)
        request = done.request
        if took and isinstance(request, SetData) and request.path == RESOURCE and done.told.code == Error.OK:
            name, fence, path = request.data.decode().split(" ", 2)
            data = ("%s %d %s" % (name, int(fence) - 1, path)).encode()
            replay.order[at] = done._replace(request=request._replace(data=data))
            return True
    return False


BY_HAND: Dict[str, Tampering] = {
    "W2": asked_after_the_answer_of_a_later_one,
    "W4": answered_a_second_time,
    "W6": a_multi_of_two_zxids,
    "W7": a_number_given_again,
    "V1": an_event_told_again,
    "V6": events_that_changed_places,
    "Q5": written_by_who_was_not_first_in_line,
}


@pytest.fixture(scope="module")
def histories() -> Any:
    """Runs in which all was well, made when they are asked for."""
    made: Dict[int, History] = {}

    def history(seed: int) -> History:
        if seed not in made:
            made[seed] = run(plan(seed))
            assert judge(made[seed]) == []
        return made[seed]

    return history


@pytest.mark.parametrize("letter", BY_HAND)
def test_a_check_fails_when_what_it_checks_is_broken(letter: str, histories: Callable[[int], History]) -> None:
    for seed in range(200):
        replay = Replay(histories(seed))
        if BY_HAND[letter](replay):
            assert list(CHECKS[letter](replay)), "seed %d" % seed
            return
    pytest.fail("no run had anything to break")


def test_every_check_was_seen_to_fail() -> None:
    table = (Path(__file__).parents[1] / "planted" / "caught.md").read_text().partition("| bug |")[2]
    caught = set(
        re.findall(r"\b[WRVSQ]\d\b", " ".join(row.split("|")[3] for row in table.splitlines() if row.count("|") > 4))
    )
    assert CHECKS.keys() - BY_HAND.keys() <= caught
