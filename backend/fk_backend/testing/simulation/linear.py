"""An independent judge: is there any order of the operations, within real time, in which every answer is right?

Wing and Gong's search with Lowe's memory of what was tried. It knows no zxids and no order of the queue: of each
answer it compares only what an app sees of the data (codes, data, versions, names). Runs in which sessions end, or ACLs
matter, are left out.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Set, Tuple

from ...core.acls import OPEN_ACL
from ...core.model import Error
from ...core.requests import Auth, Check, Close, Create, Delete, Multi, SetAcl, SetData
from ...session.ops import Exists, GetChildren, GetData
from .replay import CallRecord, Replay

MAX_OPS = 40
MAX_STATES = 50_000
FOREVER = 1 << 60

Tree = Tuple[Tuple[str, Optional[bytes], int, int, bool], ...]
"""(path, data, version, creates, whether it is ephemeral), sorted."""


class Span(NamedTuple):
    """An operation with its beginning, its end, and what it was answered (None: never)."""

    begin: int
    end: int
    client: str
    op: Any
    answer: Any


def searched(replay: Replay) -> Optional[bool]:
    """Whether there is such an order; None for a run that is not for this search."""
    spans = _spans(replay)
    return None if spans is None else _search(spans)


def _spans(replay: Replay) -> Optional[List[Span]]:
    if replay.history.plan.knobs.poison or any(expired for _, expired in replay.model.ends.values()):
        return None
    spans: List[Span] = []
    for record in replay.call_records:
        if isinstance(record.op, (Auth, SetAcl)) or _special(record.op):
            return None
        if isinstance(record.op, (Create, Delete, SetData, Multi, Exists, GetData, GetChildren)):
            answer = None if record.answered is None else _seen(record.op, record.result)
            if answer is None and isinstance(record.op, (Exists, GetData, GetChildren)):
                continue
            spans.append(Span(record.asked, record.answered or FOREVER, record.client, record.op, answer))
        elif isinstance(record.op, Close) and _before_the_end(replay, record):
            return None
    return spans if 1 < len(spans) <= MAX_OPS else None


def _before_the_end(replay: Replay, record: CallRecord) -> bool:
    quiet = next((entry.step for entry in replay.log if entry.what == "quiet"), 0)
    return record.asked < quiet


def _special(op: Any) -> bool:
    creates = [each for each in (op.ops if isinstance(op, Multi) else (op,)) if isinstance(each, Create)]
    return any(each.flags > 3 or each.acl != OPEN_ACL for each in creates)


def _seen(op: Any, result: Any) -> Any:
    code, value, _ = result
    if code != Error.OK:
        return code
    if isinstance(op, Multi):
        return tuple(_seen(part, each) for part, each in zip(op.ops, value))
    if value is None:
        return "none"
    if isinstance(op, Create):
        return value[0] if op.with_stat else value
    if isinstance(op, (SetData, Exists)):
        return value[4]
    if isinstance(op, GetData):
        return value[0], value[1][4]
    return tuple(sorted(value[0])) if isinstance(op, GetChildren) else "ok"


def _search(spans: List[Span]) -> bool:
    order = sorted(range(len(spans)), key=lambda number: spans[number].begin)
    start: Tree = (("/", b"", 0, 0, False), ("/zookeeper", b"", 0, 0, False))
    stack: List[Tuple[FrozenSet[int], Tree]] = [(frozenset(), start)]
    tried: Set[Tuple[FrozenSet[int], Tree]] = set(stack)
    while stack:
        done, tree = stack.pop()
        left = [number for number in order if number not in done]
        if all(spans[number].answer is None for number in left):
            return True
        horizon = min(spans[number].end for number in left)
        for number in reversed(left):
            if spans[number].begin > horizon or _has_earlier(spans, left, number):
                continue
            answer, after = _apply(tree, spans[number].op)
            if spans[number].answer is not None and answer != spans[number].answer:
                continue
            reached = (done | {number}, after)
            if reached not in tried:
                tried.add(reached)
                stack.append(reached)
        if len(tried) > MAX_STATES:
            return True  # given up: it is a sample
    return False


def _has_earlier(spans: List[Span], left: List[int], number: int) -> bool:
    """A client's operations take effect in its order."""
    span = spans[number]
    return any(
        spans[other].client == span.client and spans[other].begin < span.begin and spans[other].answer is not None
        for other in left
    )


def _apply(tree: Tree, op: Any) -> Tuple[Any, Tree]:
    nodes: Nodes = {path: fields for path, *fields in tree}
    answer = _do(nodes, op)
    if isinstance(op, Multi) and any(isinstance(part, int) and part < 0 for part in answer):
        return answer, tree  # an error; what is not negative is a version
    return answer, tuple((path, *nodes[path]) for path in sorted(nodes))


Nodes = Dict[str, Any]


def _do(nodes: Nodes, op: Any) -> Any:
    if isinstance(op, Multi):
        answers: List[Any] = []
        for part in op.ops:
            answer = _do(nodes, part)
            if isinstance(answer, int) and not (isinstance(part, SetData) and answer >= 0):
                rest = [Error.RUNTIME_INCONSISTENCY] * (len(op.ops) - len(answers) - 1)
                return (*("none" for _ in answers), answer, *rest)
            answers.append(answer)
        return tuple(answers)
    if isinstance(op, Create):
        return _create(nodes, op)
    if isinstance(op, GetChildren):
        return _children(nodes, op.path) if op.path in nodes else Error.NO_NODE
    found = nodes.get(op.path)
    if found is None:
        return Error.NO_NODE
    if isinstance(op, Exists):
        return found[1]
    if isinstance(op, GetData):
        return found[0], found[1]
    if op.version not in (-1, found[1]):
        return Error.BAD_VERSION
    if isinstance(op, Check):
        return "none"
    if isinstance(op, SetData):
        nodes[op.path] = (op.data, found[1] + 1, *found[2:])
        return found[1] + 1
    if _children(nodes, op.path):
        return Error.NOT_EMPTY
    del nodes[op.path]
    return "none"


def _create(nodes: Nodes, op: Create) -> Any:
    above = op.path.rpartition("/")[0] or "/"
    if above not in nodes:
        return Error.NO_NODE
    data, version, creates, ephemeral = nodes[above]
    path = op.path + ("%010d" % creates if op.flags in (2, 3) else "")
    if path in nodes:
        return Error.NODE_EXISTS
    if ephemeral:
        return Error.NO_CHILDREN_FOR_EPHEMERALS
    nodes[above] = (data, version, creates + 1, ephemeral)
    nodes[path] = (op.data, 0, 0, op.flags in (1, 3))
    return path


def _children(nodes: Nodes, path: str) -> Tuple[str, ...]:
    prefix = path if path == "/" else path + "/"
    names = (each[len(prefix) :] for each in nodes if each.startswith(prefix) and each != path)
    return tuple(sorted(name for name in names if "/" not in name))
