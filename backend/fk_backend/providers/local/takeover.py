"""Files of a version before, in which one process wrote for all others, become files of this one.

Not while somebody uses them: he had a host, which held the host lock. While that is held here, nobody can become the
host; after that, nobody can open the files who does not know their format.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from typing import Sequence

from ...errors import UnknownFormat
from . import closed_files, database
from .lock import Lock

LEFT = ("outbox.log", "outbox.log.new", "host.sock", "host.progress")
"""Files that are of no use any more."""
WORDS = "host.progress"
"""In it a host said where others might write beside it: while it is all zero, nobody does."""
TRIES, PAUSE_S = 50, 0.02
"""How often it is tried, as another process may just be at it."""


def take_over(directory: str, databases: Sequence[str], lock: str) -> None:
    """UnknownFormat if somebody uses them. Else sqlite3.Error, OSError, as for any file."""
    for tries in range(TRIES, 0, -1):
        held = Lock.acquire(lock)
        if held is None and min(map(database.check, databases)) == database.FILES_FORMAT:
            return
        try:
            if held is not None:
                return _take_over(directory, databases)
        except database.Busy:
            if tries == 1:
                break
        finally:
            if held is not None:
                held.release()
        time.sleep(PAUSE_S)
    raise UnknownFormat(
        "%s is in use by processes with an older version of fk_kazoo: end all of them, then start those of this version"
        % directory
    )


def _take_over(directory: str, databases: Sequence[str]) -> None:
    with contextlib.suppress(FileNotFoundError), open(os.path.join(directory, WORDS), "r+b") as words:
        words.write(bytes(os.fstat(words.fileno()).st_size))
    with closed_files.changing(databases):
        for path in reversed(databases):  # the first one says how far it came
            try:
                database.stamp(path)
            except sqlite3.OperationalError as error:
                raise database.explain(error, path, "open") from error
    for name in LEFT:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, name))
