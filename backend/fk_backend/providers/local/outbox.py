"""What was pushed and not yet acknowledged outlives the host process: the next host delivers it.

A file that is only appended to, by the host, without waiting for the disk: what it holds has to survive a killed
process, not a power cut, which no receiver would survive either. A record that is torn or damaged ends it; what a
killed host was just writing, the head still has. Sequence numbers grow across hosts, because each host starts a new
epoch (the high half of the number).

Nothing is kept for long for who is not there: an inbox that was given up has lost what was for it, and stays noted, so
that its owner is told if he comes back.

The file begins with `MAGIC`; then come records: 4 bytes of length, 4 bytes of CRC-32, both of what follows them: a
kind (1 byte), seq and upto (8 bytes each), the time (a double), the inbox's length (2 bytes), the inbox, and the body.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import time
import zlib
from collections import deque
from typing import Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ...errors import NoPermission, NotADeployment
from ..descriptors import Descriptor, missed
from .modes import PRIVATE_MODE, open_to_group

FORGET_AFTER_S = 7200.0
"""How long an inbox that was given up stays noted. No session is that old without having been heard."""
MAGIC = b"fk_kazoo: what is on its way to clients, 1\n"
COMPACT_BYTES = 1 << 20
"""A file that grew by this much since it was written anew is written anew, with what is still needed.

Whoever takes over reads all of it while everybody waits: about 10 ms for 1 MB.
"""

_PUSH, _DONE, _EPOCH, _GIVEN_UP = 1, 2, 3, 4
_ALL = (1 << 63) - 1
"""The number up to which everything of an inbox is done that is gone."""
_FRAME = struct.Struct(">II")
_FIELDS = struct.Struct(">BQQdH")


class Kept(NamedTuple):
    """A push that may have to be made again."""

    seq: int
    upto: int
    body: bytes
    at: float
    """When it was first made, in seconds since the epoch."""


class Record(NamedTuple):
    """What the file holds: a push; that all of an inbox up to a number is done; a host's epoch; an inbox given up."""

    kind: int
    seq: int
    upto: int
    at: float
    inbox: str
    body: bytes

    def encoded(self) -> bytes:
        """As in the file."""
        inbox = self.inbox.encode()
        content = _FIELDS.pack(self.kind, self.seq, self.upto, self.at, len(inbox)) + inbox + self.body
        return _FRAME.pack(len(content), zlib.crc32(content)) + content


def check(path: str) -> None:
    """Whether the file, if there is one, is an outbox. NotADeployment or NoPermission if not; changes nothing."""
    _read(path, len(MAGIC))


def _read(path: str, most: int = -1) -> bytes:
    """The file's beginning; nothing if there is none. NotADeployment, NoPermission."""
    try:
        with open(path, "rb") as file:
            found = file.read(most)
    except FileNotFoundError:
        return b""
    except PermissionError as error:
        raise NoPermission("%s: all files of a deployment must be readable and writable" % path) from error
    except OSError as error:
        raise NotADeployment("%s: %s; %s" % (path, error.strerror, _ADVICE)) from error
    if found and not found.startswith(MAGIC):
        raise NotADeployment("%s: not an outbox; %s" % (path, _ADVICE))
    return found


_ADVICE = "it holds what is on its way to clients: end all who use the deployment, then remove it"


def _records(content: bytes) -> Iterator[Record]:
    """Those of a file, up to the first that is not whole."""
    at = len(MAGIC)
    while at + _FRAME.size <= len(content):
        size, checksum = _FRAME.unpack_from(content, at)
        part = content[at + _FRAME.size : at + _FRAME.size + size]
        if len(part) < max(size, _FIELDS.size) or zlib.crc32(part) != checksum:
            return
        kind, seq, upto, at_s, length = _FIELDS.unpack_from(part)
        end = _FIELDS.size + length
        yield Record(kind, seq, upto, at_s, part[_FIELDS.size : end].decode(), part[end:])
        at += _FRAME.size + size


