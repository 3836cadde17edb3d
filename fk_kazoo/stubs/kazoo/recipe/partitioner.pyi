import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Generic, Literal, TypeVar

from kazoo.client import KazooClient
from typing_extensions import TypeAlias

_T = TypeVar("_T")
_PartitionState: TypeAlias = Literal["ALLOCATING", "ACQUIRED", "RELEASE", "FAILURE"]

log: logging.Logger

class PartitionState:
    """Where a `SetPartitioner` is. The values are strings."""

    ALLOCATING: Final = "ALLOCATING"
    """It is being decided who gets what: wait, with `wait_for_acquire`."""
    ACQUIRED: Final = "ACQUIRED"
    """The items are this one's: work on them."""
    RELEASE: Final = "RELEASE"
    """Somebody came or went: stop, and call `release_set`."""
    FAILURE: Final = "FAILURE"
    """It is over, and this object of no more use."""

class SetPartitioner(Generic[_T]):
    """Divides a set among whoever takes part, so that each item is one's at a time. Iterates over this one's items."""

    state: _PartitionState
    """One of `PartitionState`."""
    state_id: int
    state_change_event: Any

    def __init__(
        self,
        client: KazooClient,
        path: str,
        set: Iterable[_T],
        partition_func: Callable[[str, list[str], Iterable[_T]], list[_T]] | None = None,
        identifier: str | None = None,
        time_boundary: float = 30,
        max_reaction_time: float = 1,
        state_change_event: Any = None,
    ) -> None:
        """``partition_func(identifier, members, set)`` says what is this member's. ``time_boundary``: how many seconds
        nobody may come or go before the set is divided. ``max_reaction_time``: seconds until a change is noticed while
        waiting. ``state_change_event``: an event of the handler's, set at each change of `state`."""
    def __iter__(self) -> Iterator[_T]: ...
    @property
    def failed(self) -> bool: ...
    @property
    def release(self) -> bool:
        """Whether `release_set` is to be called."""
    @property
    def allocating(self) -> bool: ...
    @property
    def acquired(self) -> bool: ...
    def wait_for_acquire(self, timeout: float = 30) -> None:
        """Waits until the items are this one's, ``timeout`` seconds at most; see `acquired`."""
    def release_set(self) -> None:
        """Gives the items back, and takes part in what comes next."""
    def finish(self) -> None:
        """Gives the items back, and takes part no more."""
