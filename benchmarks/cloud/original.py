"""The original FaaSKeeper by its authors' own formula, and what that leaves out, counted as ours is counted."""

from __future__ import annotations

import math
from typing import Any, Dict

from .bill import LOG_BYTES, LOG_USD_PER_GB, prices
from .data import load

FUNCTIONS = 2
"""Of a write, each behind a queue of its own."""
EPOCH_WCU = (0, 5, 10)
"""By how many write units a write grows with the epoch set: their own runs went from 2 to 12; none, half, all of it."""


def _requests(operation: str) -> Dict[str, Any]:
    found: Dict[str, Any] = load("original_requests")["per_operation"][operation]["dynamodb"]
    return found


def _functions_usd(which: str) -> float:
    """Of both functions, for a million writes: what their published figure leaves for them."""
    paper = prices("paper")
    published = load("original_requests")["paper_cost_model"]["write_usd_per_million_1kB_512MB"]["dynamodb"]
    sqs, wru, rru = paper["sqs_fifo_request_64kB"], paper["dynamodb_wru"], paper["dynamodb_rru"]
    theirs = float(published) - 1e6 * (2 * sqs + 4 * wru + rru)
    invocations = 1e6 * FUNCTIONS * paper["lambda_invocation"]
    now = prices(which)
    seconds = (theirs - invocations) / paper["lambda_gb_s"]
    x86 = now.get("lambda_gb_s_x86", now["lambda_gb_s"])
    return float(seconds * x86 + 1e6 * FUNCTIONS * now["lambda_invocation"])


def write_usd(which: str, kb: float = 1, stored_kb: float = 0) -> float:
    """A million writes by their formula, hybrid storage. ``stored_kb``: what the item takes, if not ceil(kB)."""
    price = prices(which)
    data = math.ceil(stored_kb or kb)
    sends = 2 * math.ceil(kb / 64) * price["sqs_fifo_request_64kB"]
    units = (3 + data) * price["dynamodb_wru"] + price["dynamodb_rru"]
    return 1e6 * (sends + units) + _functions_usd(which)


def read_usd(which: str, kb: float = 1) -> float:
    """A million reads, hybrid storage."""
    return 1e6 * math.ceil(kb / 4) * prices(which)["dynamodb_rru"]


def counted_usd(which: str, operation: str) -> float:
    """A million of an operation by the requests and units counted in their code, with the functions of a write."""
    price, counted = prices(which), _requests(operation)
    usd = 1e6 * (counted.get("wcu", 0) * price["dynamodb_wru"])
    usd += 1e6 * (counted.get("rcu", counted.get("rcu_per_4kB", 0)) * price["dynamodb_rru"])
    hops = counted.get("queue_hops", 0)
    return usd + (1e6 * hops * price["sqs_fifo_request_64kB"] + _functions_usd(which) if hops else 0.0)


def left_out_usd(which: str, epoch_wcu: float) -> float:
    """What the formula leaves out of a million writes: receives, deletes, logs, and the growth of the epoch set."""
    price = prices(which)
    queues = 2 * FUNCTIONS * price["sqs_fifo_request_64kB"]
    logs = FUNCTIONS * LOG_BYTES / 1e9 * LOG_USD_PER_GB
    return 1e6 * (queues + logs + epoch_wcu * price["dynamodb_wru"])


def headline() -> Dict[str, float]:
    """Servers of the paper, USD a day."""
    listed = load("original_requests")["list_prices_2025_us_east_1_usd"]
    return {"9 × t3.large": 9 * 24 * listed["t3_large_hour"], "3 × t3.small": 3 * 24 * listed["t3_small_hour"]}
