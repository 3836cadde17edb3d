"""Alarms that raise, thousands of them, while the main thread makes calls: Ctrl-C at its worst.

A call that is interrupted may be done or not. Nothing else may come of it: what was answered is done once, the client
connects again, and another client of the process notices nothing. ``interrupted.py URL``.

What waits for results is not interrupted here: a condition of the standard library can be left locked by that.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from random import Random
from typing import Any

from kazoo.exceptions import ConnectionClosedError, ConnectionLoss, SessionExpiredError

from fk_kazoo.client import KazooClient

CALLS = 600
LONGEST_S = 0.0003
"""A call that does not wait takes a third of it."""


class Interruption(BaseException):
    """As KeyboardInterrupt."""


def main(url: str) -> None:
    random = Random(1)
    client, other = KazooClient(url), KazooClient(url)
    client.start()
    other.start()
    client.create("/n", b"")
    lost = []
    other.add_listener(lost.append)
    answered = interruptions = 0

    def interrupt(*_: Any) -> None:
        raise Interruption

    signal.signal(signal.SIGALRM, interrupt)
    for number in range(CALLS):
        result = None
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000001, LONGEST_S))
            try:
                result = client.set_async("/n", b"%d" % number) if number % 3 else client.get_async("/n")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Interruption:
            interruptions += 1
        if result is not None:
            try:
                result.get(timeout=20)
                answered += bool(number % 3)
            except (ConnectionLoss, SessionExpiredError, ConnectionClosedError):  # the last: kazoo's guess
                pass
    assert asyncio._get_running_loop() is None
    asked = CALLS - CALLS // 3
    assert answered <= other.get("/n")[1].version <= asked, (answered, other.get("/n"))
    client.retry(client.set, "/n", b"after")
    assert other.get("/n")[0] == b"after" and lost == [], lost
    client.stop()
    other.stop()
    assert interruptions > CALLS / 20 and answered > CALLS / 20, (interruptions, answered)
    print("%d interruptions, %d answered" % (interruptions, answered))


if __name__ == "__main__":
    main(sys.argv[1])
