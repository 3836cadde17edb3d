"""Writes that are invocations: what they cost, counted on the emulator, and how long they take, simulated.

That a synchronous invocation takes `INVOKE_MS` in the median, beside what the function does, is assumed: nobody has
measured it here. Others are shown beside it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Dict, List

from fk_backend.core.requests import Close, Create, Delete
from fk_backend.session.ops import GetChildren, GetData

from . import original
from .bill import FORMULA, LEFT_OUT, Bill
from .clients import Client, create, set_data
from .emulated import EmulatedDeployment, emulated_deployment
from .operations import FITS, KB, _each
from .protocols import spread, throughput
from .protocols import theirs as theirs_ms
from .simulated import Cloud

INVOKE_MS = 12.0
NEW_QUEUE_S = 1.0
"""SQS API Reference, CreateQueue: so long after it a queue can be used, at the earliest."""
LATER = ", a new queue being there after 1 s"
ASSUMED_MS = (0.0, 8.0, INVOKE_MS, 20.0)
"""0: by the queue."""
EVERYTHING = (*FORMULA, *LEFT_OUT)
CROWDS = (
    ("16 clients with 100 calls in flight each", 16, 100, 500, 16),
    ("16 clients that wait for each answer", 16, 1, 100, 2),
    ("2 clients that wait for each answer", 2, 1, 300, 2),
)
"""Of whose rates: clients, calls in flight and in all of each, and runs, of which the mean is taken."""
NOTHING_LOST = 0.95
"""Of a rate, which differs by a tenth from run to run."""


def run(smoke: bool) -> Dict[str, Any]:
    """Both."""
    by_ms = {ms: _ms(ms, 10 if smoke else 1000) for ms in ASSUMED_MS}
    rates = _rates(smoke)
    with emulated_deployment(direct=True) as deployment:
        bills = _bills(deployment, 3 if smoke else 20)
    return {
        "ms": [{"row": name, "ms": {str(ms): by_ms[ms][name] for ms in ASSUMED_MS}} for name in by_ms[0.0]],
        "usd": [
            {"row": name, "requests": bill.requests, **{which: bill.usd(which, EVERYTHING) for which in PRICES}}
            for name, bill in bills.items()
        ],
        "rates": rates,
        "bars": _bars(by_ms, bills, rates),
    }


PRICES = ("paper", "current")


def _ms(invoke_ms: float, samples: int) -> Dict[str, Dict[str, float]]:
    cloud = Cloud(1, invoke_ms=invoke_ms)
    found: Dict[str, List[float]] = {}

    async def run() -> None:
        client = await Client(cloud, "default").open()
        await client.timed_ms(create("/a", bytes(FITS)))
        await client.timed_ms(create("/locks", b""))
        for number in range(samples):
            found.setdefault("set, 1 kB", []).append(await client.timed_ms(set_data("/a", bytes(FITS))))
            found.setdefault("create, 1 kB", []).append(await client.timed_ms(create("/a/n%06d" % number, bytes(FITS))))
            found.setdefault("lock cycle", []).append(await _cycle(client))

    cloud.loop.run(run(), limit=1 << 40)
    for late_s, where in ((0.0, ""), (NEW_QUEUE_S, LATER)):
        beginnings = _beginnings_ms(Cloud(2, invoke_ms=invoke_ms, new_queue_s=late_s), samples // 2)
        found.update((name + where, values) for name, values in beginnings.items())
    return {name: spread(values) for name, values in found.items()}


def _beginnings_ms(cloud: Cloud, samples: int) -> Dict[str, List[float]]:
    """From asking for a session until it is open, and what it takes its first watch and its first writes in company."""
    found: Dict[str, List[float]] = {}

    async def timed(name: str, work: Awaitable[Any]) -> Any:
        began = cloud.loop.now
        done = await work
        found.setdefault(name, []).append((cloud.loop.now - began) * 1000)
        return done

    async def run() -> None:
        await (await Client(cloud, "default").open()).timed_ms(create("/a", bytes(FITS)))
        for _ in range(samples):
            client = await timed("connect", Client(cloud, "default").open())
            await timed("first watch", client.ask(GetData("/a", True)))
            await client.ask(Close())
            client = await Client(cloud, "default").open()
            await timed("first 3 sets at once", asyncio.gather(*(client.ask(set_data("/a", b"x")) for _ in range(3))))
            await client.ask(Close())
        await cloud.pause(1000)  # its farewells

    cloud.loop.run(run(), limit=1 << 40)
    return found


async def _cycle(client: Client) -> float:
    """As kazoo's Lock, when nobody else is there: an ephemeral with a number, a look at the others, a delete."""
    asked = Create("/locks/l-", b"", create("/", b"").acl, 3, 0, False)
    began = client.cloud.loop.now
    result = await client.ask(asked)
    await client.timed_ms(GetChildren("/locks", False))
    await client.timed_ms(Delete(result.value, -1))
    return (client.cloud.loop.now - began) * 1000


def _rates(smoke: bool) -> Dict[str, Dict[str, float]]:
    """Sets a second in one namespace of clients that write as fast as they can: with invocations, and by the queue."""
    found: Dict[str, Dict[str, float]] = {}
    for name, clients, depth, calls, runs in CROWDS:
        for way, invoke_ms in (("queue", 0.0), ("invoked", INVOKE_MS)):
            seeds = range(3, 4 if smoke else 3 + runs)
            each = [throughput(1, clients, calls, 0.0, seed, depth=depth, invoke_ms=invoke_ms) for seed in seeds]
            found.setdefault(name, {})[way] = sum(each) / len(each)
    return found


