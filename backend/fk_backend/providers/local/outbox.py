"""What was pushed and not yet acknowledged outlives the host process: the next host delivers it.

A file of its own, written by the host only and without waiting for the disk: what it holds has to survive a killed
process, not a power cut, which no receiver would survive either. Sequence numbers grow across hosts, because each
host starts a new epoch (the high half of the number).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections import deque
from typing import Deque, Dict, List, NamedTuple, Set, Tuple
from urllib.parse import quote

from ...errors import NoPermission, NotADeployment
from . import database

FORGET_AFTER_S = 900.0
"""How long something waits for a receiver that does not come back."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS epoch (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS push (
    inbox TEXT NOT NULL, seq INTEGER NOT NULL, upto INTEGER NOT NULL, at REAL NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (inbox, seq)
) WITHOUT ROWID;
"""


class Kept(NamedTuple):
    """A push that may have to be made again."""

    seq: int
    upto: int
    body: bytes


def check(path: str) -> None:
    """Whether the file, if there is one, is a database. NotADeployment if not; changes nothing, takes no lock."""
    if not os.path.lexists(path):
        return
    address = "file:%s?mode=ro&immutable=1" % quote(os.path.abspath(path))
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as probe:
            probe.execute("PRAGMA writable_schema=ON")  # as in `database.check`
            probe.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        raise _explained(error, path) from error


def _explained(error: sqlite3.Error, path: str) -> Exception:
    explained = database.explain(error, path, "open")
    if isinstance(explained, (database.Busy, NoPermission)):
        return explained
    advice = "it holds what is on its way to clients: end all who use the deployment, then remove it"
    return NotADeployment("%s: %s; %s" % (path, error, advice))


class Outbox:
    """All unacknowledged pushes of a deployment, in memory and on file."""

    def __init__(self, path: str) -> None:
        self._kept: Dict[str, Deque[Kept]] = {}
        self._done: List[Tuple[str, int]] = []
        self.upto: Dict[str, int] = {}
        """Inbox → number below which all its requests are answered."""
        self._path = path
        self._resting = False
        try:
            self._db = self._connect()
            try:
                self._seq = self._open() << 32
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise _explained(error, path) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            os.chmod(self._path, 0o600)  # its log gets the same mode
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self) -> int:
        """Loads what the last host left; this host's epoch."""
        self._db.executescript(_SCHEMA)
        self._db.execute("DELETE FROM push WHERE at < ?", (time.time() - FORGET_AFTER_S,))
        self._db.execute("INSERT INTO epoch VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET number = number + 1")
        for inbox, seq, upto, body in self._db.execute("SELECT inbox, seq, upto, body FROM push ORDER BY inbox, seq"):
            self._kept.setdefault(inbox, deque()).append(Kept(seq, upto, body))
            self.upto[inbox] = max(upto, self.upto.get(inbox, 0))
        ((epoch,),) = self._db.execute("SELECT number FROM epoch")
        return int(epoch)

    def number(self, inbox: str, upto: int, body: bytes) -> Kept:
        """A push with its number. It is kept from the next `save` on."""
        self._seq += 1
        kept = Kept(self._seq, upto, body)
        self._kept.setdefault(inbox, deque()).append(kept)
        self.upto[inbox] = max(upto, self.upto.get(inbox, 0))
        return kept

    def save(self, pushes: List[Tuple[str, Kept]]) -> None:
        """Makes pushes survive this process, and forgets what was acknowledged since the last time."""
        at = time.time()
        if self._resting:
            self._db, self._resting = self._connect(), False
        rows = [(inbox, kept.seq, kept.upto, at, kept.body) for inbox, kept in pushes]
        self._db.execute("BEGIN")
        try:
            self._db.executemany("INSERT INTO push (inbox, seq, upto, at, body) VALUES (?, ?, ?, ?, ?)", rows)
            self._db.executemany("DELETE FROM push WHERE inbox = ? AND seq <= ?", self._done)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._done.clear()

    def acknowledge(self, inbox: str, last: int) -> None:
        """The receiver has everything up to ``last``."""
        kept = self._kept.get(inbox)
        if kept is None:
            return
        while kept and kept[0].seq <= last:
            kept.popleft()
        if not kept:
            del self._kept[inbox]
        self._done.append((inbox, last))

    def after(self, inbox: str, last: int) -> List[Kept]:
        """What the receiver does not have."""
        return [kept for kept in self._kept.get(inbox, ()) if kept.seq > last]

    def forget(self, inbox: str) -> None:
        """The inbox is gone."""
        self._kept.pop(inbox, None)
        self.upto.pop(inbox, None)
        self._done.append((inbox, 1 << 62))

    def inboxes(self) -> Set[str]:
        """Those that something waits for."""
        return set(self._kept)

    def rest(self) -> None:
        """Closes the file until the next `save`."""
        self._db.close()
        self._resting = True

    def close(self) -> None:
        """Saves and closes."""
        try:
            self.save([])
        finally:
            self._db.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """For a forked child, which must neither use nor close it."""
        return self._db
