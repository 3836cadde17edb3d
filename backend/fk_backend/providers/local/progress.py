"""What all processes of a deployment know together, in memory that they share: up to where a namespace is fanned out.

Two words of 64 bits for each namespace, in a slot of the file ``shared.words``: which namespace it is of, and up to
which zxid all is told. They are written with the commit lock. A word that says less than is so, or nothing, as after a
crash, or where there is no room for the file, only has something told again. Behind them are the words of `combining`.

A word is read and written as a whole: by ctypes, which copies 8 aligned bytes at once. Not by `struct`, which sets
them to zero before, nor by `mmap`, which keeps a descriptor and closes its number, whosever that is by then.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import logging
import mmap
import os
from functools import partial
from operator import itemgetter
from typing import Any, Dict, Sequence, Tuple

from ...writer.fanout import NOT_KNOWN, FanOutProgress
from .files import Place
from .modes import PRIVATE_MODE, open_to_group
from .statements import ANY_TIME, Condition

log = logging.getLogger(__name__)

SLOTS = 4096
"""Namespaces of a deployment of which something is known together."""
PROBES = 64
"""Slots at which one may be."""
RECORDS = 64
ASKED_AT = 2 * SLOTS
REPLIED_AT = ASKED_AT + RECORDS
"""Where the words of `combining` begin: two for each of its records."""
TAKEN_AT = REPLIED_AT + RECORDS
"""How often the commit lock was taken."""
TICKS_AT = TAKEN_AT + 1
"""How often somebody looked after the namespaces: see `host`."""
RECORDS_AT = ASKED_AT + 512
"""Where the records begin: on a page of their own."""
WORDS = RECORDS_AT + RECORDS * 1024
BYTES = 8 * WORDS

_mapped: Dict[Any, Any] = {}
"""By device and inode. Never unmapped: who was interrupted may still look at it."""


def shared_words(place: Place) -> Tuple[Any, bool]:
    """The words of a deployment, as an array, and whether all processes have them: else they are this one's alone."""
    try:
        if not os.path.lexists(place.words):
            _make(place)
        return shared(place.words), True
    except (OSError, ValueError) as error:
        log.warning("%s: processes share no memory: %s", place.directory, error)
        return (ctypes.c_uint64 * WORDS)(), False


def shared(path: str) -> Any:
    """The words in a file, as an array. OSError, and ValueError if the file is too short to be one."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_size < BYTES:
            raise ValueError("%s is too short" % path)
        key = status.st_dev, status.st_ino
        if key not in _mapped:
            _mapped[key] = _map(descriptor)
        return _mapped[key]
    finally:
        os.close(descriptor)


def _map(descriptor: int) -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    call = libc.mmap
    call.restype = ctypes.c_void_p
    call.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    address = call(None, BYTES, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, descriptor, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return (ctypes.c_uint64 * WORDS).from_address(address)


def _make(place: Place) -> None:
    """The file, all zero: it gets its name when it is whole, and whoever is first makes it. OSError.

    Written, not skipped: a page for which there is no room must not be found out by touching it.
    """
    new = "%s.%s" % (place.words, os.urandom(4).hex())
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE)
    try:
        open_to_group(descriptor, place.directory)
        if os.pwrite(descriptor, bytes(BYTES), 0) < BYTES:
            raise OSError(28, "No space left on device", new)
        with contextlib.suppress(FileExistsError):
            os.link(new, place.words)
    finally:
        os.close(descriptor)
        os.unlink(new)


def _mark(ns: str) -> int:
    """A namespace in a word; not 0."""
    return int.from_bytes(hashlib.blake2b(ns.encode(), digest_size=8).digest(), "big") | 1


class Progress(FanOutProgress):
    """As one process sees it. What it notes, it notes with the commit lock."""

    def __init__(self, words: Any) -> None:
        super().__init__()
        self.words = words
        self._slots: Dict[str, int] = {}
        self.taken: Sequence[Tuple[int, int]] = ()

    def while_asked(self, ns: str) -> Condition:
        """For a transaction: whether what was taken up is still asked for.

        What that is, is said before in ``taken``: (index of a word, value).
        """
        if not self.taken:
            return ANY_TIME
        indices, values = zip(*self.taken)
        if len(indices) == 1:
            return partial(self.words.__getitem__, indices[0]), partial(values[0].__eq__)
        return partial(itemgetter(*indices), self.words), partial(values.__eq__)

    def upto(self, ns: str) -> int:
        """`FanOutProgress.upto`."""
        slot = self._slot(ns, allots=False)
        if slot < 0:
            return super().upto(ns)
        return int(self.words[2 * slot + 1]) or NOT_KNOWN

    def note(self, ns: str, zxid: int) -> None:
        """`FanOutProgress.note`."""
        super().note(ns, zxid)
        slot = self._slot(ns, allots=True)
        if slot >= 0:
            self.words[2 * slot + 1] = zxid

    def _slot(self, ns: str, allots: bool) -> int:
        """-1: it has none; so it is known to those alone who know by themselves."""
        if ns in self._slots:
            return self._slots[ns]
        mark = _mark(ns)
        for probe in range(PROBES):
            slot = ((mark >> 1) + probe) % SLOTS
            found = self.words[2 * slot]
            if not found and allots:
                self.words[2 * slot] = found = mark
            if found == mark:
                self._slots[ns] = slot
                return slot
            if not found:
                break
        return -1
