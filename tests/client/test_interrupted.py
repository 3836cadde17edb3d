"""A signal's handler that raises in the middle of a call costs that call, and nothing else."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.client.programs.support import Program

Run = Callable[..., Program]


@pytest.mark.parametrize("scheme", ["memory", "local"])
def test_calls_that_are_interrupted(run: Run, local_url: str, scheme: str) -> None:
    program = run("interrupted", local_url if scheme == "local" else "memory://interrupted")
    assert program.end(100) == 0, "\n".join(program.output[-15:])
    assert "answered" in program.output[-1], program.output
