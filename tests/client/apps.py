"""Small apps in fresh interpreters, for tests of ``fk-kazoo run``.

Rule upheld here: an app's directory and FK_KAZOO_URL are what the test says, whatever they are outside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Dict, Optional


def python(
    *arguments: str, cwd: Path, environ: Optional[Dict[str, str]] = None, code: int = 0
) -> "subprocess.CompletedProcess[str]":
    base = {name: value for name, value in os.environ.items() if name != "FK_KAZOO_URL"}
    paths = os.pathsep.join(path for path in sys.path if path and path != str(cwd))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**base, "PYTHONPATH": paths, **(environ or {})},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done


def run(*arguments: str, cwd: Path, environ: Optional[Dict[str, str]] = None, code: int = 0) -> str:
    return python("-m", "fk_kazoo", "run", *arguments, cwd=cwd, environ=environ, code=code).stdout


def app(directory: Path, source: str, name: str = "app.py") -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path
