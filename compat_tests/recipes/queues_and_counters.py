"""Checks of queues, counters, leases: nothing is taken twice, nothing acknowledged is lost or not counted."""

from __future__ import annotations

import datetime
from collections import Counter as Tally
from functools import partial
from typing import Any, List

from kazoo.exceptions import KazooException

from .faulty_clients import PATIENCE_S, Clients, Fault, eventually
from .membership import Task

ITEMS = 12


def utcnow() -> datetime.datetime:
    """What leases are reckoned by."""
    return datetime.datetime.utcnow()


def queue(clients: Clients, fault: Fault) -> None:
    """Queue: in order, and what was put comes out once; at most what was in the victim's hands is gone."""
    path, victim, other = clients.path + "/queue", clients.add(True), clients.add()
    for number in range(ITEMS):
        clients.observer.Queue(path).put(b"%d" % number)
    first = [victim.Queue(path).get() for _ in range(3)]
    injecting = Task(lambda: fault.inject(clients, victim))
    taken = [other.Queue(path).get() for _ in range(3)]
    injecting.wait()
    if fault.survives:
        taken.append(victim.Queue(path).get())
    clients.observer.Queue(path).put(b"last")
    while len(other.Queue(path)):
        taken.append(other.Queue(path).get())
    assert first + taken == [b"%d" % number for number in range(ITEMS)] + [b"last"]


def locking_queue(clients: Clients, fault: Fault) -> None:
    """LockingQueue: what the victim took and did not finish is taken again; each item is finished once."""
    path, victim, other = clients.path + "/locking", clients.add(True), clients.add()
    clients.observer.LockingQueue(path).put_all([b"%d" % number for number in range(ITEMS)])
    hers, his = victim.LockingQueue(path), other.LockingQueue(path)
    held = hers.get(PATIENCE_S)
    finished: Tally[bytes] = Tally()
    assert his.get(PATIENCE_S) not in (None, held)
    assert his.release()
    fault.inject(clients, victim)
    if fault.survives:
        assert not _consumed(hers), "finished what it had lost"
    for _ in range(ITEMS):
        value = his.get(PATIENCE_S)
        if his.consume():
            finished[value] += 1
    assert finished == Tally(b"%d" % number for number in range(ITEMS))


def _consumed(locking: Any) -> bool:
    try:
        return bool(locking.consume())
    except KazooException:
        return False


def counter(clients: Clients, fault: Fault) -> None:
    """Counter: all that was acknowledged is counted, and nothing else but what was in doubt."""
    path, members = clients.path + "/counter", [clients.add(number == 0) for number in range(3)]
    clients.observer.Counter(path).value  # noqa: B018 (reading it makes it)
    stop: List[bool] = []

    def count(client: Any) -> List[int]:
        done = in_doubt = 0
        mine = client.Counter(path)
        while not stop:
            try:
                mine += 1
                done += 1
            except KazooException:
                in_doubt += 1
                if not fault.survives and client is members[0]:
                    break
        return [done, in_doubt]

    workers = [Task(partial(count, client)) for client in members]
    try:
        eventually(lambda: clients.observer.Counter(path).value > ITEMS, "they count")
        fault.inject(clients, members[0])
        before = clients.observer.Counter(path).value
        eventually(lambda: clients.observer.Counter(path).value > before + ITEMS, "they go on")
    finally:
        stop.append(True)
    if not fault.survives:
        members[0].stop()
    counted = [worker.wait() for worker in workers]
    done, in_doubt = (sum(each) for each in zip(*counted))
    # One more may be in doubt: `Counter` tries a change again by itself after the connection was lost.
    assert done <= clients.observer.Counter(path).value <= done + in_doubt + 1, counted


def lease(clients: Clients, fault: Fault) -> None:
    """NonBlockingLease, MultiNonBlockingLease: as many holders as there may be, and for as long as was asked for."""
    path, hour = clients.path + "/lease", datetime.timedelta(hours=1)

    def single(client: Any, name: str, now: Any = utcnow) -> bool:
        return bool(client.NonBlockingLease(path, hour, identifier=name, utcnow=now))

    def multiple(client: Any) -> bool:
        return bool(client.MultiNonBlockingLease(2, path + "s", hour, identifier=client.name, utcnow=utcnow))

    victim, other, third = clients.add(True), clients.add(), clients.add()
    assert single(victim, "victim")
    assert not single(other, "other")
    assert [multiple(client) for client in (victim, other, third)] == [True, True, False]
    fault.inject(clients, victim)
    assert not single(other, "other"), "a lease is for its time, not for a session"
    assert not multiple(third)
    if fault.survives:
        assert single(victim, "victim"), "its own it may renew"

    def later() -> datetime.datetime:
        return utcnow() + 2 * hour

    assert single(other, "other", later)
    assert not single(third, "third", later)
