"""State listeners run in order, before the connection goes on, unless one of them waits for the connection.

kazoo calls them on the connection's own thread, so a listener that calls the client waits for itself, for ever. Here
each state change is handed to a worker of the handler's kind, and the connection waits for it: until the listeners are
done, or one of them makes a call of the client, or a bound is reached.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Callable, Optional

PATIENCE_S = 5.0
"""How long a connection waits for a listener that neither returns nor calls the client."""

_running: "ContextVar[Optional[Notice]]" = ContextVar("fk_kazoo_listener", default=None)


class Notice:
    """One state change on its way to the listeners."""

    def __init__(self, handler: Any, before: "Optional[Notice]") -> None:
        self._handler = handler
        self._before = before
        self.done = handler.event_object()
        self.settled = handler.event_object()
        """Done, or waiting for the connection: there is nothing for the connection to wait for."""

    def deliver(self, tell: Callable[[], None], waits: bool = True) -> None:
        """Has the listeners told, and waits for them as the rule says; or not at all."""
        before = self._before
        if before is not None and not before.done.is_set() and before.settled.is_set():
            self.settled.set()
        self._handler.spawn(self._work, tell)
        if waits:
            self.settled.wait(PATIENCE_S)
        self.settled.set()

    def _work(self, tell: Callable[[], None]) -> None:
        _running.set(self)
        try:
            if self._before is not None:
                self._before.done.wait()
                self._before = None
            tell()
        finally:
            self.done.set()
            self.settled.set()


def calling() -> None:
    """The client is called: if that is from within a listener, the connection stops waiting for it."""
    notice = _running.get()
    if notice is not None:
        notice.settled.set()


def inside() -> bool:
    """Whether this is a listener running."""
    return _running.get() is not None
