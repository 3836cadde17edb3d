"""What apps do rightly passes, what they do wrongly is an error: in the checkout, and as users get it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..packaging.conftest import wheel_file
from . import checkers

__all__ = ["wheel_file"]  # a fixture, used below


def test_mypy() -> None:
    checkers.compare("mypy", checkers.mypy(checkers.USES, checkers.ROOT))


def test_pyright() -> None:
    checkers.compare("pyright", checkers.pyright(checkers.USES, checkers.ROOT))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_as_it_is_installed(tmp_path: Path, wheel_file: Path) -> None:
    """In an environment with the wheel and the checkers, far from the checkout and its settings."""
    home = tmp_path / "venv"
    python = str(home / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install"]
    made = subprocess.run([sys.executable, "-m", "venv", str(home)], stdout=subprocess.DEVNULL)
    if made.returncode:  # some systems split python's venv module in two
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(home)], check=True)
        pip = [sys.executable, *pip[1:3], "--python", python, *pip[3:]]
    subprocess.run([*pip, str(wheel_file), "mypy", "pyright[nodejs]"], check=True, timeout=600)
    uses = tmp_path / checkers.USES.name
    shutil.copy(checkers.USES, uses)
    checkers.compare("mypy", checkers.mypy(uses, tmp_path, python=python))
    checkers.compare("pyright", checkers.pyright(uses, tmp_path, python=python))
