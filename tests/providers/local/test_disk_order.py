"""What reaches the disk in which order, as the kernel sees it: a process makes a deployment, writes, and ends.

| rule | or else |
| --- | --- |
| a deployment gets its name when its databases and their names are there, and then it has it there | it is half made |
| who asked hears when a commit is there, and of no two without one between them | what it heard is lost |
| a log is there before its database is written from it, and its database before the log goes | neither is whole |
| a log has its name there before who asked hears | nobody finds it |

"There" means on the disk: synced after it was written.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Set

import pytest

from tests.providers.local.conftest import ROOT

WRITING = ("write", "pwrite64", "writev", "ftruncate")
NAMING = ("openat", "rename", "renameat", "renameat2", "unlink", "unlinkat")
CALLS = ",".join((*WRITING, *NAMING, "fsync", "fdatasync"))
LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (\d+)(<.*>)?$")
DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")
QUOTED = re.compile(r'"([^"]*)"')
WRITES = 12
"""How many, each of which changes something."""


class Call(NamedTuple):
    """A call of the system that succeeded. ``path``: of the descriptor, or the one that it names; ``to``: the other."""

    name: str
    path: str
    to: str
    rest: str


def _calls(trace: str) -> List[Call]:
    found = []
    for line in trace.splitlines():
        match = LINE.match(line)
        if match is None:
            assert "unfinished" not in line, "there are two threads: " + line
            continue
        name, arguments = match[1], match[2]
        descriptor, quoted = DESCRIPTOR.match(arguments), QUOTED.findall(arguments)
        if name == "openat" or descriptor is None:
            path, to = [*quoted, "", ""][:2]
        else:
            path, to = descriptor[1], ""
        found.append(Call(name, path, to, arguments))
    return found


@pytest.fixture
def traced(home: Path, tmp_path: Path) -> Any:
    """Runs a process that writes under strace; its calls."""
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-qq", "-y", "-s", "0", "-e", "trace=" + CALLS, "-e", "signal=none", "-o", str(trace)]
    try:
        probe = subprocess.run([*command, "true"], stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        pytest.skip("strace is not installed")
    if probe.returncode:
        pytest.skip("strace may not trace here: %s" % probe.stderr)

    def run(mistake: str = "") -> List[Call]:
        environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}
        child = [sys.executable, "-m", "tests.providers.local.children", "writes", "d", str(WRITES), mistake]
        pipe = subprocess.PIPE
        done = subprocess.run([*command, *child], cwd=ROOT, env=environ, stdin=pipe, stdout=pipe, text=True, timeout=60)
        assert done.returncode == 0 and done.stdout.split() == ["opened", *map(str, range(WRITES))]
        return _calls(trace.read_text())

    return run


class Disk:
    """What is written and not yet on the disk, call by call, and what broke a rule."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._home = os.path.dirname(place)
        self._dirty: Set[str] = set()
        self._unnamed: Dict[str, str] = {}
        """Files made whose name may not be on the disk yet → their directory."""
        self._commits = 0
        self.heard = 0
        self.renamed: List[str] = []
        self.broken: List[str] = []

    def see(self, call: Call) -> None:
        """The next one."""
        if call.name == "write" and call.path.startswith("pipe:") and call.rest.startswith("1<"):
            self._hear()
        elif call.name in WRITING and call.path.startswith(self._home):
            self._write(call)
        elif call.name in ("fsync", "fdatasync"):
            self._sync(call.path)
        elif call.name == "openat" and "O_CREAT" in call.rest and call.path.startswith(self._home):
            self._unnamed[call.path] = os.path.dirname(call.path)
            if "O_TRUNC" in call.rest:
                self._expect(False, "%s is cut short" % call.path)
        elif call.name.startswith("rename"):
            self._rename(call.path, call.to)
        elif call.name.startswith("unlink"):
            self._expect(call.path[:-4] not in self._dirty, "%s goes before its database is there" % call.path)
            self._dirty.discard(call.path)
            self._unnamed.pop(call.path, None)

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.broken.append(what)

    def _write(self, call: Call) -> None:
        if call.path.endswith(".db"):
            self._expect(call.path + "-wal" not in self._dirty, "%s is written from no log" % call.path)
        if call.path.endswith("-shm"):
            return
        self._dirty.add(call.path)

    def _sync(self, path: str) -> None:
        self._dirty.discard(path)
        self._unnamed = {name: above for name, above in self._unnamed.items() if above != path}
        self._commits += path == self._place + "/state.db-wal"

    def _rename(self, old: str, new: str) -> None:
        self.renamed.append(new)
        self._expect(old not in self._dirty, "%s gets its name before it is there" % new)
        inside = [path for path in self._dirty if path.startswith(old + "/") and not path.endswith("-shm")]
        unnamed = [path for path in self._unnamed if path.startswith(old + "/") and path.endswith(".db")]
        self._expect(not inside + unnamed, "%s gets its name before %s are there" % (new, inside + unnamed))
        self._unnamed[new] = os.path.dirname(new)

    def _hear(self) -> None:
        self.heard += 1
        log = self._place + "/state.db-wal"
        self._expect(log not in self._dirty, "who asked hears before its commit is on the disk")
        self._expect(self._commits > 0, "who asked hears and nothing was committed")
        self._expect(log not in self._unnamed, "who asked hears before the log has its name on the disk")
        self._expect(self._place not in self._unnamed, "who asked hears before the deployment has its name on the disk")
        self._commits = 0


def _judged(calls: List[Call], home: Path) -> Disk:
    disk = Disk(str(home / "d"))
    for call in calls:
        disk.see(call)
    return disk


def test_everything_reaches_the_disk_in_its_order(traced: Any, home: Path) -> None:
    calls = traced()
    disk = _judged(calls, home)
    assert disk.broken == []
    assert disk.heard == 1 + WRITES and disk.renamed == [str(home / "d")]
    assert {call.path for call in calls if call.name.startswith("unlink")} >= {str(home / "d" / "state.db-wal")}


@pytest.mark.parametrize(
    "mistake, says",
    [
        ("not_durable", "who asked hears before its commit is on the disk"),
        ("directories_not_synced", "before the deployment has its name on the disk"),
    ],
)
def test_a_mistake_would_be_seen(traced: Any, home: Path, mistake: str, says: str) -> None:
    assert says in "\n".join(_judged(traced(mistake), home).broken)
