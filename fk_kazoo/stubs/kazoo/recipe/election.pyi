from collections.abc import Callable

from kazoo.client import KazooClient
from kazoo.recipe.lock import Lock
from typing_extensions import ParamSpec

_P = ParamSpec("_P")

class Election:
    """One leads at a time, in the order in which they came."""

    lock: Lock

    def __init__(self, client: KazooClient, path: str, identifier: str | None = None) -> None:
        """``identifier``: what other contenders see of this one."""
    def run(self, func: Callable[_P, object], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Waits until this one leads, and calls the function then. Returns when that does, or after `cancel`."""
    def cancel(self) -> None:
        """Ends the wait in `run`."""
    def contenders(self) -> list[str]:
        """The identifiers of who leads and of who waits, in order."""
