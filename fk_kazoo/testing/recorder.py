"""Records a client's states and events, in order, for a test to wait for and to compare."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Tuple

PATIENCE_S = 10.0


class Recorder:
    """Writes down state changes of a client, and events of the watches that are given `watch` as their function.

    seen = zk_recorder(client)
    client.get("/a", watch=seen.watch)
    ...
    seen.wait_for_events(("CHANGED", "/a"))
    """

    def __init__(self, client: Any) -> None:
        self.states: List[str] = []
        """``CONNECTED``, ``SUSPENDED``, ``LOST``: each change since the recorder was made."""
        self.events: List[Tuple[str, str]] = []
        """Type and path, such as ``("DELETED", "/a")``."""
        self._changed = threading.Condition()
        client.add_listener(self._state)

    def _state(self, state: Any) -> None:
        with self._changed:
            self.states.append(str(state))
            self._changed.notify_all()

    def watch(self, event: Any) -> None:
        """The function of a watch."""
        with self._changed:
            self.events.append((str(event.type), str(event.path)))
            self._changed.notify_all()

    def wait_for_states(self, *states: str, timeout_s: float = PATIENCE_S) -> None:
        """Until exactly these were told since the beginning. AssertionError, with what was told, if they are not."""
        self._wait(lambda: self.states == list(states), timeout_s, "states", states, self.states)

    def wait_for_events(self, *events: Tuple[str, str], timeout_s: float = PATIENCE_S) -> None:
        """Until exactly these were told since the beginning. AssertionError, with what was told, if they are not."""
        self._wait(lambda: self.events == list(events), timeout_s, "events", events, self.events)

    def _wait(self, what: Callable[[], bool], timeout_s: float, kind: str, expected: Any, seen: List[Any]) -> None:
        with self._changed:
            if not self._changed.wait_for(what, timeout_s):
                raise AssertionError("expected the %s %s, saw %s" % (kind, list(expected), seen))
