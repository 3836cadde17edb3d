"""Type checkers, and what they say about uses.py and uses_asyncio.py. A place is a file's name and a line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent.parent
USES = tuple(Path(__file__).with_name(name) for name in ("uses.py", "uses_asyncio.py"))
Place = Tuple[str, int]
_ERROR = re.compile(r"(?:.*[/\\])?(uses\w*\.py):(\d+): error: (.*)")
_WRONG = re.compile(r"  # wrong(?: for (\w+))?$")


def expected(checker: str) -> List[Place]:
    """Where it is wrong, by the marks."""
    found = []
    for uses in USES:
        for number, line in enumerate(uses.read_text(encoding="utf-8").splitlines(), 1):
            mark = _WRONG.search(line)
            if mark and mark[1] in (None, checker):
                found.append((uses.name, number))
    return found


def mypy(uses: Sequence[Path], cwd: Path, python: str = sys.executable) -> Dict[Place, str]:
    """The errors of ``mypy --strict`` by place."""
    command = [python, "-m", "mypy", "--strict", "--no-error-summary", *map(str, uses)]
    printed = _run(command, cwd)
    found: Dict[Place, str] = {}
    for line in printed.splitlines():
        error = _ERROR.match(line)
        if error:
            found.setdefault((error[1], int(error[2])), error[3])
        else:
            assert ": error:" not in line, line
    return found


def pyright(uses: Sequence[Path], cwd: Path, python: str = sys.executable) -> Dict[Place, str]:
    """The errors of pyright by place."""
    printed = _run([python, "-m", "pyright", "--pythonpath", python, "--outputjson", *map(str, uses)], cwd)
    found: Dict[Place, str] = {}
    for told in json.loads(printed)["generalDiagnostics"]:
        if told["severity"] == "error":
            name = Path(told["file"]).name
            assert name in {each.name for each in uses}, told
            found.setdefault((name, told["range"]["start"]["line"] + 1), told["message"])
    return found


def compare(checker: str, found: Dict[Place, str]) -> None:
    """Fails with the places about which the checker thinks otherwise."""
    lines = {uses.name: uses.read_text(encoding="utf-8").splitlines() for uses in USES}
    wrong = expected(checker)
    assert len(wrong) > 50
    missed = ["%s:%d: no error: %s" % (*at, lines[at[0]][at[1] - 1]) for at in wrong if at not in found]
    more = ["%s:%d: %s" % (*at, found[at]) for at in found if at not in wrong]
    assert not missed + more, "\n".join([checker, *missed, *more])


def _run(command: List[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout
