import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar, overload

from kazoo.client import KazooClient
from kazoo.protocol.states import ZnodeStat

_D = TypeVar("_D")
_L = TypeVar("_L", bound=Callable[[TreeEvent], object])
_E = TypeVar("_E", bound=Callable[[Exception], object])

logger: logging.Logger

class TreeCache:
    """Keeps a copy of everything below a path, and tells of what changes."""

    STATE_LATENT: Final = 0
    STATE_STARTED: Final = 1
    STATE_CLOSED: Final = 2

    def __init__(self, client: KazooClient, path: str) -> None: ...
    def start(self) -> None:
        """Begins to fill it; INITIALIZED comes when that is done. KazooException if it was started before."""
    def close(self) -> None:
        """Ends it, for good."""
    def listen(self, listener: _L) -> _L:
        """Has ``listener(event)`` called for each `TreeEvent`. A decorator, too."""
    def listen_fault(self, listener: _E) -> _E:
        """Has ``listener(exception)`` called when something fails. A decorator, too."""
    @overload
    def get_data(self, path: str, default: None = None) -> NodeData | None:
        """The node as it is here, or the default if there is none."""
    @overload
    def get_data(self, path: str, default: _D) -> NodeData | _D: ...
    @overload
    def get_children(self, path: str, default: None = None) -> frozenset[str] | None:
        """The children's names as they are here, or the default if there is no such node."""
    @overload
    def get_children(self, path: str, default: _D) -> frozenset[str] | _D: ...

class TreeNode:
    """A node of the copy; internal."""

    STATE_PENDING: Final = 0
    STATE_LIVE: Final = 1
    STATE_DEAD: Final = 2

    def __init__(self, tree: TreeCache, path: str, parent: TreeNode | None) -> None: ...
    @classmethod
    def make_root(cls, tree: TreeCache, path: str) -> TreeNode: ...
    def on_reconnected(self) -> None: ...
    def on_created(self) -> None: ...
    def on_deleted(self) -> None: ...

class TreeEvent(tuple[int, Any]):
    """What a listener of `TreeCache` is told."""

    NODE_ADDED: Final = 0
    NODE_UPDATED: Final = 1
    NODE_REMOVED: Final = 2
    CONNECTION_SUSPENDED: Final = 3
    CONNECTION_RECONNECTED: Final = 4
    CONNECTION_LOST: Final = 5
    INITIALIZED: Final = 6

    @property
    def event_type(self) -> int:
        """One of the constants."""
    @property
    def event_data(self) -> NodeData | None:
        """The node, for the first three."""
    @classmethod
    def make(cls, event_type: int, event_data: NodeData | None) -> TreeEvent: ...

class NodeData(tuple[str, bytes, ZnodeStat]):
    """A node of a `TreeCache`."""

    @property
    def path(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def stat(self) -> ZnodeStat: ...
    @classmethod
    def make(cls, path: str, data: bytes, stat: ZnodeStat) -> NodeData: ...

def handle_exception(listeners: list[Callable[[Exception], object]]) -> AbstractContextManager[None]: ...
