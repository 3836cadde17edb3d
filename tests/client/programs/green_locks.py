"""Locks under gevent or eventlet: ``green_locks.py KIND PATCH URL``, PATCH one of ``patched`` and ``plain``."""

from __future__ import annotations

import sys
import warnings
from typing import Any, List

KIND, PATCH, URL = sys.argv[1:]

if KIND == "gevent":
    if PATCH == "patched":
        from gevent import monkey

        monkey.patch_all()
    import gevent
    from kazoo.handlers.gevent import SequentialGeventHandler as Handler

    sleep, spawn = gevent.sleep, gevent.spawn
else:
    warnings.simplefilter("ignore")  # eventlet says at its import that it is not long for this world
    import eventlet

    if PATCH == "patched":
        eventlet.monkey_patch()
    from kazoo.handlers.eventlet import SequentialEventletHandler as Handler

    sleep, spawn = eventlet.sleep, eventlet.spawn

import time  # noqa: E402 (after the patching)

from fk_kazoo.exceptions import LockLostError, ReentrantLockError  # noqa: E402
from fk_kazoo.locks import Lost  # noqa: E402
from fk_kazoo.testing.kit import Kit  # noqa: E402


def until(condition: Any, what: str) -> None:
    """Waits as a greenlet waits."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what
        sleep(0.005)


with Kit() as kit:
    client, other = (kit.client(handler=Handler()) for _ in range(2))
    done: List[str] = []

    def hold(name: str, end: Any) -> None:
        """In a greenlet of its own: two of them are not one who asks twice."""
        with client.Lock("/lock", name) as lock:
            done.append(name)
            assert lock.fence and not lock.lost.is_set()
            until(end.is_set, "told to end")

    ends = [Handler().event_object() for _ in range(2)]
    spawn(hold, "first", ends[0])
    until(lambda: done == ["first"], "the first has it")
    spawn(hold, "second", ends[1])
    until(lambda: len(other.get_children("/lock")) == 2, "the second waits")
    assert done == ["first"]
    for end in ends:
        end.set()
    until(lambda: done == ["first", "second"] and not other.get_children("/lock"), "both have had it")

    seen: List[Any] = []

    def body() -> None:
        """Is told, and interrupted, while others are not."""
        try:
            with client.Lock("/lock", lost=Lost.RAISE) as lock:
                try:
                    lock.acquire()
                except ReentrantLockError as error:
                    seen.append(error)
                other.delete("/lock/" + lock.node)
                lost = lock.lost
                lost.wait(10)
                client.exists("/lock")
        except LockLostError as error:
            seen.append(error)

    spawn(body)
    until(lambda: len(seen) == 2, "it was interrupted")
    assert client.exists("/lock")
    kept = client.keep("/kept")
    session = client.client_id
    kit.faults.expire(client)
    until(lambda: kept.there, "it is made again")
    assert other.exists("/kept").ephemeralOwner == client.client_id[0] != session[0]
    kept.close()
    assert client.create_once("/queue/n-", sequence=True, makepath=True)

print("done")
