"""A process that is killed between any two of its calls costs nothing that was answered; nothing happens twice."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Tuple

import pytest

from tests.providers.local.conftest import ROOT


def _run(*mistake: str) -> Tuple[int, str, str]:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}
    command = [sys.executable, "-m", "tests.providers.local.killed", *mistake]
    pipe = subprocess.PIPE
    done = subprocess.run(command, cwd=ROOT, env=environ, stdout=pipe, stderr=pipe, text=True, timeout=240)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.timeout(300)
def test_a_process_may_be_killed_before_any_of_its_calls() -> None:
    code, told, complaints = _run()
    assert code == 0, complaints
    assert int(told.split()[-2]) > 60, told


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mistake", ["commits_in_pieces"])
def test_a_mistake_would_be_seen(mistake: str) -> None:
    """What the order of the calls alone shows is in test_disk_order."""
    code, _, complaints = _run(mistake)
    assert code == 1 and "killed before call" in complaints, complaints
