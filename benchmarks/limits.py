"""What nothing can be faster than, in the same run: a commit that waits for the disk, a hop to another process.

A durable write to another process costs at least one of each; kazoo's own threads add hops within the process.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

MESSAGE = b"x" * 200


def _echo(end: socket.socket) -> None:
    with end:
        while True:
            received = end.recv(1024)
            if not received:
                return
            end.sendall(received)


class Limits:
    """Bare operations. Use it as a context; ``directory`` lies on the disk that the systems use."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = 0

    def __enter__(self) -> "Limits":
        handle, self._path = tempfile.mkstemp(suffix=".db", dir=self._directory)
        os.close(handle)
        self._database = sqlite3.connect(self._path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE bare (key INTEGER PRIMARY KEY, value BLOB)")
        self._grow_the_log()
        self._near, far = socket.socketpair()
        self._child = os.fork()
        if self._child == 0:
            self._near.close()
            _echo(far)
            os._exit(0)
        far.close()
        self._own, other = socket.socketpair()
        threading.Thread(target=_echo, args=(other,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._near.close()
        self._own.close()
        os.waitpid(self._child, 0)
        self._database.close()
        for suffix in ("", "-wal", "-shm"):
            Path(self._path + suffix).unlink(missing_ok=True)

    def _grow_the_log(self) -> None:
        """Until it is written over: commits that make a file longer take twice as long, and are the first few only."""
        for _ in range(2):
            self._database.execute("INSERT INTO bare VALUES (-1, zeroblob(?))", (6 << 20,))
            self._database.execute("DELETE FROM bare WHERE key = -1")

    def measure(self, count: int) -> Dict[str, List[float]]:
        """Seconds, each ``count`` times."""
        return {
            "SQLite commit (WAL, FULL)": self._times(self._commit, count),
            "process hop, there and back": self._times(lambda: self._hop(self._near), count),
            "thread hop, there and back": self._times(lambda: self._hop(self._own), count),
        }

    def _times(self, step: Callable[[], Any], count: int) -> List[float]:
        times = []
        for _ in range(count):
            started = time.perf_counter()
            step()
            times.append(time.perf_counter() - started)
        return times

    def _commit(self) -> None:
        self._key = (self._key + 1) % 1000
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute("INSERT OR REPLACE INTO bare VALUES (?, ?)", (self._key, MESSAGE))
        self._database.execute("COMMIT")

    def _hop(self, end: socket.socket) -> None:
        end.sendall(MESSAGE)
        end.recv(1024)
