"""Lifetimes that overlap in one process: a lock taken twice, two gateways to one place, one that begins while one ends.

Whatever the overlap, one process is the host at a time, once, and everybody is answered.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, List, Set
from unittest import mock

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create
from fk_backend.providers import local
from fk_backend.providers.local import files, lock
from fk_backend.providers.local import host as host_module
from fk_backend.providers.local.host import Host
from fk_backend.providers.local.lock import Lock
from tests.providers.local import talker
from tests.providers.local.talker import Talker

TRY = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


def _free(path: str) -> bool:
    """Whether another process could have the lock."""
    return subprocess.run([sys.executable, "-c", TRY, path], stderr=subprocess.DEVNULL).returncode == 0


def _held_once(place: files.Place, tmp_path: Path) -> None:
    """By whatever name it is asked for again; and asking does not lose it."""
    aliases = [place.lock, os.path.relpath(place.lock), str(tmp_path / "alias" / os.path.basename(place.lock))]
    (tmp_path / "alias").symlink_to(place.directory)
    for first in aliases:
        held = Lock.acquire(first)
        assert held is not None
        try:
            assert [Lock.acquire(again) for again in aliases] == [None] * 3, "two hosts in one process"
            assert not _free(place.lock), "closing a descriptor of the file has dropped the lock"
        finally:
            held.release()
        assert _free(place.lock)


def test_a_process_takes_the_host_lock_once(place: files.Place, tmp_path: Path) -> None:
    _held_once(place, tmp_path)


class _Forgetful(Set[str]):
    def __contains__(self, path: object) -> bool:
        return False


def _opens_before_it_looks(path: str) -> Any:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return acquire(path)
    finally:
        os.close(descriptor)


acquire = Lock.acquire


@pytest.mark.parametrize(
    "where, name, mistake",
    [
        (lock, "_held", _Forgetful()),
        (lock.os.path, "realpath", os.path.abspath),
        (Lock, "acquire", _opens_before_it_looks),
    ],
    ids=["forgets what it holds", "goes by the name", "closes the file again"],
)
def test_a_mistake_with_the_lock_would_be_seen(
    place: files.Place, tmp_path: Path, where: Any, name: str, mistake: Any
) -> None:
    with mock.patch.object(where, name, mistake), pytest.raises(AssertionError):
        _held_once(place, tmp_path)


# --- gateways -----------------------------------------------------------------------------------


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Set[Lock]]:
    """The host locks that this process has."""
    alive: Set[Lock] = set()
    make, release = Lock.__init__, Lock.release

    def begin(self: Lock, *arguments: Any) -> None:
        alive.add(self)
        make(self, *arguments)

    def end(self: Lock) -> None:
        release(self)
        alive.discard(self)

    monkeypatch.setattr(Lock, "__init__", begin)
    monkeypatch.setattr(Lock, "release", end)
    monkeypatch.setattr(host_module, "WATCH_S", 0.001)
    yield alive
    assert not alive


class Lives:
    """Gateways to one place, and sessions by them, each of which has to be answered."""

    def __init__(self, place: files.Place, hosts: Set[Lock]) -> None:
        self._name = os.path.basename(place.directory)
        self._hosts = hosts
        self._count = 0

    async def begin(self) -> Any:
        """A gateway with a session on it."""
        gateway: Any = await local.connect(self._name, {})
        self._count += 1
        gateway.talker = Talker(gateway, "inbox-%d" % self._count)
        await gateway.talker.open()
        return gateway

    async def write(self, gateway: Any) -> None:
        """Something is written by it, once."""
        self._count += 1
        path = "/n%d" % self._count
        create = Create(path, b"", OPEN_ACL, 0, 0, False)
        ((code, made, _), (again, _, _)) = await gateway.talker.ask(create, create)
        assert (code, made, again) == (Error.OK, path, Error.NODE_EXISTS)
        assert len(self._hosts) <= 1, "two hosts in one process"


async def until(reached: Callable[[], bool]) -> None:
    """Waits for it, for as long as that takes."""

    async def wait() -> None:
        while not reached():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(wait(), 3)


async def _one_after_the_other(lives: Lives) -> None:
    for _ in range(3):
        gateway = await lives.begin()
        await lives.write(gateway)
        await until(lambda gateway=gateway: gateway.host.lock is not None)  # type: ignore[misc]
        await gateway.close()


async def _two_at_a_time(lives: Lives) -> None:
    first, second = await lives.begin(), await lives.begin()
    await until(lambda: first.host.lock is not None)
    for gateway in (first, second):
        await lives.write(gateway)
    assert first.host.lock is not None and second.host.lock is None
    await first.close()
    await lives.write(second)
    await until(lambda: second.host.lock is not None)
    third = await lives.begin()
    await third.close()
    await lives.write(second)
    await second.close()


async def _the_next_begins_while_the_last_ends(lives: Lives) -> None:
    last = await lives.begin()
    for turns in range(12):  # so many turns of the loop into the end of the last one
        ending = asyncio.ensure_future(last.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        last = await lives.begin()
        await lives.write(last)
        await ending
    await last.close()


async def _the_host_ends_while_another_waits_for_an_answer(lives: Lives) -> None:
    for turns in range(12):
        first, second = await lives.begin(), await lives.begin()
        waiting = asyncio.ensure_future(lives.write(second))
        for _ in range(turns):
            await asyncio.sleep(0)
        await first.close()
        await waiting
        await second.close()


WAYS: List[Callable[[Lives], Any]] = [
    _one_after_the_other,
    _two_at_a_time,
    _the_next_begins_while_the_last_ends,
    _the_host_ends_while_another_waits_for_an_answer,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_lives_overlap(place: files.Place, hosts: Set[Lock], way: Callable[[Lives], Any]) -> None:
    asyncio.run(way(Lives(place, hosts)))


def _forgets_the_lock(self: Any) -> None:
    """The host ends, and nobody else can be one."""
    self.lock = None


@pytest.mark.parametrize(
    "where, name, mistake, way",
    [(lock, "_held", _Forgetful(), _two_at_a_time), (Host, "stop", _forgets_the_lock, _two_at_a_time)],
    ids=["two hosts", "a lock that stays"],
)
def test_a_mistake_with_lives_would_be_seen(
    place: files.Place, hosts: Set[Lock], where: Any, name: str, mistake: Any, way: Callable[[Lives], Any]
) -> None:
    with mock.patch.object(where, name, mistake), mock.patch.object(talker, "PATIENCE_S", 1.0):
        assert not _passes(lambda: asyncio.run(way(Lives(place, hosts))))


def _passes(check: Callable[[], Any]) -> bool:
    """Whether it raises nothing: in a process of its own, which takes along what a mistake leaves open."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        check()
        os._exit(0)
    except BaseException:
        os._exit(1)


def test_without_a_mistake_it_passes(place: files.Place, hosts: Set[Lock]) -> None:
    assert _passes(lambda: asyncio.run(_two_at_a_time(Lives(place, hosts))))
