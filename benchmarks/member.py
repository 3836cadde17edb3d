"""A process of `benchmarks.fleet`: a client that holds an ephemeral, and writes when it is told to."""

from __future__ import annotations

import logging
import time
from multiprocessing.connection import Connection

from fk_kazoo.client import KazooClient

PATIENCE_S = 120.0
WRITES = 20


def member(url: str, parent: Connection) -> None:
    """Says when it is there, and of its writes how many milliseconds one took."""
    logging.basicConfig(level=logging.CRITICAL)
    zk = KazooClient(url, timeout=30)
    zk.start(timeout=PATIENCE_S)
    mine = zk.create("/fleet/n-", ephemeral=True, sequence=True, makepath=True)
    parent.send("ready")
    while parent.recv() == "write":
        started = time.perf_counter()
        for n in range(WRITES):
            zk.retry(zk.set, mine, b"%d" % n)
        parent.send((time.perf_counter() - started) / WRITES * 1000)
    zk.stop()
    parent.send("stopped")
