"""Requests and capacity units of one operation as its surroundings grow, counted on the emulator.

Rule upheld here: the operation is done by the shipped client and functions. Its surroundings are written straight into
the emulator's tables in the stored form (`filling`), but for the history, which the functions write.
"""

from __future__ import annotations

import random
import secrets
import statistics
import time
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

from fk_backend.functions.heartbeat import RARE_TICKS
from fk_backend.ports import INTEREST
from fk_backend.providers.aws.ticks import TICK_S

from . import filling
from .bill import units_of
from .emulated import EmulatedDeployment
from .meter import FUNCTION, Call

TIMES = 5
FLAT = 1.5
BRANCH = 1000
"""Nodes under each node of a tree."""
IN_FLIGHT = 1500
NAMED = 1000
"""So many writes of a history are of a node and another one of the same name."""
HISTORY_S = 600.0
"""So long the functions may write a history; where that is not enough, the row has the size that was reached."""
TICKS = 2
KEPT = "items / bytes kept"
PARENT = "set of their parent"
TICK = "a tick, for each session"


class Sizes(NamedTuple):
    """Of each kind of surroundings."""

    siblings: Sequence[int] = (10, 1_000, 100_000)
    tree: Sequence[int] = (1_000, 100_000, 1_000_000)
    data: Sequence[int] = (0, 1_000, 15_000, 1_000_000)
    watchers: Sequence[int] = (1, 10, 100, 1_000, 10_000)
    sessions: Sequence[int] = (1, 100, 2_000)
    history: Sequence[int] = (10, 1_000, 100_000, 1_000_000)
    depth: Sequence[int] = (1, 10, 50)


SMOKE = Sizes((10, 100), (1_000,), (0, 2_000), (1, 3), (2,), (10, 100), (1, 5))


def run(
    deployment: EmulatedDeployment,
    sizes: Sizes,
    report: Callable[[str], None] = lambda text: None,
    wanted: Sequence[str] = (),
) -> List[Dict[str, Any]]:
    """A row for each kind of surroundings, or for those that are wanted. ``deployment``: one that can be filled."""
    rows: List[Dict[str, Any]] = []
    for which, (name, measure, more) in CASES.items():
        if wanted and which not in wanted:
            continue
        began = time.monotonic()
        steps = [measure(deployment, size) for size in getattr(sizes, which)]
        rows.append(_row(name, "used", steps))
        rows.extend(_row("%s: %s" % (name, key), key, steps) for key in more)
        report("%s: %.0f s" % (name, time.monotonic() - began))
    return rows


Step = Dict[str, Any]
"""The size that was reached, and what is measured at it."""


def _row(name: str, key: str, steps: List[Step]) -> Dict[str, Any]:
    """Judged by the smallest size and whichever of the others takes most."""
    found = [{"size": step["size"], "used": step[key]} for step in steps]
    most = [max(values) for values in zip(*(each["used"] for each in found[1:] or found))]
    growth = [value / first if first else 1.0 for value, first in zip(most, found[0]["used"])]
    return {"row": name, "sizes": found, "growth": growth, "flat": all(each <= FLAT for each in growth)}


def _units(calls: List[Call], operations: float) -> List[float]:
    """Requests, write units and read units of one operation; receives and deletes of inboxes apart."""
    counted = [call for call in calls if call.queue != "inbox" or call.operation == "SendMessage"]
    units = units_of(counted)
    return [units[key] / operations for key in ("requests", "wru", "rru")]


def _used(deployment: EmulatedDeployment, work: Callable[[], Any], operations: float) -> List[float]:
    return _units(deployment.requests_of(work)[0], operations)


def _each(deployment: EmulatedDeployment, work: Callable[[int], Any]) -> List[float]:
    """The median: now and then another environment of the function has the turn, and reads the head."""
    found = [_used(deployment, lambda number=number: work(number), 1) for number in range(TIMES)]  # type: ignore[misc]
    return [statistics.median(values) for values in zip(*found)]


def _creates(deployment: EmulatedDeployment, client: Any, parent: str) -> List[float]:
    client.create(parent + "/warm")
    return _each(deployment, lambda number: client.create("%s/new%d" % (parent, number), bytes(100)))


def _filled(deployment: EmulatedDeployment, ns: str, parent: str, count: int) -> Any:
    """A client in a namespace where a node has so many children, and that writer read nothing of it yet."""
    client = deployment.client(ns)
    client.create(parent)
    rev = client.exists(parent).mzxid
    zxid = deployment.filling.moved(ns)
    deployment.filling.put(filling.children(ns, parent, count, zxid, rev))
    return client


def _among(deployment: EmulatedDeployment, count: int) -> Step:
    client = _filled(deployment, "siblings%d" % count, "/among", count)
    created = _creates(deployment, client, "/among")
    client.set("/among", bytes(100))
    changed = _each(deployment, lambda _: client.set("/among", bytes(100)))
    deployment.dismiss(client)
    return {"size": count, "used": created, PARENT: changed}


