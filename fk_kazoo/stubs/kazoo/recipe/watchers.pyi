import logging
from collections.abc import Callable
from typing import Any, TypeVar

from kazoo.client import KazooClient
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.states import WatchedEvent, ZnodeStat
from typing_extensions import TypeAlias

_OnData: TypeAlias = (
    Callable[[bytes | None, ZnodeStat | None], object]
    | Callable[[bytes | None, ZnodeStat | None, WatchedEvent | None], object]
)
_OnChildren: TypeAlias = Callable[[list[str]], object] | Callable[[list[str], WatchedEvent | None], object]
_DataFunc = TypeVar("_DataFunc", bound=_OnData)
_ChildrenFunc = TypeVar("_ChildrenFunc", bound=_OnChildren)

log: logging.Logger

class DataWatch:
    """Has a function called with a node's data: at once, and after each change. A decorator, too.

    ``func(data, stat)`` or ``func(data, stat, event)``; data and stat are None while there is no node. It is called no
    more once it returns False.
    """

    def __init__(
        self, client: KazooClient, path: str, func: _OnData | None = None, *args: object, **kwargs: object
    ) -> None:
        """Further arguments are taken, and mean nothing any more."""
    def __call__(self, func: _DataFunc) -> _DataFunc:
        """As a decorator: the function itself."""

class ChildrenWatch:
    """Has a function called with the names of a node's children: at once, and after each change. A decorator, too.

    ``func(children)``, or ``func(children, event)`` with ``send_event``. It is called no more once it returns False, or
    when the node is deleted.
    """

    def __init__(
        self,
        client: KazooClient,
        path: str,
        func: _OnChildren | None = None,
        allow_session_lost: bool = True,
        send_event: bool = False,
    ) -> None:
        """NoNodeError is not raised: without the node, nothing is watched. ``allow_session_lost``: goes on in the next
        session."""
    def __call__(self, func: _ChildrenFunc) -> _ChildrenFunc:
        """As a decorator: the function itself."""

class PatientChildrenWatch:
    """Waits until no child comes or goes for a time."""

    client: KazooClient
    path: str
    children: list[str]
    time_boundary: float
    children_changed: Any
    asy: IAsyncResult[tuple[list[str], IAsyncResult[Any]]]

    def __init__(self, client: KazooClient, path: str, time_boundary: float = 30) -> None:
        """``time_boundary``: for how many seconds."""
    def start(self) -> IAsyncResult[tuple[list[str], IAsyncResult[Any]]]:
        """The children's names, and a result that is set at the next change."""
