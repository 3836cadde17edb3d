"""Who may use the files of a deployment: its owner alone, or everybody in a group.

Rule upheld here: the directory says which, for every process alike: shared means setgid, and open to its group
(``rwxrws---``). So a process of any user makes files that every other one can use.
"""

from __future__ import annotations

import os
import stat

SHARED = stat.S_ISGID | stat.S_IRWXG
PRIVATE_MODE, GROUP_MODE = 0o600, 0o660


def mode_of(directory: str) -> int:
    """The mode of the files in it. OSError."""
    return GROUP_MODE if os.stat(directory).st_mode & SHARED == SHARED else PRIVATE_MODE


def open_to_group(descriptor: int, directory: str) -> None:
    """Gives a file that was just made the mode of its directory's files, whatever this process' umask is. OSError."""
    found = os.fstat(descriptor)
    mode = mode_of(directory)
    if mode == GROUP_MODE and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(descriptor, mode)
