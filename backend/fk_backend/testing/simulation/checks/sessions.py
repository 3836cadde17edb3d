"""S1 to S5: sessions end when they should, nothing of them outlives them, and their clients know in time."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence, Set

from .... import layout
from ....core.model import Error
from ....core.owners import is_ephemeral
from ....core.requests import Close, Expire
from ....functions.heartbeat import RARE_TICKS, TICK_S
from ....ports import SESSIONS, STATE, Put, Remove
from ....session.owned import makes_ephemeral
from ..plan import PAUSE, WORLD
from ..replay import ConnectionRecord, Replay
from ..run import NS
from ..world import Entry

BOUND_S = 1.0
CALLS, CALLS_EACH = 20, 10
"""An expiry comes at most this long after its timeout, and the calls that two looks and a commit take, when nothing
disturbs the functions, and those of each session that ends at the same time."""
EXPIRED, CLOSED = "expired", "closed"


def nothing_after_the_end(replay: Replay) -> Iterator[str]:
    """S2: nothing of a session takes effect after its end, or from a connection that it left."""
    for record in replay.call_records:
        if record.answered is None or (record.conn, record.number) not in replay.done or not record.number:
            continue
        told = replay.done[record.conn, record.number].told
        if told.code in (Error.SESSION_EXPIRED, Error.SESSION_MOVED) and record.result[0] == Error.OK:
            yield "tag %d took effect after its session had gone (%d)" % (record.tag, told.code)


def passwords_are_checked(replay: Replay) -> Iterator[str]:
    """S5: a wrong password is refused; the right one only if there is no such session any more."""
    for entry in replay.log:
        if entry.what == "broken-in":
            yield "step %d: a wrong password was taken for session %x" % (entry.step, entry.value)
        if entry.what == "refused" and entry.value.right:
            end = replay.model.ends.get(entry.value.session)
            if end is None or end[0] > replay.head_at(entry.step):
                yield "step %d: session %x was refused to its owner" % (entry.step, entry.value.session)


def expiry_is_on_time(replay: Replay) -> Iterator[str]:
    """S1: judged by a count that had stood still for the whole timeout, and still did; and soon after that."""
    yield from _began_unbeaten(replay)
    quiet = next((entry.at for entry in replay.log if entry.what == "quiet"), None)
    asked = [replay.log[done.accepted] for done in replay.order if isinstance(done.request, Expire)]
    for done in replay.order:
        if not isinstance(done.request, Expire) or done.told.value is not True:
            continue
        session, counted = done.request
        at = replay.committed_at.get(done.told.zxid, len(replay.log) - 1)
        beats = [beat for beat in _beats(replay.log, session) if beat.step < at]
        born = replay.log[replay.committed_at[session & ((1 << 40) - 1)]].at
        alive = max([born, *(entry.at for entry in beats if entry.value[1] <= counted)])
        timeout = replay.model.alive[done.told.zxid - 1][session].timeout_ms / 1000.0
        silent = replay.log[done.accepted].at - alive - _stood_still(replay, alive, replay.log[done.accepted].at)
        if silent <= timeout:
            yield "session %x was given up %.3f s after its last beat, its timeout is %.1f s" % (
                session,
                silent,
                timeout,
            )
        begun = max((e.step for e in replay.log[:at] if e.what == "batch" and e.who == replay.log[at].who), default=0)
        if any(entry.value[1] > counted and entry.step < begun for entry in beats):
            yield "session %x expired although it had beaten again" % session
        silent = replay.log[at].at - alive
        crowd = [entry for entry in asked if entry.at > alive and entry.step < at]
        late = BOUND_S + _longest_pause(replay) + (CALLS + CALLS_EACH * len(crowd)) * replay.history.plan.knobs.lag
        undisturbed = quiet is not None and alive >= max(replay.history.recovered_at + 2, quiet - timeout)
        if undisturbed and silent > timeout + late:
            yield "session %x expired %.3f s after its last beat, its timeout is %.1f s" % (session, silent, timeout)


def _beats(log: Sequence[Entry], session: int) -> List[Entry]:
    """Those of a session, but for the first of all if it was a stranger's, who had the wrong password: it is undone."""
    beats: List[Entry] = []
    for entry in log:
        if entry.what == "beat" and entry.value[0] == session:
            beats.append(entry)
        elif entry.what == "refused" and entry.value[1:] == (session, False) and beats and beats[-1].value[1] == 1:
            beats.pop()
    return beats


