from collections.abc import Callable
from datetime import datetime, timedelta

from kazoo.client import KazooClient

class NonBlockingLease:
    """Tried once, when it is made: true if it is had. It lasts ``duration``, whether its session lives or not."""

    obtained: bool

    def __init__(
        self,
        client: KazooClient,
        path: str,
        duration: timedelta,
        identifier: str | None = None,
        utcnow: Callable[[], datetime] = ...,
    ) -> None:
        """``identifier``: who it is for, who may have it again before it ends; the host's name if there is none.
        ``utcnow``: the clock, which is to be the same for everybody."""
    def __nonzero__(self) -> bool: ...
    def __bool__(self) -> bool: ...

class MultiNonBlockingLease:
    """As `NonBlockingLease`, for ``count`` at a time."""

    obtained: bool

    def __init__(
        self,
        client: KazooClient,
        count: int,
        path: str,
        duration: timedelta,
        identifier: str | None = None,
        utcnow: Callable[[], datetime] = ...,
    ) -> None: ...
    def __nonzero__(self) -> bool: ...
    def __bool__(self) -> bool: ...
