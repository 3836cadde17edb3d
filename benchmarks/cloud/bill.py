"""What a run used, item by item, and what that costs: nothing is left out, and what others leave out is apart.

Assumed: an invocation computes for `COMPUTE_MS` beside its requests, and takes for each of those the median measured on
AWS. Of what goes well nothing is logged: the template says so. Memory is what the template gives it. An event source
receives each batch once, and deletes it once, unless it has to come again.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence

from .data import load
from .latency import of_operation
from .meter import FUNCTION, Call
from .units import total

MEMORY_GB = 0.5
COMPUTE_MS = 5.0
LOG_BYTES = 450
"""START, END and REPORT with what CloudWatch counts for each event (26 bytes), where they are logged."""
LOG_USD_PER_GB = 0.5

STANDARD_USD = 0.4e-6
"""Of a request to a standard queue: unchanged for years, and not among the prices of the paper, which has none."""

FORMULA = ("queue_sends", "inbox_pushes", "wru", "rru", "s3", "gb_s", "invocations")
"""What the paper's formula counts: sends, units, storage, functions."""
LEFT_OUT = ("event_source", "inbox_receives", "inbox_deletes", "log_gb")
"""What it leaves out."""


def prices(which: str) -> Dict[str, float]:
    """USD: ``paper`` or ``current``."""
    data = load("original_requests")
    if which == "paper":
        return {**data["paper_cost_model"]["prices_usd"], "sqs_standard_request_64kB": STANDARD_USD}
    listed = dict(data["list_prices_2025_us_east_1_usd"])
    listed["lambda_gb_s_x86"], listed["lambda_gb_s"] = listed["lambda_gb_s"], listed["lambda_gb_s_arm"]
    return listed


def by_item(which: str) -> Dict[str, float]:
    """USD for one of each item of a bill."""
    price = prices(which)
    fifo, standard = price["sqs_fifo_request_64kB"], price["sqs_standard_request_64kB"]
    return {
        "queue_sends": fifo,
        "inbox_pushes": standard,
        "wru": price["dynamodb_wru"],
        "rru": price["dynamodb_rru"],
        "gb_s": price["lambda_gb_s"],
        "invocations": price["lambda_invocation"],
        "event_source": fifo,
        "inbox_receives": standard,
        "inbox_deletes": standard,
        "log_gb": LOG_USD_PER_GB,
        "s3_put": price["s3_put"],
        "s3_get": price["s3_get"],
    }


class Bill(NamedTuple):
    """What one operation used: requests by kind, and quantities by item (see FORMULA and LEFT_OUT)."""

    requests: Dict[str, float]
    used: Dict[str, float]

    def usd(self, which: str, items: Sequence[str] = FORMULA) -> float:
        """For a million operations."""
        return sum(self.items_usd(which).get(item, 0.0) for item in items)

    def items_usd(self, which: str) -> Dict[str, float]:
        """Each item, for a million operations."""
        usd = {item: 1e6 * self.used.get(item, 0.0) * one for item, one in by_item(which).items()}
        usd["s3"] = usd.pop("s3_put") + usd.pop("s3_get")
        return usd


def bill(calls: Sequence[Call], invocations: int, operations: int, deleted: bool = True, direct: bool = False) -> Bill:
    """Of so many equal operations, for one of them. ``deleted``: whether messages are done with by an invocation.

    ``direct``: no queue triggers the invocations.
    """
    counted = [call for call in calls if not call.empty_poll]
    requests: Dict[str, float] = {}
    for call in counted:
        requests[call.kind] = requests.get(call.kind, 0.0) + 1 / operations
    used: Dict[str, float] = {
        "gb_s": MEMORY_GB * (busy_ms(counted) + COMPUTE_MS * invocations) / 1000,
        "invocations": invocations,
        "event_source": 0 if direct else (1 + deleted) * invocations,
    }
    for call in counted:
        for item, quantity in _items(call).items():
            used[item] = used.get(item, 0.0) + quantity
    return Bill(requests, {item: quantity / operations for item, quantity in used.items()})


def _items(call: Call) -> Dict[str, float]:
    units = call.units
    if call.queue == "inbox":
        item = {"SendMessage": "inbox_pushes", "ReceiveMessage": "inbox_receives"}.get(call.operation, "inbox_deletes")
        return {item: units.standard}
    if call.queue:
        return {"queue_sends": units.fifo + units.standard}
    return {"wru": units.wru, "rru": units.rru, "s3_put": units.s3_put, "s3_get": units.s3_get}


def busy_ms(calls: Sequence[Call]) -> float:
    """How long functions wait for their requests: those that were under way together take as long as the longest."""
    waves: List[List[Call]] = []
    ends = 0.0
    for call in sorted((call for call in calls if call.side == FUNCTION), key=lambda call: call.began):
        if not waves or call.began >= ends:
            waves.append([])
        waves[-1].append(call)
        ends = max(ends, call.ended) if len(waves[-1]) > 1 else call.ended
    return sum(max(of_operation(call.operation, call.size, 0.5) for call in wave) for wave in waves)


def units_of(calls: Sequence[Call]) -> Dict[str, Any]:
    """Capacity units and requests of some calls, all sides together."""
    return {"requests": len(calls), **total([call.units for call in calls])._asdict()}
