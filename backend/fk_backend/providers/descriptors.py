"""File descriptors, and whether they are still ours.

Rule: a descriptor is a number, and a number is not ours for ever: a program may close all it has, as daemons do at
start.

The next file that anybody opens gets the number. Before something is written to it, or it is closed, it is compared
with the file that it stood for.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import Iterable, Iterator, List, NamedTuple, Optional, Tuple

PLACE = "/dev/fd"
"""Where the system lists the descriptors of a process."""

missed: List[str] = []
"""What was found to be closed by somebody else, since everything that was open was let go of."""


class Descriptor(NamedTuple):
    """A number, and what it stood for."""

    number: int
    device: int
    inode: int

    @classmethod
    def of(cls, number: int) -> "Descriptor":
        """What the number stands for now. OSError if that is nothing."""
        status = os.fstat(number)
        return cls(number, status.st_dev, status.st_ino)

    def is_ours(self) -> bool:
        """Whether it still stands for that."""
        try:
            status = os.fstat(self.number)
        except OSError:
            return False
        return status.st_ino == self.inode and status.st_dev == self.device

    def close(self) -> None:
        """Closes it, if it is still what it was."""
        if self.is_ours():
            os.close(self.number)


def still(descriptor: Optional[Descriptor]) -> bool:
    """Whether there is one, and it is ours."""
    return descriptor is not None and descriptor.is_ours()


def descriptors_of(paths: Iterable[str]) -> Iterator[Descriptor]:
    """All of this process that stand for one of these files; none where the system does not list them."""
    wanted = set(identities(paths))
    try:
        numbers: List[str] = os.listdir(PLACE)
    except OSError:
        return
    for number in numbers:
        try:
            found = Descriptor.of(int(number))
        except (OSError, ValueError):  # of the listing itself, or closed meanwhile
            continue
        if found[1:] in wanted:
            yield found


def identities(paths: Iterable[str]) -> Iterator[Tuple[int, int]]:
    """Device and inode of those that are regular files."""
    for path in paths:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield status.st_dev, status.st_ino


def occupy(number: int) -> bool:
    """Takes a number that stands for nothing, so that it is nobody else's; whether it could be had.

    What is there cannot be written to or locked for writing, and reads as nothing.
    """
    try:
        os.fstat(number)
        return False
    except OSError as error:
        if error.errno != errno.EBADF:
            return False
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    if nothing == number:
        return True
    try:
        got = fcntl.fcntl(nothing, fcntl.F_DUPFD_CLOEXEC, number)
    finally:
        os.close(nothing)
    if got != number:
        os.close(got)
    return got == number
