"""A file that is not exactly a backup is refused before anything is written."""

from __future__ import annotations

import asyncio
import io
from functools import cache
from typing import Any, Callable, List

import pytest

from fk_backend.backup import restore as restoring
from fk_backend.backup.archive import MAGIC, MAX_FRAME_BYTES, Archive, NoBackup, values
from fk_backend.backup.restore import MARK, examine, restore
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.requests import Create
from fk_backend.errors import DeploymentError, Protected, Unavailable
from fk_backend.ports import STATE, TABLES, Capabilities, Remove
from fk_backend.providers.memory.store import MemoryStore
from tests.functions.doubles import Bench

from .test_consistent import administration, backed_up, busy_bench

NODE = [1, 1, 0, 0, 0, 0, 0, [[31, "world", "anyone"]]]
FAMILY = [0, 1, 0]
WHOLE: List[List[Any]] = [
    ["backup", 1, 0, "local://x"],
    ["namespace", "default", 7],
    ["node", "/", NODE, FAMILY, b""],
    ["point", 5],
]


def file_of(said: List[List[Any]]) -> io.BytesIO:
    """A file that says this, with a checksum that is right."""
    file = io.BytesIO()
    archive = Archive(file)
    for value in said:
        archive.add(*value)
    archive.end()
    return file


@cache
def made() -> bytes:
    """A backup. Made where no event loop runs."""

    async def make() -> bytes:
        busy = await busy_bench(7)
        return (await backed_up(administration(busy.bench, busy.bench.store))).getvalue()

    return asyncio.run(make())


async def refused(file: io.BytesIO, limits: Capabilities = Capabilities()) -> None:  # noqa: B008 (a constant)
    """The restore fails, and nothing was written."""
    bench = Bench(MemoryStore(limits))
    try:
        await restore(administration(bench, bench.store), file)
    finally:
        assert [item for table in TABLES for item in await bench.store.scan(table)] == []


def test_every_byte_counts() -> None:
    """Any byte that is another one, and a file that ends anywhere before its end or goes on after it."""
    whole = made()
    examine(io.BytesIO(whole))
    for at in range(0, len(whole), 7):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            with pytest.raises(NoBackup):
                examine(io.BytesIO(damaged))
    with pytest.raises(NoBackup, match="checksum"):
        examine(io.BytesIO(whole + b"x"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no backup"),
        (b"SQLite format 3\0", "no backup"),
        (MAGIC.replace(b"1", b"2"), "no backup"),
        (MAGIC + b"\xff\xff\xff\xff" + b"x" * 100, "damaged"),
        (MAGIC + b"\0\0\0\x05" + b"x", "cut short"),
        (MAGIC + b"\0\0\0\x05" + b"x" * 5, "damaged"),
        (made()[:-40], "cut short"),
    ],
)
def test_what_is_none(content: bytes, says: str) -> None:
    with pytest.raises(NoBackup, match=says):
        asyncio.run(refused(io.BytesIO(content)))


def _put(at: int, value: List[Any]) -> Callable[[], List[List[Any]]]:
    return lambda: [*WHOLE[:at], value, *WHOLE[at + 1 :]]


@pytest.mark.parametrize(
    "said",
    [
        *(_put(0, value) for value in (["node", "/", NODE, FAMILY, b""], ["backup", "1", 0, ""], ["backup", 1])),
        *(_put(1, value) for value in (["namespace", "a/b", 7], ["namespace", "d", -1], ["namespace", "d"])),
        *(_put(2, value) for value in (["gone", "no"], ["gone"], ["node", "/", NODE, FAMILY], ["other"])),
        _put(2, ["node", "/", NODE[:-1], FAMILY, b""]),
        _put(2, ["node", "/", [*NODE[:-1], [[31, "world"]]], FAMILY, b""]),
        _put(2, ["node", "/", [*NODE[:-1], [[True, "world", "anyone"]]], FAMILY, b""]),
        _put(2, ["node", "/", ["1", *NODE[1:]], FAMILY, b""]),
        _put(2, ["node", "/", [1 << 63, *NODE[1:]], FAMILY, b""]),
        _put(2, ["node", "/", NODE, FAMILY[:-1], b""]),
        _put(2, ["node", "/", NODE, FAMILY, "text"]),
        *(_put(3, value) for value in (["point", 0], ["point", "5"], ["point"], ["point", 1 << 40])),
        lambda: WHOLE[:-1],
        lambda: [*WHOLE[:2], WHOLE[3]],
        lambda: [*WHOLE, *WHOLE[1:]],
        lambda: [*WHOLE, WHOLE[2]],
    ],
)
def test_what_says_something_else_is_damaged(said: Callable[[], List[List[Any]]]) -> None:
    """Although its checksum is right: somebody made it by hand."""
    examine(file_of(WHOLE))
    with pytest.raises(NoBackup):
        asyncio.run(refused(file_of(said())))


