"""What a session can ask the writer for. Reads are not here: they go straight to the store.

Every request is answered by a :class:`Result`. The core never raises for what a client sent;
it answers with a code.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple, Union

from .model import Acls, Data


class Flags:
    """Create modes (``CreateMode``)."""

    PERSISTENT = 0
    EPHEMERAL = 1
    SEQUENTIAL = 2
    EPHEMERAL_SEQUENTIAL = 3
    CONTAINER = 4
    TTL = 5
    TTL_SEQUENTIAL = 6


class Create(NamedTuple):
    """Answered by the path, or by (path, Stat) if ``with_stat`` (create2)."""

    path: str
    data: Data
    acl: Acls
    flags: int
    ttl_ms: int
    with_stat: bool


class Delete(NamedTuple):
    """Answered by None."""

    path: str
    version: int


class SetData(NamedTuple):
    """Answered by Stat."""

    path: str
    data: Data
    version: int


class SetAcl(NamedTuple):
    """Answered by Stat. ``version`` is compared with the ACL version."""

    path: str
    acl: Acls
    version: int


class Check(NamedTuple):
    """Only inside Multi. Answered by None."""

    path: str
    version: int


Op = Union[Create, Delete, SetData, SetAcl, Check]


class Multi(NamedTuple):
    """All or nothing, under one zxid. Answered by a tuple of Results, one for each op.

    If one fails: those before it carry Error.OK with value None (kazoo shows RolledBackError), it carries its own
    code, those after it RUNTIME_INCONSISTENCY; the Multi's own code is still OK, as ZooKeeper's reply header's is.
    """

    ops: Tuple[Op, ...]


class Auth(NamedTuple):
    """Adds what the credential proves to the session. Answered by a tuple of Ids, or AUTH_FAILED."""

    scheme: str
    credential: str


class Open(NamedTuple):
    """A new session. Answered by (session id, timeout_ms, identities)."""

    password_hash: bytes
    timeout_ms: int
    inbox: str
    address: Optional[str]
    """The client's IP address where the transport knows it: its ``ip`` identity."""
    subject: Optional[str] = None
    """Of the certificate that the client has shown: its ``x509`` identity."""


class Attach(NamedTuple):
    """An existing session moves to a new inbox. Answered as Open is; SESSION_EXPIRED if there is no such
    session or the password is wrong (ZooKeeper does not tell the two apart)."""

    session: int
    password: bytes
    inbox: str
    address: Optional[str]
    subject: Optional[str] = None


class Close(NamedTuple):
    """Ends the session: its ephemerals are deleted. Answered by None."""


class Expire(NamedTuple):
    """From the heartbeat only: ends ``session`` unless its beat counter moved on from ``beats``."""

    session: int
    beats: int


class Reap(NamedTuple):
    """From the heartbeat only: deletes an empty container, or a childless node whose TTL had passed at ``at_ms``.

    The heartbeat's time, not the writer's: a batch that comes again must come to the same.
    """

    path: str
    at_ms: int


class Sweep(NamedTuple):
    """From the writer only: deletes ephemerals that a session left which ended with too many of them for one commit."""

    session: int


class StopTicking(NamedTuple):
    """From the heartbeat only: there was nothing to look after when it looked, which was after ``zxid``."""

    zxid: int


class WatchSubtrees(NamedTuple):
    """From now on the writer looks for watches on whole subtrees. Before the first such watch. Answered by None."""


DIRECT = (Create, Delete, SetData, SetAcl, Multi)
"""What changes the tree alone, and neither who the session is nor whether it goes on."""
INVOKED = (*DIRECT, Auth, Open, Attach, Close, WatchSubtrees)
"""What a session can ask for at all: where a writer that is invoked does all of it."""
Request = Union[Op, Multi, Auth, Open, Attach, Close, Expire, Reap, Sweep, StopTicking, WatchSubtrees]


class Call(NamedTuple):
    """A request with what the writer knows of who asks.

    ``session`` is 0 for those that are of no session. ``inbox`` must be the session's own, or the call is
    answered with SESSION_MOVED; a session that does not exist is SESSION_EXPIRED.
    """

    session: int
    inbox: str
    request: Request


class Result(NamedTuple):
    """``code`` is an Error; ``value`` as the request says; ``zxid`` of the state it was judged by.

    For a success that changed something, ``zxid`` is the change's own.
    """

    code: int
    value: Any
    zxid: int
