"""Mistakes in what reaches the disk when, to be planted in a process of its own: none is taken back."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict

from fk_backend.providers.local import database, statements, store


def _without_fsync(of: Callable[[str], bool]) -> None:
    fsync = os.fsync

    def sometimes(descriptor: int) -> None:
        if not of(os.readlink("/proc/self/fd/%d" % descriptor)):
            fsync(descriptor)

    os.fsync = sometimes


def not_durable() -> None:
    """A commit does not wait for the disk."""
    connect = database.connect
    database.connect = lambda path, tables, durable, *more: connect(path, tables, False, *more)


def directories_not_synced() -> None:
    """A deployment has a name, and its files may have none."""
    _without_fsync(os.path.isdir)


def commits_in_pieces() -> None:
    """Every statement is a commit of its own."""

    def write_all(connection: Any, path: str, writes: Any, *more: Any) -> bool:
        return all(check(connection.execute(sql, values)) for sql, values, check in map(statements._part, writes))

    statements.write_all = store.write_all = write_all


MISTAKES: Dict[str, Callable[[], None]] = {
    mistake.__name__: mistake for mistake in (not_durable, directories_not_synced, commits_in_pieces)
}


def plant(name: str) -> None:
    """Plants one; none if the name is empty."""
    if name:
        MISTAKES[name]()
