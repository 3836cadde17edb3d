"""What apps see: a selection of kazoo's own tests, its recipes under faults, the demo. Each is a program of its own.

They lie in ``compat_tests`` and ``examples`` of the repository; an installed package has them beside this module.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from .context import CheckContext
from .outcome import NotRun

ROOT = Path(__file__).resolve().parents[2]
_IN_CHECKOUT = (ROOT / "compat_tests" / "recipes").is_dir()
NEEDED = {
    "pytest": "pytest",
    "pytest_timeout": "pytest-timeout",
    "objgraph": "objgraph",
    "jks": "pyjks",
    "OpenSSL": "pyopenssl",
    "kazoo.tests": "kazoo's own tests",
}
"""What kazoo's tests import → what it is called."""
SUITE = ("test_client.py", "test_lock.py", "test_queue.py", "test_watchers.py", "test_counter.py", "test_election.py",
         "test_party.py", "test_barrier.py", "test_cache.py", "test_partitioner.py", "test_lease.py")  # fmt: skip
CHOSEN = "not Gevent and not Eventlet"
QUICK_SUITE = ("test_counter.py", "test_party.py")
QUICK_RECIPES = ("Counter", "--fault", "expiry")
SUITE_S = RECIPES_S = 540.0
"""More they may not take."""
SUITE_AGAIN_S = 120.0
DEMO_S = 150.0
REQUESTS_S = (100.0, 40.0)
"""Reads and writes a second that each of them is taken to make at most."""
TAIL = 3000


class Ended(NamedTuple):
    """A program that ended by itself."""

    code: int
    printed: str


def suite_missing() -> str:
    """What has to be installed before kazoo's tests can run; ``""`` if everything is there."""
    lacking = [called for module, called in NEEDED.items() if not _found(module)]
    return "%s missing: pip install 'fk_kazoo[aws,test]'" % ", ".join(lacking) if lacking else ""


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def suite(context: CheckContext) -> Dict[str, Any]:
    """A selection of kazoo's own tests. They time threads in fractions of seconds: what fails runs once more."""
    lacking = suite_missing()
    if lacking:
        raise NotRun(lacking)
    chosen = [*(QUICK_SUITE if context.scale.quick else SUITE), "-k", CHOSEN, "-q"]
    module = "compat_tests.kazoo_suite" if _IN_CHECKOUT else "fk_kazoo.verify.kazoo_suite"
    command = [sys.executable, "-m", module, "--url", context.at("kazoo-suite"), *chosen]
    with tempfile.TemporaryDirectory() as cache:
        command += ["-o", "cache_dir=" + cache]
        ended = _run(context, command, SUITE_S)
        figures = _counts(ended)
        failed = figures.pop("failed", 0)
        if failed:
            ended = _run(context, [*command, "--last-failed", "--last-failed-no-failures", "none"], SUITE_AGAIN_S)
            again = _counts(ended)
            figures["passed once more"] = again.get("passed", 0)
            failed = again.get("failed", 0)
    assert ended.code == 0 and figures.get("passed") and not failed, ended.printed[-TAIL:]
    return figures


def _counts(ended: Ended) -> Dict[str, int]:
    """What pytest's last line says."""
    counts = re.findall(r"(\d+) (passed|failed|deselected|skipped)", ended.printed.strip().splitlines()[-1])
    return {what: int(count) for count, what in counts}


def recipes(context: CheckContext) -> Dict[str, Any]:
    """kazoo's recipes while sessions expire, networks part and processes are killed."""
    module = "compat_tests.recipes" if _IN_CHECKOUT else "fk_kazoo.verify.recipes"
    chosen = list(QUICK_RECIPES) if context.scale.quick else ["--half"]
    ended = _run(context, [sys.executable, "-m", module, "--url", context.at("recipes"), *chosen], RECIPES_S)
    held = ended.printed.count(" holds ")
    assert ended.code == 0 and held, ended.printed[-TAIL:]
    return {"held": held}


def demo(context: CheckContext) -> Dict[str, Any]:
    """Four processes that elect, count and watch, and whose leader is killed."""
    account = ROOT / "examples" if _IN_CHECKOUT else Path(__file__).with_name("examples")
    ended = _run(context, [sys.executable, str(account / "demo.py"), "--deployment", context.url], DEMO_S)
    assert ended.code == 0, ended.printed[-TAIL:]
    return {"told": ended.printed.strip().splitlines()[-12:]}


def _run(context: CheckContext, command: List[str], within_s: float) -> Ended:
    """Runs it to its end. NotRun if it takes too long, Stopped if the run ends: then it was ended.

    Each of its parts has a limit of its own: who takes too long is slow, and does not hang.
    """
    paths = [str(ROOT), str(ROOT / "backend")] if _IN_CHECKOUT else []
    paths += [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment = context.environment(**({"PYTHONPATH": os.pathsep.join(paths)} if paths else {}))
    with tempfile.TemporaryFile("w+", errors="replace") as printed:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C is for us
        )
        try:
            with context.ledger.assumed(*REQUESTS_S):
                until = time.monotonic() + within_s
                while process.poll() is None:
                    if time.monotonic() > until:
                        raise NotRun("not to its end, which did not come within %.0f s" % within_s)
                    context.wait(0.1)
        finally:
            _end(process)
        printed.seek(0)
        return Ended(process.returncode, printed.read())


def _end(process: "subprocess.Popen[bytes]") -> None:
    """With everything that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
