"""Who installs the wheel has the types, in an environment with the checkers, far from the checkout and its settings."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..types import checkers


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_types_of_the_wheel(tmp_path: Path, wheel_file: Path) -> None:
    home = tmp_path / "venv"
    python = str(home / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install"]
    made = subprocess.run([sys.executable, "-m", "venv", str(home)], stdout=subprocess.DEVNULL)
    if made.returncode:  # some systems split python's venv module in two
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(home)], check=True)
        pip = [sys.executable, *pip[1:3], "--python", python, *pip[3:]]
    subprocess.run([*pip, str(wheel_file), "mypy", "pyright[nodejs]"], check=True, timeout=600)
    uses = [Path(shutil.copy(each, tmp_path)) for each in checkers.USES]
    checkers.compare("mypy", checkers.mypy(uses, tmp_path, python=python))
    checkers.compare("pyright", checkers.pyright(uses, tmp_path, python=python))
