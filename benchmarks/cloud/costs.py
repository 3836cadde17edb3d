"""Dollars beside the original's, operation by operation, and which of the bars hold."""

from __future__ import annotations

from typing import Any, Dict, List

from . import original
from .bill import FORMULA, LEFT_OUT, Bill
from .operations import ORDER

EVERYTHING = FORMULA + LEFT_OUT
PRICES = ("paper", "current")
THEIRS = {"create": "create", "set": "set", "delete": "delete", "get": "get", "get_watch": "get_with_watch"}
"""Ours → the operation of theirs that was counted."""


def rows(bills: Dict[str, Bill]) -> List[Dict[str, Any]]:
    """One for each operation, in USD for a million of it."""
    made = []
    for name, bill in bills.items():
        row: Dict[str, Any] = {"row": ORDER[name], "key": name, **bill._asdict()}
        for which in PRICES:
            row["usd_" + which] = {
                "formula": bill.usd(which),
                "everything": bill.usd(which, EVERYTHING),
                "items": bill.items_usd(which),
            }
            if name in THEIRS:
                row["usd_" + which]["original"] = original.counted_usd(which, THEIRS[name])
        made.append(row)
    return made


def bars(bills: Dict[str, Bill]) -> List[Dict[str, Any]]:
    """What was meant, at the paper's prices, and what came out."""
    fits, whole = bills["set"], bills["set_1024"]
    none, half, all_of_it = original.EPOCH_WCU
    theirs, theirs_whole = original.write_usd("paper"), original.write_usd("paper", 1, 2)

    def left_out(epoch: float) -> float:
        return original.left_out_usd("paper", epoch)

    ours, ours_all = fits.usd("paper"), fits.usd("paper", EVERYTHING)
    whole_all = whole.usd("paper", EVERYTHING)
    return [
        _bar("1 kB write by their formula, data as ceil(kB)", ours, theirs, 0.6),
        _bar("write of 1,024 bytes, where both items need one unit more", whole.usd("paper"), theirs_whole, 0.6),
        _bar("1 kB write, left-out items added; epoch set empty", ours_all, theirs + left_out(none), 0.5),
        _bar("the same; epoch set as in the middle of their runs", ours_all, theirs + left_out(half), 0.5),
        _bar("the same; epoch set as at the end of their runs", ours_all, theirs + left_out(all_of_it), 0.5),
        _bar(
            "write of 1,024 bytes, left-out items added; epoch set empty", whole_all, theirs_whole + left_out(none), 0.5
        ),
        _bar("the same; epoch set as in the middle of their runs", whole_all, theirs_whole + left_out(half), 0.5),
        _bar(
            "get with a watch",
            bills["get_watch"].usd("paper", EVERYTHING),
            original.counted_usd("paper", "get_with_watch"),
            1.0,
        ),
        _bar("1 kB read", bills["get"].usd("paper", EVERYTHING), original.read_usd("paper"), 1.0),
    ]


def _bar(what: str, ours: float, theirs: float, bar: float) -> Dict[str, Any]:
    ratio = ours / theirs
    return {"what": what, "ours": ours, "theirs": theirs, "ratio": ratio, "bar": bar, "holds": ratio <= bar + 1e-9}
