"""What the operating system does not let us do, tried for real: as the user nobody, and on a read-only file system."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterator

import pytest

from fk_backend.errors import NoPermission
from fk_backend.ports import STATE, Key
from fk_backend.providers.local import files
from fk_backend.providers.local.store import LocalStore
from fk_backend.testing.harness import put
from tests.providers.local.conftest import contents

NOBODY = 65534


@pytest.fixture
def open_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that everybody can look into, which pytest's directories are not."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        monkeypatch.setenv(files.HOME_VARIABLE, directory)
        yield Path(directory)


def as_nobody(attempt: Callable[[], object], real: bool = True) -> str:
    """What a process of an ordinary user that owns nothing here gets: the error and its message, or "done".

    Not ``real``: only its effective user is nobody, as in a program with the set-user-ID bit.
    """
    inside, outside = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                (os.setgid if real else os.setegid)(NOBODY)
                (os.setuid if real else os.seteuid)(NOBODY)
            attempt()
            os.write(outside, b"done")
        except BaseException as error:
            os.write(outside, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(outside)
    with open(inside, encoding="utf-8") as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said


def _modes(directory: int, file: int) -> Callable[[files.Place], None]:
    def change(place: files.Place) -> None:
        os.chmod(place.state, file)
        os.chmod(place.interest, 0o666)
        os.chmod(place.directory, directory)

    return change


FORBIDDEN: Dict[str, Callable[[files.Place], None]] = {
    "directory is somebody else's": _modes(0o700, 0o666),
    "directory can be listed only": _modes(0o744, 0o666),
    "directory can't be written": _modes(0o755, 0o666),
    "file can't be read": _modes(0o777, 0o600),
    "file can't be written": _modes(0o777, 0o644),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("case", FORBIDDEN)
def test_a_deployment_of_somebody_else(open_home: Path, case: str, real: bool) -> None:
    place = files.prepare("d")
    FORBIDDEN[case](place)
    before = contents(open_home)
    for attempt in (lambda: files.prepare("d"), lambda: LocalStore(place, writable_state=False)):
        said = as_nobody(attempt, real)
        assert said.startswith("NoPermission: "), said
        assert place.directory in said and "change its mode" in said and files.HOME_VARIABLE in said
    assert contents(open_home) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_same_way_leads_in_where_it_is_allowed(open_home: Path) -> None:
    """So the tests above fail to get in because of the modes alone."""
    _modes(0o777, 0o666)(files.prepare("d"))
    assert as_nobody(lambda: LocalStore(files.prepare("d"), writable_state=True)) == "done"


def test_a_home_that_can_not_be_written(open_home: Path) -> None:
    os.chmod(open_home, 0o555)
    said = as_nobody(lambda: files.prepare("d"))
    assert said.startswith("NoPermission: ") and str(open_home) in said
    os.chmod(open_home, 0o755)
    assert os.listdir(open_home) == []


@pytest.fixture
def read_only(home: Path) -> Iterator[files.Place]:
    """A good deployment on a file system that was mounted read-only."""
    place = files.prepare("d")
    store = LocalStore(place, writable_state=True)
    asyncio.run(store.commit([put(Key(STATE, "p", "s"), 1)]))
    store.close()
    for options in (["--bind", str(home), str(home)], ["-o", "remount,ro,bind", str(home)]):
        done = subprocess.run(["mount", *options], stderr=subprocess.PIPE)
        if done.returncode:
            subprocess.run(["umount", str(home)], stderr=subprocess.DEVNULL)
            pytest.skip("can't mount here: %r" % done.stderr)
    yield place
    subprocess.run(["umount", "--lazy", str(home)], check=True)


def test_a_read_only_file_system(home: Path, read_only: files.Place) -> None:
    before = contents(home)
    for name in ("d", "new"):
        with pytest.raises(NoPermission, match=r"(?i)%s.*read-only.*FK_KAZOO_HOME" % home):
            files.prepare(name)
    with pytest.raises(NoPermission, match="read-only"):
        LocalStore(read_only, writable_state=False)
    assert contents(home) == before
