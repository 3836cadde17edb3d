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


MOMENTS = (
    Moment("the session is asked", "fk_backend.session.direct", "DirectWrites.write_now"),
    Moment("the core begins", "fk_backend.writer.step", "apply"),
    Moment("the core is done", "fk_backend.writer.step", "apply", True),
    Moment("the transaction begins", "fk_backend.providers.local.store", "write_all"),
    Moment("the transaction is on disk", "fk_backend.providers.local.store", "write_all", True),
    Moment("the session has the answer", "fk_backend.session.direct", "DirectWrites.write_now", True),
    Moment("kazoo has its result", "kazoo.handlers.utils", "AsyncResult.set"),
)
Note = Tuple[str, int]


class Notes:
    """What a process notes."""

    def __init__(self) -> None:
        self._notes: List[Note] = []

    def note(self, what: str) -> None:
        """Now."""
        self._notes.append((what, time.perf_counter_ns()))

    def watch(self) -> None:
        """From now on they are noted."""
        for moment in MOMENTS:
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
