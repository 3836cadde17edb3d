from collections.abc import Iterable
from types import TracebackType
from typing import Any

from kazoo.client import KazooClient
from kazoo.retry import KazooRetry

class Lock:
    """A lock that one client has at a time, in the order in which they came. Held as long as its session lives.

    Not for one thread to take twice: that waits for itself. ``with`` gives nothing (``as`` would be None).
    """

    client: KazooClient
    path: str
    data: bytes
    node: str | None
    wake_event: Any
    prefix: str
    create_path: str
    create_tried: bool
    is_acquired: bool
    """Whether this object got the lock and has not released it. Not whether the session still lives."""
    assured_path: bool
    cancelled: bool
    _NODE_NAME: str
    _EXCLUDE_NAMES: list[str]
    _exclude_names: set[str]
    _retry: KazooRetry

    def __init__(
        self, client: KazooClient, path: str, identifier: str | None = None, extra_lock_patterns: Iterable[str] = ()
    ) -> None:
        """``identifier``: what other contenders see of this one. ``extra_lock_patterns``: names of further locks' nodes
        that count as contenders."""
    def cancel(self) -> None:
        """Has whoever waits in `acquire` get CancelledError."""
    def acquire(self, blocking: bool = True, timeout: float | None = None, ephemeral: bool = True) -> bool:
        """Whether the lock is had. Waits for it, unless ``blocking`` is False.

        LockTimeout after ``timeout`` seconds. ``ephemeral=False``: it stays locked when the session is over.
        """
    def release(self) -> bool:
        """Gives the lock back. Whether it was had."""
    def contenders(self) -> list[str]:
        """The identifiers of who has the lock and of who waits for it, in order."""
    def _inner_acquire(self, blocking: bool, timeout: float | None, ephemeral: bool = True) -> bool: ...
    def _inner_release(self) -> bool: ...
    def _delete_node(self, node: str) -> None: ...
    def _best_effort_cleanup(self) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

class WriteLock(Lock):
    """A lock that nobody else has at the same time, neither for writing nor for reading."""

class ReadLock(Lock):
    """A lock that others may have for reading at the same time, and nobody for writing."""

class Semaphore:
    """Leases of which at most ``max_leases`` are had at a time. ``with`` gives nothing (``as`` would be None)."""

    client: KazooClient
    path: str
    data: bytes
    max_leases: int
    wake_event: Any
    create_path: str
    lock_path: str
    is_acquired: bool
    assured_path: bool
    cancelled: bool

    def __init__(self, client: KazooClient, path: str, identifier: str | None = None, max_leases: int = 1) -> None:
        """``max_leases`` has to be the same for everybody, else `acquire` raises ValueError."""
    def cancel(self) -> None:
        """Has whoever waits in `acquire` get CancelledError."""
    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Whether a lease is had. Waits for one, if ``blocking``. LockTimeout after ``timeout`` seconds."""
    def release(self) -> bool:
        """Gives the lease back. Whether it was had."""
    def lease_holders(self) -> list[str]:
        """The identifiers of who has a lease, in no order."""
    def _inner_acquire(self, blocking: bool, timeout: float | None = None) -> bool: ...
    def _inner_release(self) -> bool: ...
    def _best_effort_cleanup(self) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
