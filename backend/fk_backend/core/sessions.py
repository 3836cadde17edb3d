"""Requests about sessions and what ends by itself: open, attach, authenticate, close, expire, reap.

Rule: a session is in one place at a time, and when it ends, so do its ephemerals, under the same zxid.

Each takes the view and the request (Auth and Close: the session that asks, too), returns the value of its Result,
and raises ZkError.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Tuple, Union

from . import acls, owners, tree
from .errors import ZkError
from .model import Error, Family, Id, Node, Session
from .overlay import View
from .paths import parent
from .requests import Attach, Auth, Close, Expire, Open, Reap, StopTicking, Sweep, WatchSubtrees
from .snapshot import Ended

MIN_TIMEOUT_MS = 1_000
MAX_TIMEOUT_MS = 3_600_000

Opened = Tuple[int, int, Tuple[Id, ...]]
"""(session id, timeout_ms, identities)"""


def open_session(view: View, request: Open) -> Opened:
    """A new session, named by the namespace and the zxid of its opening, so that no id is ever given twice."""
    session = Session(
        id=view.snapshot.namespace_id << 40 | view.next_zxid,
        password_hash=request.password_hash,
        timeout_ms=max(MIN_TIMEOUT_MS, min(request.timeout_ms, MAX_TIMEOUT_MS)),
        identities=_of_connection(request),
        inbox=request.inbox,
    )
    view.put_session(session.id, session)
    return session.id, session.timeout_ms, session.identities


def attach(view: View, request: Attach) -> Opened:
    """The session moves to a new inbox. Its identities begin anew, as on a new connection (``ServerCnxn.authInfo``).

    SESSION_EXPIRED if there is no such session or the password is wrong.
    """
    session = view.session(request.session)
    given = hashlib.sha256(request.password).digest()
    if session is None or not hmac.compare_digest(given, session.password_hash):
        raise ZkError(Error.SESSION_EXPIRED)
    if session.inbox != request.inbox:
        view.moved.append(session.inbox)
    moved = session._replace(inbox=request.inbox, identities=_of_connection(request))
    view.put_session(session.id, moved)
    return moved.id, moved.timeout_ms, moved.identities


def _of_connection(request: Union[Open, Attach]) -> Tuple[Id, ...]:
    known = (("ip", request.address), ("x509", request.subject))
    return tuple(Id(scheme, name) for scheme, name in known if name is not None)


def auth(view: View, session: Session, request: Auth) -> Tuple[Id, ...]:
    """Add what the credential proves. What the session has already changes nothing and takes no zxid."""
    proved = acls.authenticate(request.scheme, request.credential, view.snapshot.super_id, session.identities)
    if proved is None:
        raise ZkError(Error.AUTH_FAILED)
    identities = tuple(dict.fromkeys(session.identities + proved))
    if identities != session.identities:
        view.put_session(session.id, session._replace(identities=identities))
    return proved


def close(view: View, session: Session, request: Close) -> None:
    """The session ends because its client says so."""
    _end(view, session, expired=False)


def expire(view: View, request: Expire) -> bool:
    """The session ends unless its client gave a sign since it was judged. True if it did end."""
    session = view.session(request.session)
    if session is None or view.snapshot.beats[session.id] != request.beats:
        return False
    _end(view, session, expired=True)
    return True


def _end(view: View, session: Session, expired: bool) -> None:
    """``DataTree.killSession``: nobody is asked for permission. A path that is no longer the session's is left."""
    _remove_ephemerals(view, session.id)
    view.put_session(session.id, None)
    view.ended.append(Ended(session.id, session.inbox, expired))


def _remove_ephemerals(view: View, session: int) -> None:
    """As many as fit; the session is noted if some are left."""
    owned = view.ephemerals(session)
    most = view.snapshot.removals_per_commit
    for path in owned[:most]:
        view.find(parent(path))  # asked for along with the node, so that the next load is the last
        found = view.find(path)
        if found is not None and found[0].owner == session:
            tree.remove(view, path, found[0])
        view.put_ephemeral(session, path, False)
    if len(owned) > most:
        view.closing.append(session)


def sweep(view: View, request: Sweep) -> None:
    """More of the ephemerals of a session that is over."""
    _remove_ephemerals(view, request.session)


def stop_ticking(view: View, request: StopTicking) -> None:
    """The heartbeat rests, unless something came since it looked."""
    if 0 < view.snapshot.ticking <= request.zxid and not view.changes.needs_heartbeat():
        view.stop_ticking()


def watch_subtrees(view: View, session: Session, request: WatchSubtrees) -> None:
    """Notes that whole subtrees are watched, once for the namespace."""
    if not view.snapshot.subtrees and not view.changes.subtrees:
        view.watch_subtrees()


def reap(view: View, request: Reap) -> bool:
    """Delete a container that was used and is empty, or a childless node past its TTL. True if it was deleted.

    As ``ContainerManager.getCandidates`` and, for the check at the last moment, deleteContainer in ``pRequest2Txn``.
    """
    found = view.find(request.path)
    if found is None or found[1].count or not _is_due(request.at_ms, *found):
        return False
    tree.remove(view, request.path, found[0])
    return True


def _is_due(at_ms: int, node: Node, family: Family) -> bool:
    ttl_ms = owners.ttl_ms(node.owner)
    if ttl_ms is not None:
        return at_ms - node.mtime_ms > ttl_ms
    # A container that never had a child is only about to be used.
    return owners.is_container(node.owner) and family.creates > 0
