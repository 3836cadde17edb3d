"""What each operation uses: done on the emulator again and again, by a client whose deployment is warm."""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Dict, Iterable, List

from .bill import Bill, bill
from .emulated import EmulatedDeployment
from .meter import CLIENT, FUNCTION

KB = 1024
FITS = 850
"""Bytes of data with which a node's item stays below 1 KB, with its path and its Stat."""
LARGE = 64 * KB
"""Above what is kept in an item: it goes to S3."""
NODE = "/bench/hundred/child-%04d"
HELD_SESSION_S = 10.0
"""kazoo's own default."""
HELD_TICK_S = math.ceil(HELD_SESSION_S * 2 / 3)
"""So often its namespace is looked at; it beats twice in that time."""
TOGETHER = 100
"""Calls in flight when they are pipelined."""


def run(deployment: EmulatedDeployment, times: int, held_s: float) -> Dict[str, Bill]:
    """Operation → its bill. ``held_s``: for how long a session with an ephemeral is observed."""
    client = deployment.client()
    client.create("/bench")
    found = {
        **_reads(deployment, client, times),
        **_refused(deployment, client, times),
        **_writes(deployment, client, times),
        **_watched(deployment, client, times),
        **_held(deployment, held_s),
    }
    return {name: found[name] for name in sorted(found, key=list(ORDER).index)}


ORDER: Dict[str, str] = {
    "get": "get, 1 kB",
    "get_4kB": "get, 4,096 bytes",
    "get_large": "get, 64 kB",
    "exists": "exists",
    "exists_missing": "exists of a missing node",
    "get_watch": "get with a watch",
    "get_children_10": "get_children, 10 children",
    "get_children_100": "get_children, 100 children",
    "create": "create, 1 kB",
    "set": "set, 1 kB (its item fits 1 KB)",
    "set_1024": "set, 1,024 bytes",
    "set_4096": "set, 4,096 bytes",
    "set_large": "set, 64 kB",
    "delete": "delete",
    "create_exists": "create of an existing node",
    "set_bad_version": "set of another version",
    "event": "set of a node with one watcher",
    "create_100": "create, 100 in flight",
    "set_100": "set, 100 in flight",
    "tick": "heartbeat of a namespace with ephemerals, each 7 s",
    "beat": "beat of a session with ephemerals",
}
"""The rows, and what they are called."""


def _each(work: Callable[[int], Any], times: int) -> Callable[[], None]:
    def do() -> None:
        for number in range(times):
            work(number)

    return do


def _reads(deployment: EmulatedDeployment, client: Any, times: int) -> Dict[str, Bill]:
    client.create("/bench/read", bytes(FITS))
    client.create("/bench/read4", bytes(4096))
    client.create("/bench/large", bytes(LARGE))
    for parent, count in (("/bench/ten", 10), ("/bench/hundred", 100)):
        client.create(parent)
        _all(client.create_async("%s/child-%04d" % (parent, number)) for number in range(count))

    def each(work: Callable[[int], Any]) -> Bill:
        return deployment.bill(_each(work, times), times)

    return {
        "get": each(lambda _: client.get("/bench/read")),
        "get_large": each(lambda _: client.get("/bench/large")),
        "get_4kB": each(lambda _: client.get("/bench/read4")),
        "exists": each(lambda _: client.exists("/bench/read")),
        "exists_missing": each(lambda _: client.exists("/bench/nope")),
        "get_children_10": each(lambda _: client.get_children("/bench/ten")),
        "get_children_100": each(lambda _: client.get_children("/bench/hundred")),
    }


def _writes(deployment: EmulatedDeployment, client: Any, times: int) -> Dict[str, Bill]:
    client.create("/bench/one", b"x")
    client.create("/bench/many", b"x")
    client.create("/bench/parent")
    client.create("/bench/parent/first")  # from here on the parent has a family

    def path(number: int) -> str:
        return "/bench/parent/node-%05d" % number

    def sets(size: int) -> Bill:
        client.set("/bench/one", bytes(size))
        return deployment.bill(_each(lambda _: client.set("/bench/one", bytes(size)), times), times)

    found = {
        "create": deployment.bill(_each(lambda n: client.create(path(n), bytes(FITS)), times), times),
        "set": sets(FITS),
        "set_1024": sets(KB),
        "set_4096": sets(4 * KB),
        "set_large": sets(LARGE),
        "delete": deployment.bill(_each(lambda n: client.delete(path(n)), times), times),
    }
    rounds = max(1, times // 10)
    count = rounds * TOGETHER

    def together(work: Callable[[int], Any]) -> Bill:
        def do() -> None:
            for first in range(0, count, TOGETHER):
                _all(work(number) for number in range(first, first + TOGETHER))

        return deployment.bill(do, count)

    found["create_100"] = together(lambda n: client.create_async(path(10_000 + n), bytes(FITS)))
    found["set_100"] = together(lambda n: client.set_async("/bench/many", bytes(FITS)))
    return found


def _refused(deployment: EmulatedDeployment, client: Any, times: int) -> Dict[str, Bill]:
    client.create("/bench/refused", b"x")

    def failing(work: Callable[[], Any]) -> Bill:
        def do(_: int) -> None:
            try:
                work()
            except Exception:
                return
            raise AssertionError("it was not refused")

        return deployment.bill(_each(do, times), times)

    return {
        "create_exists": failing(lambda: client.create("/bench/refused", bytes(FITS))),
        "set_bad_version": failing(lambda: client.set("/bench/refused", bytes(FITS), version=999_999)),
    }


def _watched(deployment: EmulatedDeployment, client: Any, times: int) -> Dict[str, Bill]:
    watcher = deployment.client()
    client.create("/bench/watched", b"x")
    told: List[Any] = []
    registered = deployment.bill(_each(lambda n: watcher.get(NODE % n, watch=told.append), times), times)
    calls, invocations = [], 0
    for _ in range(times):
        watcher.get("/bench/watched", watch=told.append)
        seen, invoked = deployment.requests_of(lambda: client.set("/bench/watched", bytes(FITS)))
        calls.extend(seen)
        invocations += invoked
    assert len(told) >= times
    return {"get_watch": registered, "event": bill(calls, invocations, times)}


def _held(deployment: EmulatedDeployment, held_s: float) -> Dict[str, Bill]:
    """In real time: what holding an ephemeral takes, for each tick of the heartbeat and each beat of the session."""
    client = deployment.client(session_s=HELD_SESSION_S)
    client.create("/bench/held", ephemeral=True)
    time.sleep(HELD_TICK_S / 2)  # the first tick makes the function's environment
    calls, ticks = deployment.requests_of(lambda: time.sleep(max(held_s, HELD_TICK_S)))
    client.delete("/bench/held")
    beats = [call for call in calls if call.side == CLIENT and call.operation == "UpdateItem"]
    ticking = [call for call in calls if call.side == FUNCTION]
    assert ticks and beats, "%d ticks and %d beats within %g s" % (ticks, len(beats), held_s)
    return {"tick": bill(ticking, ticks, ticks, deleted=False), "beat": bill(beats, 0, len(beats))}


def _all(results: Iterable[Any]) -> None:
    for result in list(results):
        result.get(timeout=60)