def _anywhere(deployment: EmulatedDeployment, count: int) -> Step:
    """Each under another node."""
    ns = "tree%d" % count
    branches = count // BRANCH
    client = _filled(deployment, ns, "/tree", branches)
    zxid = deployment.filling.moved(ns)
    names = ["/tree/a-name-of-20-%07d" % branch for branch in range(branches)]
    deployment.filling.put(put for name in names for put in filling.children(ns, name, BRANCH, zxid, zxid - 1))
    somewhere = random.Random(count)
    parents = ["%s/a-name-of-20-%07d" % (somewhere.choice(names), n) for n in somewhere.sample(range(BRANCH), TIMES)]
    client.create(names[0] + "/warm")
    used = _each(deployment, lambda number: client.create(parents[number] + "/new", bytes(100)))
    deployment.dismiss(client)
    return {"size": count, "used": used}


def _under(deployment: EmulatedDeployment, size: int) -> Step:
    client = deployment.client()
    parent = "/under%d" % size
    client.create(parent, bytes(size))
    used = _creates(deployment, client, parent)
    deployment.dismiss(client)
    return {"size": size, "used": used}


def _watched(deployment: EmulatedDeployment, count: int) -> Step:
    """Inboxes of their own; nobody receives from them."""
    ns = "watchers%d" % count
    client = deployment.client(ns)
    client.create("/watched")
    client.set("/watched", bytes(100))
    inboxes = [secrets.token_hex(16) for _ in range(count)]
    filling.make_inboxes(deployment.account, inboxes)
    deployment.filling.put(filling.watched(ns, "/watched", inboxes), known=True)
    used = _used(deployment, lambda: client.set("/watched", bytes(100)), count)
    left = filling.kept(deployment.account, ns + ":/watched", [INTEREST])[0]
    assert left == 0, "%d of %d were not told" % (left, count)
    deployment.dismiss(client)
    return {"size": count, "used": used}


def _sessions(deployment: EmulatedDeployment, count: int) -> Step:
    """Beside so many others; and what looking after them takes each time."""
    ns = "sessions%d" % count
    client = deployment.client(ns)
    client.create("/crowd")
    rev = client.exists("/crowd").mzxid
    zxid = deployment.filling.moved(ns)
    deployment.filling.put(filling.owners(ns, "/crowd", count, zxid, rev))
    client.create("/among")
    client.set("/among", bytes(100))
    used = _each(deployment, lambda _: client.set("/among", bytes(100)))
    client.create("/held", ephemeral=True)
    time.sleep(1.5 * TICK_S)  # the first tick makes the function's environment
    calls, ticks = deployment.requests_of(lambda: time.sleep(TICKS * RARE_TICKS * TICK_S))
    assert ticks, "nothing ticked"
    tick = _units([call for call in calls if call.side == FUNCTION], ticks * count)
    client.delete("/held")
    deployment.dismiss(client)
    return {"size": count, "used": used, TICK: tick}


def _history(deployment: EmulatedDeployment, count: int) -> Step:
    """By the functions: of a node's data, and every tenth of them a creation or a deletion of another node.

    A name comes again for a while: registrations are looked up for each of a commit, which takes the emulator longest.
    """
    ns = "history%d" % count
    client = deployment.client(ns)
    client.create("/history")
    until, waiting, number = time.monotonic() + HISTORY_S, [], 0
    while number < count and (number % IN_FLIGHT or time.monotonic() < until):
        if number % 20 == 9:
            waiting.append(client.create_async("/history/%04d" % (number // NAMED), bytes(100)))
        elif number % 20 == 19:
            waiting.append(client.delete_async("/history/%04d" % (number // NAMED)))
        else:
            waiting.append(client.set_async("/history", bytes(100)))
        if len(waiting) == IN_FLIGHT:
            waiting.pop(0).get(timeout=120)
            deployment.meter.clear()
        number += 1
    for result in waiting:
        result.get(timeout=120)
    client.set("/history", bytes(100))  # the first one overwrites a head with the answers of many
    used = _each(deployment, lambda _: client.set("/history", bytes(100)))
    kept = filling.kept(deployment.account, ns + ":")
    deployment.dismiss(client)
    return {"size": number, "used": used, KEPT: kept}


def _deep(deployment: EmulatedDeployment, depth: int) -> Step:
    client = deployment.client()
    parent = "/deep%d" % depth
    client.create(parent)
    for _ in range(depth - 1):
        parent += "/d"
        client.create(parent)
    used = _creates(deployment, client, parent)
    deployment.dismiss(client)
    return {"size": depth, "used": used}


CASES: Dict[str, Tuple[str, Callable[[EmulatedDeployment, int], Step], Sequence[str]]] = {
    "history": ("set after so many writes", _history, [KEPT]),
    "siblings": ("create among siblings", _among, [PARENT]),
    "tree": ("create in a tree of nodes", _anywhere, []),
    "data": ("create under a parent with bytes of data", _under, []),
    "watchers": ("set of a node with watchers, for each event", _watched, []),
    "sessions": ("set, by sessions with an ephemeral node", _sessions, [TICK]),
    "depth": ("create at a depth", _deep, []),
}
"""Field of `Sizes` → what it is called, what measures it, and what it measures besides.

The history comes first: what it leaves is counted by a scan, which takes the emulator very long once a tree is there.
"""
