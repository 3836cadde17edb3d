"""What the processes of a deployment share beside its files: memory, locks that go with their owner, and wake-ups.

The memory is ``shared.words`` (`progress` has its words), the locks are POSIX record locks of single bytes of
``commit.lock``, and whoever sleeps does so by a futex.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import sys
from typing import Any, Dict, List, Tuple

from ..descriptors import Descriptor, missed
from .files import Place
from .modes import PRIVATE_MODE, open_to_group

_FUTEX_CALLS = {"x86_64": 202, "aarch64": 98}
"""Numbers of the system call. Elsewhere nobody combines."""
_WAIT, _WAKE = 0, 1

_held: Dict[Tuple[str, int], object] = {}
"""Locks of this process, and whose they are: the operating system would grant it the same lock twice."""
_files: Dict[str, Tuple[Descriptor, int]] = {}
"""The file of these locks, and how many use it: to close any descriptor of it is to give up all of them."""


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


def _futex_call() -> Any:
    number = _FUTEX_CALLS.get(platform.machine()) if sys.platform.startswith("linux") else None
    if number is None or sys.maxsize < 1 << 32:
        return None
    call = ctypes.CDLL(None).syscall
    call.restype = ctypes.c_long
    call.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p]
    return lambda address, what, value, timeout: call(number, address, what, value, timeout)


_futex = _futex_call()


def is_possible() -> bool:
    """Whether this system has what it takes."""
    return _futex is not None


class SharedMemory:
    """As one user in one process sees it. For one thread at a time."""

    def __init__(self, place: Place, words: Any) -> None:
        """``words``: of `progress`. OSError."""
        self.path = os.path.realpath(place.commit_lock)
        self.words = words
        self._address = ctypes.addressof(words)
        self._timeout = _Timespec()
        self._descriptor = _opened(self.path, place.directory)

    def close(self) -> None:
        """Gives its locks back."""
        for _, number in [key for key, owner in _held.items() if owner is self]:
            self.unlock(number)
        _closed(self.path)

    def lock(self, number: int) -> bool:
        """Whether the lock of that number is this one's now. It waits for nobody. Who has it gives it back."""
        if not self._descriptor.is_ours():
            missed.append(self.path)
            return False
        if _held.setdefault((self.path, number), self) is not self:
            return False
        try:
            fcntl.lockf(self._descriptor.number, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            _held.pop((self.path, number), None)
            return False
        return True

    def holds(self, number: int) -> bool:
        """Whether it has that lock."""
        return _held.get((self.path, number)) is self

    def unlock(self, number: int) -> None:
        """Gives a lock back that it has."""
        if self._descriptor.is_ours():
            fcntl.lockf(self._descriptor.number, fcntl.LOCK_UN, 1, number)
        _held.pop((self.path, number), None)

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from there on."""
        return ctypes.string_at(self._address + offset, size)

    def write(self, offset: int, data: bytes) -> None:
        """Bytes from there on."""
        ctypes.memmove(self._address + offset, data, len(data))

    def sleep(self, index: int, value: int, seconds: float) -> None:
        """Until somebody wakes who sleeps at that word, for so long at most. Not if it is not that value any more."""
        self._timeout.seconds, rest = divmod(int(seconds * 1e9), 10**9)
        self._timeout.nanoseconds = rest
        _futex(self._address + 8 * index, _WAIT, value, ctypes.addressof(self._timeout))

    def wake(self, index: int) -> None:
        """Wakes who sleeps at that word."""
        wake(self.words, index)


def wake(words: Any, index: int) -> None:
    """`SharedMemory.wake`, of one who has the words alone."""
    if _futex is not None:
        _futex(ctypes.addressof(words) + 8 * index, _WAKE, 1, None)


def _opened(path: str, directory: str) -> Descriptor:
    found, users = _files.get(path, (None, 0))
    if found is None or not found.is_ours():
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
        try:
            open_to_group(number, directory)
        except BaseException:
            os.close(number)
            raise
        found, users = Descriptor.of(number), 0
    _files[path] = found, users + 1
    return found


def _closed(path: str) -> None:
    found, users = _files.get(path, (None, 0))
    if found is not None and users > 1:
        _files[path] = found, users - 1
    elif found is not None:
        del _files[path]
        found.close()


def forget_locks() -> List[Descriptor]:
    """In a forked child, which inherits none of them; and where the files were closed, which ended them.

    Returns what is to be closed.
    """
    left = [descriptor for descriptor, _ in _files.values()]
    _held.clear()
    _files.clear()
    return left
