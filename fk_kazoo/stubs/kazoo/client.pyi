import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from re import Pattern
from types import TracebackType
from typing import Any, Final, Literal, TypeVar, overload

from kazoo._client_names import *
from kazoo.exceptions import ZookeeperError
from kazoo.interfaces import IAsyncResult, IHandler
from kazoo.protocol.states import KazooState, WatchedEvent, ZnodeStat, _KeeperState, _State
from kazoo.recipe import barrier, counter, election, lease, lock, partitioner, party, queue, watchers
from kazoo.retry import KazooRetry
from kazoo.security import ACL
from typing_extensions import ParamSpec, TypeAlias

_P = ParamSpec("_P")
_S = TypeVar("_S")
_T = TypeVar("_T")
_Acls: TypeAlias = list[ACL] | tuple[ACL, ...]
_Watch: TypeAlias = Callable[[WatchedEvent], object]
_Listener: TypeAlias = Callable[[_State], object] | Callable[[KazooState], object]
"""kazoo calls what it gives a KazooState, and gives one of its texts."""
_Done: TypeAlias = Literal[True]
_Outcome: TypeAlias = str | bool | ZnodeStat | ZookeeperError
"""Of one operation of a transaction: a path (create), True (delete, check), a ZnodeStat (set_data), or an error."""

CLOSED_STATES: tuple[_KeeperState, ...]
ENVI_VERSION: Pattern[str]
ENVI_VERSION_KEY: Final = "zookeeper.version"
log: logging.Logger

