"""A process that uses a recipe is killed with SIGKILL: what it had goes to others, after its session, and only once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter as Tally
from pathlib import Path
from typing import Any, Callable, Dict, List

from kazoo.recipe.cache import TreeCache

from .faulty_clients import PATIENCE_S, Client, Clients, eventually
from .holder import HOUR, ITEMS, NAME, partition
from .membership import Task
from .queues_and_counters import ITEMS as QUEUED

ROOT = Path(__file__).resolve().parents[2]
Acquire = Callable[[Any, str], Any]


class Victim:
    """The process: `holder`."""

    def __init__(self, url: str) -> None:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "backend"), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "%s.holder" % __package__, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self._lines: List[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        eventually(lambda: "ready" in self._lines, "the victim is connected")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.rstrip("\n"))

    def use(self, recipe: str, clients: Clients) -> None:
        """It begins."""
        assert self._process.stdin is not None
        self._process.stdin.write("%s %s\n" % (recipe, clients.path))
        self._process.stdin.flush()

    @property
    def has(self) -> List[str]:
        """What it said that it has, oldest first."""
        return [line.partition(" ")[2] for line in list(self._lines) if line.startswith("has")]

    def kill(self) -> None:
        """SIGKILL. Again: nothing more happens."""
        self._process.kill()
        self._process.wait()
        self._reader.join(PATIENCE_S)


def check(url: str, recipe: str) -> None:
    """One recipe. AssertionError if it does not keep what it is for. The first one to connect is the victim."""
    victim = Victim(url)
    try:
        clients = Clients(lambda _: Client(url))
        try:
            if recipe in ("Queue", "LockingQueue"):
                _put(clients)
            victim.use(recipe, clients)
            CHECKS[recipe](clients, victim)
        finally:
            clients.close()
    finally:
        victim.kill()


def _is_over(client: Any, clients: Clients) -> bool:
    """Whether the victim's session is."""
    return client.exists("%s/alive/%s" % (clients.path, NAME)) is None


def _kill(clients: Clients, victim: Victim) -> None:
    """Done when its session is over."""
    victim.kill()
    eventually(lambda: _is_over(clients.observer, clients), "the session of the killed process expires")


def exclusive(acquire: Acquire) -> Callable[[Clients, Victim], None]:
    """Who waits gets it, and not while the victim's session lives."""

    def run(clients: Clients, victim: Victim) -> None:
        eventually(lambda: victim.has, "the victim has it")
        other = clients.add()

        def wait() -> bool:
            acquire(other, clients.path + "/lock")
            return _is_over(other, clients)

        waiting = Task(wait)
        waits = lambda: other._child_watchers or other._data_watchers or not waiting.is_alive()  # noqa: E731
        eventually(waits, "the other waits")
        assert waiting.is_alive(), "two have it"
        victim.kill()
        assert waiting.wait(), "it was given on before the session was over"

    return run


def _barrier(clients: Clients, victim: Victim) -> None:
    barrier = clients.observer.Barrier(clients.path + "/barrier")
    barrier.create()
    other = clients.add()
    waiting = Task(lambda: other.Barrier(clients.path + "/barrier").wait(PATIENCE_S))
    eventually(lambda: victim.has and other._data_watchers, "both wait")
    _kill(clients, victim)
    assert waiting.is_alive() and clients.observer.exists(clients.path + "/barrier")
    barrier.remove()
    assert waiting.wait()


def _double_barrier(clients: Clients, victim: Victim) -> None:
    other = clients.add()
    gate = other.DoubleBarrier(clients.path + "/double", 2, "other")
    Task(gate.enter).wait()
    eventually(lambda: victim.has, "both are in")
    leaving = Task(gate.leave)
    eventually(lambda: other._data_watchers or other._child_watchers, "the other waits for the victim to leave")
    assert leaving.is_alive(), "it left alone"
    victim.kill()
    leaving.wait()


def _put(clients: Clients) -> None:
    for number in range(QUEUED):
        clients.observer.Queue(clients.path + "/queue").put(b"%d" % number)
    clients.observer.LockingQueue(clients.path + "/locking").put_all([b"%d" % number for number in range(QUEUED)])


def _queue(clients: Clients, victim: Victim) -> None:
    eventually(lambda: len(victim.has) >= 3, "the victim has taken some")
    victim.kill()
    mine = clients.add().Queue(clients.path + "/queue")
    rest = []
    while len(mine):
        rest.append(mine.get().decode())
    taken, whole = [*victim.has, *rest], [str(number) for number in range(QUEUED)]
    in_its_hands = [number for number in whole if number not in taken]
    assert len(in_its_hands) <= 1 and taken == [number for number in whole if number not in in_its_hands]


