"""A deployment for each test, and processes that end with it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from fk_backend.providers.local import files

ROOT = Path(__file__).resolve().parents[3]
Child = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where deployments are during the test."""
    monkeypatch.setenv(files.HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def place(home: Path) -> files.Place:
    """A new deployment."""
    return files.prepare("d")


@pytest.fixture
def child() -> Iterator[Child]:
    """Starts one of `children`, with pipes."""
    started: List["subprocess.Popen[str]"] = []

    def start(*arguments: Any) -> "subprocess.Popen[str]":
        environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}
        command = [sys.executable, "-m", "tests.providers.local.children", *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def tell(process: "subprocess.Popen[str]", text: object) -> None:
    """A line to a child."""
    assert process.stdin is not None
    process.stdin.write("%s\n" % text)
    process.stdin.flush()


def hear(process: "subprocess.Popen[str]") -> str:
    """The next line of a child; a child that ended has failed."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.endswith("\n"), "the child ended: %r, exit code %s" % (line, process.wait())
    return line.strip()


def contents(directory: Path) -> Dict[str, Tuple[int, int, bytes]]:
    """Everything below a directory: names, modes, times of change, bytes."""
    found = {}
    for path in [directory, *sorted(directory.rglob("*"))]:
        status = path.lstat()
        body = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path)] = (status.st_mode, status.st_mtime_ns, body)
    return found
