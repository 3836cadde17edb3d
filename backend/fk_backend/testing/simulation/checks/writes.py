"""W1 to W8: one dense order, each request in it once, and every answer the model's."""

from __future__ import annotations

from typing import Dict, Iterator, Set, Tuple

from ....core.model import Error
from ....core.requests import Auth, Close, Create, Multi
from ....session.ops import WRITES
from ..replay import Replay, plain


def zxids_are_dense(replay: Replay) -> Iterator[str]:
    """W1: every commit goes on where the last one ended, and the log accounts for every zxid."""
    last = 0
    for entry, commit in replay.commits:
        if commit.before != last or (commit.after <= commit.before and commit.after not in replay.voids):
            yield "step %d: a commit from zxid %d to %d after %d" % (entry.step, commit.before, commit.after, last)
        last = commit.after
    if last > 0 and last not in replay.committed_at and last not in replay.voids:
        last -= 1  # a promise that nobody has kept, and nobody wrote after it
    if last != replay.model.zxid:
        yield "the head is at zxid %d, what was asked comes to %d" % (last, replay.model.zxid)


def order_respects_real_time(replay: Replay) -> Iterator[str]:
    """W2: what was answered before something was asked comes before it in the order."""
    writes = [record for record in replay.call_records if record.number and (record.conn, record.number) in replay.done]
    answered = sorted(
        (record for record in writes if record.answered is not None), key=lambda record: record.answered or 0
    )
    latest, position = -1, 0
    for record in sorted(writes, key=lambda record: record.asked):
        while position < len(answered) and (answered[position].answered or 0) < record.asked:
            done = replay.done[answered[position].conn, answered[position].number]
            latest = max(latest, done.told.position)
            position += 1
        if replay.done[record.conn, record.number].told.position < latest:
            yield "tag %d was asked after an answer and comes before it in the order" % record.tag


def sessions_keep_their_order(replay: Replay) -> Iterator[str]:
    """W3: answers come in the order in which a connection asked, and so do its requests in the log."""
    for conn in replay.conns.values():
        tags = [tag for _, tag, _ in conn.said if tag > 0]
        if tags != sorted(tags):
            yield "connection %s answered out of order: %s" % (conn.name[:6], tags)
    numbers: Dict[str, int] = {}
    for done in replay.order:
        expected = numbers.get(done.inbox, -1) + 1
        while expected < done.number and _set_aside(replay, done.inbox, expected):
            expected += 1
        if done.number != expected and not done.inbox.startswith("heartbeat"):
            yield "request %d of %s comes after %d" % (done.number, done.inbox[:6], numbers.get(done.inbox, -1))
        numbers[done.inbox] = done.number


def _set_aside(replay: Replay, inbox: str, number: int) -> bool:
    done = replay.done.get((inbox, number))
    return done is not None and done.told.code == Error.DEAD_LETTERED


def applied_at_most_once(replay: Replay) -> Iterator[str]:
    """W4: nothing is answered twice, nothing after the end, and nothing that the queue never took."""
    for conn in replay.conns.values():
        tags = [tag for _, tag, _ in conn.said if tag > 0]
        if len(tags) != len(set(tags)):
            yield "connection %s answered something twice: %s" % (conn.name[:6], tags)
        ends = [position for position, (_, tag, _) in enumerate(conn.said) if tag == -1]
        if ends and ends[0] != len(conn.said) - 1:
            yield "connection %s said something after its end" % conn.name[:6]
    for record in replay.call_records:
        if record.number and record.answered is not None and (record.conn, record.number) not in replay.done:
            yield "tag %d was answered and never taken by the queue" % record.tag


def answers_are_the_models(replay: Replay) -> Iterator[str]:
    """W5: error codes, values and every field of Stat are what ZooKeeper would have answered."""
    for what in replay.model.early:
        yield "reaped before it was due: " + what
    for record in replay.call_records:
        if not record.number or record.answered is None or (record.conn, record.number) not in replay.done:
            continue
        told = replay.done[record.conn, record.number].told
        code, value, zxid = record.result
        if (code, plain(value)) != (told.code, plain(told.value)):
            yield "tag %d %s: answered %s %s, the model says %s %s" % (
                record.tag, type(record.op).__name__, code, plain(value), told.code, plain(told.value),
            )  # fmt: skip
        elif zxid != told.zxid and not (zxid < told.zxid and replay.voids.issuperset(range(zxid + 1, told.zxid + 1))):
            # a promise that became void comes after those that failed before it, and the model can't tell when
            yield "tag %d: answered as of zxid %d, the model says %d" % (record.tag, zxid, told.zxid)


def multis_are_whole(replay: Replay) -> Iterator[str]:
    """W6: a multi's parts carry one zxid, and its commit is one."""
    for record in replay.call_records:
        if isinstance(record.op, Multi) and record.answered is not None and record.result[0] == Error.OK:
            zxids = {part[2] for part in record.result[1]}
            if len(zxids) > 1:
                yield "tag %d: a multi with zxids %s" % (record.tag, sorted(zxids))
    for zxid in replay.model.multis:
        at = replay.committed_at.get(zxid)
        again = [entry.step for entry, commit in replay.commits if commit.before < zxid <= commit.after]
        if at is not None and len(again) != 1:
            yield "the multi at zxid %d was committed at steps %s" % (zxid, again)


def sequences_are_unique(replay: Replay) -> Iterator[str]:
    """W7: no name with a number is given twice under one parent."""
    given: Set[Tuple[str, int]] = set()
    for record in replay.call_records:
        if (
            isinstance(record.op, Create)
            and record.op.flags in (2, 3, 6)
            and record.answered
            and record.result[0] == Error.OK
        ):
            path = record.result[1][0] if record.op.with_stat else record.result[1]
            zxid = min(record.result[2], replay.model.zxid)
            parent = replay.model.states[zxid].get(path.rpartition("/")[0] or "/")
            key = path, -1 if parent is None else parent.czxid
            if key in given:
                yield "tag %d: %s was given before" % (record.tag, path)
            given.add(key)


def answered_is_committed(replay: Replay) -> Iterator[str]:
    """W8: what is answered has been committed by then: nothing that was shown can be lost."""
    for record in replay.call_records:
        if record.answered is None or not isinstance(record.op, (*WRITES, Auth, Close)):
            continue
        at = replay.committed_at.get(record.result[2], -1 if record.result[2] == 0 else None)
        if at is None or at > record.answered:
            yield "tag %d was answered with zxid %d before that was committed" % (record.tag, record.result[2])
