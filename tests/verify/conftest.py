"""Runs without AWS: a place that deploys nothing, and checks that do what a test says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional, Sequence

import pytest

from fk_kazoo.verify import leftovers, plan
from fk_kazoo.verify.outcome import Check
from fk_kazoo.verify.report import Report
from fk_kazoo.verify.run import Run, Wanted

Call = Callable[[Any], Dict[str, Any]]


def fine(context: Any) -> Dict[str, Any]:
    """A check that holds."""
    return {"saw": 1}


class Nowhere:
    """A place. ``done``: what was asked of it; ``fails``: what it raises, by what it is asked."""

    where, troubles = "nowhere-1", ()

    def __init__(self, emulator: str = "", **fails: List[Exception]) -> None:
        self.emulator = emulator
        self.fails = fails
        self.done: List[str] = []
        self.cloud = SimpleNamespace(client=lambda service: None)

    def _do(self, what: str, name: str = "") -> None:
        self.done.append(("%s %s" % (what, name)).strip())
        if self.fails.get(what):
            raise self.fails[what].pop(0)

    def prepare(self) -> None:
        self._do("prepare")

    def deploy(self, name: str, namespaces: Sequence[str] = ()) -> str:
        self._do("deploy", name)
        return "aws://%s?region=nowhere-1" % name

    def destroy(self, name: str) -> None:
        self._do("destroy", name)

    def forget_packages(self) -> None:
        self._do("forget")

    @property
    def destroyed(self) -> List[str]:
        """Which of the deployments, by the end of their names."""
        return ["idle" if one.endswith("-idle") else "main" for one in self.done if one.startswith("destroy")]


class Played(SimpleNamespace):
    """A run that has ended: ``report``, ``account``, ``told``."""

    report: Report
    account: Nowhere
    told: List[str]

    def status(self, name: str) -> str:
        """Of a check."""
        return next(one.status for one in self.report.results if one.name == name)


Play = Callable[..., Played]


@pytest.fixture()
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs checks that are given by lane: idle, measured, lanes. ``left``, ``unknown``: what is found in the end."""

    def run(
        account: Optional[Nowhere] = None,
        *,
        idle: Call = fine,
        measured: Call = fine,
        lanes: Sequence[Call] = (fine,),
        used: Call = fine,
        left: Sequence[str] = (),
        unknown: Optional[Dict[str, str]] = None,
        wanted: Optional[Wanted] = None,
    ) -> Played:
        checks = {"idle": idle, "measured": measured, "used": used}
        beside = ("used", *("lane %d" % number for number in range(len(lanes))))
        checks.update(("lane %d" % number, call) for number, call in enumerate(lanes))
        made = {name: Check(name, "it is %s" % name, call, "the moon") for name, call in checks.items()}
        monkeypatch.setattr(plan, "IDLE", made["idle"])
        monkeypatch.setattr(plan, "MEASURED", [made["measured"]])
        monkeypatch.setattr(plan, "LANES", [[made[name]] for name in beside])
        monkeypatch.setattr(plan, "ALL", list(made.values()))
        left_over = leftovers.Leftovers(list(left), dict(unknown or {}))
        monkeypatch.setattr(leftovers, "wait_until_gone", lambda cloud, prefixes: left_over)
        monkeypatch.setattr("fk_kazoo.verify.tenants.remove", lambda cloud, name: None)
        monkeypatch.setattr("fk_kazoo.verify.run.GRACE_S", 3.0)
        where, told = account or Nowhere(), []  # type: ignore[var-annotated]
        report = Run(wanted or Wanted(2.0), where, told.append)()  # type: ignore[arg-type]
        return Played(report=report, account=where, told=told)

    return run


def until_it_ends(context: Any) -> Dict[str, Any]:
    """A check that waits for what does not come."""
    context.wait(60.0)
    return {}
