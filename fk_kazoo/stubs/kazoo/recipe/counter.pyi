from typing import Generic, TypeVar, overload

from kazoo.client import KazooClient

_N = TypeVar("_N", int, float)

class Counter(Generic[_N]):
    """A number that everybody may change at the same time: ``counter += 2``."""

    client: KazooClient
    path: str
    default: _N
    default_type: type[_N]
    support_curator: bool
    pre_value: _N | None
    """What it was before this object's last change."""
    post_value: _N | None
    """What it was after this object's last change; None if that failed."""

    @overload
    def __init__(
        self: Counter[int], client: KazooClient, path: str, default: int = 0, support_curator: bool = False
    ) -> None:
        """``default``: what it starts with; its type is the counter's. ``support_curator``: stored as Curator does."""
    @overload
    def __init__(
        self: Counter[float], client: KazooClient, path: str, default: float, support_curator: bool = False
    ) -> None: ...
    @property
    def value(self) -> _N:
        """What it is now."""
    def __add__(self, value: _N) -> Counter[_N]:
        """Adds to it, for everybody. This very object."""
    def __sub__(self, value: _N) -> Counter[_N]:
        """Subtracts from it, for everybody. This very object."""
