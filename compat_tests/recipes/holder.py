"""A process that uses a recipe until it is killed: ``python -m compat_tests.recipes.holder URL``.

It prints ``ready`` when it is connected, reads a line ``RECIPE PATH``, and prints what it has: ``has WORD``, a line
each time. As long as its session lives, there is an ephemeral ``PATH/alive/victim``.
"""

from __future__ import annotations

import datetime
import logging
import sys
import threading
import warnings
from typing import Any, Callable, Dict

from fk_kazoo.client import KazooClient

from .faulty_clients import PATIENCE_S, TIMEOUT_S

NAME = "victim"
ITEMS = frozenset(range(12))
HOUR = datetime.timedelta(hours=1)
WHILE_S = 0.02
"""Between two things that it does."""


def has(word: object = "") -> None:
    """Says so."""
    print("has %s" % word, flush=True)


def _for_ever() -> None:
    threading.Event().wait()


def _exclusive(make: Callable[[Any, str], Any]) -> Callable[[Any, str], None]:
    def hold(client: Any, path: str) -> None:
        make(client, path + "/lock").acquire()
        has()
        _for_ever()

    return hold


def _election(client: Any, path: str) -> None:
    def lead() -> None:
        has()
        _for_ever()

    client.Election(path + "/lock", NAME).run(lead)


def _barrier(client: Any, path: str) -> None:
    threading.Timer(WHILE_S, has).start()
    client.Barrier(path + "/barrier").wait()


def _double_barrier(client: Any, path: str) -> None:
    client.DoubleBarrier(path + "/double", 2, NAME).enter()
    has()
    _for_ever()


def _queue(client: Any, path: str) -> None:
    while True:
        item = client.Queue(path + "/queue").get()
        if item is not None:
            has(item.decode())
        threading.Event().wait(WHILE_S)


def _locking_queue(client: Any, path: str) -> None:
    queue = client.LockingQueue(path + "/locking")
    while True:
        item = queue.get(PATIENCE_S)
        has(item.decode())
        if item == b"2":
            _for_ever()
        queue.consume()


def _counter(client: Any, path: str) -> None:
    mine = client.Counter(path + "/counter")
    while True:
        mine += 1
        has()
        client.handler.sleep_func(WHILE_S)  # who was overtaken backs off longer each time: he needs a chance


def _party(client: Any, path: str) -> None:
    client.Party(path + "/deep", NAME).join()
    client.ShallowParty(path + "/shallow", NAME).join()
    has()
    _for_ever()


def _lease(client: Any, path: str) -> None:
    assert client.NonBlockingLease(path + "/lease", HOUR, identifier=NAME)
    assert client.MultiNonBlockingLease(1, path + "/leases", HOUR, identifier=NAME)
    has()
    _for_ever()


def partition(client: Any, path: str, name: str, tell: Callable[[Any], None], enough: threading.Event) -> None:
    """Takes part in sharing ITEMS; tells which ones are its own, whenever that changes."""
    mine = client.SetPartitioner(path + "/set", ITEMS, identifier=name, time_boundary=0.05)
    while not enough.is_set() and not mine.failed:
        if mine.release:
            tell(())
            mine.release_set()
        elif mine.acquired:
            tell(tuple(mine))
            enough.wait(WHILE_S)
        elif mine.allocating:
            mine.wait_for_acquire(0.1)
    tell(())


def _partitioner(client: Any, path: str) -> None:
    partition(client, path, NAME, lambda items: has(",".join(map(str, items))), threading.Event())


def _tree_cache(client: Any, path: str) -> None:
    for number in range(10**9):
        client.create("%s/tree/n%d" % (path, number), b"", ephemeral=True, makepath=True)
        client.set(path + "/tree", b"%d" % number)
        has(number)
        threading.Event().wait(WHILE_S)


USES: Dict[str, Callable[[Any, str], None]] = {
    "Lock": _exclusive(lambda client, path: client.Lock(path, NAME)),
    "ReadLock, WriteLock": _exclusive(lambda client, path: client.WriteLock(path, NAME)),
    "Semaphore": _exclusive(lambda client, path: client.Semaphore(path, NAME, max_leases=1)),
    "Election": _election,
    "Barrier": _barrier,
    "DoubleBarrier": _double_barrier,
    "Queue": _queue,
    "LockingQueue": _locking_queue,
    "Counter": _counter,
    "Party, ShallowParty": _party,
    "NonBlockingLease, MultiNonBlockingLease": _lease,
    "SetPartitioner": _partitioner,
    "TreeCache": _tree_cache,
}
"""What the process does, by the name of the recipe."""


def main() -> None:
    """The program."""
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore")
    client: Any = KazooClient(sys.argv[1], timeout=TIMEOUT_S)
    client.start(PATIENCE_S)
    print("ready", flush=True)
    recipe, path = sys.stdin.readline().rstrip("\n").rsplit(" ", 1)
    client.create(path + "/alive/" + NAME, ephemeral=True, makepath=True)
    USES[recipe](client, path)


if __name__ == "__main__":
    main()
