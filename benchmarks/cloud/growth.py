"""Requests and capacity units of one operation as its surroundings grow, counted on the emulator."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

from .bill import units_of
from .setting import Setting

TIMES = 5
FLAT = 1.5
AT_ONCE = 500
"""Calls in flight while surroundings are made."""


def run(setting: Setting, smoke: bool) -> List[Dict[str, Any]]:
    """A row for each kind of surroundings."""
    client = setting.client()
    siblings = (10, 30) if smoke else (10, 1_000, 10_000)
    sizes = (0, 2_000) if smoke else (0, 1_000, 15_000, 1_000_000)
    watchers = (1, 2) if smoke else (1, 5, 25)
    depths = (1, 5) if smoke else (1, 10, 50)
    rows = [_row("create among siblings", siblings, lambda n: _among(setting, client, n))]
    rows.append(_row("set of a node with children", siblings, lambda n: _parent(setting, client, n)))
    rows.append(_row("create under a parent with bytes of data", sizes, lambda n: _under(setting, client, n)))
    rows.append(_row("set of a node with watchers, for each event", watchers, lambda n: _watched(setting, client, n)))
    rows.append(_row("create at a depth", depths, lambda n: _deep(setting, client, n)))
    return rows


def _row(name: str, sizes: Sequence[int], measure: Callable[[int], List[float]]) -> Dict[str, Any]:
    steps = [{"size": size, "used": measure(size)} for size in sizes]
    first, last = steps[0]["used"], steps[-1]["used"]
    growth = [b / a if a else 1.0 for a, b in zip(first, last)]  # type: ignore[call-overload]
    return {"row": name, "sizes": steps, "growth": growth, "flat": all(each <= FLAT for each in growth)}


def _used(setting: Setting, work: Callable[[], Any], operations: float) -> List[float]:
    """Requests, write units and read units of one operation; receives and deletes of inboxes apart."""
    calls, _ = setting.seen(work)
    counted = [call for call in calls if call.queue != "inbox" or call.operation == "SendMessage"]
    units = units_of(counted)
    return [units[key] / operations for key in ("requests", "wru", "rru")]


def _all(client: Any, paths: List[str]) -> None:
    for first in range(0, len(paths), AT_ONCE):
        for result in [client.create_async(path) for path in paths[first : first + AT_ONCE]]:
            result.get(timeout=120)


def _creates(setting: Setting, client: Any, parent: str) -> List[float]:
    client.create(parent + "/warm")

    def work() -> None:
        for number in range(TIMES):
            client.create("%s/m%d" % (parent, number), bytes(100))

    return _used(setting, work, TIMES)


def _among(setting: Setting, client: Any, count: int) -> List[float]:
    parent = "/among%d" % count
    client.create(parent)
    _all(client, ["%s/a-name-of-20-%07d" % (parent, number) for number in range(count)])
    return _creates(setting, client, parent)


def _parent(setting: Setting, client: Any, count: int) -> List[float]:
    """Of the same parents."""
    client.set("/among%d" % count, bytes(100))

    def work() -> None:
        for _ in range(TIMES):
            client.set("/among%d" % count, bytes(100))

    return _used(setting, work, TIMES)


def _under(setting: Setting, client: Any, size: int) -> List[float]:
    parent = "/under%d" % size
    client.create(parent, bytes(size))
    return _creates(setting, client, parent)


def _watched(setting: Setting, client: Any, count: int) -> List[float]:
    path = "/watched%d" % count
    client.create(path)
    told: List[Any] = []
    watchers = [setting.client() for _ in range(count)]
    client.set(path, bytes(100))
    for watcher in watchers:
        watcher.get(path, watch=told.append)
    used = _used(setting, lambda: client.set(path, bytes(100)), count)
    for watcher in watchers:
        setting.dismiss(watcher)
    assert len(told) == count, "%d of %d were told" % (len(told), count)
    return used


def _deep(setting: Setting, client: Any, depth: int) -> List[float]:
    parent = "/deep%d" % depth
    client.create(parent)
    for _ in range(depth - 1):
        parent += "/d"
        client.create(parent)
    return _creates(setting, client, parent)
