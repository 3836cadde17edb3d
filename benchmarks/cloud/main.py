"""`python -m benchmarks cloud`: counts, prices, simulates, prints, and writes what was found."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

from .. import report as tables_of
from ..systems import REPOSITORY
from . import costs, figures, growth, headline, invoked, operations, pictures, primitives, protocols, report
from .emulated import emulated_deployment

PARTS = ("cost", "direct", "latency", "growth", "primitives")


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--parts", default=",".join(PARTS), help="separated by commas (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="hardly any samples: only whether it works")
    parser.add_argument("--disk", type=Path, default=REPOSITORY / ".cache", help="where JSON and pictures go")
    parser.add_argument("--docs", action="store_true", help="put it into docs/costs.md and what fk-kazoo cost knows")


def cost(smoke: bool) -> Dict[str, Any]:
    """Counted on the emulator."""
    with emulated_deployment() as deployment:
        bills = operations.run(deployment, 3 if smoke else 20, 4.5 if smoke else 20.0)
    found, prices = figures.figures(bills), figures.price_lists()
    return {
        "rows": costs.rows(bills),
        "bars": costs.bars(bills),
        "figures": found,
        "headline": {which: headline.headline(bills, found, prices[which], which) for which in prices},
        "idle": headline.idle(found, prices["current"]),
        "border": {which: headline.border(found, prices[which], which) for which in prices},
    }


def latency(smoke: bool) -> Dict[str, Any]:
    """Simulated."""
    return protocols.run(20, 200, 4, (1, 2)) if smoke else protocols.run(2000, 2000, 16, (1, 4, 16, 64))


def grown(smoke: bool) -> List[Dict[str, Any]]:
    """Counted on the emulator."""
    sizes = growth.SMOKE if smoke else growth.Sizes()
    with emulated_deployment(filled=True) as deployment:
        return growth.run(deployment, sizes, lambda text: print("  ·", text, file=sys.stderr, flush=True))


def run(options: argparse.Namespace) -> Dict[str, Any]:
    """Runs the parts that are asked for; their results."""
    parts = {"cost": cost, "direct": invoked.run, "latency": latency, "growth": grown, "primitives": primitives.run}
    wanted = [part.strip() for part in options.parts.split(",")]
    unknown = [part for part in wanted if part not in parts]
    if unknown:
        sys.exit("no part %s; there are: %s" % (", ".join(unknown), ", ".join(parts)))
    results: Dict[str, Any] = {}
    for part in wanted:
        began = time.monotonic()
        results[part] = parts[part](options.smoke)
        print("· %s: %d s" % (part, time.monotonic() - began), file=sys.stderr, flush=True)
    found = report.tables(results)
    for title, table in found:
        tables_of.show(title, table)
    options.disk.mkdir(parents=True, exist_ok=True)
    tables_of.save(results, options.disk / "bench-cloud.json")
    directory = tables_of.PICTURES if options.docs else options.disk
    if "cost" in results:
        pictures.border(results, directory)
    if options.docs:
        report.into_page(found)
        for part in wanted:
            tables_of.save(results[part], directory / ("cloud-%s.json" % part))
        if "cost" in results:
            figures.write_module(results["cost"]["figures"])
    return results
