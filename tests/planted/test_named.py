"""Each mistake of the facade, the providers and the handlers is caught by a quick test that is named beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .rounds import FAMILIES, Round

ROOT = Path(__file__).resolve().parents[2]
BOUND_S = 600


def test_there_are_enough_of_them_and_each_has_its_name() -> None:
    names = [named.bug.name for family in FAMILIES.values() for named in family.bugs]
    assert [misfit for family in FAMILIES.values() for misfit in family.misfits] == []
    assert len(names) >= 60 and len(set(names)) == len(names)


@pytest.mark.timeout(BOUND_S + 30)
@pytest.mark.parametrize("family", FAMILIES)
def test_each_is_caught_and_nothing_else(family: str, tmp_path: Path) -> None:
    """In a process of its own: a bug may leave one that can't be used any more."""
    path = tmp_path / "rounds"
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    command = [sys.executable, "-m", "tests.planted.rounds", family, str(path)]
    environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "backend")])
    done = subprocess.run(command, cwd=ROOT, env=environ, timeout=BOUND_S, stdout=subprocess.PIPE, text=True)
    assert path.exists(), done.stdout[-5000:]
    *planted, last = (Round(*one) for one in json.loads(path.read_text(encoding="utf-8")))
    assert len(planted) == len(FAMILIES[family].bugs), done.stdout[-5000:]
    assert last.failed == {}, "without any bug"
    assert [one.bug for one in planted if not one.failed] == [], "nobody noticed"
