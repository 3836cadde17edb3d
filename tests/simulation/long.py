"""A million schedules of a world, in as many sittings as it takes: ``python -m tests.simulation.long [SCHEDULES]``.

Rule upheld here: what was run is written down, slice by slice, with the code that it ran on; the same command goes on
where the last one ended. What a slice broke is written down as well, and is no reason to stop.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from fk_backend.testing.simulation.__main__ import CI_RUNS, progress
from fk_backend.testing.simulation.campaign import campaign
from fk_backend.testing.simulation.workload import WORLDS

from ..checkout import ROOT, commit

DONE = ROOT / "docs" / "long-runs"
SLICE = 2_000
"""Seeds that are written down together."""


def read(done: Path) -> List[Dict[str, Any]]:
    """The slices so far."""
    return [json.loads(line) for line in done.read_text("utf-8").splitlines()] if done.exists() else []


def ledger(world: str) -> str:
    """Where the slices of a world are written down."""
    return "simulation.jsonl" if world == "all" else "simulation-%s.jsonl" % world


def run(world: str, schedules: int, jobs: int, until: float, done: Path) -> Iterator[Dict[str, Any]]:
    """The slices that are left, each as soon as it is written down; what a change has to pass counts as done."""
    version = commit()
    first = max((each["upto"] for each in read(done)), default=CI_RUNS.get(world, 0))
    while first < schedules and time.monotonic() < until:
        tally = campaign(first, min(SLICE, schedules - first), jobs, None, progress, WORLDS[world])
        failed = [failure.seed for failure in tally.failures]
        entry = {"first": first, "upto": tally.upto, "calls": tally.calls, "seconds": round(tally.seconds)}
        if tally.upto == first:
            return
        with open(done, "a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "failed": failed, "code": version}) + "\n")
        yield {**entry, "failed": failed}
        first = tally.upto


def main(argv: Optional[List[str]] = None) -> int:
    """0 if all of them were run, and nothing that was run now is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.long", description=str(__doc__).splitlines()[0])
    parser.add_argument("schedules", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--world", choices=WORLDS, default="all", help="which plans (default: %(default)s)")
    parser.add_argument("--within", type=float, default=1e9, metavar="SECONDS", help="begins no slice after that")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--done", type=Path, default=DONE, help="where it is written down (default: %(default)s)")
    options = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)
    done, until = options.done / ledger(options.world), time.monotonic() + options.within
    broken, upto = 0, 0
    for entry in run(options.world, options.schedules, options.jobs, until, done):
        broken, upto = broken + len(entry["failed"]), entry["upto"]
        print(
            "%s: %d of %d schedules, %d broke something" % (options.world, upto, options.schedules, broken), flush=True
        )
    return 1 if broken or max(upto, *(each["upto"] for each in read(done)), 0) < options.schedules else 0


if __name__ == "__main__":
    sys.exit(main())