def test_a_later_version_says_so() -> None:
    with pytest.raises(NoBackup, match="upgrade"):
        asyncio.run(refused(file_of([["backup", 2, 0, ""], *WHOLE[1:]])))


def test_no_value_is_larger_than_is_read() -> None:
    with pytest.raises(ValueError, match="bytes"):
        Archive(io.BytesIO()).add("node", b"x" * MAX_FRAME_BYTES)


@pytest.mark.parametrize("path, size, says", [("/" + "x" * 1020 + "/y", 0, "path"), ("/large", 500_000, "large")])
def test_what_another_store_can_not_take_is_refused_before(path: str, size: int, says: str) -> None:
    file = file_of([*WHOLE[:3], ["node", path, NODE, FAMILY, b"x" * size], WHOLE[3]])
    with pytest.raises(DeploymentError, match=says):
        asyncio.run(refused(file, Capabilities(partition_bytes=500, item_bytes=400_000)))


def test_a_namespace_without_zxids_left() -> None:
    said = [*WHOLE[:3], ["point", (1 << 40) - 5]]
    with pytest.raises(DeploymentError, match="no zxids left"):
        asyncio.run(refused(file_of(said)))


def test_what_is_not_empty_stays_as_it_is() -> None:
    async def check() -> None:
        busy = await busy_bench(8)
        file = await backed_up(administration(busy.bench, busy.bench.store))
        before = await busy.bench.contents()
        with pytest.raises(Protected, match="not empty: it has the namespaces ns"):
            await restore(administration(busy.bench, busy.bench.store), file)
        assert await busy.bench.contents() == before

    asyncio.run(check())


class Failing(MemoryStore):
    """Commits that many times."""

    def __init__(self, commits: int) -> None:
        super().__init__()
        self.left = commits

    async def commit(self, writes: Any) -> None:
        """`ports.Store.commit`."""
        if not self.left:
            raise Unavailable("gone")
        self.left -= 1
        await super().commit(writes)


@pytest.mark.parametrize("commits", [1, 2])
def test_a_restore_that_was_broken_off_leaves_no_namespace(monkeypatch: pytest.MonkeyPatch, commits: int) -> None:
    """No head, so nobody takes it for whole; and the next one says what to do."""
    monkeypatch.setattr(restoring, "WRITES_AT_ONCE", 10)

    async def check() -> None:
        file = io.BytesIO(made())
        store = Failing(commits)
        place = administration(Bench(store), store)
        with pytest.raises(Unavailable):
            await restore(place, file)
        assert await place.namespaces() == []
        store.left = 1000
        with pytest.raises(Protected, match="broken off"):
            await restore(place, file)

    asyncio.run(check())


@pytest.mark.parametrize("looked_before", [False, True], ids=["refused", "looked before the mark"])
def test_who_comes_in_before_it_is_done_is_refused_or_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, looked_before: bool
) -> None:
    """A writer that found no mark, because it looked before there was one, commits: then the restore gives way."""

    async def check() -> None:
        bench = Bench()
        place = administration(bench, bench.store)
        file = io.BytesIO(made())

        async def come_in(ports: Any, *rest: Any) -> Any:
            counts = await fill(ports, *rest)
            if looked_before:
                await ports.store.commit([Remove(MARK)])
            session = await bench.open("early")
            await bench.ask("early", session, 1, Create("/mine", b"", OPEN_ACL, 0, 0, False))
            return counts

        fill = restoring._fill
        monkeypatch.setattr(restoring, "_fill", come_in)
        refused = "somebody used the deployment" if looked_before else "half a tree"
        with pytest.raises(DeploymentError if looked_before else Unavailable, match=refused):
            await restore(place, file)
        assert any(key.partition == "ns:/mine" for key, _ in await bench.store.scan(STATE)) == looked_before

    asyncio.run(check())


def test_a_mark_is_all_that_is_there_while_it_is_at_it() -> None:
    """And it is gone when it is done."""

    async def check() -> None:
        bench = Bench()
        await restore(administration(bench, bench.store), file_of(WHOLE))
        assert await bench.store.get([MARK]) == [None]

    asyncio.run(check())


def test_a_file_is_read_value_by_value() -> None:
    """Not as a whole: the next value is not read before it is asked for."""
    file = file_of(WHOLE)
    reading = values(file)
    assert next(reading)[0] == "backup"
    assert file.tell() < len(file.getvalue()) // 2
