"""The one way into the core for writes: applies calls to a snapshot.

Rule: the same snapshot, calls and time always give the same outcome, and the calls take effect in their order.

Every call that changes something takes the next zxid; one that fails or changes nothing takes none.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

from . import sessions
from .errors import ZkError
from .model import Error, Session
from .multi import OPERATIONS, Operation, multi
from .needs import has_all, lacking
from .needs import needs as needs
from .overlay import View
from .requests import Attach, Auth, Call, Close, Expire, Multi, Open, Reap, Result, StopTicking, Sweep, WatchSubtrees
from .snapshot import Missing, Outcome, Snapshot

_OF_A_SESSION: Dict[type, Operation] = {
    **OPERATIONS,
    Multi: multi,
    Auth: sessions.auth,
    Close: sessions.close,
    WatchSubtrees: sessions.watch_subtrees,
}

_OF_NONE: Dict[type, Callable[[View, Any], Any]] = {
    Open: sessions.open_session,
    Attach: sessions.attach,
    Expire: sessions.expire,
    Reap: sessions.reap,
    Sweep: sessions.sweep,
    StopTicking: sessions.stop_ticking,
}


def apply(snapshot: Snapshot, calls: Sequence[Call], now_ms: int) -> Outcome:
    """What the calls come to, in order, at the time ``now_ms`` (milliseconds since the epoch).

    Raises Missing if the snapshot lacks something; load what it names into a snapshot of the same state and call
    again. For what a client sent it never raises: the code of each Result says how that call went.
    """
    if not has_all(snapshot, calls):
        lacking(snapshot, calls).raise_if_any()
    view = View(snapshot, now_ms)
    results = [_answer(view, call) for call in calls]
    if view.missing:
        raise Missing(view.missing)
    return Outcome(view.zxid, results, view.changes, view.triggers, view.ended, view.moved, view.closing)


def _answer(view: View, call: Call) -> Result:
    mark = view.mark()
    try:
        value = _perform(view, call)
    except ZkError as error:
        view.rollback(mark)
        return Result(error.code, None, view.zxid)
    view.take_zxid(mark)
    return Result(Error.OK, value, view.zxid)


def _perform(view: View, call: Call) -> Any:
    kind = type(call.request)
    if kind in _OF_NONE:
        return _OF_NONE[kind](view, call.request)
    return _OF_A_SESSION[kind](view, _caller(view, call), call.request)


def _caller(view: View, call: Call) -> Session:
    """The session that asks (``SessionTracker.checkSession``): it must exist, and live at that inbox."""
    session = view.session(call.session)
    if session is None:
        raise ZkError(Error.SESSION_EXPIRED)
    if session.inbox != call.inbox:
        raise ZkError(Error.SESSION_MOVED)
    return session
