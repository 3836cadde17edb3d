"""Deployments that can't be used: a clear error at once, which says what to do, and everything left as it was.

Damaged and foreign files, directories without permission, a disk without room. Through the public client, as whoever
is allowed least. (What apps get wrong in calls is in tests/client/test_bad_input.py.)
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple
from unittest import mock

import pytest
from kazoo.exceptions import ConfigurationError
from kazoo.handlers.threading import KazooTimeoutError

from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import DeploymentConfigurationError

from .processes import Program, eventually

Run = Callable[..., Program]
Connect = Callable[..., Any]
Tree = Dict[str, Tuple[int, bytes]]


def _tree(directory: Path) -> Tree:
    """Every file: mode and bytes. Opening a WAL database for reading may make its shared memory: that is no data."""
    return {
        str(path.relative_to(directory)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(directory.rglob("*"))
        if not path.name.endswith("-shm") and not path.is_socket()
    }


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment with something in it, closed."""
    home = tmp_path_factory.mktemp("original")
    with mock.patch.dict(os.environ, {"FK_KAZOO_HOME": str(home)}):
        client = KazooClient("local://d")
        client.start()
        for number in range(200):
            client.create("/n%d" % number, b"%d" % number * 100)
        client.stop()
        client.close()
        eventually(lambda: not list((home / "d").glob("*.db-wal")), "it is closed")
    return home / "d"


@pytest.fixture
def deployment(home: Path, original: Path) -> Path:
    """A copy of it."""
    shutil.copytree(original, home / "d", ignore=shutil.ignore_patterns("*.sock"))
    return home / "d"


def _refused(url: str = "local://d") -> str:
    """The message with which a client is refused, at once."""
    client = KazooClient(url)
    with pytest.raises(DeploymentConfigurationError) as caught:
        client.start(timeout=10)
    assert isinstance(caught.value, ConfigurationError)
    client.close()
    return str(caught.value)


def _rewrite(path: Path, change: Callable[[bytearray], Any]) -> None:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.executescript("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1);")


def _pragma(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode=DELETE; %s; PRAGMA journal_mode=WAL" % statement)


def _replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILT: Dict[str, Callable[[Path], Any]] = {
    "text": lambda path: path.write_bytes(b"not a database\n" * 500),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(8192)),
    "header cut": lambda path: path.write_bytes(path.read_bytes()[:50]),
    "header damaged": lambda path: _rewrite(path, lambda content: content.__setitem__(slice(0, 16), b"x" * 16)),
    "tables damaged": lambda path: _rewrite(path, lambda content: content.__setitem__(slice(100, 4096), b"x" * 3996)),
    "foreign": _foreign,
    "somebody else's": lambda path: _pragma(path, "PRAGMA application_id=1"),
    "newer": lambda path: _pragma(path, "PRAGMA user_version=99"),
    "missing": lambda path: path.unlink(),
    "directory": _replace_by_directory,
}


@pytest.mark.parametrize("name", ["state.db", "interest.db"])
@pytest.mark.parametrize("how", sorted(SPOILT))
def test_a_spoilt_file_is_named_and_left_alone(deployment: Path, how: str, name: str) -> None:
    SPOILT[how](deployment / name)
    before = _tree(deployment)
    message = _refused()
    assert str(deployment / name) in message and ";" in message
    assert _tree(deployment) == before
    if how == "newer":
        assert "upgrade" in message


def test_a_spoilt_lock_is_named_and_left_alone(deployment: Path) -> None:
    (deployment / "commit.lock").unlink()
    (deployment / "commit.lock").mkdir()
    message = _refused()
    assert str(deployment / "commit.lock") in message and "remove" in message
    (deployment / "commit.lock").rmdir()
    client = KazooClient("local://d")
    client.start()
    assert client.get("/n7")[0] == b"7" * 100
    client.stop()
    client.close()


def test_a_damaged_page_never_makes_a_wrong_answer(deployment: Path, make: Connect) -> None:
    """Damage that opening can't see: an error, or no answer, or the right one."""
    state = deployment / "state.db"
    size = state.stat().st_size
    half = size // 2 // 4096 * 4096
    _rewrite(state, lambda content: content.__setitem__(slice(half, size), b"\xff" * (size - half)))
    client = make("local://d", timeout=2)
    try:
        client.start(timeout=4)
    except (ConfigurationError, KazooTimeoutError):
        return
    for number in range(200):
        result = client.get_async("/n%d" % number)
        result.wait(0.2)
        assert not result.successful() or result.value[0] == b"%d" % number * 100


