"""A transaction of a thousand creates asks the store as often as one of a hundred, and looks at each watch once.

Counts, not times: what is one call for each path, or one comparison for each pair of a watch and a path, is what made
large transactions slow.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Callable, List, Tuple

import pytest

from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, Multi, WatchSubtrees
from fk_backend.messages import Message
from fk_backend.writer import watch

from .doubles import NS, Bench


class Counted:
    """A store whose calls are counted."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: "Counter[str]" = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls[name] += 1
            return found(*arguments, **options)

        return call


def creates(count: int, start: int = 0) -> Multi:
    return Multi(tuple(Create("/p/%06d" % n, b"", OPEN_ACL, 0, 0, False) for n in range(start, start + count)))


async def opened(*requests: Any) -> Tuple[Bench, int]:
    bench = Bench()
    session = await bench.open("i")
    await bench.ask("i", session, 1, Create("/p", b"", OPEN_ACL, 0, 0, False), *requests)
    return bench, session


def calls_of(count: int, registered: int) -> "Counter[str]":
    """What the store is asked in one transaction of so many creates, beside so many watches of something else."""

    async def run() -> "Counter[str]":
        bench, session = await opened()
        for number in range(registered):
            await bench.watch("w%d" % number, "/other/%d" % number, watches.DATA, number + 1)
        bench.store = store = Counted(bench.store)
        bench.writer = bench.fresh_writer()
        ((code, _, _),) = await bench.ask("i", session, 2, creates(count))
        assert code == Error.OK
        return store.calls

    return asyncio.run(run())


@pytest.mark.parametrize("registered", [0, 50])
def test_calls_of_the_store_do_not_grow_with_the_paths(registered: int) -> None:
    few, many = calls_of(100, registered), calls_of(1000, registered)
    assert few == many and sum(many.values()) < 10, (few, many)


@pytest.mark.parametrize(
    ("registered", "watched"), [(0, ""), (50, ""), (2000, ""), (0, "/p/000700"), (50, "/p/000700")]
)
def test_one_look_tells_whether_anybody_watches_any_of_them(registered: int, watched: str) -> None:
    """After a direct write, whose sender waits for it."""

    async def run() -> Tuple[bool, "Counter[str]"]:
        bench, session = await opened()
        for number in range(registered):
            await bench.watch("w%d" % number, "/other/%d" % number, watches.DATA, number + 1)
        if watched:
            await bench.watch("w", watched, watches.DATA, 1)
        bench.store = store = Counted(bench.store)
        writer = bench.fresh_writer()
        written = await writer.write(NS, Message("i", session, 2, (creates(1000),)))
        assert written.result.code == Error.OK
        store.calls.clear()
        return await writer.is_fanned_out(NS), store.calls

    told, calls = asyncio.run(run())
    assert told == (not watched)
    assert sum(calls.values()) < 5 or registered > 1000


def test_where_there_are_more_watches_than_paths_each_path_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand watches of somebody else must not make a transaction of thirty slow."""
    assert calls_of(30, 1000)["query"] >= 30
    monkeypatch.setattr(watch, "MANY", 1 << 30)
    assert calls_of(30, 1000)["scan"] == 0


@pytest.mark.parametrize(
    ("mode", "path", "told"),
    [
        (watches.RECURSIVE, "/other", False),
        (watches.RECURSIVE, "/p", True),
        (watches.DATA, "/p", False),
        (watches.PERSISTENT, "/p", True),
    ],
)
def test_no_watch_is_compared_with_every_path(
    monkeypatch: pytest.MonkeyPatch, mode: str, path: str, told: bool
) -> None:
    compared: List[object] = []
    matches: Callable[..., bool] = watches.matches

    def counted(*arguments: Any) -> bool:
        compared.append(arguments)
        return matches(*arguments)

    async def run() -> None:
        bench, session = await opened(WatchSubtrees())
        for number in range(50):
            await bench.watch("w%d" % number, path, mode, number + 1)
        monkeypatch.setattr(watches, "matches", counted)
        ((code, _, _),) = await bench.ask("i", session, 3, creates(200))
        assert code == Error.OK
        assert [bool(bench.told("w%d" % number).fired) for number in range(50)] == [told] * 50

    asyncio.run(run())
    assert len(compared) <= 50 * 4
