"""Where deployments live, how they are made and kept, and that looking at one does not disturb who uses it."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import List, Tuple

import pytest

from fk_backend.core.model import Id
from fk_backend.errors import BadUrl, DeploymentError, NotADeployment
from fk_backend.ports import SESSIONS, STATE, TABLES, Item, Key
from fk_backend.providers import memory
from fk_backend.providers.aws import names as aws_names
from fk_backend.providers.local import files, statements
from fk_backend.providers.local.store import LocalStore
from fk_backend.testing.harness import put
from tests.providers.local.conftest import Child, contents

# --- where ----------------------------------------------------------------------------------------


def test_home_is_named_by_the_variable_or_is_in_the_users_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value, home in (("/x/y", "/x/y"), ("~/d", tmp_path / "d"), ("", tmp_path / ".fk_kazoo"), (".", os.getcwd())):
        monkeypatch.setenv("FK_KAZOO_HOME", value)
        assert files.home() == str(home)
    monkeypatch.delenv("FK_KAZOO_HOME")
    assert files.locate("name").state == str(tmp_path / ".fk_kazoo" / "name" / "state.db")


def test_no_home_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FK_KAZOO_HOME", "~nobody-of-that-name/x")
    with pytest.raises(DeploymentError, match="FK_KAZOO_HOME"):
        files.home()


@pytest.mark.parametrize("name", ["a", "a-b-9", "x" * 20, "9"])
def test_good_names(name: str, home: Path) -> None:
    assert files.prepare(name).directory == str(home / name)


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "a b", "é", "x" * 65, "a\n", "\0", "a:b", "a\\b"])
def test_bad_names(name: str, home: Path) -> None:
    with pytest.raises(BadUrl, match="can't name a deployment"):
        files.prepare(name)
    assert not home.exists()


@pytest.mark.parametrize("name", ["A-b_c.9", "x" * 21, "x" * 64, "-", "a..b", "a-", "deploy", "a-inbox"])
def test_names_that_aws_refuses_are_used_and_not_made(name: str, home: Path) -> None:
    """The rule is everybody's. What has such a name from a version before keeps it, wherever it stands."""
    for make in (files.prepare, lambda name: files.share(name, grp.getgrgid(os.getgid()).gr_name)):
        with pytest.raises(BadUrl, match="a deployment's name is"):
            make(name)
        with pytest.raises(BadUrl, match="a deployment's name is"):
            memory.check(name, {})
        with pytest.raises(BadUrl, match="a deployment's name is"):
            aws_names.checked(name)
    assert not home.exists()
    files.prepare("new")
    os.rename(home / "new", home / name)
    assert files.prepare(name).directory == str(home / name)


def test_a_name_that_would_do_is_told(home: Path) -> None:
    with pytest.raises(BadUrl, match=r"local://My_App: .* as in my-app"):
        files.prepare("My_App")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_user_gets_in(home: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        place = files.prepare("d")
        store = LocalStore(place, writable_state=True)
        asyncio.run(store.commit([put(Key(STATE, "p", "s"), 1)]))
        modes = {name: stat.S_IMODE(os.stat(os.path.join(place.directory, name)).st_mode) for name in _listing(place)}
        store.close()
    finally:
        os.umask(before)
    assert modes.pop(".") == 0o700
    assert len(modes) == 6 and set(modes.values()) == {0o600}, modes


def _listing(place: files.Place) -> Tuple[str, ...]:
    return (".", *os.listdir(place.directory))


def test_preparing_again_changes_nothing(place: files.Place) -> None:
    before = contents(Path(place.directory))
    assert files.prepare("d") == place
    assert contents(Path(place.directory)) == before


def test_an_empty_directory_becomes_a_deployment(home: Path) -> None:
    (home / "d").mkdir(parents=True)
    LocalStore(files.prepare("d"), writable_state=True).close()


def test_all_who_make_it_at_once_get_the_same_one(home: Path) -> None:
    barrier = Barrier(8)

    def make(n: int) -> None:
        barrier.wait()
        store = LocalStore(files.prepare("d"), writable_state=True)
        asyncio.run(store.commit([put(Key(STATE, "p", str(n)), n)]))
        store.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))
    assert os.listdir(home) == ["d"]
    store = LocalStore(files.prepare("d"), writable_state=False)
    assert [item.rev for _, item in asyncio.run(store.query(STATE, "p")).rows] == list(range(8))
    store.close()


