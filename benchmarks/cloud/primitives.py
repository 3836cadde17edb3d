"""The primitives in the latency model: each call as many requests as it makes, each request as slow as measured."""

from __future__ import annotations

from functools import partial
from typing import Any, Awaitable, Callable, Dict, List

from fk_backend.ports import STATE, Item, Key, Put
from fk_backend.primitives import AtomicCounter, AtomicList, TimedLock

from .data import load
from .protocols import spread
from .simulated import Cloud

KB = 1024
LEASE_MS = 60_000
LENGTHS = (1, 1_000, 10_000)


def run(smoke: bool) -> Dict[str, Any]:
    """Rows, and the bars: an update under a lock that is held, beside the same update alone; appends at any length."""
    samples = 30 if smoke else 2000
    lengths = LENGTHS[:1] if smoke else LENGTHS
    cloud = Cloud(7)
    found: Dict[str, List[float]] = {}
    cloud.loop.run(_measure(cloud, found, samples, lengths), limit=1 << 40)
    rows = [{"row": name, **spread(values), "theirs": _theirs(name)} for name, values in found.items()]
    by_name = {row["row"]: row for row in rows}
    plain, locked = by_name["update of 1 kB"], by_name["update of 1 kB under a held lock"]
    first, last = (by_name["append to a list of %s entries" % f"{n:,}"] for n in (lengths[0], lengths[-1]))
    mean = {name: sum(values) / len(values) for name, values in found.items()}
    efficiency = mean[plain["row"]] / mean[locked["row"]]
    return {
        "rows": rows,
        "bars": [
            _bar("what the lock adds to an update; the paper's", "ms", locked["p50"] - plain["p50"], 2.5, 1),
            _bar("locked updates a second, of plain ones", "", efficiency, 1.0, 0.84, at_least=True),
            _bar("append to %s entries, beside %s" % (lengths[-1], lengths[0]), "ms", last["p50"], first["p50"], 1.5),
        ],
    }


def _bar(what: str, unit: str, ours: float, theirs: float, bar: float, at_least: bool = False) -> Dict[str, Any]:
    ratio = ours / theirs
    holds = ratio >= bar if at_least else ratio <= bar
    return {
        "what": what,
        "unit": unit,
        "ours": ours,
        "theirs": theirs,
        "ratio": ratio,
        "bar": bar,
        "holds": holds,
        "at_least": at_least,
    }


async def _measure(cloud: Cloud, found: Dict[str, List[float]], samples: int, lengths: Any) -> None:
    async def timed(name: str, work: Callable[[int], Awaitable[Any]], count: int = samples) -> None:
        times = found.setdefault(name, [])
        for number in range(count):
            began = cloud.loop.now
            await work(number)
            times.append((cloud.loop.now - began) * 1000)

    store, data = cloud.store, Key(STATE, "data", "x")
    lock = TimedLock(store, cloud.clock, Key(STATE, "lock", "x"), LEASE_MS)
    counter = AtomicCounter(store, Key(STATE, "counter", "x"))
    fences: List[int] = []

    def update(number: int) -> Put:
        return Put(data, Item(number + 1, bytes(KB)))

    async def acquire(_: int) -> None:
        fence = await lock.acquire("me")
        assert fence is not None
        fences.append(fence)

    await timed("update of 1 kB", lambda n: store.commit([update(n)]))
    await timed("acquire a lock", acquire)
    await timed("update of 1 kB under a held lock", lambda n: store.commit([lock.guard(fences[-1], "me"), update(n)]))
    await timed("renew a lock", lambda n: lock.renew(fences[-1], "me"))
    await timed("add to a counter", lambda n: counter.add())
    for length in lengths:
        entries = AtomicList(store, STATE, "list%d" % length)
        for first in range(0, length, 100):
            await entries.extend([b"x" * 20] * min(100, length - first))
        await timed("append to a list of %s entries" % f"{length:,}", partial(_append, entries), samples // 4)


async def _append(entries: AtomicList, _: int) -> None:
    await entries.append(b"x" * 20)


def _theirs(name: str) -> Any:
    known = {
        "acquire a lock": ("primitive_timelock_acquire", "1024"),
        "add to a counter": ("primitive_atomic_counter", "1"),
        "append to a list of 1 entries": ("primitive_atomic_list_increase", "1"),
        "append to a list of 1,000 entries": ("primitive_atomic_list_increase", "1024"),
    }
    if name not in known:
        return None
    what, size = known[name]
    return load("aws_latency_ms")["ops"][what]["by_size"][size]["p50"]
