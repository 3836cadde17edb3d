"""The values of the tree: nodes, ACLs, sessions, triggers, error codes. All are immutable, and none does anything.

Field meanings are ZooKeeper's ("ZooKeeper Stat Structure", Programmer's Guide). Times are in
milliseconds since the epoch, sizes in bytes, zxids and session ids are int64.
"""

from __future__ import annotations

from typing import Iterable, List, NamedTuple, Optional, Tuple, Union

OPEN = -1
"""The version that matches every version."""

CONTAINER_OWNER = -(1 << 63)
"""``Node.owner`` of a container, as ZooKeeper stores it. A Stat shows 0 for it (see stats.py)."""

TTL_OWNER_MASK = 0xFF00000000000000
"""High byte of ``Node.owner`` of a TTL node; the low 40 bits hold the TTL in milliseconds. A Stat shows 0 for it."""

MAX_TTL_MS = 0x00FFFFFFFFFF
"""The longest TTL that ZooKeeper's extended ephemeral types can carry (EphemeralType.TTL)."""


class Perms:
    """Permission bits of an ACL entry (``ZooDefs.Perms``)."""

    READ = 1
    WRITE = 2
    CREATE = 4
    DELETE = 8
    ADMIN = 16
    ALL = 31


class Id(NamedTuple):
    """An identity: ``("digest", "user:base64hash")``, ``("ip", "127.0.0.1")``, ``("super", "")``."""

    scheme: str
    id: str


class Acl(NamedTuple):
    """One entry of an access control list: permission bits for an identity."""

    perms: int
    scheme: str
    id: str


Acls = Tuple[Acl, ...]


class Blob:
    """Data that are kept elsewhere, under ``key``. Immutable; ``len`` is theirs."""

    __slots__ = ("key", "size")

    def __init__(self, key: str, size: int) -> None:
        self.key = key
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blob) and (self.key, self.size) == (other.key, other.size)

    def __hash__(self) -> int:
        return hash((self.key, self.size))

    def __repr__(self) -> str:
        return "Blob(%r, %d)" % (self.key, self.size)


Data = Union[bytes, Blob, None]


def plain(fields: Iterable[object]) -> List[object]:
    """As they are kept or sent, where only plain values can be: what stands for a blob in its place."""
    return [[field.key, field.size] if type(field) is Blob else field for field in fields]


class Node(NamedTuple):
    """What a node holds, except what its children change (that is :class:`Family`)."""

    czxid: int
    mzxid: int
    ctime_ms: int
    mtime_ms: int
    version: int
    aversion: int
    owner: int
    """0, the session id of an ephemeral's owner, CONTAINER_OWNER, or a TTL (see owners.py)."""
    acl: Acls
    data: Data


class Family(NamedTuple):
    """What a node's children change: kept apart, so that a create never rewrites its parent's data.

    ZooKeeper's server counts creates only (``creates``, which also numbers sequential nodes) and
    shows ``cversion = 2 * creates - count``: creates plus deletes (``DataNode.copyStat``).
    """

    creates: int
    pzxid: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody wants of a Family


class Stat(NamedTuple):
    """ZooKeeper's Stat, in the order in which kazoo's ``ZnodeStat`` has its fields."""

    czxid: int
    mzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    ephemeralOwner: int  # noqa: N815 (ZooKeeper's own name)
    dataLength: int  # noqa: N815
    numChildren: int  # noqa: N815
    pzxid: int


class Session(NamedTuple):
    """A session as the functions know it.

    ``inbox`` names the one connection that may write for it now; messages from any other are
    fenced. ``password_hash`` is the SHA-256 digest of the 16-byte password.
    """

    id: int
    password_hash: bytes
    timeout_ms: int
    identities: Tuple[Id, ...]
    inbox: str


class EventType:
    """Kinds of change that a watch can see (``Watcher.Event.EventType``)."""

    CREATED = 1
    DELETED = 2
    CHANGED = 3
    CHILD = 4


class Trigger(NamedTuple):
    """One change that watches may wait for: at ``zxid``, ``kind`` happened to ``path``.

    ``readers``: who might read the node then, as `acls.readers` tells it; None is everybody. Nobody else is told.
    """

    zxid: int
    path: str
    kind: int
    readers: Optional[Tuple[str, ...]] = None


class Error:
    """Error codes of the protocol (``KeeperException.Code``); 0 is success."""

    OK = 0
    SYSTEM = -1
    RUNTIME_INCONSISTENCY = -2
    UNIMPLEMENTED = -6
    MARSHALLING = -5
    OPERATION_TIMEOUT = -7
    BAD_ARGUMENTS = -8
    NO_NODE = -101
    NO_AUTH = -102
    BAD_VERSION = -103
    NO_CHILDREN_FOR_EPHEMERALS = -108
    NODE_EXISTS = -110
    NOT_EMPTY = -111
    SESSION_EXPIRED = -112
    INVALID_ACL = -114
    AUTH_FAILED = -115
    SESSION_MOVED = -118
    NOT_READ_ONLY = -119
    NO_WATCHER = -121
    STORAGE_FULL = -1001
    """Ours: the deployment could not store the change; definite, nothing was changed."""
    TOO_LARGE = -1002
    """Ours: the request is over the size limit; definite, nothing was changed."""
    DEAD_LETTERED = -1003
    """Ours: the functions failed on this request repeatedly and set it aside; the outcome is unknown."""
    PATH_TOO_LONG = -1004
    """Ours: the store has no key that is so long; definite, nothing was changed."""
    TRANSACTION_TOO_LARGE = -1005
    """Ours: the store commits less than that at once; definite, nothing was changed."""
