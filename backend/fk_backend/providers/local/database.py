"""The databases of a deployment: made, recognised, opened, and their errors put into our words.

Rule upheld here: no database is opened except through SQLite, because closing any descriptor of a file drops the locks
that this process holds on it (https://sqlite.org/howtocorrupt.html, 2.2); and none is opened for writing before its
header was found to be ours.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from typing import Any, Dict, Iterable
from urllib.parse import quote

from ...errors import (
    DeploymentError,
    NoPermission,
    NotADeployment,
    StorageFull,
    TooLarge,
    Unavailable,
    Unknown,
    UnknownFormat,
)
from ...layout import check_format
from .modes import mode_of

log = logging.getLogger(__name__)

APPLICATION_ID = 0x666B7A6F
"""PRAGMA application_id: "fkzo"."""
FILES_FORMAT = 5
"""PRAGMA user_version. Up to 4 it was `layout.FORMAT`, and one process wrote for all others: see `takeover`."""
BUSY_MS = 50
"""How long SQLite waits for a lock, blocking the event loop; after that `store` waits without blocking it."""
OPEN_BUSY_S = 5.0
WAL_KEPT_BYTES = 8 << 20
"""A log that grew beyond this is cut back after its checkpoint."""

# Result codes, https://sqlite.org/rescode.html
_PERM, _BUSY, _LOCKED, _NOMEM, _READONLY, _IOERR, _CORRUPT = 3, 5, 6, 7, 8, 10, 11
_FULL, _CANTOPEN, _PROTOCOL, _TOOBIG, _NOTADB = 13, 14, 15, 18, 26
_IOERR_WRITE, _IOERR_SHMSIZE = 778, 4874
# The texts of sqlite3_errstr(), for Pythons before 3.11, which don't tell the code.
_MESSAGES = {
    "access permission denied": _PERM,
    "database is locked": _BUSY,
    "database table is locked": _LOCKED,
    "out of memory": _NOMEM,
    "attempt to write a readonly database": _READONLY,
    "disk I/O error": _IOERR,
    "database disk image is malformed": _CORRUPT,
    "database or disk is full": _FULL,
    "unable to open database file": _CANTOPEN,
    "locking protocol": _PROTOCOL,
    "string or blob too big": _TOOBIG,
    "file is not a database": _NOTADB,
}
# A table with a rowid: SQLite's page tells that WITHOUT ROWID does not suit large rows, and it measured the same for
# bodies of 100 bytes, but 3 to 4 times slower for 1 kB and 20 kB (https://sqlite.org/withoutrowid.html, 4).
_TABLE = """
CREATE TABLE {0} (
    part TEXT NOT NULL, sort TEXT NOT NULL, rev INTEGER NOT NULL, owner TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (part, sort)
);
CREATE INDEX {0}_owner ON {0} (owner) WHERE owner <> '';
"""


class Busy(Unavailable):
    """Another connection holds the lock that is needed. Nothing was done."""


def create(path: str, tables: Iterable[str]) -> None:
    """A new database with these tables, on disk when this returns. OSError, sqlite3.Error, DeploymentError."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        os.chmod(path, mode_of(os.path.dirname(path)))  # logs get the mode of their database
        connection.execute("PRAGMA application_id=%d" % APPLICATION_ID)
        connection.execute("PRAGMA user_version=%d" % FILES_FORMAT)
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise DeploymentError("the file system of %s can't share memory; deployments can't be there" % path)
        connection.executescript("BEGIN;" + "".join(map(_TABLE.format, tables)) + "COMMIT;")


def check(path: str) -> int:
    """The format of a database of ours, one that we know. NotADeployment, UnknownFormat; changes nothing.

    Reads the header only, and as it lies in the file: those two numbers never change while a database lives. As
    immutable, so that no lock is taken and no log touched (https://sqlite.org/c3ref/open.html). A file that is being
    written to may look shorter than its header says; writable_schema=ON has SQLite put up with that.
    """
    try:
        with contextlib.closing(sqlite3.connect(_uri(path, "ro&immutable=1"), isolation_level=None, uri=True)) as probe:
            probe.execute("PRAGMA writable_schema=ON")
            (application,) = probe.execute("PRAGMA application_id").fetchone()
            (version,) = probe.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise explain(error, path, "open") from error
    if application != APPLICATION_ID or version < 1:
        raise NotADeployment("%s is not a database of fk_kazoo; move it away or use another name" % path)
    if version > FILES_FORMAT:
        raise UnknownFormat("%s has format %d, this version knows %d; upgrade fk_kazoo" % (path, version, FILES_FORMAT))
    if version < FILES_FORMAT:
        check_format(path, version)
    return int(version)