class KazooClient:
    """A client of ZooKeeper. Methods ``x_async`` do what ``x`` does, and return at once, with an IAsyncResult.

    Every request may raise what `kazoo.exceptions` has: ConnectionLoss if the connection is lost before the answer,
    SessionExpiredError if the session is over, ConnectionClosedError if the client is not started. A ``watch`` is
    called once, with a WatchedEvent, when what was asked about has changed.
    """

    logger: logging.Logger
    handler: IHandler
    auth_data: set[tuple[str, str]]
    default_acl: _Acls | None
    randomize_hosts: bool
    hosts: list[tuple[str, int]]
    chroot: str
    """What every path is below; empty if there is none."""
    state: _State
    """One of `KazooState`."""
    state_listeners: set[_Listener]
    read_only: bool | None
    last_zxid: int
    """The highest zxid that this client was shown."""
    use_ssl: bool
    verify_certs: bool
    check_hostname: bool
    certfile: str | None
    keyfile: str | None
    keyfile_password: str | None
    ca: str | None

    _state: _KeeperState
    _connection: Any
    _conn_retry: KazooRetry
    _retry: KazooRetry
    _live: Any
    _stopped: Any
    _writer_stopped: Any
    _queue: deque[Any]
    _pending: deque[Any]
    _child_watchers: defaultdict[str, set[_Watch]]
    _data_watchers: defaultdict[str, set[_Watch]]
    _session_id: int | None
    _session_passwd: bytes
    _session_timeout: int

    def __init__(
        self,
        hosts: str | list[str] = "127.0.0.1:2181",
        timeout: float = 10.0,
        client_id: tuple[int, bytes] | None = None,
        handler: IHandler | None = None,
        default_acl: _Acls | None = None,
        auth_data: Collection[tuple[str, str]] | None = None,
        sasl_options: dict[str, str] | None = None,
        read_only: bool | None = None,
        randomize_hosts: bool = True,
        connection_retry: KazooRetry | dict[str, Any] | None = None,
        command_retry: KazooRetry | dict[str, Any] | None = None,
        logger: logging.Logger | None = None,
        keyfile: str | None = None,
        keyfile_password: str | None = None,
        certfile: str | None = None,
        ca: str | None = None,
        use_ssl: bool = False,
        verify_certs: bool = True,
        check_hostname: bool = False,
        **kwargs: Any,
    ) -> None:
        """``hosts``: ``host:port,host:port/chroot``. ``timeout``: the session's, in seconds.

        ``client_id``: another client's, to go on with its session. ``default_acl``: for `create` without an ACL.
        ``auth_data``: (scheme, credential) pairs, as `add_auth` takes them. ``connection_retry`` and ``command_retry``:
        for connecting, and for `retry`.
        """
    @property
    def client_state(self) -> _KeeperState:
        """One of `KeeperState`."""
    @property
    def client_id(self) -> tuple[int, bytes] | None:
        """The session's id and password, or None if the client is not connected."""
    @property
    def connected(self) -> bool:
        """Whether it is connected."""
    def set_hosts(self, hosts: str | list[str], randomize_hosts: bool | None = None) -> None:
        """Where to connect to the next time. ConfigurationError if the chroot is another one."""
    def add_listener(self, listener: _Listener) -> None:
        """Has ``listener(state)`` called at each change of `state`, until it returns True."""
    def remove_listener(self, listener: _Listener) -> None:
        """Takes back what `add_listener` was given."""
    def start(self, timeout: float = 15) -> None:
        """Connects. The handler's timeout_exception if that takes longer than ``timeout`` seconds."""
    def start_async(self) -> Any:
        """Begins to connect. An event that is set when it is connected."""
    def stop(self) -> None:
        """Ends the session, and the connection. It may be started again."""
    def restart(self) -> None:
        """Stops and starts: with a new session."""
    def close(self) -> None:
        """Frees what a stopped client still has."""
    def command(self, cmd: bytes = b"ruok") -> str:
        """The answer to one of ZooKeeper's four letter words."""
    def server_version(self, retries: int = 3) -> tuple[int, ...]:
        """ZooKeeper's version, as numbers."""
    def add_auth(self, scheme: str, credential: str) -> bool:
        """Authenticates: ``add_auth("digest", "name:password")``. AuthFailedError if it is refused."""
    def add_auth_async(self, scheme: str, credential: str) -> IAsyncResult[bool]: ...
    def unchroot(self, path: str) -> str:
        """The path without the chroot."""
    def sync(self, path: str) -> str:
        """What was written before is seen by reads after it. The path."""
    def sync_async(self, path: str) -> IAsyncResult[str]: ...
    @overload
    def create(
        self,
        path: str,
        value: bytes | None = b"",
        acl: _Acls | None = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
        include_data: Literal[False] = False,
    ) -> str:
        """Creates a node. Its path, with ``include_data`` its path and its ZnodeStat.

        ``ephemeral``: it is removed when the session is over. ``sequence``: a number is put behind the path.
        ``makepath``: missing parents are created too. NodeExistsError, NoNodeError (no parent),
        NoChildrenForEphemeralsError, NoAuthError.
        """
    @overload
    def create(
        self,
        path: str,
        value: bytes | None = b"",
        acl: _Acls | None = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
        *,
        include_data: Literal[True],
    ) -> tuple[str, ZnodeStat]: ...
    @overload
    def create(
        self,
        path: str,
        value: bytes | None,
        acl: _Acls | None,
        ephemeral: bool,
        sequence: bool,
        makepath: bool,
        include_data: Literal[True],
    ) -> tuple[str, ZnodeStat]: ...
    @overload
    def create_async(
        self,
        path: str,
        value: bytes | None = b"",
        acl: _Acls | None = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
        include_data: Literal[False] = False,
    ) -> IAsyncResult[str]: ...
    @overload
    def create_async(
        self,
        path: str,
        value: bytes | None = b"",
        acl: _Acls | None = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
        *,
        include_data: Literal[True],
    ) -> IAsyncResult[tuple[str, ZnodeStat]]: ...
    @overload
    def create_async(
        self,
        path: str,
        value: bytes | None,
        acl: _Acls | None,
        ephemeral: bool,
        sequence: bool,
        makepath: bool,
        include_data: Literal[True],
    ) -> IAsyncResult[tuple[str, ZnodeStat]]: ...
    def ensure_path(self, path: str, acl: _Acls | None = None) -> str | _Done:
        """Creates what is missing of the path. True if it was there, the path if it was created."""
    def ensure_path_async(self, path: str, acl: _Acls | None = None) -> IAsyncResult[str | _Done]: ...
    def exists(self, path: str, watch: _Watch | None = None) -> ZnodeStat | None:
        """The node's ZnodeStat, or None. The watch hears of its creation, deletion, and data."""
    def exists_async(self, path: str, watch: _Watch | None = None) -> IAsyncResult[ZnodeStat | None]: ...
    def get(self, path: str, watch: _Watch | None = None) -> tuple[bytes, ZnodeStat]:
        """The node's data, and its ZnodeStat. NoNodeError. The watch hears of its data and deletion."""
    def get_async(self, path: str, watch: _Watch | None = None) -> IAsyncResult[tuple[bytes, ZnodeStat]]: ...
    @overload
    def get_children(self, path: str, watch: _Watch | None = None, include_data: Literal[False] = False) -> list[str]:
        """The names of its children, in no order; with ``include_data`` these and the node's own ZnodeStat.

        NoNodeError. The watch hears of children that come or go, and of the node's deletion.
        """
    @overload
    def get_children(
        self, path: str, watch: _Watch | None = None, *, include_data: Literal[True]
    ) -> tuple[list[str], ZnodeStat]: ...
    @overload
    def get_children(
        self, path: str, watch: _Watch | None, include_data: Literal[True]
    ) -> tuple[list[str], ZnodeStat]: ...
    @overload
    def get_children_async(
        self, path: str, watch: _Watch | None = None, include_data: Literal[False] = False
    ) -> IAsyncResult[list[str]]: ...
    @overload
    def get_children_async(
        self, path: str, watch: _Watch | None = None, *, include_data: Literal[True]
    ) -> IAsyncResult[tuple[list[str], ZnodeStat]]: ...
    @overload
    def get_children_async(
        self, path: str, watch: _Watch | None, include_data: Literal[True]
    ) -> IAsyncResult[tuple[list[str], ZnodeStat]]: ...
    def get_acls(self, path: str) -> tuple[list[ACL], ZnodeStat]:
        """The node's ACLs, and its ZnodeStat. NoNodeError."""
    def get_acls_async(self, path: str) -> IAsyncResult[tuple[list[ACL], ZnodeStat]]: ...
    def set_acls(self, path: str, acls: _Acls, version: int = -1) -> ZnodeStat:
        """Sets its ACLs. BadVersionError unless its aversion is ``version`` (-1: any); NoNodeError, InvalidACLError."""
    def set_acls_async(self, path: str, acls: _Acls, version: int = -1) -> IAsyncResult[ZnodeStat]: ...
    def set(self, path: str, value: bytes | None, version: int = -1) -> ZnodeStat:
        """Sets its data. BadVersionError unless its version is ``version`` (-1: any); NoNodeError, NoAuthError."""
    def set_async(self, path: str, value: bytes | None, version: int = -1) -> IAsyncResult[ZnodeStat]: ...
    def transaction(self) -> TransactionRequest:
        """Several writes that are done together or not at all."""
    def delete(self, path: str, version: int = -1, recursive: bool = False) -> bool | None:
        """Deletes a node; ``recursive``: with all below it, one after the other, and without an error if it is missing.

        BadVersionError unless its version is ``version`` (-1: any); NoNodeError, NotEmptyError.
        """
    def delete_async(self, path: str, version: int = -1) -> IAsyncResult[bool]: ...
    def reconfig(
        self, joining: str | None, leaving: str | None, new_members: str | None, from_config: int = -1
    ) -> tuple[bytes, ZnodeStat]:
        """Changes which servers there are."""
    def reconfig_async(
        self, joining: str | None, leaving: str | None, new_members: str | None, from_config: int
    ) -> IAsyncResult[tuple[bytes, ZnodeStat]]: ...

    # Made for each client: attributes that are called. tests/types compares their parameters with the classes'.

    def retry(self, func: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Calls the function, again while the connection is lost; see ``command_retry`` and `KazooRetry`."""
    def Barrier(self, path: str) -> barrier.Barrier:
        """Nobody passes its ``wait`` until somebody removes it."""
    def ChildrenWatch(
        self,
        path: str,
        func: watchers._OnChildren | None = None,
        allow_session_lost: bool = True,
        send_event: bool = False,
    ) -> watchers.ChildrenWatch:
        """Has ``func(children)`` called with the names of a node's children: at once, and after each change."""
    @overload
    def Counter(self, path: str, default: int = 0, support_curator: bool = False) -> counter.Counter[int]:
        """A number that everybody may change at the same time."""
    @overload
    def Counter(self, path: str, default: float, support_curator: bool = False) -> counter.Counter[float]: ...
    def DataWatch(
        self, path: str, func: watchers._OnData | None = None, *args: object, **kwargs: object
    ) -> watchers.DataWatch:
        """Has ``func(data, stat)`` called with a node's data: at once, and after each change."""
    def DoubleBarrier(self, path: str, num_clients: int, identifier: str | None = None) -> barrier.DoubleBarrier:
        """So many begin together, and end together."""
    def Election(self, path: str, identifier: str | None = None) -> election.Election:
        """One leads at a time."""
    def Lock(self, path: str, identifier: str | None = None, extra_lock_patterns: Iterable[str] = ()) -> lock.Lock:
        """A lock that one client has at a time."""
    def LockingQueue(self, path: str) -> queue.LockingQueue:
        """A queue whose entries come back if whoever took them fails."""
    def MultiNonBlockingLease(
        self,
        count: int,
        path: str,
        duration: timedelta,
        identifier: str | None = None,
        utcnow: Callable[[], datetime] = ...,
    ) -> lease.MultiNonBlockingLease:
        """Leases of which ``count`` are had at a time; tried once."""
    def NonBlockingLease(
        self,
        path: str,
        duration: timedelta,
        identifier: str | None = None,
        utcnow: Callable[[], datetime] = ...,
    ) -> lease.NonBlockingLease:
        """A lease that lasts ``duration``; tried once."""
    def Party(self, path: str, identifier: str | None = None) -> party.Party:
        """Who is there."""
    def Queue(self, path: str) -> queue.Queue:
        """A queue."""
    def ReadLock(
        self, path: str, identifier: str | None = None, extra_lock_patterns: Iterable[str] = ()
    ) -> lock.ReadLock:
        """A lock that others may have for reading at the same time."""
    def Semaphore(self, path: str, identifier: str | None = None, max_leases: int = 1) -> lock.Semaphore:
        """Leases of which ``max_leases`` are had at a time."""
    def SetPartitioner(
        self,
        path: str,
        set: Iterable[_S],
        partition_func: Callable[[str, list[str], Iterable[_S]], list[_S]] | None = None,
        identifier: str | None = None,
        time_boundary: float = 30,
        max_reaction_time: float = 1,
        state_change_event: Any = None,
    ) -> partitioner.SetPartitioner[_S]:
        """Divides a set among whoever takes part."""
    def ShallowParty(self, path: str, identifier: str | None = None) -> party.ShallowParty:
        """Who is there, by the nodes' names."""
    def WriteLock(
        self, path: str, identifier: str | None = None, extra_lock_patterns: Iterable[str] = ()
    ) -> lock.WriteLock:
        """A lock that nobody else has at the same time, neither for writing nor for reading."""

    def _call(self, request: Any, async_object: Any) -> Any: ...
    def _make_state_change(self, state: Any) -> None: ...
    def _notify_pending(self, state: Any) -> None: ...
    def _reset(self) -> None: ...
    def _reset_session(self) -> None: ...
    def _reset_watchers(self) -> None: ...
    def _safe_close(self) -> None: ...
    def _session_callback(self, state: Any) -> None: ...

class TransactionRequest:
    """Several writes that are done together or not at all. As ``with``: committed at its end, unless that raises.

    What failed is only in the results of `commit`: it raises no error for them.
    """

    client: KazooClient
    operations: list[Any]
    committed: bool

    def __init__(self, client: KazooClient) -> None: ...
    def create(
        self,
        path: str,
        value: bytes = b"",
        acl: _Acls | None = None,
        ephemeral: bool = False,
        sequence: bool = False,
    ) -> None: ...
    def delete(self, path: str, version: int = -1) -> None: ...
    def set_data(self, path: str, value: bytes, version: int = -1) -> None: ...
    def check(self, path: str, version: int) -> None:
        """The transaction fails unless the node's version is this one."""
    def commit(self) -> list[_Outcome]:
        """One result for each operation, in order: a path, True, a ZnodeStat, or an error. Once only."""
    def commit_async(self) -> IAsyncResult[list[_Outcome]]: ...
    def __enter__(self) -> TransactionRequest: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, exc_tb: TracebackType | None
    ) -> None: ...
