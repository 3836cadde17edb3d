"""Which deployments are refused: with a message that says what to do, and with nothing changed on disk."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Callable, Dict, List, Tuple, Type

import pytest

from fk_backend.errors import DeploymentError, NotADeployment, UnknownFormat
from fk_backend.layout import OLDEST_FORMAT
from fk_backend.ports import STATE, Key
from fk_backend.providers.local import database, files
from fk_backend.providers.local.store import LocalStore
from fk_backend.testing.harness import put
from tests.providers.local.conftest import contents


def _foreign(path: Path, journal: str, pragmas: str = "") -> None:
    """A database of another program, which is still open there, its log not yet in the file."""
    path.unlink()
    other = sqlite3.connect(path)
    other.executescript("PRAGMA journal_mode=%s; %s; CREATE TABLE t (a); INSERT INTO t VALUES (1)" % (journal, pragmas))
    _open_elsewhere.append(other)


_open_elsewhere: List[sqlite3.Connection] = []
_NEWER = "PRAGMA application_id=%d; PRAGMA user_version=%d" % (database.APPLICATION_ID, database.FILES_FORMAT + 1)
_OLDER = "PRAGMA application_id=%d; PRAGMA user_version=%d" % (database.APPLICATION_ID, OLDEST_FORMAT - 1)
_UNNUMBERED = "PRAGMA application_id=%d" % database.APPLICATION_ID


def _swap(directory: Path) -> None:
    (directory / "state.db").rename(directory / "other")
    (directory / "interest.db").rename(directory / "state.db")
    (directory / "other").rename(directory / "interest.db")


def _into_directory(directory: Path) -> None:
    (directory / "state.db").unlink()
    (directory / "state.db").mkdir()


REFUSED: Dict[str, Tuple[Type[DeploymentError], Callable[[Path], object]]] = {
    "empty": (NotADeployment, lambda d: (d / "state.db").write_bytes(b"")),
    "one byte": (NotADeployment, lambda d: (d / "state.db").write_bytes(b"S")),
    "text": (NotADeployment, lambda d: (d / "state.db").write_text("what the user kept here\n" * 500)),
    "zeros": (NotADeployment, lambda d: (d / "interest.db").write_bytes(bytes(8192))),
    "foreign": (NotADeployment, lambda d: _foreign(d / "state.db", "DELETE")),
    "foreign, with a log": (NotADeployment, lambda d: _foreign(d / "interest.db", "WAL")),
    "no format": (NotADeployment, lambda d: _foreign(d / "state.db", "DELETE", _UNNUMBERED)),
    "newer": (UnknownFormat, lambda d: _foreign(d / "state.db", "DELETE", _NEWER)),
    "older": (UnknownFormat, lambda d: _foreign(d / "state.db", "DELETE", _OLDER)),
    "newer interest": (UnknownFormat, lambda d: _foreign(d / "interest.db", "DELETE", _NEWER)),
    "half of it": (NotADeployment, lambda d: os.truncate(d / "state.db", 5000)),
    "damaged header": (NotADeployment, lambda d: (d / "state.db").write_bytes(b"\xff" * 100 + bytes(9000))),
    "no state": (NotADeployment, lambda d: (d / "state.db").unlink()),
    "no interest": (NotADeployment, lambda d: (d / "interest.db").unlink()),
    "swapped": (NotADeployment, _swap),
    "a directory": (NotADeployment, _into_directory),
}


LOOK_RIGHT = ("half of it", "swapped")
"""By their headers; so SQLite opens them, which puts a log beside them and takes it away again."""


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_deployment_is_not_changed(place: files.Place, case: str) -> None:
    host = LocalStore(place, writable_state=True)
    asyncio.run(host.commit([put(Key(STATE, "p", str(n)), 1, b"x" * 1000) for n in range(100)]))
    host.close()
    error, damage = REFUSED[case]
    damage(Path(place.directory))
    before = contents(Path(place.directory))
    says = r"(?s)%s.*(restore|remove|move it|upgrade)" % place.directory
    with pytest.raises(error, match=says):
        LocalStore(place, writable_state=True)
    if case not in LOOK_RIGHT:
        with pytest.raises(error, match=says):
            files.prepare("d")
    after = contents(Path(place.directory))
    while _open_elsewhere:
        _open_elsewhere.pop().close()
    assert _without_times(after) == _without_times(before)
    if case not in (
        "half of it",
        "swapped",
    ):  # they look right from outside, so SQLite put a log there and took it away
        assert after == before


def _without_times(contents: Dict[str, Tuple[int, int, bytes]]) -> Dict[str, Tuple[int, bytes]]:
    return {name: (mode, body) for name, (mode, _, body) in contents.items()}


@pytest.mark.parametrize("what", ["a file", "other files", "home is a file"])
def test_what_is_not_a_deployment_at_all(home: Path, what: str) -> None:
    if what == "home is a file":
        home.write_text("precious")
    else:
        home.mkdir()
        if what == "a file":
            (home / "d").write_text("precious")
        else:
            (home / "d").mkdir()
            (home / "d" / "thesis.tex").write_text("precious")
    before = contents(home)
    with pytest.raises(NotADeployment, match="remove"):
        files.prepare("d")
    assert contents(home) == before
