"""What is timed: kazoo calls that an app makes, the same for every system, and nothing else inside the timing.

A row is a function of a `Bench` (a connected client and its nodes) and a count; it returns seconds per operation, one
figure for each operation that was timed by itself, or a single one for many in flight together.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import Any, Callable, Dict, Iterator, List

DATA = b"x" * 100
IN_FLIGHT = 1000
THOUSAND = 1000
ROOT = "/bench"

Row = Callable[["Bench", int], List[float]]
ROWS: Dict[str, Row] = {}


class Bench:
    """A client, and the nodes that rows use. Each process has a place of its own below the root."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.place = "%s/%s" % (ROOT, name)
        self.node = self.place + "/node"
        self.made = self.place + "/made"
        self._number: Iterator[int] = itertools.count()

    def prepare(self) -> None:
        """Makes the nodes."""
        self.client.ensure_path(self.made)
        self.client.create(self.node, DATA)
        for several, count in (("ten", 10), ("multi", 10)):
            self.client.ensure_path("%s/%s" % (self.place, several))
            for number in range(count):
                self.client.create("%s/%s/%04d" % (self.place, several, number), DATA)

    def thousand(self) -> str:
        """A node with 1,000 children."""
        path = self.place + "/thousand"
        if self.client.exists(path) is None:
            self.client.ensure_path(path)
            for number in range(THOUSAND):
                self.client.create("%s/%04d" % (path, number), DATA)
        return path

    def fresh(self, count: int) -> List[str]:
        """Paths that do not exist."""
        return ["%s/%08d" % (self.made, next(self._number)) for _ in range(count)]

    def clear(self, paths: List[str]) -> None:
        """Removes nodes."""
        for path in paths:
            self.client.delete(path)

    def all_at_once(self, call: str, calls: List[Any]) -> List[Any]:
        """Makes the calls with at most `IN_FLIGHT` unanswered; their results."""
        method, waiting, results = getattr(self.client, call), deque(), []  # type: ignore[var-annotated]
        for arguments, options in calls:
            if len(waiting) == IN_FLIGHT:
                results.append(waiting.popleft().get())
            waiting.append(method(*arguments, **options))
        return results + [one.get() for one in waiting]


def _row(name: str) -> Callable[[Row], Row]:
    def add(row: Row) -> Row:
        ROWS[name] = row
        return row

    return add


def _each(calls: List[Callable[[], Any]]) -> List[float]:
    clock, times = time.perf_counter, []
    for call in calls:
        started = clock()
        call()
        times.append(clock() - started)
    return times


# --- one at a time ------------------------------------------------------------------------------


@_row("create")
def create(bench: Bench, count: int) -> List[float]:
    """A node with 100 bytes."""
    paths = bench.fresh(count)
    times = _each([lambda path=path: bench.client.create(path, DATA) for path in paths])  # type: ignore[misc]
    bench.clear(paths)
    return times


@_row("get")
def get(bench: Bench, count: int) -> List[float]:
    """100 bytes."""
    return _each([lambda: bench.client.get(bench.node)] * count)


@_row("set")
def set_(bench: Bench, count: int) -> List[float]:
    """100 bytes."""
    return _each([lambda: bench.client.set(bench.node, DATA)] * count)


@_row("exists")
def exists(bench: Bench, count: int) -> List[float]:
    """A node that does."""
    return _each([lambda: bench.client.exists(bench.node)] * count)


@_row("delete")
def delete(bench: Bench, count: int) -> List[float]:
    """A node without children."""
    paths = bench.fresh(count)
    for path in paths:
        bench.client.create(path, DATA)
    return _each([lambda path=path: bench.client.delete(path) for path in paths])  # type: ignore[misc]


@_row("get_children 10")
def children_10(bench: Bench, count: int) -> List[float]:
    """Ten names."""
    return _each([lambda: bench.client.get_children(bench.place + "/ten")] * count)


