"""`python -m benchmarks local`, `python -m benchmarks growth`: measure, print, and write what was found."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

from . import local, report, systems

DISK = systems.REPOSITORY / ".cache"


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    for name, about in (("local", "beside ZooKeeper on this machine"),):
        part = parts.add_parser(name, help=about)
        part.add_argument("--quick", action="store_true", help="fewer samples: a minute or two")
        part.add_argument("--smoke", action="store_true", help="hardly any: only whether it works")
        part.add_argument("--rows", help="only these, separated by semicolons or, where none has one, commas")
        part.add_argument("--disk", type=Path, default=DISK, help="a directory on a real disk (default: %(default)s)")
        part.add_argument("--json", type=Path, help="where to write the results")
        part.add_argument("--docs", action="store_true", help="put them into docs/performance.md and its pictures")
    parts.choices["local"].add_argument("--systems", default=",".join(systems.NAMES), help="default: %(default)s")
    return parser.parse_args(arguments)


def _chosen(wanted: str, known: Sequence[str]) -> List[str]:
    """Rows by name, or by what their names begin with."""
    if wanted is None:
        return list(known)
    names = [name.strip() for name in wanted.split(";" if ";" in wanted else ",")]
    if any(name not in known for name in names) and wanted in known:
        names = [wanted]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit("no row %s; there are:\n  %s" % (", ".join(unknown), "\n  ".join(known)))
    return names


def _local(options: argparse.Namespace, disk: Path) -> Dict[str, Any]:
    size = local.SMOKE if options.smoke else local.QUICK if options.quick else local.FULL
    rows = _chosen(options.rows, local.ALL)
    return local.run(options.systems.split(","), rows, size, disk, lambda text: print("·", text, file=sys.stderr))


def main(arguments: Sequence[str]) -> None:
    """Runs a part."""
    options = _arguments(arguments)
    options.disk.mkdir(parents=True, exist_ok=True)
    where, started = report.machine(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.disk) as disk:
        results = {"local": _local}[options.part](options, Path(disk))
    where["load_after"] = report.machine()["load"]
    results.update(machine=where, seconds=round(time.monotonic() - started))
    report.show(options.part, report.lines(results))
    print(report.circumstances(results), "It took %d s." % results["seconds"])
    for why in results["left_out"]:
        print("left out:", why)
    report.save(results, options.json or DISK / ("bench-%s.json" % options.part))


if __name__ == "__main__":
    main(sys.argv[1:])
