"""Counts under a lock as long as it may: ``contender.py URL TIMEOUT NAME FILE``. Says ``state STATE`` and what it did.

Each time it gets the lock it adds one to ``/counter`` by a write under a condition, says ``ack VALUE``, and appends its
fence to the file: ``FENCE NAME``. ``doubt``: it was not told. Reads ``stop``: it stops itself in the middle of its next
commit, when nobody else can write; ``write``: it writes, whoever has the lock, and says ``written`` or ``cut off``;
``end``: it says ``longest SECONDS``, of a call, and ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any, Callable

from kazoo.exceptions import ConnectionClosedError, ConnectionLoss, SessionExpiredError

from fk_backend.providers.local import statements, store
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import LockLostError

CUT_OFF = (ConnectionLoss, SessionExpiredError, ConnectionClosedError, LockLostError)

_armed, _over = threading.Event(), threading.Event()
_write_all = statements.write_all


def tell(*words: object) -> None:
    """Prints a line, whole: there are several threads."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def stopping(connection: Any, path: str, writes: Any, has_turn: Callable[[], Any], may: Any) -> bool:
    """`statements.write_all`, in whose transaction the process is stopped, once, if it is to be."""
    looked, holds = may

    def look() -> Any:
        if _armed.is_set() and path.endswith("state.db"):
            _armed.clear()
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # by `kill` it would go on for a moment
        return looked()

    return _write_all(connection, path, writes, has_turn, (look, holds))


class Contender:
    """Who counts."""

    def __init__(self, client: Any, name: str, file: str) -> None:
        self.client = client
        self.name = name
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.longest_s = 0.0

    def run(self) -> None:
        """Until it is over."""
        while not _over.is_set():
            try:
                lock = self.client.Lock("/lock", self.name)
                if lock.acquire(timeout=30):
                    try:
                        self._count(lock.fence)
                    finally:
                        lock.release()
            except CUT_OFF as error:
                tell("cut off by", type(error).__name__)
                time.sleep(0.01)  # it is over, or connects again

    def _count(self, fence: int) -> None:
        data, stat = self.timed(self.client.get, "/counter")
        value = int(data) + 1
        try:
            self.timed(self.client.set, "/counter", b"%d" % value, stat.version)
        except CUT_OFF:
            tell("doubt")
            raise
        os.write(self._file, b"%d %s\n" % (fence, self.name.encode()))
        tell("ack", value)

    def write(self) -> None:
        """Somewhere else."""
        try:
            self.timed(self.client.set, "/", b"")
            tell("written")
        except CUT_OFF as error:
            tell("cut off by", type(error).__name__)

    def timed(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """What it returns."""
        began = time.monotonic()
        try:
            return call(*arguments)
        finally:
            self.longest_s = max(self.longest_s, time.monotonic() - began)


def main() -> None:
    """The program."""
    url, timeout, name, file = sys.argv[1:]
    store.write_all = stopping
    client: Any = KazooClient(url, timeout=float(timeout))
    client.add_listener(lambda state: tell("state", state))
    client.start(timeout=30)
    contender = Contender(client, name, file)
    worker = threading.Thread(target=contender.run)
    for line in sys.stdin:
        if line.strip() == "begin":
            worker.start()
        elif line.strip() == "stop":
            _armed.set()
        elif line.strip() == "write":
            threading.Thread(target=contender.write).start()
        else:
            break
    _over.set()
    worker.join()
    tell("longest %.2f" % contender.longest_s)
    client.stop()
    client.close()


main()