@pytest.mark.parametrize("length", [1, 60])
def test_a_socket_is_reached_however_deep_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / ("x" * length) / ("y" * length)))
    place = files.prepare("d" * 20)
    path = place.event_socket(7)
    listener, peer = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    with contextlib.closing(listener), contextlib.closing(peer):
        with place.reachable(path) as address:
            listener.bind(address)
            assert stat.S_ISSOCK(os.stat(path).st_mode)
        with place.reachable(path) as address:
            peer.connect(address)


# --- how it is kept -------------------------------------------------------------------------------


def test_what_commits_wait_for(place: files.Place) -> None:
    """https://sqlite.org/pragma.html#pragma_synchronous: in WAL mode, FULL is durable and NORMAL is consistent."""
    store = LocalStore(place, writable_state=True)
    for table, synchronous in ((STATE, 2), (SESSIONS, 2), ("interest", 1)):
        connection = store._connections[table]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (synchronous,)
    assert store.data_size() == os.path.getsize(place.state) + os.path.getsize(place.interest)
    store.close()


def test_a_get_is_one_statement(place: files.Place) -> None:
    store = LocalStore(place, writable_state=True)
    statements_run: List[str] = []
    store._connections[STATE].set_trace_callback(statements_run.append)
    for count in (1, 2, 3, statements.KEYS_AT_ONCE):
        asyncio.run(store.get([Key(STATE, str(n), "!") for n in range(count)]))
    assert len(statements_run) == 4
    store.close()


def test_every_statement_finds_its_rows_by_an_index(place: files.Place) -> None:
    store = LocalStore(place, writable_state=True)
    for table in TABLES:
        sqls = [*statements.SQL[table], *[sql for (name, _), sql in statements._SEVERAL.items() if name == table]]
        for sql in sqls:
            plan = store._connections[table].execute("EXPLAIN QUERY PLAN " + sql, [None] * sql.count("?")).fetchall()
            steps = [row[3] for row in plan]
            rows = [step for step in steps if step != "SCAN CONSTANT ROW"]  # none of a table
            assert not [step for step in rows if step.startswith(("SCAN", "USE TEMP"))], (sql, steps)
    store.close()


# --- who is super ---------------------------------------------------------------------------------


def test_super_user(place: files.Place) -> None:
    assert files.super_id(place) is None
    for text in ("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=", "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=\n"):
        Path(place.super_digest).write_text(text)
        assert files.super_id(place) == Id("digest", "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=")
    for text in ("", "super", "super:", "a b:c", "é:c", "super:plain password"):
        Path(place.super_digest).write_text(text, encoding="utf-8")
        with pytest.raises(NotADeployment, match="user:hash"):
            files.super_id(place)


# --- while it is in use ------------------------------------------------------------------------


def test_a_live_deployment_is_recognised_at_any_moment(place: files.Place) -> None:
    """Also while its log is copied into a file that is still too short for what its header says."""
    host = LocalStore(place, writable_state=True)
    asyncio.run(host.commit([put(Key(STATE, "p", str(n)), 1, b"x" * 1000) for n in range(100)]))
    host.close()
    store = LocalStore(place, writable_state=True)
    asyncio.run(store.commit([put(Key(STATE, "p", "new"), 1)]))
    os.truncate(place.state, 8192)
    files.check(place)
    store.abandon()


def test_checking_does_not_drop_the_locks_of_this_process(place: files.Place, child: Child) -> None:
    """Closing a descriptor of a locked file would; another process that thinks it closes last then removes the log."""
    store = LocalStore(place, writable_state=True)
    asyncio.run(store.commit([put(Key(STATE, "p", "a"), 1, b"body")]))
    for _ in range(3):
        files.prepare("d")
        files.super_id(place)
    assert child("look", "d").wait(30) == 0
    assert os.path.exists(place.state + "-wal")
    other = LocalStore(place, writable_state=False)
    assert asyncio.run(other.get([Key(STATE, "p", "a")])) == [Item(1, b"body")]
    other.close()
    store.close()
