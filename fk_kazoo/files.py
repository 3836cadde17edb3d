"""Writes a file that gets its name when it is whole, and on disk.

Rule upheld here: importing this module imports nothing that an app may want to patch. What is not whole is removed,
also where Ctrl-C comes in the middle of that: `remove_unfinished` is for the end of the process.
"""

from __future__ import annotations

import contextlib
import os
from typing import BinaryIO, Iterator, Optional, Set

_parts: Set[str] = set()


@contextlib.contextmanager
def atomic_file(path: str, over: bool, mode: Optional[int] = None) -> Iterator[BinaryIO]:
    """A file that gets its name at the end. OSError, which names it.

    ``over``: it may take another file's place; else FileExistsError if one has come there. ``mode``: permissions; else
    only its owner may read it.
    """
    part = "%s.%s.part" % (path, os.urandom(4).hex())
    _parts.add(part)
    try:
        with open(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            if mode is not None:
                os.chmod(part, mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if over:
            os.replace(part, path)
        else:
            _named(part, path)
    except OSError as error:
        if error.filename in (None, part):
            error.filename = path
            error.filename2 = None
        raise
    finally:
        _remove(part)


def _named(part: str, path: str) -> None:
    """FileExistsError."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # where files have one name each
        os.rename(part, path)


def _remove(part: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(part)
    _parts.discard(part)


def remove_unfinished() -> None:
    """What was left because its removal was interrupted."""
    for part in list(_parts):
        _remove(part)
