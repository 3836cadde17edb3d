"""``fk-kazoo cost``: what a load costs a day on AWS, item by item, beside ZooKeeper servers.

Rule upheld here: the figures are those of `cost_figures`, which a benchmark writes from requests that it counted.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any, Dict, Mapping, NamedTuple, Optional

COMMAND = "cost"
DAY_S = 86_400
LONG_POLL_S = 20
POLLERS = 5
"""Long polls that Lambda keeps open at an idle queue: what is said of it, in no document of AWS a promise."""
CHECK_EVERY_S = 30
"""So often a connected client looks for what nobody told it, at a request of one unit."""
DEAD_LETTERS_S = 300
"""So often dead letters are asked for."""
DEAD_LETTERS_GB_S = 0.01
"""Of one time that there is none: 20 ms with 512 MB."""
MAX_KB = 1000
DAYS_A_MONTH = 30


class Load(NamedTuple):
    """A day of a deployment: reads, writes, connected clients, those of them with ephemerals, kB of a node's data, and
    how many of the clients wait at an inbox: who watches something, or pipelines writes now and then."""

    reads: float
    writes: float
    clients: int = 1
    holders: int = 0
    kb: float = 1.0
    inboxes: int = 0


Figures = Mapping[str, Any]
"""What `cost_figures.FIGURES` has."""


def daily(load: Load, figures: Figures, price: Mapping[str, float]) -> Dict[str, float]:
    """USD a day, by what it is for. ``price``: of `cost_figures.PRICES`."""
    size = load.kb * 1024 + figures["overhead_bytes"]
    if load.kb * 1024 > figures["inline_bytes"]:  # in S3, at any size for the same
        read, write = figures["read_large"], figures["write_large"]
    else:
        read = {**figures["read"], "rru": math.ceil(size / 4096)}
        write = {**figures["write"], "wru": figures["write"]["wru"] - 1 + math.ceil(size / 1024)}

    def usd(used: Mapping[str, float], *items: str) -> float:
        return sum(used.get(item, 0.0) * price[item] for item in items or used)

    polls = DAY_S / LONG_POLL_S
    beating = figures["beats_per_s"] * load.holders * usd(figures["beat"])
    ticking = (usd(figures["tick"]) / figures["tick_s"]) if load.holders else 0.0
    return {
        "reads": load.reads * usd(read),
        "writes: queue and answers": load.writes * usd(write, "queue_sends", "inbox_pushes"),
        "writes: tables and bucket": load.writes * usd(write, "wru", "rru", "s3_put", "s3_get"),
        "writes: function": load.writes * usd(write, "gb_s", "invocations"),
        "writes: receives, deletes, logs": load.writes
        * usd(write, "event_source", "inbox_receives", "inbox_deletes", "log_gb"),
        "idle queues of the functions": polls * POLLERS * (price["event_source"] + price["inbox_receives"]),
        "looks for dead letters": DAY_S
        / DEAD_LETTERS_S
        * (price["queue_sends"] + price["invocations"] + DEAD_LETTERS_GB_S * price["gb_s"]),
        "clients that look for news": DAY_S / CHECK_EVERY_S * load.clients * price["rru"],
        "clients that wait for answers": polls * load.inboxes * price["inbox_receives"],
        "sessions with ephemerals": DAY_S * (beating + ticking),
    }


def servers(price: Mapping[str, float]) -> Dict[str, float]:
    """USD a day of ZooKeeper on servers, their disks not included."""
    return {
        "3 × t3.small": 3 * 24 * price["t3_small_hour"],
        "9 × t3.large": 9 * 24 * price["t3_large_hour"],
    }


def even_at(load: Load, figures: Figures, price: Mapping[str, float], server_usd: float) -> Optional[float]:
    """How many times the load costs what the servers do; None if what does not grow with it is more already."""
    whole = sum(daily(load, figures, price).values())
    fixed = sum(daily(load._replace(reads=0, writes=0), figures, price).values())
    if fixed >= server_usd or whole <= fixed:
        return None
    return (server_usd - fixed) / (whole - fixed)


def call(options: argparse.Namespace) -> int:
    """Prints the estimate; the exit code."""
    from .cost_figures import FIGURES, PRICES

    holders = options.holders or 0
    watching = options.clients if options.watching is None else options.watching
    if not 0 <= options.kb <= MAX_KB or not 0 <= holders <= options.clients or not 0 <= watching <= options.clients:
        print("fk-kazoo cost: --kb is 0 to %d; --holders, --watching at most --clients" % MAX_KB, file=sys.stderr)
        return 2
    load = Load(options.reads, options.writes, options.clients, holders, options.kb, watching)
    price = PRICES[options.prices]
    found = daily(load, FIGURES, price)
    total = sum(found.values())
    for what, usd in found.items():
        print("%-34s %12.4f USD/day" % (what, usd))
    print("%-34s %12.4f USD/day %12.2f USD/month" % ("together", total, DAYS_A_MONTH * total))
    for what, usd in servers(price).items():
        times = even_at(load, FIGURES, price, usd)
        even = "" if times is None else "; the same at %s times this load" % _digits(times)
        if usd >= total:
            even = ", %s times as much%s" % (_digits(usd / total), even)
        print("ZooKeeper on %-21s %12.4f USD/day%s" % (what, usd, even))
    print(
        "An estimate: requests counted on an emulator, prices of us-east-1; storage, traffic and alarms are not in it."
    )
    return 0


def _digits(value: float) -> str:
    return "%.0f" % value if value >= 100 else "%.3g" % value
