"""Files of a version before are taken over when nobody uses them, and refused while somebody does."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fk_backend.errors import UnknownFormat
from fk_backend.layout import FORMAT
from fk_backend.providers.local import database, files, takeover
from fk_backend.providers.local.lock import Lock
from fk_kazoo.client import KazooClient

from .conftest import Child, hear

LEFT = ("outbox.log", "host.sock", "host.progress")


@pytest.fixture
def older(place: files.Place, child: Child) -> files.Place:
    """As a version before left it."""
    user = child("sets", "d", 0)
    hear(user)
    user.kill()
    user.wait()
    for path in (place.state, place.interest):
        with contextlib.closing(sqlite3.connect(path)) as before:
            before.execute("PRAGMA user_version=%d" % FORMAT)
    for name in LEFT:
        Path(place.directory, name).write_bytes(b"x" * 100)
    return place


def _is_taken_over(place: files.Place) -> bool:
    left = set(LEFT).intersection(os.listdir(place.directory))
    numbers = {int.from_bytes(Path(path).read_bytes()[60:64], "big") for path in (place.state, place.interest)}
    assert (not left) == (numbers == {database.FILES_FORMAT})  # 4 bytes at 60: https://sqlite.org/fileformat2.html
    return not left


def test_nobody_uses_it(older: files.Place) -> None:
    client: Any = KazooClient("local://d")
    client.start()
    assert _is_taken_over(older) and client.exists("/node")
    client.stop()
    client.close()


def test_somebody_uses_it(older: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "TRIES", 3)
    host = Lock.acquire(older.lock)
    assert host is not None
    with pytest.raises(UnknownFormat, match="older version of fk_kazoo: end all of them"):
        files.prepare("d")
    assert not _is_taken_over(older)
    host.release()
    files.prepare("d")
    assert _is_taken_over(older)


def test_somebody_is_in_the_middle_of_something(older: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "TRIES", 1)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **options: connect(*a, **{**options, "timeout": 0.0}))
    with contextlib.closing(connect(older.state, isolation_level=None)) as before:
        before.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnknownFormat):
            files.prepare("d")
    assert not _is_taken_over(older)
    assert Lock.acquire(older.lock) is not None, "it is not kept"


def test_where_it_broke_off_it_goes_on(older: files.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    database.stamp(older.interest)
    files.prepare("d")
    assert _is_taken_over(older)
