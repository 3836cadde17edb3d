"""R1 to R4: a read shows one state of the order, never an earlier one than before, never one older than it may be."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ....core.model import Error
from ....core.requests import Auth
from ....session.ops import Exists, GetAcl, GetChildren, GetData
from ..replay import Line, Replay, plain, read
from ..workload import ADDRESS

READS = (Exists, GetData, GetChildren, GetAcl)


class Look(NamedTuple):
    """An answered read, the zxids whose state it can have shown, and the least of them that fits all before it."""

    line: Line
    candidates: Tuple[int, ...]
    floor: int
    """What its connection had been shown before it."""
    zxid: Optional[int]


@lru_cache(maxsize=2)
def _looks(replay: Replay) -> Dict[str, List[Look]]:
    by_conn: Dict[str, List[Line]] = {}
    for line in replay.lines:
        if line.answered is not None:
            by_conn.setdefault(line.conn, []).append(line)
    return {conn: list(_of(replay, lines)) for conn, lines in by_conn.items()}


def _of(replay: Replay, lines: List[Line]) -> Iterator[Look]:
    identities: Tuple[Any, ...] = (("ip", ADDRESS),)
    floor = 0
    for line in sorted(lines, key=lambda line: line.answered or 0):
        code, value, zxid = line.result
        if isinstance(line.op, READS):
            most = min(replay.head_at(line.answered or 0), replay.model.zxid)
            shown = plain((sorted(value[0]), value[1])) if isinstance(line.op, GetChildren) and value else plain(value)
            candidates = tuple(_candidates(replay.model.states[: most + 1], line.op, identities, (code, shown)))
            least = min((z for z in candidates if z >= max(floor, zxid)), default=None)
            yield Look(line, candidates, floor, least)
            floor = max(floor, least or 0)
        elif code == Error.OK and isinstance(line.op, Auth):
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


def looks(replay: Replay) -> Dict[str, List[Look]]:
    """Every answered read by connection, in order."""
    return _looks(replay)


def _all(replay: Replay) -> Iterator[Look]:
    for found in looks(replay).values():
        yield from found


def one_state(replay: Replay) -> Iterator[str]:
    """R1: there is a state of the order that shows exactly this, half a multi never."""
    for look in _all(replay):
        if not look.candidates:
            yield "tag %d %s: no state ever showed %s" % (look.line.tag, look.line.op, plain(look.line.result))


def never_back(replay: Replay) -> Iterator[str]:
    """R2: not one before what the session was shown already, its own writes included."""
    for look in _all(replay):
        if look.candidates and max(look.candidates) < look.floor:
            yield "tag %d %s: shows zxid %d after %d" % (
                look.line.tag, look.line.op, max(look.candidates), look.floor,
            )  # fmt: skip


def not_stale(replay: Replay) -> Iterator[str]:
    """R3: not one that was over when the read was asked for: the bound of staleness is zero."""
    for look in _all(replay):
        if look.candidates and max(look.candidates) < replay.head_at(look.line.asked):
            yield "tag %d %s: shows zxid %d when %d was committed" % (
                look.line.tag, look.line.op, max(look.candidates), replay.head_at(look.line.asked),
            )  # fmt: skip


def sees_what_was_answered(replay: Replay) -> Iterator[str]:
    """R4: not one before what anybody had been answered when it was asked for (as after a sync)."""
    answered = sorted((line.answered, line.result[2]) for line in replay.lines if line.answered is not None)
    for look in _all(replay):
        told = max((zxid for step, zxid in answered if step < look.line.asked), default=0)
        if look.candidates and max(look.candidates) < told:
            yield "tag %d %s: shows zxid %d after somebody was answered %d" % (
                look.line.tag, look.line.op, max(look.candidates), told,
            )  # fmt: skip
