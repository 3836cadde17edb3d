from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from typing_extensions import TypeAlias

_State: TypeAlias = Literal["SUSPENDED", "CONNECTED", "LOST"]
_KeeperState: TypeAlias = Literal["AUTH_FAILED", "CONNECTED", "CONNECTED_RO", "CONNECTING", "CLOSED", "EXPIRED_SESSION"]
_EventType: TypeAlias = Literal["CREATED", "DELETED", "CHANGED", "CHILD", "NONE"]

class KazooState:
    """What a state listener is told. The values are strings."""

    SUSPENDED: Final = "SUSPENDED"
    """Out of touch: the session may be over. Whoever holds a lock stops."""
    CONNECTED: Final = "CONNECTED"
    """Connected, to the session of before if nothing was lost."""
    LOST: Final = "LOST"
    """The session is over, and its ephemeral nodes and watches with it."""

class KeeperState:
    """How the connection is, in ZooKeeper's words. The values are strings."""

    AUTH_FAILED: Final = "AUTH_FAILED"
    CONNECTED: Final = "CONNECTED"
    CONNECTED_RO: Final = "CONNECTED_RO"
    CONNECTING: Final = "CONNECTING"
    CLOSED: Final = "CLOSED"
    EXPIRED_SESSION: Final = "EXPIRED_SESSION"

class EventType:
    """What a watch function is told of. The values are strings."""

    CREATED: Final = "CREATED"
    """The node was created."""
    DELETED: Final = "DELETED"
    """The node was deleted."""
    CHANGED: Final = "CHANGED"
    """The node's data were set."""
    CHILD: Final = "CHILD"
    """A child came or went."""
    NONE: Final = "NONE"
    """Nothing happened to the node: the connection's state changed, and the watch is gone."""

EVENT_TYPE_MAP: dict[int, _EventType]

class WatchedEvent(NamedTuple):
    """What a watch function is called with."""

    type: _EventType
    """One of `EventType`."""
    state: _KeeperState
    """One of `KeeperState`."""
    path: str | None
    """The node's path, or None where the type is NONE."""

class Callback(NamedTuple):
    """What a handler is to call."""

    type: str
    func: Callable[..., object]
    args: tuple[Any, ...]

class ZnodeStat(NamedTuple):
    """A node's numbers, as ZooKeeper has them. Times are in milliseconds since 1970."""

    czxid: int
    """The zxid of the write that created it."""
    mzxid: int
    """The zxid of the write that set its data last."""
    ctime: int
    mtime: int
    version: int
    """How often its data were set."""
    cversion: int
    """How often children came or went."""
    aversion: int
    """How often its ACL was set."""
    ephemeralOwner: int
    """The id of the session it belongs to, or 0."""
    dataLength: int
    numChildren: int
    pzxid: int
    """The zxid of the write that created or deleted a child last."""

    @property
    def acl_version(self) -> int: ...
    @property
    def children_version(self) -> int: ...
    @property
    def created(self) -> float:
        """In seconds since 1970."""
    @property
    def last_modified(self) -> float:
        """In seconds since 1970."""
    @property
    def owner_session_id(self) -> int | None:
        """The id of the session it belongs to, or None if it is not ephemeral."""
    @property
    def creation_transaction_id(self) -> int: ...
    @property
    def last_modified_transaction_id(self) -> int: ...
    @property
    def data_length(self) -> int: ...
    @property
    def children_count(self) -> int: ...
