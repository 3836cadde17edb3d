"""Latency and throughput: ours by running it, the original's by a model of its requests, both over the same figures.

The original's write, as its code does it: a message to the first function; there a timed lock on the node, a message
to the second one (a group of all clients), the conditional commit that also unlocks; in the second one a read of the
system storage, the write to the user storage, a read of the watches; then the answer, by TCP, which takes no time.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any, Dict, List, Sequence

from fk_backend.session.ops import Exists, GetChildren, GetData

from . import latency
from .clients import Client, create, in_flight, set_data
from .data import load
from .latency import FIFO_TRIGGER, Chance
from .simulated import BATCH, INBOXES, Cloud

KB = 1024
DEPTH = 100
"""Calls in flight of each pipelining client."""


def spread(values: Sequence[float]) -> Dict[str, float]:
    """Median and p99, in ms."""
    ordered = sorted(values)
    return {"n": len(ordered), "p50": statistics.median(ordered), "p99": ordered[len(ordered) * 99 // 100]}


def ours(samples: int, inbox: str, seed: int = 1) -> Dict[str, Dict[str, float]]:
    """Operation → ms, by one client that waits for each answer."""
    cloud = Cloud(seed, inbox=inbox)
    found: Dict[str, List[float]] = {}

    async def run() -> None:
        client = await Client(cloud, "default").open()
        for op in (create("/a", bytes(KB)), create("/a/first", b"")):
            await client.timed_ms(op)
        for number in range(samples):
            for name, op in (
                ("set, 1 kB", set_data("/a", bytes(KB))),
                ("create, 1 kB", create("/a/n%06d" % number, bytes(KB))),
                ("get, 1 kB", GetData("/a/n%06d" % number, False)),
                ("exists", Exists("/a", False)),
                ("get with a watch", GetData("/a/n%06d" % number, True)),
            ):
                found.setdefault(name, []).append(await client.timed_ms(op))
        found["get_children"] = [await client.timed_ms(GetChildren("/a/first", False)) for _ in range(samples)]

    cloud.loop.run(run(), limit=1 << 40)
    return {name: spread(values) for name, values in found.items()}


def theirs(samples: int, seed: int = 2) -> Dict[str, float]:
    """The model of the original's set of 1 kB, in ms."""
    chance = Chance(seed)

    def one() -> float:
        hops = chance.ms(FIFO_TRIGGER, KB), chance.ms(FIFO_TRIGGER, KB)
        lock = chance.ms("primitive_timelock_acquire", KB)
        unlock = chance.ms("primitive_timelock_release", KB)
        reads = chance.ms(latency.GET, KB) + chance.ms(latency.GET, 64)
        return sum(hops) + lock + unlock + reads + chance.ms(latency.PUT, KB)

    return spread([one() for _ in range(samples)])


def measured(operation: str) -> Dict[str, float]:
    """What the original's client saw on AWS, 1 kB, ms."""
    found: Dict[str, float] = load("aws_latency_ms")["ops"][operation]["by_size"]["1024"]
    return found


def gap_ms() -> float:
    """Between two batches of a group, so that a function that does nothing gets what was measured of one group."""
    per_s = load("original_requests")["throughput"]["sqs_fifo_one_group_messages_per_s"]
    return BATCH / float(per_s) * 1000


def throughput(
    namespaces: int,
    clients: int,
    calls: int,
    gap: float,
    seed: int = 3,
    loyal: bool = False,
    depth: int = DEPTH,
    invoke_ms: float = 0.0,
) -> float:
    """Writes per second: the sum of the rates of clients in each of some namespaces, ``depth`` calls in flight each.

    ``invoke_ms``: see `Cloud`.
    """
    cloud = Cloud(seed, gap_ms=gap, loyal=loyal, invoke_ms=invoke_ms)

    async def one(client: Client, number: int) -> float:
        began = cloud.loop.now
        await in_flight(client, set_data("/n%d" % number, bytes(100)), calls, depth)
        return calls / (cloud.loop.now - began)

    async def run() -> float:
        made = []
        for ns in range(namespaces):
            for number in range(clients):
                client = await Client(cloud, "ns%d" % ns).open()
                await client.timed_ms(create("/n%d" % number, b""))
                made.append((client, number))
        return sum(await asyncio.gather(*(one(client, number) for client, number in made)))

    rate: float = cloud.loop.run(run(), limit=1 << 40)
    return rate


