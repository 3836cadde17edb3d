"""No room: the commit that failed changed nothing, and once there is room the same store goes on."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from fk_backend.errors import BackendError, StorageFull, Unavailable
from fk_backend.ports import INTEREST, STATE, Item
from fk_backend.providers.local import files
from fk_backend.providers.local.direct import DirectWriter
from fk_backend.providers.local.store import LocalStore
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import StorageFullError
from tests.client.programs.support import eventually
from tests.providers.local.children import BODY, numbered
from tests.providers.local.conftest import Child, hear, tell


def _filled(child: Child, table: str, how: str, tmp_path: Path) -> None:
    process = child("fill", "d", table, how)
    error, count = hear(process).split()
    assert (error, int(count) > 0) == ("StorageFull", True)
    assert hear(process) == str(int(count) + 1), "the commit that failed changed something"
    if how == "medium":
        (tmp_path / "home" / "ballast").unlink()
        tell(process, "there is room now")
    assert hear(process) == "went on"
    assert process.wait(30) == 0
    reader = LocalStore(files.prepare("d"), writable_state=False)
    keys = [numbered(table, n) for n in range(int(count) + 3)]
    items = asyncio.run(reader.get(keys))
    good = [Item(n, BODY) for n in range(1, int(count) + 1)]
    assert items == [Item(int(count) + 1, BODY), *good, Item(int(count) + 1, b"after"), None]
    reader.close()


@pytest.mark.parametrize("table", [STATE, INTEREST])
def test_a_file_that_may_not_grow(place: files.Place, child: Child, tmp_path: Path, table: str) -> None:
    """RLIMIT_FSIZE: write() fails with EFBIG. Before 3.11, Python can't tell that from a failed fsync."""
    if sys.version_info < (3, 11):
        pytest.skip("this Python does not tell SQLite's error codes")
    _filled(child, table, "limit", tmp_path)


@pytest.fixture
def small_home(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(home)], stderr=subprocess.PIPE)
    if mount.returncode:
        pytest.skip("can't mount here: %r" % mount.stderr)
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)


@pytest.mark.parametrize("table", [STATE, INTEREST])
def test_a_full_disk(small_home: Path, child: Child, tmp_path: Path, table: str) -> None:
    """ENOSPC, for real."""
    (small_home / "ballast").write_bytes(bytes(2_000_000))
    files.prepare("d")
    _filled(child, table, "medium", tmp_path)


def test_a_full_disk_refuses_a_new_deployment_and_nothing_stays(small_home: Path) -> None:
    with pytest.raises(OSError) as caught, open(small_home / "ballast", "wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(StorageFull):
        files.prepare("d")
    assert os.listdir(small_home) == ["ballast"]


def test_a_full_disk_refuses_a_new_process(small_home: Path) -> None:
    """Where the memory that it would share with others is not there yet."""
    place = files.prepare("d")
    with pytest.raises(OSError), open(small_home / "ballast", "wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))
    with pytest.raises(StorageFull if sys.version_info >= (3, 11) else Unavailable):
        LocalStore(place, writable_state=False)
    (small_home / "ballast").unlink()
    LocalStore(place, writable_state=False).close()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older Pythons do not tell which error SQLite had")
def test_on_a_full_disk_who_writes_is_refused_and_goes_on_afterwards(
    small_home: Path, child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC, for real."""
    assert hear(child("serve", "d")) == "serves"
    client: Any = KazooClient("local://d")
    client.start()
    client.create("/a")
    outcomes: List[Any] = []
    write = DirectWriter.write

    async def noted(self: Any, *arguments: Any) -> Any:
        try:
            written = await write(self, *arguments)
        except BackendError as error:
            outcomes.append(type(error))
            raise
        outcomes.append("left to the queue" if written is None else "done")
        return written

    monkeypatch.setattr(DirectWriter, "write", noted)

    def both(number: int) -> None:
        transaction = client.transaction()
        transaction.create("/n%d" % number)
        transaction.set_data("/a", bytes(20_000))
        assert transaction.commit()[0] == "/n%d" % number

    with pytest.raises(OSError), open(small_home / "ballast", "wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))
    done = 0
    with pytest.raises(StorageFullError):
        while done < 1000:
            both(done)
            done += 1
    assert client.get("/a")[1].version == done and client.exists("/n%d" % done) is None
    assert client.connected
    assert StorageFull in outcomes
    (small_home / "ballast").unlink()
    outcomes.clear()
    numbers = itertools.count(done)
    eventually(lambda: (both(next(numbers)), outcomes[-1:] == ["done"])[1], what="it writes by itself again")
    assert client.get("/a")[1].version == next(numbers)
    client.stop()
    client.close()