@_row("get_children 1,000")
def children_1000(bench: Bench, count: int) -> List[float]:
    """A thousand names."""
    path = bench.thousand()
    return _each([lambda: bench.client.get_children(path)] * max(count // 4, 1))


@_row("ephemeral sequential create")
def ephemeral(bench: Bench, count: int) -> List[float]:
    """As a lock or a party makes it."""
    made: List[str] = []
    path = bench.made + "/e-"
    call = lambda: made.append(bench.client.create(path, DATA, ephemeral=True, sequence=True))  # noqa: E731
    times = _each([call] * count)
    bench.clear(made)
    return times


@_row("multi of 10")
def multi(bench: Bench, count: int) -> List[float]:
    """A transaction of ten sets."""

    def commit() -> None:
        transaction = bench.client.transaction()
        for number in range(10):
            transaction.set_data("%s/multi/%04d" % (bench.place, number), DATA)
        transaction.commit()

    return _each([commit] * max(count // 2, 1))


@_row("multi of 1,000 creates")
def multi_of_creates(bench: Bench, count: int) -> List[float]:
    """A transaction of a thousand nodes with 100 bytes."""
    made = [bench.fresh(THOUSAND) for _ in range(max(count // 20, 1))]

    def commit(call: str, paths: List[str], *arguments: Any) -> None:
        transaction = bench.client.transaction()
        for path in paths:
            getattr(transaction, call)(path, *arguments)
        transaction.commit()

    times = _each([lambda paths=paths: commit("create", paths, DATA) for paths in made])  # type: ignore[misc]
    for paths in made:
        commit("delete", paths)
    return times


@_row("lock cycle")
def lock(bench: Bench, count: int) -> List[float]:
    """acquire and release of kazoo's Lock, nobody else wants it."""
    one = bench.client.Lock(bench.place + "/lock", "bench")

    def cycle() -> None:
        one.acquire()
        one.release()

    return _each([cycle] * max(count // 2, 1))


# --- many in flight -----------------------------------------------------------------------------


def _pipelined(bench: Bench, call: str, calls: List[Any]) -> List[float]:
    started = time.perf_counter()
    bench.all_at_once(call, calls)
    return [(time.perf_counter() - started) / len(calls)]


@_row("create, pipelined")
def create_pipelined(bench: Bench, count: int) -> List[float]:
    """`create`, 1,000 in flight."""
    paths = bench.fresh(count)
    times = _pipelined(bench, "create_async", [((path, DATA), {}) for path in paths])
    bench.all_at_once("delete_async", [((path,), {}) for path in paths])
    return times


@_row("get, pipelined")
def get_pipelined(bench: Bench, count: int) -> List[float]:
    """`get`, 1,000 in flight."""
    return _pipelined(bench, "get_async", [((bench.node,), {})] * count)


@_row("set, pipelined")
def set_pipelined(bench: Bench, count: int) -> List[float]:
    """`set`, 1,000 in flight."""
    return _pipelined(bench, "set_async", [((bench.node, DATA), {})] * count)


@_row("exists, pipelined")
def exists_pipelined(bench: Bench, count: int) -> List[float]:
    """`exists`, 1,000 in flight."""
    return _pipelined(bench, "exists_async", [((bench.node,), {})] * count)


@_row("delete, pipelined")
def delete_pipelined(bench: Bench, count: int) -> List[float]:
    """`delete`, 1,000 in flight."""
    paths = bench.fresh(count)
    bench.all_at_once("create_async", [((path, DATA), {}) for path in paths])
    return _pipelined(bench, "delete_async", [((path,), {}) for path in paths])


@_row("get_children 10, pipelined")
def children_10_pipelined(bench: Bench, count: int) -> List[float]:
    """`get_children 10`, 1,000 in flight."""
    return _pipelined(bench, "get_children_async", [((bench.place + "/ten",), {})] * count)


@_row("get_children 1,000, pipelined")
def children_1000_pipelined(bench: Bench, count: int) -> List[float]:
    """`get_children 1,000`, 1,000 in flight."""
    return _pipelined(bench, "get_children_async", [((bench.thousand(),), {})] * max(count // 4, 1))


@_row("ephemeral sequential create, pipelined")
def ephemeral_pipelined(bench: Bench, count: int) -> List[float]:
    """`ephemeral sequential create`, 1,000 in flight."""
    call = ((bench.made + "/e-", DATA), {"ephemeral": True, "sequence": True})
    started = time.perf_counter()
    made = bench.all_at_once("create_async", [call] * count)
    spent = time.perf_counter() - started
    bench.all_at_once("delete_async", [((path,), {}) for path in made])
    return [spent / count]


PIPELINED = tuple(name for name in ROWS if name.endswith(", pipelined"))
SINGLE = tuple(name for name in ROWS if name not in PIPELINED)
