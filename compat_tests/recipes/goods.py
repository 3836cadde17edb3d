"""Queues, counters, leases: nothing is taken twice, nothing that was acknowledged is lost or not counted."""

from __future__ import annotations

import datetime
from collections import Counter as Tally
from functools import partial
from typing import Any, List

from kazoo.exceptions import KazooException

from .gatherings import Doing
from .people import PATIENCE_S, Fault, Town, eventually

ITEMS = 12


def utcnow() -> datetime.datetime:
    """What leases are reckoned by."""
    return datetime.datetime.utcnow()


def queue(town: Town, fault: Fault) -> None:
    """Queue: in order, and what was put comes out once; at most what was in the victim's hands is gone."""
    path, victim, other = town.path + "/queue", town.settle(True), town.settle()
    for number in range(ITEMS):
        town.judge.Queue(path).put(b"%d" % number)
    first = [victim.Queue(path).get() for _ in range(3)]
    struck = Doing(lambda: fault.inject(town, victim))
    taken = [other.Queue(path).get() for _ in range(3)]
    struck.wait()
    if fault.survives:
        taken.append(victim.Queue(path).get())
    town.judge.Queue(path).put(b"last")
    while len(other.Queue(path)):
        taken.append(other.Queue(path).get())
    assert first + taken == [b"%d" % number for number in range(ITEMS)] + [b"last"]


def locking_queue(town: Town, fault: Fault) -> None:
    """LockingQueue: what the victim took and did not finish is taken again; each item is finished once."""
    path, victim, other = town.path + "/locking", town.settle(True), town.settle()
    town.judge.LockingQueue(path).put_all([b"%d" % number for number in range(ITEMS)])
    hers, his = victim.LockingQueue(path), other.LockingQueue(path)
    held = hers.get(PATIENCE_S)
    finished: Tally[bytes] = Tally()
    assert his.get(PATIENCE_S) not in (None, held)
    assert his.release()
    fault.inject(town, victim)
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


def counter(town: Town, fault: Fault) -> None:
    """Counter: all that was acknowledged is counted, and nothing else but what was in doubt."""
    path, people = town.path + "/counter", [town.settle(number == 0) for number in range(3)]
    town.judge.Counter(path).value  # noqa: B018 (reading it makes it)
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
                if not fault.survives and client is people[0]:
                    break
        return [done, in_doubt]

    workers = [Doing(partial(count, client)) for client in people]
    try:
        eventually(lambda: town.judge.Counter(path).value > ITEMS, "they count")
        fault.inject(town, people[0])
        before = town.judge.Counter(path).value
        eventually(lambda: town.judge.Counter(path).value > before + ITEMS, "they go on")
    finally:
        stop.append(True)
    if not fault.survives:
        people[0].stop()
    counted = [worker.wait() for worker in workers]
    done, in_doubt = (sum(each) for each in zip(*counted))
    # One more may be in doubt: `Counter` tries a change again by itself after the connection was lost.
    assert done <= town.judge.Counter(path).value <= done + in_doubt + 1, counted


def lease(town: Town, fault: Fault) -> None:
    """NonBlockingLease, MultiNonBlockingLease: as many holders as there may be, and for as long as was asked for."""
    path, hour = town.path + "/lease", datetime.timedelta(hours=1)

    def single(client: Any, name: str, now: Any = utcnow) -> bool:
        return bool(client.NonBlockingLease(path, hour, identifier=name, utcnow=now))

    def multiple(client: Any) -> bool:
        return bool(client.MultiNonBlockingLease(2, path + "s", hour, identifier=client.name, utcnow=utcnow))

    victim, other, third = town.settle(True), town.settle(), town.settle()
    assert single(victim, "victim")
    assert not single(other, "other")
    assert [multiple(client) for client in (victim, other, third)] == [True, True, False]
    fault.inject(town, victim)
    assert not single(other, "other"), "a lease is for its time, not for a session"
    assert not multiple(third)
    if fault.survives:
        assert single(victim, "victim"), "its own it may renew"

    def later() -> datetime.datetime:
        return utcnow() + 2 * hour

    assert single(other, "other", later)
    assert not single(third, "third", later)
