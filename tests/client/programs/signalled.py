"""Signals in the middle of the main thread's reads. ``signalled.py raise|stop URL``.

``raise``: an alarm's handler raises, the usual way to bound a piece of work; the exception has to come out of the call.
``stop``: SIGTERM's handler stops the client, the usual way in which a service ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from random import Random
from typing import Any

from kazoo.exceptions import ConnectionClosedError, ConnectionLoss

from fk_kazoo.client import KazooClient

ROUNDS = 800


class TimeIsUp(Exception):
    """As an app's own."""


def alarms(client: Any) -> None:
    """Each alarm comes out of the call that it interrupts, and the next call gets its own answer."""
    rung = caught = failed = lost = 0  # failed: kazoo takes what interrupts its wake-up for a closed connection

    def ring(*_: Any) -> None:
        nonlocal rung
        rung += 1
        raise TimeIsUp

    signal.signal(signal.SIGALRM, ring)
    random = Random(1)
    for number in range(ROUNDS):
        path = "/n%d" % (number % 2)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0002 + random.random() * 0.002)
            while rung == number:
                client.get_children(path)
            lost += 1
        except TimeIsUp:
            caught += 1
        except (ConnectionClosedError, ConnectionLoss):
            failed += 1
        assert client.retry(client.get_children, path) == ["c%d" % (number % 2)]
    client.stop()
    assert lost == 0 and caught + failed == rung == ROUNDS and caught > ROUNDS / 2, (caught, failed, lost, rung)
    print("caught %d, failed %d" % (caught, failed))


def termination(client: Any) -> None:
    """stop() within the handler is done at once, and the session is over."""

    def end(*_: Any) -> None:
        began = time.monotonic()
        client.stop()
        print("stopped %s after %.3f s" % (client.state, time.monotonic() - began), flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    while True:
        client.exists("/n0")


def main(what: str, url: str) -> None:
    client = KazooClient(url)
    client.start()
    for number in range(2):
        client.ensure_path("/n%d/c%d" % (number, number))
    {"raise": alarms, "stop": termination}[what](client)


if __name__ == "__main__":
    main(*sys.argv[1:])
