"""What the host tells everybody in memory that they share: where it has nothing to do, and what is fanned out.

Two words of 64 bits for each namespace that somebody asked for, in a slot of the file ``host.progress``: whether the
host leaves the namespace to whoever asks, and up to which zxid all is told. They are one host's: each is mixed with
that host's stamp, so what another one left there, or what somebody writes who has not noticed its end, says nothing.

A word is read and written as a whole: by ctypes, which copies 8 aligned bytes at once. Not by `struct`, which sets
them to zero before, nor by `mmap`, which keeps a descriptor and closes its number, whosever that is by then.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import mmap
import os
from functools import partial
from operator import itemgetter
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from ...errors import NoPermission
from ...writer.fanout import NOT_KNOWN, FanOutProgress
from .files import Place
from .modes import PRIVATE_MODE, open_to_group
from .statements import Condition

log = logging.getLogger(__name__)

SLOTS = 4096
"""Namespaces of a deployment in which others than the host may write; in the rest everything takes the queue."""
RECORDS = 64
ASKED_AT = 2 * SLOTS
REPLIED_AT = ASKED_AT + RECORDS
"""Where the words of `combining` begin: two for each of its records."""
RECORDS_AT = ASKED_AT + 512
"""Where the records begin: on a page of their own."""
WORDS = RECORDS_AT + RECORDS * 1024
BYTES = 8 * WORDS
UNKNOWN = 1 << 63
"""No zxid is as high. A stamp is higher, so that a word that was never written is none either."""

_mapped: Dict[Any, Any] = {}
"""By device and inode. Never unmapped: who was interrupted may still look at it."""


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


class Progress(FanOutProgress):
    """As one process sees it: of one host, from the file's words."""

    def __init__(self, words: Any, stamp: int) -> None:
        super().__init__()
        self.words = words
        self._stamp = stamp
        self._slots: Dict[str, int] = {}
        self.taken: Sequence[Tuple[int, int]] = ()
        self._conditions: Dict[str, Condition] = {}

    def found(self, ns: str, slot: int) -> None:
        """The host says where a namespace is. ValueError if that is nowhere."""
        if type(slot) is not int or not -1 <= slot < SLOTS:
            raise ValueError("no slot")
        if slot >= 0:
            self._slots[ns] = slot
            self._conditions.pop(ns, None)

    def is_known(self, ns: str) -> bool:
        """Whether it is known where a namespace is."""
        return ns in self._slots

    def is_idle(self, ns: str) -> bool:
        """Whether the host leaves the namespace to whoever asks."""
        slot = self._slots.get(ns)
        return slot is not None and bool(self.words[2 * slot] == self._stamp)

    def while_idle(self, ns: str) -> Condition:
        """The same, for a transaction, of a namespace of which it is known where it is; and what was taken up is still.

        What that is, is said before in ``taken``: (index of a word, value).
        """
        if self.taken:
            indices, values = zip((2 * self._slots[ns], self._stamp), *self.taken)
            return partial(itemgetter(*indices), self.words), partial(values.__eq__)
        if ns not in self._conditions:
            looked = partial(self.words.__getitem__, 2 * self._slots[ns])
            self._conditions[ns] = looked, partial(self._stamp.__eq__)
        return self._conditions[ns]

    def upto(self, ns: str) -> int:
        """`FanOutProgress.upto`."""
        slot = self._slots.get(ns)
        if slot is None:
            return super().upto(ns)
        zxid = int(self.words[2 * slot + 1]) ^ self._stamp
        return zxid if zxid < UNKNOWN else NOT_KNOWN

    def note(self, ns: str, zxid: int) -> None:
        """`FanOutProgress.note`."""
        super().note(ns, zxid)
        slot = self._slots.get(ns)
        if slot is not None:
            self.words[2 * slot + 1] = zxid ^ self._stamp


class HostProgress(Progress):
    """The host's own. Slots are allotted as somebody asks for them."""

    def __init__(self, place: Place, stamp: int, saved: Callable[[], bool]) -> None:
        """From here on nobody writes who was told of an earlier host's. NoPermission.

        ``saved``: whether all that was pushed is kept, so that it may be called told.
        """
        super().__init__(_made(place), stamp | UNKNOWN)
        self._saved = saved

    @property
    def stamp(self) -> int:
        """What others have to know of it; 0 if there is nothing to share."""
        return 0 if self.words is None else self._stamp

    def allot(self, ns: str, idle: bool) -> int:
        """The slot of a namespace; -1 if it has none, because there are too many."""
        if ns not in self._slots:
            slot = len(self._slots)
            if slot >= SLOTS or self.words is None:
                return -1
            upto = self.upto(ns)
            self._slots[ns] = slot
            self.words[2 * slot + 1] = 0 if upto == NOT_KNOWN else upto ^ self._stamp
            self.set_idle(ns, idle)
        return self._slots[ns]

    def set_idle(self, ns: str, idle: bool) -> None:
        """Whether whoever asks may write there. Who has begun to is not stopped: see `LocalStore.fence`."""
        slot = self._slots.get(ns)
        if slot is not None:
            self.words[2 * slot] = self._stamp if idle and self._saved() else 0

    def note(self, ns: str, zxid: int) -> None:
        """`FanOutProgress.note`."""
        if self._saved():
            super().note(ns, zxid)
        else:
            FanOutProgress.note(self, ns, zxid)


def _made(place: Place) -> Optional[Any]:
    """The words, all zero; None if there is no room for them. NoPermission if they can't be written."""
    try:
        descriptor = os.open(place.progress, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return None
        what = "%s: %s; all files of a deployment must be readable and writable"
        raise NoPermission(what % (place.progress, error.strerror)) from error
    try:
        open_to_group(descriptor, place.directory)
        missing = BYTES - os.fstat(descriptor).st_size
        if missing > 0:  # written, not skipped: a page for which there is no room must not be found out by touching it
            try:
                if os.pwrite(descriptor, bytes(missing), BYTES - missing) < missing:
                    return None
            except OSError as error:
                log.warning("%s: only the host writes: %s", place.directory, error)
                return None
    finally:
        os.close(descriptor)
    words = shared(place.progress)
    for slot in range(SLOTS):
        words[2 * slot] = 0
    return words
