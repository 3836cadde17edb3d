"""Where the time of one synchronous `set` on local:// goes, in a process that is not the host: moments noted there."""

from __future__ import annotations

import bisect
import statistics
from pathlib import Path
from typing import Any, Dict, List

from .moments import ASKED, RETURNED, Note
from .systems import System

WARM = 1000
"""Enough that contention at the beginning, while others connected, is over."""


def run(count: int, disk: Path) -> Dict[str, Any]:
    """Microseconds from the call to each moment, and from the moment before: medians over ``count`` calls."""
    with System("local", disk) as system:
        client = system.worker("main")
        client.ask("watch")
        client.ask("start")
        client.ask("prepare")
        client.ask("row", row="set", count=WARM)
        client.ask("noted")
        client.ask("sets", count=count)
        notes = sorted(client.ask("noted"), key=lambda each: each[1])
    return {"rows": _rows(notes), "count": count, "left_out": []}


def _rows(notes: List[Note]) -> List[Dict[str, Any]]:
    begins = [at for what, at in notes if what == ASKED]
    after: Dict[str, List[float]] = {}
    times = [at for _, at in notes]
    for begin, end in zip(begins, [at for what, at in notes if what == RETURNED]):
        first: Dict[str, int] = {}
        for what, at in notes[bisect.bisect_left(times, begin) : bisect.bisect_right(times, end)]:
            first.setdefault(what, at)
        for what, at in first.items():
            after.setdefault(what, []).append((at - begin) / 1000)
    usual = {what: statistics.median(each) for what, each in after.items() if len(each) > len(begins) / 2}
    ordered = sorted(usual.items(), key=lambda each: each[1])
    return [
        {"what": what, "after_us": at, "since_us": at - (ordered[number - 1][1] if number else 0.0)}
        for number, (what, at) in enumerate(ordered)
    ]


def lines(results: Dict[str, Any]) -> List[List[str]]:
    """The table: a heading and rows."""
    rows = [[row["what"], "%.0f" % row["after_us"], "%.0f" % row["since_us"]] for row in results["rows"]]
    return [["one `set` on local://", "µs after the call", "µs since the line above"], *rows]
