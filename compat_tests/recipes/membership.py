"""Checks of barriers, parties, partitioners, caches: all see who is there, and go on exactly when they should."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, Callable, Dict, List

from kazoo.exceptions import KazooException
from kazoo.recipe.cache import TreeCache

from .faulty_clients import PATIENCE_S, Clients, Fault, Worker, eventually


class Task(Worker):
    """Something that somebody does meanwhile; ``result`` when it is done."""

    def __init__(self, what: Callable[[], Any]) -> None:
        super().__init__()
        self._what = what
        self.result: Any = None
        self.failure: Any = None
        self.start()

    def run(self) -> None:
        """Does it."""
        try:
            self.result = self._what()
        except BaseException as error:
            self.failure = error

    def wait(self) -> Any:
        """Its result. AssertionError if it hangs."""
        self.join(PATIENCE_S)
        assert not self.is_alive(), "it hangs"
        if self.failure is not None:
            raise self.failure
        return self.result


def barrier(clients: Clients, fault: Fault) -> None:
    """Barrier: nobody passes before it is removed, and then everybody does."""
    path = clients.path + "/barrier"
    clients.observer.Barrier(path).create()
    victim, other = clients.add(True), clients.add()
    assert not victim.Barrier(path).wait(0.01)
    waiting = Task(lambda: other.Barrier(path).wait(PATIENCE_S))
    eventually(lambda: other._data_watchers, "the other waits")
    fault.inject(clients, victim)
    assert waiting.is_alive() and clients.observer.exists(path)
    late = Task(lambda: victim.Barrier(path).wait(PATIENCE_S)) if fault.survives else None
    clients.observer.Barrier(path).remove()
    assert waiting.wait() and (late is None or late.wait())


def double_barrier(clients: Clients, fault: Fault) -> None:
    """DoubleBarrier: nobody enters alone, and nobody leaves before all have left or are gone."""
    path, victim, other = clients.path + "/double", clients.add(True), clients.add()
    gates = {client: client.DoubleBarrier(path, 2, client.name) for client in (victim, other)}
    first = Task(gates[other].enter)
    eventually(lambda: _children(clients, path), "the first one is there")
    assert first.is_alive(), "it entered alone"
    gates[victim].enter()
    first.wait()
    leaving = Task(gates[other].leave)
    fault.inject(clients, victim)
    leaving.wait()  # the victim's node went with its session
    assert [name for name in _children(clients, path) if name != "ready"] == []


def _children(clients: Clients, path: str) -> List[str]:
    found: List[str] = clients.observer.get_children(path) if clients.observer.exists(path) else []
    return found


def party(clients: Clients, fault: Fault) -> None:
    """Party and ShallowParty: their members are those whose sessions live."""
    victim, other = clients.add(True), clients.add()
    for name, kind in (("deep", "Party"), ("shallow", "ShallowParty")):
        for client in (victim, other):
            getattr(client, kind)("%s/%s" % (clients.path, name), client.name).join()
        assert sorted(getattr(clients.observer, kind)("%s/%s" % (clients.path, name))) == sorted(
            [victim.name, other.name]
        )
    fault.inject(clients, victim)
    for name, kind in (("deep", "Party"), ("shallow", "ShallowParty")):
        assert list(getattr(clients.observer, kind)("%s/%s" % (clients.path, name))) == [other.name]
        if fault.survives:
            getattr(victim, kind)("%s/%s" % (clients.path, name), victim.name).join()
            assert len(getattr(other, kind)("%s/%s" % (clients.path, name))) == 2


def partitioner(clients: Clients, fault: Fault) -> None:
    """SetPartitioner: whenever all agree, each item belongs to exactly one of them."""
    items = set(range(12))
    members = [clients.add(number == 0) for number in range(3)]
    stop = threading.Event()
    shares: Dict[Any, Any] = {}
    workers = [Task(partial(_share, client, clients.path + "/set", items, shares, stop)) for client in members]

    def settled(of: List[Any]) -> bool:
        found = [shares.get(client) or () for client in of]
        return sum(map(len, found)) == len(items) and set().union(*found) == items

    try:
        eventually(lambda: settled(members), "everything belongs to one of three")
        fault.inject(clients, members[0])
        rest = members if fault.survives else members[1:]
        eventually(lambda: settled(rest), "everything belongs to one of those who are left")
    finally:
        stop.set()
        if not fault.survives:
            members[0].stop()
    for worker in workers if fault.survives else workers[1:]:
        worker.wait()


def _share(client: Any, path: str, items: Any, shares: Dict[Any, Any], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            _share_until_it_fails(client, path, items, shares, stop)
        except KazooException:
            shares[client] = ()  # the fault came while it began


def _share_until_it_fails(client: Any, path: str, items: Any, shares: Dict[Any, Any], stop: threading.Event) -> None:
    mine = client.SetPartitioner(path, items, identifier=client.name, time_boundary=0.05)
    while not stop.is_set() and not mine.failed:
        if mine.release:
            shares[client] = ()
            mine.release_set()
        elif mine.acquired:
            shares[client] = tuple(mine)
            stop.wait(0.01)
        elif mine.allocating:
            mine.wait_for_acquire(0.1)
    shares[client] = ()
    if not mine.failed:
        mine.finish()


def tree_cache(clients: Clients, fault: Fault) -> None:
    """TreeCache: after a fault it shows the tree as it is, what changed meanwhile included."""
    top, victim = clients.path + "/tree", clients.add(True)
    for name in ("kept", "changed", "removed/below"):
        clients.observer.create("%s/%s" % (top, name), b"1", makepath=True)
    cache = TreeCache(victim, top)
    cache.start()
    eventually(lambda: _shown(cache, top) == _actual(clients, top), "the cache is complete")
    change = Task(lambda: _change(clients, top))
    fault.inject(clients, victim)
    change.wait()
    if fault.survives:
        eventually(lambda: _shown(cache, top) == _actual(clients, top), "the cache catches up")
        clients.observer.set(top + "/kept", b"3")
        eventually(lambda: cache.get_data(top + "/kept").data == b"3", "and follows")
        cache.close()


def _change(clients: Clients, top: str) -> None:
    clients.observer.set(top + "/changed", b"2")
    clients.observer.delete(top + "/removed", recursive=True)
    clients.observer.create(top + "/made/below", b"2", makepath=True)


def _shown(cache: Any, path: str) -> Any:
    node = cache.get_data(path)
    children = cache.get_children(path)
    if node is None or children is None:
        return None
    return node.data, {name: _shown(cache, "%s/%s" % (path, name)) for name in children}


def _actual(clients: Clients, path: str) -> Any:
    try:
        data, _ = clients.observer.get(path)
        return data, {name: _actual(clients, "%s/%s" % (path, name)) for name in clients.observer.get_children(path)}
    except KazooException:
        return None
