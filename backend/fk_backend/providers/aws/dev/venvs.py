"""Interpreters with exactly what one tool needs, made on first use.

Rule upheld here: an interpreter is used only after everything was installed into it, whoever else is making it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import List


class SetUpFailed(Exception):
    """An interpreter could not be made; the text has what pip or venv said."""


def cache() -> Path:
    """Where they are kept: ``.cache`` of the repository that this file is in, else the user's cache."""
    root = Path(__file__).resolve().parents[5]
    if (root / "backend" / "fk_backend").is_dir() and (root / "pyproject.toml").is_file():
        return root / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fk-kazoo"


def interpreter(name: str, requirement: str) -> Path:
    """The python of the environment ``name`` that has ``requirement`` and nothing else. SetUpFailed if pip fails."""
    place = (cache() / name).resolve()
    python, mark = place / "bin" / "python", place / ".complete"
    wanted = "%s\n%s\n" % (requirement, sys.version_info[:2])
    place.mkdir(parents=True, exist_ok=True)
    with open(place / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text() != wanted:
            _make(place, python, requirement)
            mark.write_text(wanted)
    return python


def _make(place: Path, python: Path, requirement: str) -> None:
    """Some systems split python's venv module in two; then pip comes from the python that runs this."""
    pip = [str(python), "-m", "pip"]
    try:
        _run([sys.executable, "-m", "venv", str(place)])
    except SetUpFailed:
        _run([sys.executable, "-m", "venv", "--without-pip", str(place)])
        pip = [sys.executable, "-m", "pip", "--python", str(python)]
    _run([*pip, "install", "--quiet", "--disable-pip-version-check", "--no-input", requirement])


def _run(command: List[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SetUpFailed("%s: %s" % (" ".join(command), done.stdout.strip()[-2000:]))
