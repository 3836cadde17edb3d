"""Prints what is found when calls are interrupted, as ``--operation get --action raise --every 1``; all by default."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter

from .actions import ACTIONS
from .driver import interrupt
from .operations import OPERATIONS


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.client.interruptions", description=__doc__)
    parser.add_argument("--handler", action="append", help="threading (the default), gevent, gevent-patched, eventlet, "
                        "eventlet-patched; kazoo: plain kazoo on the ZooKeeper server that --url names")  # fmt: skip
    parser.add_argument("--url", action="append", help="memory://interrupted and local://interrupted by default")
    parser.add_argument("--operation", action="append", choices=sorted(OPERATIONS))
    parser.add_argument("--action", action="append", choices=sorted(ACTIONS))
    parser.add_argument("--every", type=int, default=1, help="only every so manieth line")
    given = parser.parse_args()
    operations, actions = given.operation or list(OPERATIONS), given.action or list(ACTIONS)
    found = 0
    with tempfile.TemporaryDirectory() as home:
        os.environ.setdefault("FK_KAZOO_HOME", home)
        for handler in given.handler or ["threading"]:
            for url in given.url or ["memory://interrupted", "local://interrupted"]:
                report = interrupt(handler, url, operations, actions, given.every, lambda line: print(line, flush=True))
                found += len(report.findings)
                per_cell = Counter(finding.cell for finding in report.findings)
                total = sum(report.points.values())
                print("== %s %s: %d interruptions of %d cells in %.0f s; %d findings in %d cells" % (
                    handler, url, total, len(report.points), report.seconds, len(report.findings), len(per_cell),
                ), flush=True)  # fmt: skip
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
