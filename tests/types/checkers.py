"""Type checkers, and what they say about uses.py."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).resolve().parent.parent.parent
USES = Path(__file__).with_name("uses.py")
_ERROR = re.compile(r"(?:.*[/\\])?uses\.py:(\d+): error: (.*)")
_WRONG = re.compile(r"  # wrong(?: for (\w+))?$")


def expected(checker: str) -> List[int]:
    """The lines that are wrong, by their marks."""
    found = []
    for number, line in enumerate(USES.read_text(encoding="utf-8").splitlines(), 1):
        mark = _WRONG.search(line)
        if mark and mark[1] in (None, checker):
            found.append(number)
    return found


def mypy(uses: Path, cwd: Path, python: str = sys.executable) -> Dict[int, str]:
    """The errors of ``mypy --strict`` by line."""
    command = [python, "-m", "mypy", "--strict", "--no-error-summary", str(uses)]
    printed = _run(command, cwd)
    found: Dict[int, str] = {}
    for line in printed.splitlines():
        error = _ERROR.match(line)
        if error:
            found.setdefault(int(error[1]), error[2])
        else:
            assert ": error:" not in line, line
    return found


def pyright(uses: Path, cwd: Path, python: str = sys.executable) -> Dict[int, str]:
    """The errors of pyright by line."""
    printed = _run([python, "-m", "pyright", "--pythonpath", python, "--outputjson", str(uses)], cwd)
    found: Dict[int, str] = {}
    for told in json.loads(printed)["generalDiagnostics"]:
        if told["severity"] == "error":
            assert Path(told["file"]).name == uses.name, told
            found.setdefault(told["range"]["start"]["line"] + 1, told["message"])
    return found


def compare(checker: str, found: Dict[int, str]) -> None:
    """Fails with the lines about which the checker thinks otherwise."""
    lines = USES.read_text(encoding="utf-8").splitlines()
    wrong = expected(checker)
    assert len(wrong) > 50
    missed = ["%d: no error: %s" % (number, lines[number - 1]) for number in wrong if number not in found]
    more = ["%d: %s" % (number, found[number]) for number in found if number not in wrong]
    assert not missed + more, "\n".join([checker, *missed, *more])


def _run(command: List[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout
