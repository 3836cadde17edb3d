"""Writes that are invocations: what they cost, counted on the emulator, and how long they take, simulated.

That a synchronous invocation takes `INVOKE_MS` in the median, beside what the function does, is assumed: nobody has
measured it here. Others are shown beside it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Dict, List

from fk_backend.core.requests import Close, Create, Delete
from fk_backend.session.ops import GetChildren, GetData

from .bill import FORMULA, LEFT_OUT, Bill
from .clients import Client, create, set_data
from .operations import FITS, KB, _each
from .protocols import spread
from .setting import Setting, setting
from .simulated import Cloud

INVOKE_MS = 12.0
NEW_QUEUE_S = 1.0
"""SQS API Reference, CreateQueue: so long after it a queue can be used, at the earliest."""
LATER = ", a new queue being there after 1 s"
ASSUMED_MS = (0.0, 8.0, INVOKE_MS, 20.0)
"""0: by the queue."""
EVERYTHING = (*FORMULA, *LEFT_OUT)


def run(smoke: bool) -> Dict[str, Any]:
    """Both."""
    by_ms = {ms: _ms(ms, 10 if smoke else 1000) for ms in ASSUMED_MS}
    with setting(direct=True) as deployment:
        bills = _bills(deployment, 3 if smoke else 20)
    return {
        "ms": [{"row": name, "ms": {str(ms): by_ms[ms][name] for ms in ASSUMED_MS}} for name in by_ms[0.0]],
        "usd": [
            {"row": name, "requests": bill.requests, **{which: bill.usd(which, EVERYTHING) for which in PRICES}}
            for name, bill in bills.items()
        ],
        "bars": _bars(by_ms, bills),
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
        beginnings = _beginnings_ms(Cloud(2, invoke_ms=invoke_ms, new_queue_s=late_s), samples)
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


def _bills(deployment: Setting, times: int) -> Dict[str, Bill]:
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


def _bars(by_ms: Dict[float, Any], bills: Dict[str, Bill]) -> List[Dict[str, Any]]:
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
    return found


QUEUED = (4.10, 8.27, 2.82)
"""What they cost by the queue: the table of current prices, everything."""


def _bar(what: str, ours: float, queued: float, most: float, unit: str) -> Dict[str, Any]:
    return {"what": what, "unit": unit, "ours": ours, "queued": queued, "most": most, "holds": ours <= most}
