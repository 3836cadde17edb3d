"""A long run goes on where it ended, and keeps what it found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fk_backend.testing.simulation.__main__ import CI_RUNS
from fk_backend.testing.simulation.campaign import Failure, Tally
from fk_backend.testing.simulation.checks import Violation
from fk_backend.testing.simulation.run import run
from fk_backend.testing.simulation.workload import invoked
from tests.simulation import long


def test_it_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = tmp_path / "simulation.jsonl"
    done.write_text(json.dumps({"first": 0, "upto": 30, "calls": 1, "seconds": 1, "failed": [], "code": "x"}) + "\n")
    monkeypatch.setattr(long, "SLICE", 7)
    arguments = ["40", "--jobs", "1", "--done", str(tmp_path)]
    assert long.main(arguments) == 0
    slices = long.read(done)
    assert [(each["first"], each["upto"]) for each in slices] == [(0, 30), (30, 37), (37, 40)]
    assert all(each["calls"] > 0 and each["code"] for each in slices)
    assert long.main(arguments) == 0 and len(long.read(done)) == 3
    assert long.main(["50", "--jobs", "1", "--done", str(tmp_path), "--within", "0"]) == 1


def test_what_broke_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(first: int, schedules: int, *_: Any) -> Tally:
        return Tally(first + schedules, schedules, 1, 1.0, [Failure(first + 1, [Violation("W1", "twice")])])

    monkeypatch.setattr(long, "campaign", broken)
    done = tmp_path / "simulation.jsonl"
    assert long.main(["20010", "--jobs", "1", "--done", str(tmp_path)]) == 1
    assert [each["failed"] for each in long.read(done)] == [[20001]]


def test_each_world_has_its_own(tmp_path: Path) -> None:
    ran = CI_RUNS["invoked"]
    assert long.main([str(ran + 1), "--world", "invoked", "--jobs", "1", "--done", str(tmp_path)]) == 0
    (done,) = tmp_path.iterdir()
    (entry,) = long.read(done)
    history = run(invoked(ran))
    assert (entry["first"], entry["calls"]) == (ran, history.calls)