def connect(
    path: str, tables: Iterable[str], durable: bool, writable: bool, busy_ms: int = BUSY_MS
) -> sqlite3.Connection:
    """A connection to a database that `check` found good, which has to have these tables.

    ``durable``: a commit waits for the disk (synchronous=FULL); otherwise it survives a killed process, not a power
    cut (NORMAL), https://sqlite.org/pragma.html#pragma_synchronous. Without ``writable`` nothing is written through
    it; the file is opened for writing all the same, since readers of a WAL share memory. ``busy_ms``: how long a
    statement waits for a lock.
    """
    options: Dict[str, Any] = {"isolation_level": None, "check_same_thread": False, "cached_statements": 256}
    try:
        connection: sqlite3.Connection = sqlite3.connect(_uri(path, "rw"), timeout=OPEN_BUSY_S, uri=True, **options)
    except sqlite3.Error as error:
        raise explain(error, path, "open") from error
    try:
        connection.execute("PRAGMA synchronous=%s" % ("FULL" if durable else "NORMAL"))
        connection.execute("PRAGMA journal_size_limit=%d" % WAL_KEPT_BYTES)
        connection.execute("PRAGMA query_only=%d" % (not writable))
        for table in tables:
            connection.execute("SELECT rev, owner, body FROM %s WHERE part = '' AND sort = ''" % table).fetchall()
        connection.execute("PRAGMA busy_timeout=%d" % busy_ms)
    except sqlite3.Error as error:
        connection.close()
        raise explain(error, path, "open") from error
    return connection


def stamp(path: str) -> None:
    """Gives a database this version's format, where `check` sees it. sqlite3.Error; Busy if somebody has it open."""
    with contextlib.closing(sqlite3.connect(_uri(path, "rw"), isolation_level=None, uri=True)) as connection:
        connection.execute("PRAGMA user_version=%d" % FILES_FORMAT)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if check(path) != FILES_FORMAT:
        raise Busy("%s is open in another process" % path)


def explain(error: sqlite3.Error, path: str, doing: str) -> Exception:
    """The error in our words; what is a bug of ours stays as it is.

    ``doing`` is "open", "read", "write" (before its COMMIT, and rolled back: definite) or "commit".
    """
    code, text = _code(error), "%s: %s" % (path, error)
    primary = code & 0xFF
    if primary in (_BUSY, _LOCKED, _PROTOCOL):
        return Busy(text)
    if doing == "commit":
        # The commit record is the last thing written: if there was no room for a write, it is not there. An error of
        # anything else, of fsync above all, may have come after it.
        definite = primary in (_FULL, _READONLY) or code == _IOERR_WRITE
        return StorageFull(text) if definite else Unknown(text)
    if primary in (_CORRUPT, _NOTADB):
        return NotADeployment("%s; restore it from a backup, or remove the deployment" % text)
    if primary in (_FULL, _READONLY, _IOERR) and doing == "write":
        return StorageFull(text)
    if code in (_FULL, _IOERR_SHMSIZE) and doing == "open":
        return StorageFull("%s; there is no room beside it" % text)
    if primary in (_PERM, _CANTOPEN, _READONLY) and doing == "open":
        return NoPermission("%s; all files of a deployment must be readable and writable" % text)
    if primary == _TOOBIG:
        return TooLarge(text)
    if primary in (_PERM, _CANTOPEN, _READONLY, _IOERR, _NOMEM, _FULL):
        return Unavailable(text)
    if doing == "open":
        return NotADeployment("%s; it is damaged: restore it from a backup, or remove the deployment" % text)
    return error


def _code(error: sqlite3.Error) -> int:
    """The extended result code; the primary one where this Python does not tell; 0 if it is not SQLite's at all."""
    code = getattr(error, "sqlite_errorcode", None)
    return code if code is not None else _MESSAGES.get(str(error), 0)


def _uri(path: str, mode: str) -> str:
    return "file:%s?mode=%s" % (quote(os.path.abspath(path)), mode)