# --- places ---------------------------------------------------------------------------------------


def test_a_file_where_the_deployment_would_be(home: Path) -> None:
    home.mkdir()
    (home / "d").write_text("mine")
    message = _refused()
    assert str(home / "d") in message and "remove" in message
    assert (home / "d").read_text() == "mine"


def test_a_file_where_the_home_would_be(home: Path) -> None:
    home.write_text("mine")
    message = _refused()
    assert str(home) in message and "FK_KAZOO_HOME" in message
    assert home.read_text() == "mine"


def test_a_directory_of_somebody_elses(home: Path) -> None:
    (home / "d").mkdir(parents=True)
    (home / "d" / "thesis.txt").write_text("mine")
    assert str(home / "d") in _refused()
    assert [path.name for path in (home / "d").iterdir()] == ["thesis.txt"]


def _open_up(path: Path) -> None:
    """Everybody may come as far as this."""
    for above in path.parents:
        if above.stat().st_uid == os.getuid() and len(above.parts) > 2:
            above.chmod(above.stat().st_mode | 0o755)


def _closed(deployment: Path) -> None:
    deployment.chmod(0o700)


def _read_only(deployment: Path) -> None:
    """To be read by everybody, to be written by nobody."""
    for path in deployment.iterdir():
        path.chmod(0o444)
    deployment.chmod(0o555)


def _one_file_closed(deployment: Path) -> None:
    deployment.chmod(0o777)
    for path in deployment.iterdir():
        path.chmod(0o666)
    (deployment / "state.db").chmod(0o444)


FORBIDDEN: List[Callable[[Path], None]] = [_closed, _read_only, _one_file_closed]


@pytest.mark.skipif(os.getuid() != 0, reason="takes root, to become somebody else")
@pytest.mark.parametrize("how", FORBIDDEN)
def test_no_permission_is_told_before_anything_is_touched(
    deployment: Path, run: Run, how: Callable[[Path], None]
) -> None:
    _open_up(deployment / "state.db")
    how(deployment)
    before = _tree(deployment)
    message = run("as_nobody", "local://d").expect("")
    assert message.startswith("refused DeploymentConfigurationError"), message
    assert str(deployment) in message and "permission" in message.lower() and "FK_KAZOO_HOME" in message
    assert _tree(deployment) == before


@pytest.mark.skipif(os.getuid() != 0, reason="takes root, to become somebody else")
def test_a_home_that_may_not_be_written(home: Path, run: Run) -> None:
    home.mkdir()
    _open_up(home / "d")
    home.chmod(0o555)
    message = run("as_nobody", "local://d").expect("")
    assert message.startswith("refused DeploymentConfigurationError"), message
    assert str(home) in message and "FK_KAZOO_HOME" in message
    assert list(home.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="takes root, to become somebody else")
def test_whoever_may_is_let_in(home: Path, run: Run) -> None:
    """The same way, where nothing is forbidden: the refusals above are about permissions."""
    home.mkdir()
    _open_up(home / "d")
    home.chmod(0o777)
    assert run("as_nobody", "local://d").expect("") == "started"


# --- no room --------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older Pythons do not tell which error SQLite had")
def test_no_room_for_one_process_is_no_room_for_it_alone(home: Path, run: Run) -> None:
    """Only its own files may not grow: nothing of what it began is there, and others go on."""
    host = run("member", "local://d", 30)
    host.expect("ready")
    host.ask("create /a")
    other = run("crowded", "local://d")
    other.expect("ready")
    eventually(lambda: int(other.ask("write /a 1")) == 1, "it writes by itself")
    other.ask("full")
    before = int(host.ask("set /a x"))
    refused = other.ask("write /a 20")
    assert "StorageFullError" in refused
    after = int(host.ask("set /a x"))
    assert before < after <= before + 20
    other.ask("room")
    eventually(lambda: int(other.ask("write /a 1")) == 1, "it writes by itself again")
