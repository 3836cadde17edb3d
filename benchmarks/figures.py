"""Figures with their spread: a row's figure is the median of its rounds, a ratio the median of the rounds' ratios.

So what else happens on the machine hits both sides of a ratio alike: they are measured within the same second.
"""

from __future__ import annotations

import statistics
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

BARS: Dict[str, Dict[str, float]] = {
    "single": {"local": 2.0, "memory": 4.0, "postgresql": 1.0, "postgresql-queue": 0.66},
    "pipelined": {"local": 1.5, "postgresql": 2.0},
    "lock": {"local": 2.0, "postgresql": 1.0},
    "event": {"local": 2.0, "postgresql": 0.66},
    "connect": {"local": 2.0},
    "memory": {"local": 3.0},
    "throughput": {},
    "start": {},
}
"""How many times better than ZooKeeper a kind of row is meant to be."""
UNITS = {"memory": "MB", "throughput": "1/s", "start": "s"}
"""Others are in ms."""
BIGGER_IS_BETTER = ("throughput", "contended")


class Spread(NamedTuple):
    """A median, and the lowest and the highest of what it is the median of."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Of the rounds."""
    return Spread(statistics.median(values), min(values), max(values))


def quartiles(values: Sequence[float]) -> Spread:
    """Of many samples: the median and the quartiles around it."""
    ordered = sorted(values)
    return Spread(statistics.median(ordered), ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4])


def ratio(kind: str, theirs: Sequence[float], ours: Sequence[float]) -> Spread:
    """How many times better ours is, round by round."""
    pairs = zip(theirs, ours)
    return spread([(b / a if kind in BIGGER_IS_BETTER else a / b) for a, b in pairs])


def row(name: str, kind: str, rounds: Dict[str, List[float]], p99: Optional[Dict[str, float]] = None) -> Dict[str, Any]:
    """A row of the results. ``rounds``: system → one figure for each round, in the row's unit."""
    bars = BARS["lock" if kind == "contended" else kind]
    made: Dict[str, Any] = {
        "row": name,
        "kind": kind,
        "unit": "1/s" if kind == "contended" else UNITS.get(kind, "ms"),
        "systems": {system: spread(values)._asdict() for system, values in rounds.items()},
        "p99": p99 or {},
        "ratios": {},
    }
    theirs = rounds.get("zookeeper")
    for system, values in rounds.items():
        if theirs and system != "zookeeper":
            found = ratio(kind, theirs, values)._asdict()
            if system in bars:
                found.update(bar=bars[system], reached=found["median"] >= bars[system])
            made["ratios"][system] = found
    return made
