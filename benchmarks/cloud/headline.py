"""The paper's headline and its map, by one method for ours and theirs: a day's servers over a day's requests."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from fk_kazoo.commands.cost import DAY_S, LONG_POLL_S, POLLERS, Load, daily

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
        ours_all = sum(daily(Load(reads, writes, CLIENTS), figures, price).values())
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


def even(share: float, servers_usd: float, figures: Any, price: Dict[str, float]) -> Optional[float]:
    """Requests a day at which ours costs what the servers do, at a share of reads, everything counted."""
    fixed = sum(daily(Load(0, 0, CLIENTS), figures, price).values())
    million = sum(daily(Load(1e6 * share, 1e6 * (1 - share), CLIENTS), figures, price).values()) - fixed
    return None if fixed >= servers_usd else 1e6 * (servers_usd - fixed) / million


def their_even(share: float, servers_usd: float, which: str) -> float:
    """The same of the original, everything counted but the growth of its epoch set."""
    write = original.write_usd(which) + original.left_out_usd(which, original.EPOCH_WCU[0])
    million = share * original.read_usd(which) + (1 - share) * write
    return 1e6 * (servers_usd - _idle_usd(which)) / million


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
