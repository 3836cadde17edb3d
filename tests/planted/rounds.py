"""Runs the named tests of a family of bugs: once with each bug, and once as the product is, when all of them are gone.

All in one process, which collects the tests once: ``python -m tests.planted.rounds FAMILY`` shows what catches what.
A test that hangs is ended, and a process that hangs is killed by who started it.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Dict, List, NamedTuple, Optional

import pytest

from . import in_facade, in_handlers, in_local, in_messages, in_surface, on_aws, on_disk, on_lambda
from .edited import Family, Named

MODULES = (in_messages, in_handlers, in_local, on_disk, on_aws, on_lambda, in_facade, in_surface)
FAMILIES: Dict[str, Family] = {module.family.name: module.family for module in MODULES}
HANGS_AFTER_S = 60


class Round(NamedTuple):
    """One bug, or none: the tests that failed, each with what it said last; how long all of it took."""

    bug: str
    failed: Dict[str, str]
    seconds: float


class Rounds:
    """A pytest plugin that goes round instead of running each test once."""

    def __init__(self, bugs: List[Named]) -> None:
        self._bugs = bugs
        self._failed: Dict[str, str] = {}
        self.rounds: List[Round] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's."""
        if session.testsfailed:
            raise session.Interrupted("tests can't be collected")
        every = [item.nodeid for item in session.items]
        for named in self._bugs:
            tests = [name for name in every if name.split("[")[0] in named.tests or name in named.tests]
            assert tests, "no such test: %s" % (named.tests,)
            with named.bug.planted():
                self._round(session, named, tests)
        self._round(session, None, every)
        return True

    def _round(self, session: pytest.Session, named: Optional[Named], tests: List[str]) -> None:
        self._failed = {}
        started = time.monotonic()
        for item in session.items:
            if item.nodeid in tests:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                if self._failed and named is not None:
                    break
        self.rounds.append(Round(named.bug.name if named else "", self._failed, time.monotonic() - started))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What failed, and why."""
        if report.failed:
            crash: Any = getattr(report.longrepr, "reprcrash", None)
            self._failed[report.nodeid] = str(crash.message if crash is not None else report.longrepr)[:500]


def go_round(family: Family) -> List[Round]:
    """In this process."""
    rounds = Rounds(family.bugs)
    ids = sorted({test for named in family.bugs for test in named.tests})
    options = [
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-q",
        "--timeout=%d" % HANGS_AFTER_S,
        "--no-header",
        "--show-capture=no",
        "--tb=short",
        "--hypothesis-seed=0",  # whether a property test catches a bug is not left to chance
    ]
    pytest.main([*options, *ids], plugins=[rounds])
    return rounds.rounds


if __name__ == "__main__":
    chosen = sys.argv[1]
    print("\n".join(FAMILIES[chosen].misfits))
    found = go_round(FAMILIES[chosen])
    if len(sys.argv) > 2:
        with open(sys.argv[2], "w", encoding="utf-8") as file:
            json.dump(found, file)
    else:
        for one in found:
            print("%5.2f s  %s" % (one.seconds, one.bug or "(as it is)"))
            for test, why in one.failed.items():
                print("         %s: %s" % (test, " ".join(why.split())[:150]))
