"""The map of costs, light and dark: where ZooKeeper on servers becomes cheaper."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from ..pictures import THEMES, _plot, _save

COLOURS = {"3 × t3.small": "#2f81f7", "9 × t3.large": "#8957e5"}


def border(results: Dict[str, Any], directory: Path) -> None:
    """Requests a day over the share of reads: below a line functions are cheaper, above it servers."""
    fleets = results["cost"]["border"]["current"]
    for theme, colours in THEMES.items():
        figure, axes = _plot(theme, 7.5, 4.2)
        axis = axes[0][0]
        for fleet in fleets:
            shares = [100 * share for share in fleet["shares"]]
            colour = COLOURS[fleet["servers"]]
            ours = [value or float("nan") for value in fleet["ours"]]
            axis.plot(shares, ours, color=colour, linewidth=2, label="this, beside %s" % fleet["servers"])
            theirs = "the original, beside %s" % fleet["servers"]
            axis.plot(shares, fleet["theirs"], color=colour, linewidth=1, linestyle="--", label=theirs)
        axis.set_yscale("log")
        axis.set_xlabel("reads of all requests, %")
        axis.set_ylabel("requests a day at which both cost the same")
        axis.set_title("above a line servers are cheaper, below it functions", fontsize=9, color=colours["ink"])
        axis.grid(which="both", axis="both", linewidth=0.4)
        axis.legend(facecolor=colours["ground"], edgecolor=colours["faint"], fontsize=8)
        _save(figure, directory, "cost", theme)