def _bills(deployment: EmulatedDeployment, times: int) -> Dict[str, Bill]:
    client = deployment.client()
    client.create("/bench")
    client.create("/bench/one", b"x")
    client.create("/bench/parent")
    client.create("/bench/parent/first")

    def each(work: Callable[[int], Any]) -> Bill:
        found = deployment.bill(_each(work, times), times, direct=True)
        assert not any("writes.fifo" in kind for kind in found.requests), found.requests
        return found

    def failing(_: int) -> None:
        try:
            client.create("/bench/one")
        except Exception:
            return
        raise AssertionError("it was not refused")

    client.set("/bench/one", bytes(FITS))
    return {
        "connect and close": each(lambda _: deployment.dismiss(deployment.client())),
        "set, 1 kB (its item fits 1 KB)": each(lambda _: client.set("/bench/one", bytes(FITS))),
        "set, 1,024 bytes": each(lambda _: client.set("/bench/one", bytes(KB))),
        "create, 1 kB": each(lambda n: client.create("/bench/parent/node-%05d" % n, bytes(FITS))),
        "delete": each(lambda n: client.delete("/bench/parent/node-%05d" % n)),
        "create of an existing node": each(failing),
    }


def _bars(by_ms: Dict[float, Any], bills: Dict[str, Bill], rates: Dict[str, Dict[str, float]]) -> List[Dict[str, Any]]:
    ours, queue = by_ms[INVOKE_MS], by_ms[0.0]
    connect, cycle = "connect, beside the queue's", "lock cycle, beside the queue's"
    found = [
        _bar("set, 1 kB, median", ours["set, 1 kB"]["p50"], queue["set, 1 kB"]["p50"], 28, "ms"),
        _bar("set, 1 kB, p99", ours["set, 1 kB"]["p99"], queue["set, 1 kB"]["p99"], 100, "ms"),
        _bar("create, 1 kB, median", ours["create, 1 kB"]["p50"], queue["create, 1 kB"]["p50"], 38, "ms"),
        _bar(connect, ours["connect"]["p50"], queue["connect"]["p50"], 0.6 * queue["connect"]["p50"], "ms"),
        _bar(cycle, ours["lock cycle"]["p50"], queue["lock cycle"]["p50"], 0.58 * queue["lock cycle"]["p50"], "ms"),
    ]
    names = ("set, 1 kB (its item fits 1 KB)", "create, 1 kB", "create of an existing node")
    for name, queued, most in zip(names, QUEUED, (2.0, 6.0, 1.0)):
        found.append(_bar(name, bills[name].usd("current", EVERYTHING), queued, most, "USD a million"))
    found.extend(_beside_the_original(ours["set, 1 kB"]["p50"], queue["set, 1 kB"]["p50"], bills))
    for name, rate in rates.items():
        what = "sets in one namespace, %s, beside the queue's" % name
        found.append(_bar(what, rate["invoked"], rate["queue"], NOTHING_LOST * rate["queue"], "1/s", at_least=True))
    return found


def _beside_the_original(set_ms: float, queued_ms: float, bills: Dict[str, Bill]) -> List[Dict[str, Any]]:
    """What a write by the queue was meant to be, and is not: see `costs.bars` and `protocols`."""
    fits, whole = bills["set, 1 kB (its item fits 1 KB)"], bills["set, 1,024 bytes"]
    left_out = original.left_out_usd("paper", original.EPOCH_WCU[0])
    theirs, theirs_whole = original.write_usd("paper"), original.write_usd("paper", 1, 2)
    by_formula, all_of_it = (
        "set, %s, 0.6 of the original's by its formula",
        "set, %s, half of the original's, everything",
    )
    usd = "USD a million, paper prices"
    of_fits, of_whole, everything = QUEUED_PAPER
    return [
        _bar("set, 1 kB, 0.6 of the original's by its model", set_ms, queued_ms, 0.6 * theirs_ms(2000)["p50"], "ms"),
        _bar(by_formula % "1,024 bytes", whole.usd("paper"), of_whole, 0.6 * theirs_whole, usd),
        _bar(all_of_it % "1 kB", fits.usd("paper", EVERYTHING), of_fits, 0.5 * (theirs + left_out), usd),
        _bar(
            all_of_it % "1,024 bytes", whole.usd("paper", EVERYTHING), everything, 0.5 * (theirs_whole + left_out), usd
        ),
    ]


QUEUED = (4.10, 8.27, 3.32)
"""What they cost by the queue: the table of current prices, everything."""
QUEUED_PAPER = (5.52, 5.33, 6.77)
"""Of the table of the paper's prices: 1 kB with everything, 1,024 bytes by the formula, and with everything."""


def _bar(what: str, ours: float, queued: float, meant: float, unit: str, at_least: bool = False) -> Dict[str, Any]:
    """``meant``: at most that, or at least."""
    one = {"what": what, "unit": unit, "ours": ours, "queued": queued, "meant": meant, "at_least": at_least}
    return {**one, "holds": ours >= meant if at_least else ours <= meant}
