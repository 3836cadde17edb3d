"""Multis: several operations as one.

Rule: a multi happens whole under one zxid, or not at all, and its answer says which operation stopped it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from . import tree
from .errors import ZkError
from .model import Error, Session
from .overlay import View
from .requests import Check, Create, Delete, Multi, Op, Result, SetAcl, SetData

Operation = Callable[[View, Session, Any], Any]

OPERATIONS: Dict[type, Operation] = {
    Create: tree.create,
    Delete: tree.delete,
    SetData: tree.set_data,
    SetAcl: tree.set_acl,
    Check: tree.check,
}


def perform(view: View, session: Session, op: Op) -> Any:
    """Perform one operation; its value, or ZkError."""
    return OPERATIONS[type(op)](view, session, op)


def multi(view: View, session: Session, request: Multi) -> Tuple[Result, ...]:
    """One Result for each operation. Each operation sees what those before it did. Never raises ZkError."""
    mark = view.mark()
    values: List[Any] = []
    for op in request.ops:
        try:
            values.append(perform(view, session, op))
        except ZkError as error:
            view.rollback(mark)
            return _failed(view.zxid, len(values), error.code, len(request.ops))
    zxid = view.next_zxid if view.changed_since(mark) else view.zxid
    return tuple(Result(Error.OK, value, zxid) for value in values)


def _failed(zxid: int, index: int, code: int, count: int) -> Tuple[Result, ...]:
    codes = [Error.OK] * index + [code] + [Error.RUNTIME_INCONSISTENCY] * (count - index - 1)
    return tuple(Result(each, None, zxid) for each in codes)
