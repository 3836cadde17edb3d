"""What a process notes of one `set`: the time before or after some functions of the shipped code.

Rule upheld here: nothing else is changed, and nothing is imported that the process would not import anyway. A note
takes less than a microsecond; every process reads one clock (CLOCK_MONOTONIC).
"""

from __future__ import annotations

import functools
import importlib
import time
from typing import Any, Callable, List, NamedTuple, Tuple

ASKED, RETURNED = "the app calls `set`", "the app has the answer"


class Moment(NamedTuple):
    """The beginning of a function, or its end, and what that means."""

    what: str
    module: str
    name: str
    ends: bool = False


CLIENT = (
    Moment("kazoo has made a request of it", "fk_kazoo.connection", "ConnectionHandler.submit_now"),
    Moment("its message is encoded and goes to the socket", "fk_backend.providers.local.frames", "Frames.send"),
    Moment("its message is on the socket", "fk_backend.providers.local.frames", "Frames.send", True),
    Moment("the client has the frame with the answer", "fk_backend.providers.local.frames", "Frames.data_received"),
    Moment("the session shows the answer", "fk_kazoo.connection", "Line.replied"),
    Moment("kazoo has its result", "kazoo.handlers.utils", "AsyncResult.set"),
)
HOST = (
    Moment("the host has the frame", "fk_backend.providers.local.frames", "Frames.data_received"),
    Moment("the message is in the queue", "fk_backend.providers.local.frames", "Frames.data_received", True),
    Moment("the core begins", "fk_backend.functions.step", "apply"),
    Moment("the core is done", "fk_backend.functions.step", "apply", True),
    Moment("the transaction begins", "fk_backend.providers.local.store", "write_all"),
    Moment("the transaction is on disk", "fk_backend.providers.local.store", "write_all", True),
    Moment("the answer is encoded and goes to the socket", "fk_backend.providers.local.frames", "Frames.send"),
    Moment("the answer is on the socket", "fk_backend.providers.local.frames", "Frames.send", True),
)
Note = Tuple[str, int]


class Notes:
    """What a process notes."""

    def __init__(self) -> None:
        self._notes: List[Note] = []

    def note(self, what: str) -> None:
        """Now."""
        self._notes.append((what, time.perf_counter_ns()))

    def watch(self, side: str) -> None:
        """From now on the moments of a side are noted."""
        for moment in CLIENT if side == "client" else HOST:
            owner: Any = importlib.import_module(moment.module)
            *above, name = moment.name.split(".")
            for part in above:
                owner = getattr(owner, part)
            setattr(owner, name, self._noting(getattr(owner, name), moment))

    def _noting(self, function: Callable[..., Any], moment: Moment) -> Callable[..., Any]:
        @functools.wraps(function)
        def noting(*args: Any, **kwargs: Any) -> Any:
            if not moment.ends:
                self.note(moment.what)
            result = function(*args, **kwargs)
            if moment.ends:
                self.note(moment.what)
            return result

        return noting

    def taken(self) -> List[Note]:
        """All of them; they are forgotten."""
        notes, self._notes = self._notes, []
        return notes
