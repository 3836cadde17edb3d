"""A client in a process of its own: it sets a node again and again, and says what became of each write."""

from __future__ import annotations

import logging
from multiprocessing.connection import Connection
from typing import Tuple

from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry

from fk_kazoo.client import KazooClient
from fk_kazoo.locks import Lost

GUARDED, LOCK = "/guarded", "/lock"
LOCKED_EVERY = 5
"""Of so many writes one is of what all share, under a lock."""


def main(url: str, path: str, locks: bool, say: Connection) -> None:
    """Until it is killed. What it says: what it was, its number or fence, the version that it is told or the error."""
    logging.basicConfig(level=logging.CRITICAL)
    zk = KazooClient(url, timeout=6)
    zk.start(timeout=60)
    insist = KazooRetry(max_tries=-1, max_delay=0.2)
    for each in (path, GUARDED):
        insist(zk.ensure_path, each)
    number = int(insist(zk.get, path)[0] or b"0")
    while True:
        number += 1
        try:
            if locks and number % LOCKED_EVERY == 0:
                say.send(("held", *_locked(zk)))
            version = zk.set_async(path, b"%d" % number).get(timeout=30).version
            say.send(("set", number, version))
        except (KazooException, KazooTimeoutError) as error:
            say.send(("unknown", number, type(error).__name__))
            while not zk.connected:
                zk.handler.sleep_func(0.02)


def _locked(zk: KazooClient) -> Tuple[int, int]:
    """A write that is done only while this client has the lock: its fence, and its version."""
    with zk.Lock(LOCK, lost=Lost.RAISE) as lock:
        fence = lock.fence
        asked = zk.transaction()
        asked.check("%s/%s" % (lock.path, lock.node), -1)
        asked.set_data(GUARDED, b"%d" % fence)
        for result in asked.commit():
            if isinstance(result, KazooException):
                raise result
        return fence, result.version
