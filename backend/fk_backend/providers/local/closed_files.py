"""Closes what SQLite has open of files that somebody else closed, before the same files are opened again.

SQLite counts the locks of a file within a process, by the file (https://sqlite.org/howtocorrupt.html, 2.2). Beside a
connection that lost its descriptors, a new one would be counted, too, and take no locks. Closing the old one closes its
numbers, whoever has them by then. So those that are free are taken at once, and where another file has one, the
deployment is refused in this process.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import sqlite3
import time
from typing import Collection, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

from ...errors import DeploymentError
from ..descriptors import Descriptor, descriptors_of, identities, occupy

TRIES, PAUSE_S = 20, 0.005
"""How long numbers are waited for that somebody else has."""

_left: List["Left"] = []
_taken: Dict[int, Descriptor] = {}
"""What was put in place of what is closed, by number. Several connections may have had one descriptor together."""


class Left(NamedTuple):
    """Connections that nobody uses any more, their databases, and what SQLite had open for them."""

    paths: Tuple[str, ...]
    connections: Tuple[sqlite3.Connection, ...]
    descriptors: Tuple[Descriptor, ...]


class Open(NamedTuple):
    """What SQLite has open for one database in this process, as far as the system tells."""

    files: Tuple[Descriptor, ...] = ()
    """All of it: it closes some later than the connection that they were for."""
    shared: Tuple[Descriptor, ...] = ()
    """The memory in which it keeps its locks; it asks again and again for those, for ten seconds."""


_NOTHING = Open()
_known: Dict[Tuple[str, int], Open] = {}
"""By database, and how often it was looked at anew."""
_latest: Dict[str, int] = {}
_looks = itertools.count(1)
_changing: List[object] = []
"""One for each thread that opens or closes databases now."""


@contextlib.contextmanager
def changing(paths: Collection[str]) -> Iterator[None]:
    """While databases are opened and closed: meanwhile nothing is said to be gone, and afterwards it is known anew.

    What another thread found before it ended is nobody's any more. Without a lock: greenlets may have replaced those.
    """
    token = object()
    _changing.append(token)
    try:
        yield
    finally:
        looks = {path: (_latest.get(path, 0), next(_looks)) for path in paths}
        _latest.update((path, look) for path, (_, look) in looks.items())
        found = tuple(descriptors_of([path + end for path in paths for end in ("", "-wal", "-shm")]))
        for path, (before, look) in looks.items():
            shared = _of(found, [path + "-shm"])
            _known[path, look] = Open(_of(found, [path, path + "-wal"]) + shared, shared)
            _known.pop((path, before), None)
        _changing.remove(token)


def _of(found: Iterable[Descriptor], paths: Iterable[str]) -> Tuple[Descriptor, ...]:
    """Those that stand for one of these files."""
    wanted = set(identities(paths))
    return tuple(each for each in found if (each.device, each.inode) in wanted)


def known(path: str) -> Open:
    """What is open of a database."""
    return _known.get((path, _latest.get(path, 0)), _NOTHING)


def is_gone(path: str, shared: bool = False) -> bool:
    """Whether somebody else closed some of it, or what is shared of it."""
    opened = known(path)
    for descriptor in opened.shared if shared else opened.files:
        if not descriptor.is_ours():
            return not _changing and known(path) is opened
    return False


def keep(connection: sqlite3.Connection) -> None:
    """It is never closed, not even at exit, unless somebody says so."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def leave(paths: Collection[str], connections: Collection[sqlite3.Connection]) -> None:
    """Nobody uses the connections any more."""
    for connection in connections:
        keep(connection)
    descriptors = [each for path in paths for each in known(path).files]
    _left.append(Left(tuple(map(os.path.realpath, paths)), tuple(connections), _all_kept(descriptors)))


def _kept(descriptor: Descriptor) -> Descriptor:
    """What its number stands for now, if that is ours."""
    if descriptor.is_ours():
        return descriptor
    if occupy(descriptor.number):
        _taken[descriptor.number] = Descriptor.of(descriptor.number)
    placed = _taken.get(descriptor.number)
    return placed if placed is not None and placed.is_ours() else descriptor


def _all_kept(descriptors: Sequence[Descriptor]) -> Tuple[Descriptor, ...]:
    """What their numbers stand for now. Who selects has a number for a moment; that is waited for."""
    for _ in range(TRIES):
        found = tuple(map(_kept, descriptors))
        if all(each.is_ours() for each in found):
            break
        time.sleep(PAUSE_S)
    return found


def close(paths: Iterable[str]) -> None:
    """Closes what was left of these databases. DeploymentError if that would close what belongs to others now."""
    if not _left:
        return
    wanted = set(map(os.path.realpath, paths))
    for left in [left for left in _left if wanted.intersection(left.paths)]:
        descriptors = _all_kept(left.descriptors)
        others = sorted({each.number for each in descriptors if not each.is_ours()})
        if others or not descriptors:
            raise DeploymentError(
                "%s was in use when somebody closed the files of this process, and other files have its descriptors "
                "now (%s): it can't be used here any more. Stop the clients before, or start another process"
                % (left.paths[0], ", ".join(map(str, others)) or "which, the system does not tell")
            )
        try:
            _left.remove(left)
        except ValueError:  # another thread was faster
            continue
        with changing(left.paths):
            for connection in left.connections:
                connection.close()
