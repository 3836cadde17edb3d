"""kazoo's own tests of every supported release, each really installed, on every Python asked for: a table of all runs.

    python -m compat_tests.kazoo_suite.matrix [--python 3.9 --python 3.13] [--kazoo 2.8.0] [--url memory://matrix]

Environments are those of ``tests/matrix.py``, in .cache/matrix, made once. Run it from the checkout.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from typing import Dict, List, NamedTuple, Optional

from tests.matrix import KAZOOS, ROOT, install, interpreters

URLS = ["memory://matrix", "local://matrix"]
NEEDS: Dict[str, List[str]] = {"2.8.0": ["mock"], "2.9.0": ["mock"]}
"""Release of kazoo → what its tests import beyond what newer ones do."""
COUNTS = ("collected", "passed", "failed", "skipped", "not applicable")


class Run(NamedTuple):
    """One line of the table."""

    python: str
    kazoo: str
    url: str
    counts: Dict[str, int]
    status: int
    seconds: float


def prepared(executable: str, python: str, kazoo: str) -> str:
    """The Python of an environment with that kazoo and what its tests import."""
    inside = str(install(executable, python, kazoo))
    needs = NEEDS.get(kazoo, [])
    code = "import importlib.util, sys; sys.exit(any(not importlib.util.find_spec(name) for name in sys.argv[1:]))"
    if subprocess.run([inside, "-c", code, *needs]).returncode:
        pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *needs], check=True)
    return inside


def run(executable: str, python: str, kazoo: str, url: str) -> Run:
    """Runs the suite in the environment of that Python and that kazoo."""
    print("\n== Python %s, kazoo %s, %s ==" % (python, kazoo, url), flush=True)
    started = time.monotonic()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backend")])}
    command = [executable, "-m", "compat_tests.kazoo_suite", "--url", url, "--tb=short", "--disable-warnings"]
    output = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            output.append(line)
    return Run(python, kazoo, url, _counts("".join(output)), process.returncode, time.monotonic() - started)


def _counts(output: str) -> Dict[str, int]:
    return {name: int(count) for name, count in re.findall(r"^(%s) +(\d+)$" % "|".join(COUNTS), output, re.MULTILINE)}


def table(runs: List[Run]) -> str:
    """As Markdown, which reads well as text too."""
    head = ["Python", "kazoo", "deployment", *COUNTS, "seconds"]
    rows = [
        [r.python, r.kazoo, r.url.partition("://")[0] + "://", *(str(r.counts.get(n, "?")) for n in COUNTS),
         "%.0f%s" % (r.seconds, " (exit code %d)" % r.status if r.status else "")]
        for r in runs
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in [head, *rows]]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join("| %s |" % line for line in lines)


def main(argv: Optional[List[str]] = None) -> int:
    """0 if every run passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = "%d.%d" % sys.version_info[:2]
    parser.add_argument("--python", action="append", help="such as 3.12; more than once for more (default: this one)")
    parser.add_argument("--kazoo", action="append", help="a release; more than once for more (default: all supported)")
    parser.add_argument("--url", action="append", help="a deployment (default: %s)" % " and ".join(URLS))
    options = parser.parse_args(argv)
    found = {**interpreters(), here: sys.executable}
    runs: List[Run] = []
    for python in options.python or [here]:
        if python not in found:
            parser.error("no Python %s here; there are: %s" % (python, ", ".join(sorted(found))))
        for kazoo in options.kazoo or KAZOOS:
            inside = prepared(found[python], python, kazoo)
            runs.extend(run(inside, python, kazoo, url) for url in options.url or URLS)
    print("\n" + table(runs))
    return max((r.status for r in runs), default=0)


if __name__ == "__main__":
    sys.exit(main())
