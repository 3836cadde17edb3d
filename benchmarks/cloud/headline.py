"""The paper's headline and its map, by one method for ours and theirs: a day's servers over a day's requests."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from fk_kazoo.commands.cost import DAY_S, DAYS_A_MONTH, LONG_POLL_S, POLLERS, Load, daily

from . import original
from .bill import Bill, prices

REQUESTS = 100_000
CASES = (("9 × t3.large", 100), ("9 × t3.large", 80), ("3 × t3.small", 100), ("3 × t3.small", 90), ("3 × t3.small", 80))
"""Servers, and how many of a hundred requests are reads."""
CLIENTS = 10
"""Connected, where what the paper leaves out is counted: each polls its inbox."""
READ_SHARES = [share / 100 for share in range(0, 101, 5)]


def headline(bills: Dict[str, Bill], figures: Dict[str, Any], price: Dict[str, float], which: str) -> List[Any]:
    """How many times the servers cost what the requests do."""
    made = []
    for servers, percent in CASES:
        usd = original.headline()[servers]
        reads = REQUESTS * percent / 100
        writes = REQUESTS - reads
        ours = (reads * bills["get"].usd(which) + writes * bills["set"].usd(which)) / 1e6
        theirs = (reads * original.read_usd(which) + writes * original.write_usd(which)) / 1e6
        theirs_all = theirs + writes * original.left_out_usd(which, original.EPOCH_WCU[0]) / 1e6 + _idle_usd(which)
        ours_all = sum(daily(_load(reads, writes), figures, price).values())
        made.append(
            {
                "servers": servers,
                "reads": percent,
                "usd_a_day": usd,
                "ours": usd / ours,
                "theirs": usd / theirs,
                "ours_everything": usd / ours_all,
                "theirs_everything": usd / theirs_all,
            }
        )
    return made


def _idle_usd(which: str) -> float:
    """A day of what polls the original's two queues."""
    return original.FUNCTIONS * POLLERS * DAY_S / LONG_POLL_S * prices(which)["sqs_fifo_request_64kB"]


def _load(reads: float, writes: float) -> Load:
    return Load(reads, writes, CLIENTS, inboxes=CLIENTS)


def even(share: float, servers_usd: float, figures: Any, price: Dict[str, float]) -> Optional[float]:
    """Requests a day at which ours costs what the servers do, at a share of reads, everything counted."""
    fixed = sum(daily(_load(0, 0), figures, price).values())
    million = sum(daily(_load(1e6 * share, 1e6 * (1 - share)), figures, price).values()) - fixed
    return None if fixed >= servers_usd else 1e6 * (servers_usd - fixed) / million


def their_even(share: float, servers_usd: float, which: str) -> float:
    """The same of the original, everything counted but the growth of its epoch set."""
    write = original.write_usd(which) + original.left_out_usd(which, original.EPOCH_WCU[0])
    million = share * original.read_usd(which) + (1 - share) * write
    return 1e6 * (servers_usd - _idle_usd(which)) / million


IDLE_USD = 1.43
"""What ten connected clients cost in a month when every one of them had an inbox, and dead letters were polled for."""


def idle(figures: Dict[str, Any], price: Dict[str, float]) -> Dict[str, Any]:
    """A month in which ten clients are connected and ask for nothing, item by item, in USD."""

    def month(load: Load) -> Dict[str, float]:
        return {what: DAYS_A_MONTH * usd for what, usd in daily(load, figures, price).items() if usd}

    return {
        "nobody": month(Load(0, 0, 0)),
        "ten clients": month(Load(0, 0, CLIENTS)),
        "ten clients that watch": month(Load(0, 0, CLIENTS, inboxes=CLIENTS)),
        "before": IDLE_USD,
    }


def border(figures: Dict[str, Any], price: Dict[str, float], which: str) -> List[Dict[str, Any]]:
    """Of the map: for each fleet of servers and share of reads, where they become cheaper."""
    return [
        {
            "servers": servers,
            "shares": READ_SHARES,
            "ours": [even(share, usd, figures, price) for share in READ_SHARES],
            "theirs": [their_even(share, usd, which) for share in READ_SHARES],
        }
        for servers, usd in original.headline().items()
    ]