class Outbox:
    """All unacknowledged pushes of a deployment, in memory and on file. The host alone has one open.

    Opening raises NotADeployment, NoPermission, OSError; `save` and `close` raise OSError.
    """

    def __init__(self, path: str) -> None:
        self._kept: Dict[str, Deque[Kept]] = {}
        self._done: List[Tuple[str, int]] = []
        self.upto: Dict[str, int] = {}
        """Inbox → number below which all its requests are answered."""
        self.given_up: Dict[str, float] = {}
        """Inbox → when it was given up, in seconds since the epoch. What was for it is lost."""
        self._path = path
        self.file: Optional[Descriptor] = None
        """What it is written to."""
        epoch = self._load() + 1
        self._seq = epoch << 32
        try:
            self._rewrite()
        except PermissionError as error:
            raise NoPermission("%s: %s" % (path, error.strerror)) from error

    def _load(self) -> int:
        """What the last host left; its epoch."""
        epoch = 0
        for kind, seq, upto, at, inbox, body in _records(_read(self._path)):
            if kind == _EPOCH:
                epoch = seq
            elif kind == _GIVEN_UP:
                self._lose(inbox)
                self.given_up[inbox] = at
            elif kind == _DONE:
                self._drop(inbox, seq)
                if seq == _ALL:
                    self.given_up.pop(inbox, None)
            else:
                self._keep(inbox, Kept(seq, upto, body, at))
        self.upto = {inbox: upto for inbox, upto in self.upto.items() if inbox in self._kept}
        return epoch

    def _rewrite(self) -> None:
        """A new file with what is still needed, in place of the old one."""
        at = time.time()
        parts = [MAGIC, Record(_EPOCH, self._seq >> 32, 0, at, "", b"").encoded()]
        self.given_up = {inbox: when for inbox, when in self.given_up.items() if when > at - FORGET_AFTER_S}
        parts.extend(_given_up(inbox, when) for inbox, when in self.given_up.items())
        for inbox, kept in self._kept.items():
            parts.extend(_push(inbox, each) for each in kept)
        new = self._path + ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE)
        try:
            open_to_group(file, os.path.dirname(new))
            size = _write(file, b"".join(parts), 0)
            os.fsync(file)  # or a power cut could leave the new name with nothing in it
            os.rename(new, self._path)
        except BaseException:
            os.close(file)
            raise
        if self.file is not None:
            self.file.close()
        self.file, self._size, self._compact_at = Descriptor.of(file), size, size + COMPACT_BYTES

    def _keep(self, inbox: str, kept: Kept) -> None:
        self._kept.setdefault(inbox, deque()).append(kept)
        if kept.upto > self.upto.get(inbox, 0):
            self.upto[inbox] = kept.upto

    def _drop(self, inbox: str, last: int) -> None:
        kept = self._kept.get(inbox)
        while kept and kept[0].seq <= last:
            kept.popleft()
        if not kept:
            self._kept.pop(inbox, None)

    def number(self, inbox: str, upto: int, body: bytes) -> Kept:
        """A push with its number. It is kept from the next `save` on."""
        self._seq += 1
        kept = Kept(self._seq, upto, body, time.time())
        self._keep(inbox, kept)
        return kept

    def save(self, pushes: List[Tuple[str, Kept]]) -> None:
        """Makes pushes survive this process, and forgets what was acknowledged since the last time."""
        if self._size > self._compact_at:
            self._rewrite()
        else:
            at = time.time()
            parts = [_push(inbox, kept) for inbox, kept in pushes]
            parts.extend(Record(_DONE, last, 0, at, inbox, b"").encoded() for inbox, last in self._done)
            self._append(b"".join(parts))
        self._done.clear()

    def acknowledge(self, inbox: str, last: int) -> None:
        """The receiver has everything up to ``last``."""
        if inbox in self._kept:
            self._drop(inbox, last)
            self._done.append((inbox, last))

    def give_up(self, inboxes: Sequence[str]) -> None:
        """Loses what is kept for inboxes, and notes that at once: nothing more need be kept for them.

        OSError if it can't be noted; then nothing is lost.
        """
        at = time.time()
        self._append(b"".join(_given_up(inbox, at) for inbox in inboxes))
        for inbox in inboxes:
            self._lose(inbox)
            self.given_up[inbox] = at

    def _lose(self, inbox: str) -> None:
        self._kept.pop(inbox, None)
        self.upto.pop(inbox, None)

    def after(self, inbox: str, last: int) -> List[Kept]:
        """What the receiver does not have."""
        return [kept for kept in self._kept.get(inbox, ()) if kept.seq > last]

    def forget(self, inbox: str) -> None:
        """The inbox is gone."""
        self._lose(inbox)
        self.given_up.pop(inbox, None)
        self._done.append((inbox, _ALL))

    def waiting_s(self) -> Dict[str, float]:
        """Inbox → for how many seconds something has waited for its owner."""
        now = time.time()
        return {inbox: max(0.0, now - kept[0].at) for inbox, kept in self._kept.items()}

    def close(self) -> None:
        """Saves and closes."""
        try:
            self.save([])
        finally:
            if self.file is not None:
                self.file.close()

    def _append(self, content: bytes) -> None:
        file = self.file
        if file is None or not file.is_ours():
            if file is not None:
                missed.append(self._path)
            raise OSError(errno.EBADF, "somebody else closed it", self._path)
        self._size += _write(file.number, content, self._size)


def _push(inbox: str, kept: Kept) -> bytes:
    return Record(_PUSH, kept.seq, kept.upto, kept.at, inbox, kept.body).encoded()


def _given_up(inbox: str, at: float) -> bytes:
    return Record(_GIVEN_UP, 0, 0, at, inbox, b"").encoded()


def _write(file: int, content: bytes, at: int) -> int:
    """Writes all of it there; how much that is. What a failure leaves half written is written over by the next."""
    written = 0
    while written < len(content):
        written += os.pwrite(file, memoryview(content)[written:], at + written)
    return written
