"""What `fk-kazoo cost` reckons with, made from what was counted here."""

from __future__ import annotations

import json
import re
from typing import Any, Dict

from fk_backend import layout
from fk_backend.core.model import Acl, Node
from fk_backend.ports import Put
from fk_backend.providers.aws.blobs import S3Blobs
from fk_backend.providers.aws.store import _row

from ..systems import REPOSITORY
from .bill import Bill, by_item
from .data import load
from .operations import HELD_TICK_S
from .units import size_of

MODULE = REPOSITORY / "fk_kazoo" / "commands" / "cost_figures.py"
BEATS_PER_S = 3 / 10.0
"""Three in a session timeout; kazoo's default is 10 s."""


def overhead_bytes() -> int:
    """What the item of a node takes beside its data: with a path of 30 characters and the open ACL."""
    now_ms = 1_800_000_000_000
    node = Node(10**6, 10**6, now_ms, now_ms, 100, 0, 0, (Acl(31, "world", "anyone"),), b"")
    put = Put(layout.node_keys("default", "/" + "x" * 29)[0], layout.node_item(node, 10**6, 10**6))
    return size_of(_row(put))


def figures(bills: Dict[str, Bill]) -> Dict[str, Any]:
    """FIGURES: quantities for one operation each, by the items of a bill."""

    def used(name: str) -> Dict[str, float]:
        found = dict(bills[name].used)
        if "inbox_receives" in found:  # a day's writes may be far apart: each answer is deleted alone
            found["inbox_deletes"] = found["inbox_receives"]
        return {item: float("%.6g" % quantity) for item, quantity in sorted(found.items()) if quantity}

    return {
        "read": used("get"),
        "write": used("set"),
        "read_large": used("get_large"),
        "write_large": used("set_large"),
        "tick": used("tick"),
        "beat": used("beat"),
        "tick_s": HELD_TICK_S,
        "beats_per_s": BEATS_PER_S,
        "overhead_bytes": overhead_bytes(),
        "inline_bytes": S3Blobs.inline_bytes,
    }


def price_lists() -> Dict[str, Dict[str, float]]:
    """PRICES: USD for one of each item, and of a server for an hour."""
    listed = load("original_requests")["list_prices_2025_us_east_1_usd"]
    servers = {name: listed[name] for name in ("t3_small_hour", "t3_large_hour")}
    return {which: {**by_item(which), **servers} for which in ("paper", "current")}


def write_module(found: Dict[str, Any]) -> None:
    """As the module that is shipped."""
    text = '"""Written by ``python -m benchmarks cloud --docs`` from requests that it counted: not to be edited."""\n\n'
    text += "from __future__ import annotations\n\nfrom typing import Any, Dict\n\n"
    text += "FIGURES: Dict[str, Any] = %s\n\n" % _code(found)
    text += "PRICES: Dict[str, Dict[str, float]] = %s\n" % _code(price_lists())
    MODULE.write_text(text)


def _code(value: Any) -> str:
    return re.sub(r"([^,{\s])\n(?=\s*})", r"\1,\n", json.dumps(value, indent=4))
