"""The primitives in the latency model: each call as many requests as it makes, each request as slow as measured.

What the paper compares, and so does this: one operation of the timed lock (its acquire of 1 kB: 6.80 ms) with one plain
write of the same item (4.35 ms). Its lock is a conditional UpdateItem, ours a conditional PutItem, which nobody
measured: it is taken for a PutItem, and once more for the original's conditional UpdateItem.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Awaitable, Callable, Dict, List, Optional

from fk_backend.ports import STATE, Item, Key, Put
from fk_backend.primitives import AtomicCounter, AtomicList, Held, TimedLock

from .data import load
from .latency import PUT
from .protocols import spread
from .simulated import Cloud

KB = 1024
LEASE_MS = 60_000
LENGTHS = (1, 1_000, 10_000)
CONDITIONAL = {"": PUT, ", a condition as slow as the original's": "primitive_timelock_acquire"}
"""What a conditional PutItem may be taken for."""
PLAIN, LOCKED = "update of 1 kB", "update of 1 kB under a held lock"


def run(smoke: bool) -> Dict[str, Any]:
    """Rows, and the bars: an update under a lock that is held, beside the same update alone; appends at any length."""
    samples = 30 if smoke else 2000
    lengths = LENGTHS[:1] if smoke else LENGTHS
    found: Dict[str, List[float]] = {}
    bars = []
    for seed, (how, curve) in enumerate(CONDITIONAL.items(), 7):
        cloud = Cloud(seed, conditional=curve)
        cloud.loop.run(_locks(cloud, found, samples, how), limit=1 << 40)
        plain, locked = spread(found[PLAIN])["p50"], spread(found[LOCKED + how])["p50"]
        mean = {name: sum(values) / len(values) for name, values in found.items()}
        bars.append(_bar("what a held lock adds to an update%s; the paper's" % how, "ms", locked - plain, 2.5, 1))
        efficiency = mean[PLAIN] / mean[LOCKED + how]
        what = "updates a second of one client under a held lock%s, beside plain ones" % how
        bars.append(_bar(what, "", efficiency, 1.0, 0.84, at_least=True))
    cloud = Cloud(7)
    cloud.loop.run(_others(cloud, found, samples, lengths), limit=1 << 40)
    rows = [{"row": name, **spread(values), "theirs": _theirs(name)} for name, values in found.items()]
    by_name = {row["row"]: row for row in rows}
    first, last = (by_name["append to a list of %s entries" % f"{n:,}"] for n in (lengths[0], lengths[-1]))
    what = "append to %s entries, beside %s" % (f"{lengths[-1]:,}", lengths[0])
    bars.append(_bar(what, "ms", last["p50"], first["p50"], 1.5))
    return {"rows": rows, "bars": bars}


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


def _timed(cloud: Cloud, found: Dict[str, List[float]]) -> Callable[..., Awaitable[None]]:
    async def timed(name: str, work: Callable[[int], Awaitable[Any]], count: int) -> None:
        times = found.setdefault(name, [])
        for number in range(count):
            began = cloud.loop.now
            await work(number)
            times.append((cloud.loop.now - began) * 1000)

    return timed


async def _locks(cloud: Cloud, found: Dict[str, List[float]], samples: int, how: str) -> None:
    timed = _timed(cloud, found)
    store, data = cloud.store, Key(STATE, "data", "x")
    lock = TimedLock(store, cloud.clock, Key(STATE, "lock", "x"), LEASE_MS)
    mine: List[Held] = []

    def got(held: Optional[Held]) -> None:
        assert held is not None
        mine[:] = [held]

    async def acquire(_: int) -> None:
        got(await lock.acquire("me"))

    async def write(_: int) -> None:
        got(await lock.write(mine[0], bytes(KB)))

    async def whole(_: int) -> None:
        await acquire(0)
        assert await lock.release(mine[0], bytes(KB))

    if not how:
        await timed(PLAIN, lambda n: store.commit([Put(data, Item(n + 1, bytes(KB)))]), samples)
    got(await lock.acquire("me"))
    got(await lock.write(mine[0], bytes(KB)))
    await timed("acquire a lock of 1 kB that somebody else had last" + how, acquire, samples)
    await timed(LOCKED + how, write, samples)
    assert await lock.release(mine[0])
    await timed("lock, update 1 kB and unlock" + how, whole, samples)


async def _others(cloud: Cloud, found: Dict[str, List[float]], samples: int, lengths: Any) -> None:
    timed, store = _timed(cloud, found), cloud.store
    counter = AtomicCounter(store, Key(STATE, "counter", "x"))
    await timed("add to a counter", lambda n: counter.add(), samples)
    for length in lengths:
        entries = AtomicList(store, STATE, "list%d" % length)
        for first in range(0, length, 100):
            await entries.extend([b"x" * 20] * min(100, length - first))
        await timed("append to a list of %s entries" % f"{length:,}", partial(_append, entries), samples // 4)


async def _append(entries: AtomicList, _: int) -> None:
    await entries.append(b"x" * 20)


def _theirs(name: str) -> Any:
    ops = load("aws_latency_ms")["ops"]

    def measured(what: str, size: int = 1) -> float:
        return float(ops[what]["by_size"][str(size)]["p50"])

    acquire, release = (measured("primitive_timelock_" + what, KB) for what in ("acquire", "release"))
    if name.startswith("acquire a lock"):
        return acquire
    if name.startswith("lock, update"):
        return acquire + release
    known = {
        PLAIN: (PUT, KB),
        "add to a counter": ("primitive_atomic_counter", 1),
        "append to a list of 1 entries": ("primitive_atomic_list_increase", 1),
        "append to a list of 1,000 entries": ("primitive_atomic_list_increase", KB),
    }
    return measured(*known[name]) if name in known else None
