"""`python -m benchmarks local`, `timeline`, `growth` or `cloud`: measure, print, and write what was found."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from . import growth, local, pictures, report, systems, timeline
from .cloud import main as cloud

DISK = systems.REPOSITORY / ".cache"
CASES = [case.name for case in growth.CASES]


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    for name, about in (
        ("local", "beside ZooKeeper on this machine"),
        ("timeline", "where the time of one write goes"),
        ("growth", "as the surroundings grow"),
    ):
        part = parts.add_parser(name, help=about)
        part.add_argument("--quick", action="store_true", help="fewer samples: two minutes at most")
        part.add_argument("--smoke", action="store_true", help="hardly any: only whether it works")
        part.add_argument("--rows", help="only these: separated by commas, or by semicolons where names have commas")
        part.add_argument("--disk", type=Path, default=DISK, help="a directory on a real disk (default: %(default)s)")
        part.add_argument("--json", type=Path, help="where to write the results (default: in the disk's directory)")
        part.add_argument("--docs", action="store_true", help="put them into docs/performance.md and its pictures")
    parts.choices["local"].add_argument("--systems", default=",".join(systems.USUAL), help="default: %(default)s")
    delay = "milliseconds of a round trip of a network between clients and servers: for what has servers (default: 0)"
    parts.choices["local"].add_argument("--delay-ms", type=float, default=0.0, help=delay)
    cloud.declare(parts.add_parser("cloud", help="on AWS: requests, dollars, milliseconds, by counting and simulating"))
    grown = parts.choices["growth"]
    grown.add_argument("--up-to", type=int, help="the largest size (default: 1,000,000; quick 10,000)")
    grown.add_argument("--system", choices=growth.SYSTEMS, default="local", help="default: %(default)s")
    grown.add_argument("--fill-s", type=float, default=600.0, help="so long one size may be filled (default: 600)")
    return parser.parse_args(arguments)


def _chosen(wanted: Optional[str], known: Sequence[str]) -> List[str]:
    """Rows by name."""
    if wanted is None or wanted in known:
        return [wanted] if wanted else list(known)
    names = [name.strip() for name in wanted.split(";" if ";" in wanted else ",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit("no row %s; there are:\n  %s" % (", ".join(unknown), "\n  ".join(known)))
    return names


def _say(text: str) -> None:
    print("·", text, file=sys.stderr, flush=True)


def _local(options: argparse.Namespace, disk: Path) -> Dict[str, Any]:
    size = local.SMOKE if options.smoke else local.QUICK if options.quick else local.FULL
    names = options.systems.split(",")
    without = [name for name in names if name not in ("zookeeper", *systems.DATABASES)]
    if options.delay_ms and without:
        sys.exit("--delay-ms is for what has servers, which these have not: %s" % ", ".join(without))
    return local.run(names, _chosen(options.rows, local.ALL), size, disk, _say, options.delay_ms)


def _growth(options: argparse.Namespace, disk: Path) -> Dict[str, Any]:
    rounds, count, up_to = (1, 2, 10) if options.smoke else (5, 20, 10_000) if options.quick else (7, 40, 1_000_000)
    extent = growth.Extent(up_to if options.up_to is None else options.up_to, rounds, count, options.fill_s)
    return growth.run(_chosen(options.rows, CASES), extent, disk, _say, options.system)


def _timeline(options: argparse.Namespace, disk: Path) -> Dict[str, Any]:
    return timeline.run(10 if options.smoke else 500 if options.quick else 3000, disk)


def main(arguments: Sequence[str]) -> Dict[str, Any]:
    """Runs a part; its results."""
    options = _arguments(arguments)
    if options.part == "cloud":
        return cloud.run(options)
    options.disk.mkdir(parents=True, exist_ok=True)
    where, started = report.machine(), time.monotonic()
    measure, lines, picture = {
        "local": (_local, report.lines, pictures.comparison),
        "timeline": (_timeline, timeline.lines, lambda results, where: None),
        "growth": (_growth, report.growth_lines, pictures.growth),
    }[options.part]
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.disk) as disk:
        results = measure(options, Path(disk))
    where["load_after"] = report.machine()["load"]
    results.update(machine=where, seconds=round(time.monotonic() - started))
    report.save(results, options.json or options.disk / ("bench-%s.json" % options.part))
    grown = options.part == "growth"
    name = options.part if not grown or options.system == "local" else "growth-" + options.system
    kept = report.PICTURES / ("%s.json" % name)
    if grown and options.docs and kept.exists():
        results = growth.with_others(results, kept)
    table = lines(results)
    report.show(options.part, table)
    text = growth.circumstances(results, report.place(results)) if grown else report.circumstances(results)
    if getattr(options, "delay_ms", 0.0):
        text += " Between clients and servers, a network with a round trip of %g ms." % options.delay_ms
    left_out = ["Left out: %s." % why for why in results["left_out"]]
    print("\n".join([text, *left_out]))
    if options.docs:
        report.save(results, kept)
        if name == options.part:
            picture(results, report.PICTURES)
        report.into_page(name, "\n\n".join([report.markdown(table), text, *left_out]))
    else:
        picture(results, options.disk)
    return results


if __name__ == "__main__":
    main(sys.argv[1:])
