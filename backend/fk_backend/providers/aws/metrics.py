"""What matters and no metric of AWS shows, as lines of the log from which CloudWatch makes metrics.

Source: CloudWatch User Guide, "Specification: embedded metric format". Nothing is called for it, and a line is written
only where something is not as it should be: a metric is paid for in the hours in which it is told.
"""

from __future__ import annotations

import json
import os
import time
from typing import Dict

NAMESPACE = "fk_kazoo"
DIMENSIONS = ("Deployment", "Function")
LATE_S, FAILED, ASIDE = "TickLag", "FailedBatches", "SetAside"
UNITS: Dict[str, str] = {LATE_S: "Seconds", FAILED: "Count", ASIDE: "Count"}
"""Ticks that came late, batches and ticks that have to come again, messages that the writer gave up."""


def tell(function: str, metric: str, value: float, **more: object) -> None:
    """One value. ``more`` is in the log beside it, and no dimension: each would be a metric of its own."""
    declared = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(DIMENSIONS)],
        "Metrics": [{"Name": metric, "Unit": UNITS[metric]}],
    }
    line = {
        **more,
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [declared]},
        "Deployment": os.environ.get("FK_DEPLOYMENT", ""),
        "Function": function,
        metric: value,
    }
    # Lambda takes JSON from here as it is, whatever the format of its log.
    print(json.dumps(line, separators=(",", ":")), flush=True)
