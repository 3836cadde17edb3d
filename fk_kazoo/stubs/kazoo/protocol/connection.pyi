"""The connection. An app needs it for a ``ConnectionHandler`` of its own only; what is underscored may change."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

from kazoo.client import KazooClient
from kazoo.interfaces import IHandler
from kazoo.protocol.serialization import ReplyHeader
from kazoo.retry import KazooRetry

PURESASL_AVAILABLE: bool
log: logging.Logger
STOP_CONNECTING: object
CREATED_EVENT: Final = 1
DELETED_EVENT: Final = 2
CHANGED_EVENT: Final = 3
CHILD_EVENT: Final = 4
WATCH_XID: Final = -1
PING_XID: Final = -2
AUTH_XID: Final = -4
CLOSE_RESPONSE: int
_SESSION_EXPIRED: object
_CONNECTION_DROP: object

def buffer(obj: Any, offset: int = 0) -> memoryview: ...

class RWPinger:
    """Looks for a server that takes writes."""

    def __init__(self, hosts: Any, connection_func: Callable[..., Any], socket_handling: Callable[[], Any]) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...

class RWServerAvailable(Exception):
    """There is a server that takes writes."""

class ConnectionHandler:
    """A client's connection, and the thread or greenlet that reads from it."""

    client: KazooClient
    handler: IHandler
    retry_sleeper: KazooRetry
    logger: logging.Logger
    connection_closed: Any
    connection_stopped: Any
    ping_outstanding: Any
    sasl_options: dict[str, str] | None
    sasl_cli: Any
    _read_sock: Any
    _write_sock: Any
    _socket: Any
    _xid: int | None
    _rw_server: Any
    _ro_mode: Any
    _connection_routine: Any

    def __init__(
        self,
        client: KazooClient,
        retry_sleeper: KazooRetry,
        logger: logging.Logger | None = None,
        sasl_options: dict[str, str] | None = None,
    ) -> None: ...
    def start(self) -> None: ...
    def stop(self, timeout: float | None = None) -> bool: ...
    def close(self) -> None: ...
    def zk_loop(self) -> None: ...
    def _socket_error_handling(self) -> AbstractContextManager[None]: ...
    def _server_pinger(self) -> RWPinger: ...
    def _read_header(self, timeout: Any) -> tuple[ReplyHeader, bytes, int]: ...
    def _read(self, length: int, timeout: Any) -> bytes: ...
    def _invoke(self, timeout: Any, request: Any, xid: int | None = None) -> Any: ...
    def _submit(self, request: Any, timeout: Any, xid: int | None = None) -> None: ...
    def _write(self, msg: bytes, timeout: Any) -> None: ...
    def _read_watch_event(self, buffer: bytes, offset: int) -> None: ...
    def _read_response(self, header: ReplyHeader, buffer: bytes, offset: int) -> Any: ...
    def _read_socket(self, read_timeout: float) -> Any: ...
    def _send_request(self, read_timeout: float, connect_timeout: float) -> None: ...
    def _send_ping(self, connect_timeout: float) -> None: ...
    def _expand_client_hosts(self) -> list[tuple[str, str, int]]: ...
    def _connect_loop(self, retry: KazooRetry) -> Any: ...
    def _connect_attempt(self, host: str, hostip: str, port: int, retry: KazooRetry) -> Any: ...
    def _connect(self, host: str, hostip: str, port: int) -> tuple[float, float]: ...
    def _authenticate_with_sasl(self, host: str, timeout: float) -> None: ...
