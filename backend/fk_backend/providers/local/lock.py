"""The host lock: whose process does what one does for all.

It is the operating system's (a POSIX record lock): it goes with the process, however that ends, and a fork does not
inherit it.
"""

from __future__ import annotations

import fcntl
import os
from typing import Optional, Set

from ..descriptors import Descriptor
from .modes import PRIVATE_MODE, open_to_group

_held: Set[str] = set()
"""Locks of this process: the operating system would grant it the same lock twice."""


class Lock:
    """The host lock, held."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self.descriptor = Descriptor.of(descriptor)

    @classmethod
    def acquire(cls, path: str) -> "Optional[Lock]":
        """The lock, or None if it is held, by another process or by this one. OSError if there can't be one."""
        path = os.path.realpath(path)
        if path in _held:
            return None
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
        try:
            open_to_group(descriptor, os.path.dirname(path))
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        _held.add(path)
        return cls(path, descriptor)

    def release(self) -> None:
        """Lets the next process have it."""
        self.descriptor.close()
        _held.discard(self._path)


def forget_locks() -> None:
    """In a forked child, which inherits none of them; and where the files were closed, which ended them."""
    _held.clear()