def _locking_queue(clients: Clients, victim: Victim) -> None:
    eventually(lambda: victim.has[-1:] == ["2"], "the victim has one that it does not finish")
    mine, finished = clients.add().LockingQueue(clients.path + "/locking"), Tally(victim.has[:-1])
    victim.kill()
    for _ in range(QUEUED - len(finished)):
        value = mine.get(PATIENCE_S)
        assert value is not None, "what the victim held does not come back"
        assert mine.consume()
        finished[value.decode()] += 1
    assert finished == Tally(str(number) for number in range(QUEUED))


def _counter(clients: Clients, victim: Victim) -> None:
    mine, own = clients.add().Counter(clients.path + "/counter"), 0

    def has_its_turn() -> bool:
        return len(victim.has) >= own

    while own < 10:
        mine += 1
        own += 1
        # Who is overtaken backs off longer each time (kazoo's retry): without a pause it might never be the first.
        eventually(has_its_turn, "the victim counts")
    victim.kill()
    done = own + len(victim.has)
    assert done <= mine.value <= done + 1, (own, len(victim.has), mine.value)
    mine += 1
    assert done < mine.value <= done + 2


def _party(clients: Clients, victim: Victim) -> None:
    eventually(lambda: victim.has, "the victim is there")
    other = clients.add()
    parties = [other.Party(clients.path + "/deep", "other"), other.ShallowParty(clients.path + "/shallow", "other")]
    for party in parties:
        party.join()
        assert sorted(party) == ["other", NAME]
    _kill(clients, victim)
    assert [list(party) for party in parties] == [["other"], ["other"]]


def _lease(clients: Clients, victim: Victim) -> None:
    eventually(lambda: victim.has, "the victim has it")
    _kill(clients, victim)
    other = clients.add()
    assert not other.NonBlockingLease(clients.path + "/lease", HOUR, identifier="other"), "a lease is for its time"
    assert not other.MultiNonBlockingLease(1, clients.path + "/leases", HOUR, identifier="other")
    assert clients.add().NonBlockingLease(clients.path + "/lease", HOUR, identifier=NAME), "its owner may renew it"


def _partitioner(clients: Clients, victim: Victim) -> None:
    shares: Dict[str, Any] = {}
    enough = threading.Event()

    def share(name: str) -> None:
        partition(clients.add(), clients.path, name, lambda items: shares.__setitem__(name, items), enough)

    workers = [Task(lambda name=name: share(name)) for name in ("a", "b")]  # type: ignore[misc]

    def settled(of_victim: str) -> bool:
        all_ = [*of_victim.split(",")] if of_victim else []
        all_ += [str(item) for items in list(shares.values()) for item in items]
        return sorted(all_) == sorted(map(str, ITEMS))

    try:
        eventually(lambda: victim.has and victim.has[-1] and settled(victim.has[-1]), "everything is shared by three")
        victim.kill()
        eventually(lambda: settled(""), "everything is shared by two")
    finally:
        enough.set()
    for worker in workers:
        worker.wait()


def _tree_cache(clients: Clients, victim: Victim) -> None:
    top = clients.path + "/tree"
    eventually(lambda: victim.has, "the victim has begun")
    cache = TreeCache(clients.add(), top)
    cache.start()
    eventually(lambda: len(victim.has) > 5 and len(cache.get_children(top) or ()) > 5, "the cache follows")
    _kill(clients, victim)
    assert clients.observer.get_children(top) == []

    def same() -> bool:
        seen = cache.get_data(top)
        return not cache.get_children(top) and seen is not None and seen.data == clients.observer.get(top)[0]

    eventually(same, "the cache shows what is left")
    cache.close()


CHECKS: Dict[str, Callable[[Clients, Victim], None]] = {
    "Lock": exclusive(lambda client, path: client.Lock(path, "other").acquire(timeout=PATIENCE_S)),
    "ReadLock, WriteLock": exclusive(lambda client, path: client.ReadLock(path, "other").acquire(timeout=PATIENCE_S)),
    "Semaphore": exclusive(lambda client, path: client.Semaphore(path, "other").acquire(timeout=PATIENCE_S)),
    "Election": exclusive(lambda client, path: client.Election(path, "other").run(lambda: None)),
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
