"""Runs the client's tests with every supported kazoo and every Python found here: ``make matrix``.

Rule upheld here: each combination is really installed, in an environment of its own in .cache/matrix, and a combination
that can't be installed is reported as that and fails the run.

Every kazoo runs on this Python, and every Python runs the newest kazoo; ``--full`` runs each with each. ``--suite``
adds kazoo's own tests on memory:// and local://. Further arguments go to pytest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "matrix"
KAZOOS = ["2.8.0", "2.9.0", "2.10.0", "2.11.0"]
PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
REQUIREMENTS = ["eventlet", "gevent", "hypothesis", "objgraph", "pyjks", "pyopenssl<26.2", "pytest", "pytest-timeout"]


class Outcome(NamedTuple):
    """One row of the table."""

    python: str
    kazoo: str
    passed: bool
    says: str


def interpreters() -> Dict[str, str]:
    """Version (``3.11``) to executable: on PATH, or where pyenv keeps them."""
    found: Dict[str, str] = {}
    for version in PYTHONS:
        pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
        candidates = [shutil.which(f"python{version}"), *map(str, pyenv)]
        for candidate in candidates:
            if candidate and _version(candidate) == version:
                found[version] = candidate
                break
    return found


def _version(executable: str) -> Optional[str]:
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def install(executable: str, python: str, kazoo: str) -> Path:
    """The Python of an environment with that kazoo; made once."""
    home = CACHE / f"py{python}-kazoo{kazoo}"
    inside = home / "bin" / "python"
    if not (home / ".done").exists():
        subprocess.run([executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"kazoo=={kazoo}", *REQUIREMENTS], check=True)
        (home / ".done").touch()
    return inside


def run(executable: str, python: str, kazoo: str, suite: bool, further: List[str]) -> Outcome:
    """Installs and runs one combination."""
    print(f"\n== Python {python}, kazoo {kazoo} ==", flush=True)
    try:
        inside = str(install(executable, python, kazoo))
    except subprocess.CalledProcessError as error:
        return Outcome(python, kazoo, False, f"can't be installed: {error}")
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}
    commands = [[inside, "-m", "pytest", "--quiet", *(further or ["tests/client"])]]
    if suite:
        for url in ("memory://matrix", "local://matrix"):
            commands.append([inside, "-m", "compat_tests.kazoo_suite", "--url", url])
    says = []
    for command in commands:
        started = time.monotonic()
        with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
            last = _show(process)
        says.append(last)
        if process.returncode:
            return Outcome(python, kazoo, False, f"exit code {process.returncode}: {last}")
        print(f"({time.monotonic() - started:.0f} s)", flush=True)
    return Outcome(python, kazoo, True, "; ".join(says))


def _show(process: "subprocess.Popen[str]") -> str:
    """Passes on what it prints; returns the last line."""
    last = ""
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    return last


def main() -> int:
    """0 if every combination passed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--full", action="store_true", help="each kazoo with each Python")
    parser.add_argument("--suite", action="store_true", help="kazoo's own tests as well")
    options, further = parser.parse_known_args()
    here = "%d.%d" % sys.version_info[:2]
    found = {**interpreters(), here: sys.executable}
    outcomes = []
    for python in sorted(found, key=PYTHONS.index):
        for kazoo in KAZOOS:
            if options.full or python == here or kazoo == KAZOOS[-1]:
                outcomes.append(run(found[python], python, kazoo, options.suite, further))
    print("\nPython  kazoo   result")
    for outcome in outcomes:
        print(f"{outcome.python:<7} {outcome.kazoo:<7} {'passed' if outcome.passed else 'FAILED'}  {outcome.says}")
    absent = [version for version in PYTHONS if version not in found]
    print(f"not found here: Python {', '.join(absent)}" if absent else "every supported Python was found")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