def _stood_still(replay: Replay, begin: float, end: float) -> float:
    """How much of that time is given back: everything stood still, for longer than a heartbeat may be late anyway."""
    faults = [entry for entry in replay.log if entry.what == "fault" and entry.who == WORLD]
    spans = [(entry.at, entry.at + entry.value.span) for entry in faults if entry.value.span > 2 * TICK_S]
    unseen = TICK_S + _longest_pause(replay)
    given: float = sum(max(0.0, min(end, until) - max(begin, since) - unseen) for since, until in spans)
    return given


def _longest_pause(replay: Replay) -> float:
    """Of a heartbeat that is paid for by the look, beyond those of one that is not."""
    return RARE_TICKS * TICK_S if replay.history.plan.knobs.charges_for_beats else 0.0


def _began_unbeaten(replay: Replay) -> Iterator[str]:
    """Where beats are dear, a session that owns nothing need not beat: it has to before it may own something."""
    if not replay.history.plan.knobs.charges_for_beats:
        return
    paused = {entry.who for entry in replay.log if entry.what == "fault" and entry.value.kind == PAUSE}
    timeouts = {n: live.timeout_ms / 1000 for alive in replay.model.alive for n, live in alive.items()}
    heard: Dict[int, float] = {}
    # Where it is taken later, it is the same.
    sent = "sent" if replay.history.plan.knobs.taken_by_commit else "accepted"
    for entry in replay.log:
        if entry.what == "beat":
            heard[entry.value[0]] = entry.at
        elif entry.what == sent and not paused & {WORLD, entry.who.partition(".")[0]}:
            session = entry.value.session
            silent = entry.at - heard.get(session, float("-inf"))
            if any(map(makes_ephemeral, entry.value.requests)) and silent > timeouts.get(session, silent):
                yield "session %x asked for an ephemeral without a beat" % session


def ephemerals_have_owners(replay: Replay) -> Iterator[str]:
    """S3: in every committed state, an ephemeral is there exactly while its session is."""
    owners: Dict[str, int] = {}
    sessions: Set[str] = set()
    for entry, commit in replay.commits:
        for write in commit.writes:
            assert isinstance(write, (Put, Remove))
            key = write.key
            if key.table == STATE and key.sort == layout.NODE:
                owner = layout.node_of(write.item).owner if isinstance(write, Put) else 0
                owners[key.partition] = owner
            elif key.table == SESSIONS and key.partition == layout.sessions_partition(NS):
                (sessions.add if isinstance(write, Put) else sessions.discard)(key.sort)
        for path, owner in owners.items():
            if owner and is_ephemeral(owner) and layout.session_name(owner) not in sessions:
                yield "step %d: %s belongs to session %x, which is gone" % (entry.step, path, owner)
                owners[path] = 0


def transitions_are_legal(replay: Replay) -> Iterator[str]:
    """S4: expired and closed are said only if it is so, and a client is told before its session is given up."""
    for conn in replay.conns.values():
        for step, tag, value in conn.said:
            if tag == -1 and value[0] == EXPIRED:
                end = replay.model.ends.get(conn.session)
                if end is None or end[0] > replay.head_at(step):
                    yield "step %d: %s says expired, and its session lives" % (step, conn.name[:6])
            if tag == -1 and value[0] == CLOSED and not _closed(replay, conn):
                yield "step %d: %s says closed, and nobody closed it" % (step, conn.name[:6])
    for session, (zxid, expired) in replay.model.ends.items():
        at = replay.committed_at.get(zxid)
        if expired and at is not None:
            judged = max(
                d.accepted for d in replay.order if isinstance(d.request, Expire) and d.request.session == session
            )
            for conn in replay.conns.values():
                if conn.session == session and conn.begun < judged:
                    yield from _told_in_time(replay, conn, at)


def _closed(replay: Replay, conn: ConnectionRecord) -> bool:
    return any(
        isinstance(record.op, Close) and record.conn == conn.name and record.answered is not None
        for record in replay.call_records
    )


def _told_in_time(replay: Replay, conn: ConnectionRecord, at: int) -> Iterator[str]:
    over = next((step for step, tag, _ in conn.said if tag == -1), None)
    if conn.begun > at or (over is not None and over < at):
        return
    died = replay.death(conn)
    if died is not None and died <= at:
        return
    paused = any(
        entry.what == "fault" and entry.value.kind == PAUSE and entry.who in (conn.client, WORLD)
        and entry.at <= replay.log[at].at <= entry.at + entry.value.span + 0.001
        for entry in replay.log[:at]
    )  # fmt: skip
    if not paused:
        yield "step %d: session expired while %s was told nothing" % (at, conn.name[:6])
    later: List[int] = [step for step, tag, _ in conn.said if step > at and tag >= 0]
    if later:
        yield "step %d: %s was shown something after its session had expired, and before it was told" % (
            later[0], conn.name[:6],
        )  # fmt: skip
