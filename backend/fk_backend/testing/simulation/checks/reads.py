"""R1 to R4: a read shows one state of the order, never an earlier one than before, never one older than it may be."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ....core.model import Error
from ....core.requests import Auth
from ....session.ops import Exists, GetAcl, GetChildren, GetData
from ..replay import CallRecord, Replay, plain, read
from ..workload import ADDRESS

READS = (Exists, GetData, GetChildren, GetAcl)


class ReadWindow(NamedTuple):
    """An answered read, the zxids whose state it can have shown, and the least of them that fits all before it."""

    record: CallRecord
    candidates: Tuple[int, ...]
    floor: int
    """What its connection had been shown before it."""
    zxid: Optional[int]


@lru_cache(maxsize=2)
def _read_windows(replay: Replay) -> Dict[str, List[ReadWindow]]:
    by_conn: Dict[str, List[CallRecord]] = {}
    for record in replay.call_records:
        if record.answered is not None:
            by_conn.setdefault(record.conn, []).append(record)
    return {conn: list(_of(replay, call_records)) for conn, call_records in by_conn.items()}


def _of(replay: Replay, call_records: List[CallRecord]) -> Iterator[ReadWindow]:
    identities: Tuple[Any, ...] = (("ip", ADDRESS),)
    floor = 0
    for record in sorted(call_records, key=lambda record: record.answered or 0):
        code, value, zxid = record.result
        if isinstance(record.op, READS):
            most = min(replay.head_at(record.answered or 0), replay.model.zxid)
            shown = (
                plain((sorted(value[0]), value[1])) if isinstance(record.op, GetChildren) and value else plain(value)
            )
            candidates = tuple(_candidates(replay.model.states[: most + 1], record.op, identities, (code, shown)))
            least = min((z for z in candidates if z >= max(floor, zxid)), default=None)
            yield ReadWindow(record, candidates, floor, least)
            floor = max(floor, least or 0)
        elif code == Error.OK and isinstance(record.op, Auth):
            identities = (*identities, *map(tuple, value))
        floor = max(floor, zxid)


def _candidates(states: Sequence[Any], op: Any, identities: Any, seen: Tuple[int, Any]) -> Iterator[int]:
    """The zxids whose state shows that. A read shows one node, and that is in most states what it was before."""
    last: Any = states
    fits = False
    for zxid, tree in enumerate(states):
        node = tree.get(op.path)
        if node is not last:
            last, fits = node, seen == _shown(tree, op, identities)
        if fits:
            yield zxid


def _shown(tree: Any, op: Any, identities: Any) -> Tuple[int, Any]:
    code, value = read(tree, op, identities)
    return code, plain(value)


def read_windows(replay: Replay) -> Dict[str, List[ReadWindow]]:
    """Every answered read by connection, in order."""
    return _read_windows(replay)


def _all(replay: Replay) -> Iterator[ReadWindow]:
    for found in read_windows(replay).values():
        yield from found


def one_state(replay: Replay) -> Iterator[str]:
    """R1: there is a state of the order that shows exactly this, half a multi never."""
    for look in _all(replay):
        if not look.candidates:
            yield "tag %d %s: no state ever showed %s" % (look.record.tag, look.record.op, plain(look.record.result))


def never_back(replay: Replay) -> Iterator[str]:
    """R2: not one before what the session was shown already, its own writes included."""
    for look in _all(replay):
        if look.candidates and max(look.candidates) < look.floor:
            yield "tag %d %s: shows zxid %d after %d" % (
                look.record.tag, look.record.op, max(look.candidates), look.floor,
            )  # fmt: skip


def not_stale(replay: Replay) -> Iterator[str]:
    """R3: not one that was over when the read was asked for: the bound of staleness is zero."""
    for look in _all(replay):
        if look.candidates and max(look.candidates) < replay.head_at(look.record.asked):
            yield "tag %d %s: shows zxid %d when %d was committed" % (
                look.record.tag, look.record.op, max(look.candidates), replay.head_at(look.record.asked),
            )  # fmt: skip


def sees_what_was_answered(replay: Replay) -> Iterator[str]:
    """R4: not one before what anybody had been answered when it was asked for (as after a sync)."""
    answered = sorted(
        (record.answered, record.result[2]) for record in replay.call_records if record.answered is not None
    )
    for look in _all(replay):
        told = max((zxid for step, zxid in answered if step < look.record.asked), default=0)
        if look.candidates and max(look.candidates) < told:
            yield "tag %d %s: shows zxid %d after somebody was answered %d" % (
                look.record.tag, look.record.op, max(look.candidates), told,
            )  # fmt: skip
