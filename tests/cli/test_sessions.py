"""What docs/cli.md shows of each command is what is printed. `python -m tests.cli.reference` writes the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Tuple

import pytest

from . import reference
from .sessions import EMULATED, SESSIONS, played, template

REWRITTEN = ("cost",)
"""Benchmarks write its figures anew."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, str]:
    """What each begins with, and how it is shown."""
    return template(tmp_path_factory.mktemp("before"))


def test_the_reference_says_what_the_commands_say(before: Tuple[Path, str]) -> None:
    """And has a session of every one of them."""
    shown = reference.sessions_shown()
    assert reference.PAGE.read_text("utf-8") == reference.written(shown)
    assert shown.pop(reference.BEFORE) == before[1]
    assert {name for name, text in shown.items() if text} == {*SESSIONS, *EMULATED} == set(shown)


@pytest.mark.parametrize("command", SESSIONS)
def test_a_session(command: str, tmp_path: Path, before: Tuple[Path, str]) -> None:
    printed, shown = played(command, tmp_path, before[0]), reference.sessions_shown()[command]
    if command in REWRITTEN:
        printed, shown = (re.sub(r"[\d.]+", "0", text) for text in (printed, shown))
    assert printed == shown