def _scale(namespaces: int, calls: int, loyal: bool) -> float:
    """Of a client in each of some namespaces; of few of them the mean of several runs, which differ by a tenth."""
    runs = max(1, 8 // namespaces)
    return sum(throughput(namespaces, 1, calls, gap_ms(), 3 + seed, loyal) for seed in range(runs)) / runs


def their_throughput(calls: int, gap: float, seed: int = 4) -> float:
    """Of the original, for whoever writes: one group, a message for each write; the slower function sets the pace."""
    chance = Chance(seed)

    def first() -> float:
        lock, unlock = (chance.ms("primitive_timelock_" + each, KB) for each in ("acquire", "release"))
        return lock + chance.ms(latency.SEND, KB) + unlock

    def second() -> float:
        return chance.ms(latency.GET, KB) + chance.ms(latency.GET, 64) + chance.ms(latency.PUT, KB)

    batches = max(1, calls // BATCH)
    took = max(sum(sum(work() for _ in range(BATCH)) + gap for _ in range(batches)) for work in (first, second))
    return batches * BATCH / (took / 1000)


def own_ms(samples: int) -> float:
    """Processor time that sessions and writers take for a write on this machine: what the model leaves out."""
    cloud = Cloud(5)

    async def run() -> float:
        client = await Client(cloud, "default").open()
        await client.timed_ms(create("/a", bytes(KB)))
        began = time.process_time()
        for _ in range(samples):
            await client.timed_ms(set_data("/a", bytes(KB)))
        return (time.process_time() - began) / samples * 1000

    took: float = cloud.loop.run(run(), limit=1 << 40)
    return took


def run(samples: int, calls: int, clients: int, namespaces: Sequence[int]) -> Dict[str, Any]:
    """All of it."""
    model = theirs(max(samples, 1000))
    seen = measured("faaskeeper_set_data_dynamodb")
    read = measured("faaskeeper_get_data_dynamodb")
    by_inbox = {name: ours(samples, inbox) for name, inbox in INBOXES.items()}
    rates = {}
    for name, gap in (("as their own figure of one group", gap_ms()), ("none", 0.0)):
        one, other = throughput(1, clients, calls, gap), their_throughput(max(calls, 1000), gap)
        rates[name] = {"gap_ms": gap, "ours": one, "theirs": other, "ratio": one / other}
    scale = {count: _scale(count, calls, loyal=False) for count in namespaces}
    loyal = {count: _scale(count, calls, loyal=True) for count in namespaces}
    return {
        "original_model": model,
        "original_measured": seen,
        "original_read_measured": read,
        "model_error": {key: model[key] / seen[key] - 1 for key in ("p50", "p99")},
        "ours": by_inbox,
        "own_ms": own_ms(samples),
        "throughput": rates,
        "namespaces": {str(count): rate for count, rate in scale.items()},
        "namespaces_loyal": {str(count): rate for count, rate in loyal.items()},
        "bars": _bars(by_inbox, model, seen, read, rates, scale, loyal),
    }


def _bars(
    by_inbox: Dict[str, Any],
    model: Any,
    seen: Any,
    read: Any,
    rates: Dict[str, Any],
    scale: Dict[int, float],
    loyal: Dict[int, float],
) -> List[Dict[str, Any]]:
    found = []

    def bar(what: str, ours: float, theirs: float, bar: float, unit: str, more: bool = False) -> None:
        ratio = ours / theirs
        holds = ratio >= bar if more else ratio <= bar
        one = {"what": what, "ours": ours, "theirs": theirs, "ratio": ratio, "bar": bar, "holds": holds, "unit": unit}
        one["at_least"] = more
        found.append(one)

    for name, each in by_inbox.items():
        write = each["set, 1 kB"]
        bar("median set, an answer's way as %s; theirs as measured" % name, write["p50"], seen["p50"], 0.6, "ms")
        bar("the same; theirs by the model", write["p50"], model["p50"], 0.6, "ms")
        bar("p99 of a set, an answer's way as %s; theirs as measured" % name, write["p99"], seen["p99"], 1.0, "ms")
    reads = next(iter(by_inbox.values()))["get, 1 kB"]
    bar("median get; theirs as measured", reads["p50"], read["p50"], 1.0, "ms")
    for name, rate in rates.items():
        what = "sets in one namespace, 16 clients, pause between batches %s" % name
        bar(what, rate["ours"], rate["theirs"], 4.0, "1/s", True)
    first, last = min(scale), max(scale)
    for how, found_rates in (("", scale), (", if each met the same environment every time", loyal)):
        what = "sets in each of %d namespaces, beside one alone%s" % (last, how)
        bar(what, found_rates[last] / last, found_rates[first] / first, 0.9, "1/s", True)
    if 4 in scale and last > 4:
        bar("sets in each of %d namespaces, beside 4" % last, scale[last] / last, scale[4] / 4, 0.9, "1/s", True)
    return found
