"""Why a client's state is what it is: ``client.why``. kazoo's states say that it is, and not why."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, Optional

from kazoo.protocol.states import KeeperState

from fk_backend.session.engine import OUT_OF_TOUCH

STILL_S = 1.0
"""Who slept so much longer than it wanted was not running."""
RECENT_S = 2.0
"""A connection that breaks so soon after that broke by it."""


class Reason:
    """The values of ``client.why.reason``."""

    CONNECTED = "connected"
    READ_ONLY = "read only"
    """Connected, while the deployment takes no writes (the client was made with ``read_only``)."""
    NOT_STARTED = "not started"
    CONNECTING = "connecting"
    """For the first time, and nothing has failed yet."""
    DISCONNECTED = "disconnected"
    """The connection broke; it is about to connect again."""
    UNREACHABLE = "unreachable"
    """The deployment does not answer."""
    PAUSED = "paused"
    """This process stood still, for so long that others may have what the session held."""
    EXPIRED = "expired"
    """The session ended while the client was out of touch, or somebody ended it."""
    AUTH_FAILED = "auth failed"
    CLOSED = "closed"
    """`stop` was called."""
    FORKED = "forked"
    """This is a child process: the session is the parent's, and `start` opens one of its own."""
    FILES_CLOSED = "files closed"
    """Somebody else in this process closed the files of the connection, as daemons do when they start."""


class Why(NamedTuple):
    """Why a client is in its state. ``reason``: one of `Reason`. ``detail``: a sentence for a log."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return "%s: %s" % self


FORKED = Why(Reason.FORKED, "this is a forked process, which has no session until start() is called")
FILES_CLOSED = Why(Reason.FILES_CLOSED, "somebody else in this process closed the connection's files")
_NOT_STARTED = Why(Reason.NOT_STARTED, "start() was not called")
_CLOSED = Why(Reason.CLOSED, "stop() was called")
_CONNECTING = Why(Reason.CONNECTING, "it has never been connected yet")


def of(client: Any) -> Why:
    """What is so now."""
    state, parted = client._state, client._parted
    if state in (KeeperState.CONNECTED, KeeperState.CONNECTED_RO):
        reason = Reason.CONNECTED if state == KeeperState.CONNECTED else Reason.READ_ONLY
        return Why(reason, "session 0x%x of %s" % (client._session_id or 0, client.deployment))
    failure = client._failure
    if failure is None:
        return parted or _NOT_STARTED
    told = "can't connect to %s: %s" % (client.deployment, failure)
    if parted is None or parted.reason in (Reason.CONNECTING, Reason.DISCONNECTED):
        return Why(Reason.UNREACHABLE, told)
    return Why(parted.reason, "%s; %s" % (parted.detail, told))


def parting(client: Any, state: Any) -> Optional[Why]:
    """Why the client is about to get into ``state``, which is none in which it is connected."""
    before = client._state
    if state == KeeperState.CONNECTING:
        if before == KeeperState.CLOSED:
            return _CONNECTING
        return client._parted if before == KeeperState.EXPIRED_SESSION else _lost(client)
    if state == KeeperState.EXPIRED_SESSION:
        parted = client._parted
        paused = ", and " + parted.detail if parted is not None and parted.reason == Reason.PAUSED else ""
        return Why(Reason.EXPIRED, "the session 0x%x is over%s" % (client._session_id or 0, paused))
    if state == KeeperState.AUTH_FAILED:
        return Why(Reason.AUTH_FAILED, "the credentials were refused")
    return _CLOSED


def _lost(client: Any) -> Why:
    still_s, since = client._stood_still()
    if still_s and time.monotonic() - since < RECENT_S:
        return Why(Reason.PAUSED, "this process stood still for %.0f s" % still_s)
    told = client._broken_by()
    reason = Reason.UNREACHABLE if told == OUT_OF_TOUCH else Reason.DISCONNECTED
    return Why(reason, told or "the connection broke")
