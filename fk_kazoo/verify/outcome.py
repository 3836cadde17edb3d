"""What became of a check, and how a check says so."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, NamedTuple

HELD, FAILED, NOT_RUN, NOT_SHOWN = "held", "failed", "not run", "not shown"
"""NOT_SHOWN: done as far as it goes, on an emulator that can't show it."""
BROKEN, INCOMPLETE = 1, 3
"""Exit codes: something did not hold or is left; everything held that was run, and something was not."""


class NotRun(Exception):
    """The check can't be done here; the text says why, and what would help."""


class NotShown(Exception):
    """What the check is about does not exist on an emulator; the text says what."""


class Stopped(Exception):
    """The run ends: its budget, its time, or whoever started it says so."""


class Result(NamedTuple):
    """Of one check. ``figures``: what was seen, as JSON has it."""

    name: str
    claim: str
    status: str
    detail: str = ""
    seconds: float = 0.0
    figures: Mapping[str, Any] = MappingProxyType({})
    proves_nothing_of: str = ""
    """Of AWS, since it was an emulator; empty on AWS."""


class Check(NamedTuple):
    """``call`` gets the `CheckContext` and returns figures.

    It raises AssertionError, NotRun, NotShown, Stopped; any other exception is a failure too.
    """

    name: str
    claim: str
    call: Callable[[Any], Dict[str, Any]]
    proves_nothing_of: str = ""
    """What of AWS it says nothing about when it is run on an emulator."""


def exit_code(results: List[Result], left: List[str], left_over: bool) -> int:
    """Of the whole run. ``looked``: whether it is known what is left."""
    found = {result.status for result in results}
    if FAILED in found or left or not left_over:
        return BROKEN
    return INCOMPLETE if NOT_RUN in found else 0
