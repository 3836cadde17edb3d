"""How far it is: a bar on a terminal once it takes more than a second, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Dict, Optional

AFTER_S = 1.0
LINE_EVERY_S = 5.0


class ProgressReporter:
    """Counts what is done, on standard error. A context manager; called as `moving.apply.Progress`."""

    def __init__(self, quiet: bool, total: Optional[int] = None) -> None:
        self._quiet = quiet
        self._total = total
        self._started_s = self._last_s = time.monotonic()
        self._done: Dict[str, int] = {}
        self._tasks: Dict[str, Any] = {}
        self._bar: Any = None

    def __enter__(self) -> "ProgressReporter":
        return self

    def __call__(self, what: str, count: int) -> None:
        """So many more are done."""
        self._done[what] = done = self._done.get(what, 0) + count
        now = time.monotonic()
        if self._quiet or now - self._started_s < AFTER_S:
            return
        if sys.stderr.isatty():
            self._show(what, done)
        elif now - self._last_s >= LINE_EVERY_S:
            self._last_s = now
            passed_s = now - self._started_s
            left = ""
            if self._total and 0 < done < self._total:
                left = ", about %.0f s left" % (passed_s / done * (self._total - done))
            print("%d %s, %.0f a second%s" % (done, what, done / passed_s, left), file=sys.stderr, flush=True)

    def _show(self, what: str, done: int) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TimeRemainingColumn

            self._bar = Progress(
                "{task.description}",
                BarColumn(),
                MofNCompleteColumn(),
                TaskProgressColumn(text_format_no_percentage="", show_speed=True),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=self._total)
        self._bar.update(self._tasks[what], completed=done)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
