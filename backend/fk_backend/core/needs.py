"""Which items a batch of requests needs, told before it is applied.

Rule: what can be told from the requests alone is asked for at once, so that one load is the usual case.

The rest shows while applying: the final path of a sequential create, and the nodes that end with a session.
"""

from __future__ import annotations

from typing import Any, Iterable, Sequence

from . import owners, paths
from .requests import (
    Attach,
    Call,
    Check,
    Close,
    Create,
    Delete,
    Expire,
    Multi,
    Op,
    Reap,
    Request,
    SetAcl,
    SetData,
    Sweep,
)
from .snapshot import Missing, Snapshot


def needs(calls: Sequence[Call]) -> Missing:
    """Everything that the calls name: paths and their parents, sessions, what ends with them, beat counters.

    The Missing is returned, not raised, and may name more than turns out to be needed. Paths that are invalid, at
    which there can be no node, are left out.
    """
    wanted = _named(calls)
    wanted.paths = {path for path in wanted.paths if paths.is_valid(path)}
    return wanted


def _named(calls: Sequence[Call]) -> Missing:
    """The same, with the paths that are invalid."""
    wanted = Missing()
    for call in calls:
        if call.session:
            wanted.sessions.add(call.session)
        _add(wanted, call.session, call.request)
    return wanted


def _add(wanted: Missing, session_id: int, request: Request) -> None:
    if isinstance(request, Multi):
        for op in request.ops:
            wanted.paths.update(_paths_of(op))
    elif isinstance(request, (Create, Delete, SetData, SetAcl, Check)):
        wanted.paths.update(_paths_of(request))
    elif isinstance(request, Reap):
        wanted.paths.update(_with_parent(request.path))
    elif isinstance(request, Close):
        wanted.ephemerals.add(session_id)
    elif isinstance(request, Sweep):
        wanted.ephemerals.add(request.session)
    elif isinstance(request, Attach):
        wanted.sessions.add(request.session)
    elif isinstance(request, Expire):
        for names in (wanted.sessions, wanted.ephemerals, wanted.beats):
            names.add(request.session)


def _paths_of(op: Op) -> Iterable[str]:
    if isinstance(op, Create):
        named = _with_parent(op.path)
        return named[1:] if owners.is_sequential(op.flags) else named
    return _with_parent(op.path) if isinstance(op, Delete) else (op.path,)


def _with_parent(path: str) -> Sequence[str]:
    return (path, paths.parent(path)) if "/" in path else (path,)


_OF_ONE_PATH = frozenset((SetData, SetAcl, Check))


def has_all(snapshot: Snapshot, calls: Sequence[Call]) -> bool:
    """Whether nothing is lacking, as far as that can be told without much ado; where it is False, see `lacking`."""
    sessions, nodes = snapshot.sessions, snapshot.nodes
    for session, _, request in calls:
        if session not in sessions:
            return False
        parts: Sequence[Any] = request.ops if isinstance(request, Multi) else (request,)
        alone = len(calls) == 1 and not isinstance(request, Multi)
        for op in parts:
            kind = type(op)
            if kind is Create or kind is Delete:
                if op.path[: op.path.rfind("/") or 1] not in nodes:
                    return False
                if kind is Create and owners.is_sequential(op.flags):
                    if alone and named_next(snapshot, op) not in nodes:
                        return False
                    continue
            elif kind not in _OF_ONE_PATH:
                return False
            if op.path not in nodes:
                return False
    return True


def named_next(snapshot: Snapshot, op: Create) -> str:
    """The path of a sequential node that is created alone; the empty one if its parent is not there.

    A round less for a single request. Of several, the later ones go by another number.
    """
    above = snapshot.nodes.get(op.path[: op.path.rfind("/") or 1])
    return "" if above is None else "%s%010d" % (op.path, above[1].creates)


def lacking(snapshot: Snapshot, calls: Sequence[Call]) -> Missing:
    """What of :func:`needs` the snapshot does not have."""
    wanted = _named(calls)
    first = calls[0].request if len(calls) == 1 else None
    if isinstance(first, Create) and owners.is_sequential(first.flags):
        wanted.paths.add(named_next(snapshot, first))
    # Not by "-": what it takes away from a set that is no set itself, it goes through whole.
    wanted.paths = {path for path in wanted.paths if path not in snapshot.nodes and paths.is_valid(path)}
    wanted.sessions = {session for session in wanted.sessions if session not in snapshot.sessions}
    if wanted.ephemerals or wanted.beats:
        wanted.ephemerals = {session for session in wanted.ephemerals if session not in snapshot.ephemerals}
        wanted.beats = {session for session in wanted.beats if session not in snapshot.beats}
    return wanted
