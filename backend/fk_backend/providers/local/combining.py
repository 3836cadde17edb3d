"""Flat combining: who finds another process writing publishes what it wants, and that one commits all of it at once.

One process writes at a time: the one with the commit lock (a POSIX record lock: it goes with the process). Who can't
have it at once puts its message into its record, in memory that all processes share, and sleeps until that is answered
or the lock is its own. Who has the lock takes what is published into its own commit, in which the head keeps the
answers of the others: if it dies before it hands them over, whoever has the lock next finds them there.

Who has the lock may be stopped for any time. So who waited for too long withdraws, and a commit looks, within its
transaction, whether all that it has taken is still asked for.

A record has two words, and behind all words its message and its answer. One word is written by its owner alone: the
number of what he asks for, or 0. The other by whoever has the lock: which number he has got how far with. The scheme is
Hendler, Incze, Shavit and Tzafrir's, https://doi.org/10.1145/1810479.1810540.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..descriptors import Descriptor
from .files import Place
from .modes import PRIVATE_MODE, open_to_group
from .progress import ASKED_AT, RECORDS, RECORDS_AT, REPLIED_AT

RECORD_BYTES = 8192
HEADER_WORDS = 8
MESSAGE_AT, ANSWER_AT = 8 * HEADER_WORDS, 4096
MAX_MESSAGE_BYTES = ANSWER_AT - MESSAGE_AT
MAX_ANSWER_BYTES = RECORD_BYTES - ANSWER_AT

PUBLISHED, TAKEN, DONE, REFUSED, LOST = range(5)
"""How far a message is. LOST is what may have been done, and nobody can tell."""
_CODES = 8

NAME, TARGET, MESSAGE_SIZE, ANSWER_SIZE, BELL = range(5)
"""Words of a record's header: whose it is, the zxid of the commit that has it, sizes, and what a sleeper waits for."""

_FUTEX_CALLS = {"x86_64": 202, "aarch64": 98}
"""Numbers of the system call. Elsewhere nobody combines."""
_WAIT, _WAKE = 0, 1

_held: Dict[str, object] = {}
"""Commit locks of this process: the operating system would grant it the same lock twice."""
_claimed: Dict[Tuple[str, int], object] = {}
"""The same of records."""
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


class Publication(NamedTuple):
    """What somebody else wants written."""

    record: int
    name: int
    number: int
    """Which of its process, which has that name, it is."""
    target: int
    """The zxid of the commit that it was taken into by somebody who did not finish; 0: nobody has."""
    body: bytes


class Records:
    """The records of a deployment, as one process sees them, and the commit lock. For one thread at a time."""

    def __init__(self, place: Place, words: Any) -> None:
        """``words``: of `progress`. OSError."""
        self._path = os.path.realpath(place.commit_lock)
        self._words = words
        self.name = int.from_bytes(os.urandom(8), "big")
        """Nobody else's."""
        self._address = ctypes.addressof(words)
        self._number = 0
        self._mine = -1
        self._timeout = _Timespec()
        self._settled: List[int] = []
        self._taken: Optional[object] = None
        """What stands for the commit lock while it is this one's."""
        self._descriptor = _opened(self._path, place.directory)

    @staticmethod
    def are_possible() -> bool:
        """Whether this system has what it takes."""
        return _futex is not None

    def close(self) -> None:
        """Gives everything back."""
        self.give()
        if self._mine >= 0:
            self.retract()
            if self._descriptor.is_ours():
                fcntl.lockf(self._descriptor.number, fcntl.LOCK_UN, 1, 1 + self._mine)
            _claimed.pop((self._path, self._mine), None)
            self._mine = -1
        _closed(self._path)

    # --- the commit lock ------------------------------------------------------------------------

    def take(self) -> bool:
        """Whether the commit lock is this one's now. Who has it gives it back."""
        taking = object()
        if not self._descriptor.is_ours() or _held.setdefault(self._path, taking) is not taking:
            return False
        try:
            fcntl.lockf(self._descriptor.number, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
        except OSError:
            _held.pop(self._path, None)
            return False
        self._taken = taking
        return True

    def give(self, rings: bool = True) -> None:
        """Gives the commit lock back, if it is this one's, and wakes the next one who waits for it."""
        if self._taken is None or _held.get(self._path) is not self._taken:
            return
        if self._descriptor.is_ours():
            fcntl.lockf(self._descriptor.number, fcntl.LOCK_UN, 1, 0)
        _held.pop(self._path, None)
        if rings:
            ring_one(self._words, self._mine)
        settled, self._settled = self._settled, []
        for record in settled:
            ring(self._words, record)

    def others_wait(self) -> bool:
        """Whether somebody else has published something."""
        return bool(waiting(self._words, self._mine))

    # --- one's own ------------------------------------------------------------------------------

    def publish(self, body: bytes) -> int:
        """Puts a message where whoever has the lock finds it; its number. 0: there is no room for it."""
        if len(body) > MAX_MESSAGE_BYTES or (self._mine < 0 and not self._claim()):
            return 0
        self._number += 1
        self._put(self._mine, MESSAGE_AT, body, MESSAGE_SIZE)
        self._words[self._header(self._mine) + NAME] = self.name
        self._words[ASKED_AT + self._mine] = self._number
        return self._number

    @property
    def number(self) -> int:
        """Of one's own message; 0: there is none."""
        return int(self._words[ASKED_AT + self._mine]) if self._mine >= 0 else 0

    def state(self, number: int) -> int:
        """How far one's own message is."""
        return self.reply(number) if self.number == number else LOST  # who was interrupted asked for something else

    def reply(self, number: int) -> int:
        """The same of one that was retracted, too."""
        word = self._words[REPLIED_AT + self._mine]
        return word % _CODES if word // _CODES == number else PUBLISHED

    def retract(self) -> None:
        """No commit that begins now takes one's own message. If it is TAKEN after this, one that has begun may."""
        if self._mine >= 0:
            self._words[ASKED_AT + self._mine] = 0
            ring(self._words, self._mine)  # for the system call: what is read after it is what was there after it

    def target_of(self, number: int) -> int:
        """The zxid of the commit that one's own message was taken into; 0: nobody took it."""
        if self._words[REPLIED_AT + self._mine] // _CODES != number:
            return 0
        return int(self._words[self._header(self._mine) + TARGET])

    def answer(self) -> bytes:
        """Of one's own message, which is DONE."""
        size = min(self._words[self._header(self._mine) + ANSWER_SIZE], MAX_ANSWER_BYTES)
        return ctypes.string_at(self._at(self._mine) + ANSWER_AT, size)

    def bell(self) -> int:
        """What one's bell shows: to be read before one looks whether it has to be waited for."""
        return int(self._words[self._header(self._mine) + BELL]) & 0xFFFFFFFF

    def wait(self, bell: int, seconds: float) -> None:
        """Sleeps until somebody rings, for so long at most."""
        self._timeout.seconds, rest = divmod(int(seconds * 1e9), 10**9)
        self._timeout.nanoseconds = rest
        address = self._address + 8 * (self._header(self._mine) + BELL)
        _futex(address, _WAIT, bell, ctypes.addressof(self._timeout))

    def _claim(self) -> bool:
        for record in range(RECORDS):
            if _claimed.setdefault((self._path, record), self) is not self:
                continue
            try:
                fcntl.lockf(self._descriptor.number, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 + record)
            except OSError:
                del _claimed[self._path, record]
                continue
            self._mine = record
            self._number = max(self._words[ASKED_AT + record], self._words[REPLIED_AT + record] // _CODES)
            self.retract()
            return True
        return False

    # --- of the one who has the lock ------------------------------------------------------------

    def published(self) -> List[Publication]:
        """What others want written."""
        found = []
        for record in waiting(self._words, self._mine):
            header, number = self._header(record), self._words[ASKED_AT + record]
            size = min(self._words[header + MESSAGE_SIZE], MAX_MESSAGE_BYTES)
            body = ctypes.string_at(self._at(record) + MESSAGE_AT, size)
            is_taken = self._words[REPLIED_AT + record] == number * _CODES + TAKEN
            target = self._words[header + TARGET] if is_taken else 0
            publication = Publication(record, self._words[header + NAME], number, target, body)
            if number and self._words[ASKED_AT + record] == number:
                found.append(publication)
        return found

    def take_up(self, publication: Publication, target: int) -> Tuple[int, int]:
        """It goes into the commit of that zxid: (index of a word, value) that must be so within it."""
        self._words[self._header(publication.record) + TARGET] = target
        self._reply(publication, TAKEN)
        return ASKED_AT + publication.record, publication.number

    def put_back(self, publication: Publication) -> None:
        """It was taken up into a commit that was definitely not made."""
        self._reply(publication, PUBLISHED)

    def settle(self, publication: Publication, state: int, answer: bytes = b"") -> None:
        """Says what became of it. Who waits for that is woken with the lock's return: else he would run instead."""
        if len(answer) > MAX_ANSWER_BYTES:
            state, answer = LOST, b""
        self._put(publication.record, ANSWER_AT, answer, ANSWER_SIZE)
        self._reply(publication, state)
        self._settled.append(publication.record)

    # --- memory ---------------------------------------------------------------------------------

    def _header(self, record: int) -> int:
        return RECORDS_AT + record * (RECORD_BYTES // 8)

    def _at(self, record: int) -> int:
        return self._address + 8 * self._header(record)

    def _put(self, record: int, offset: int, data: bytes, size: int) -> None:
        ctypes.memmove(self._at(record) + offset, data, len(data))
        self._words[self._header(record) + size] = len(data)

    def _reply(self, publication: Publication, state: int) -> None:
        self._words[REPLIED_AT + publication.record] = publication.number * _CODES + state


def waiting(words: Any, but: int = -1) -> List[int]:
    """The records that somebody has to see to, but that one."""
    asked = words[ASKED_AT : ASKED_AT + RECORDS]
    if not any(asked):
        return []
    replied = words[REPLIED_AT : REPLIED_AT + RECORDS]
    return [
        record
        for record, (number, word) in enumerate(zip(asked, replied))
        if number and record != but and (word // _CODES != number or word % _CODES in (PUBLISHED, TAKEN))
    ]


def ring_one(words: Any, after: int = -1) -> None:
    """Wakes one of those who wait for the commit lock, each in its turn."""
    found = waiting(words, after)
    if found:
        ring(words, next((record for record in found if record > after), found[0]))


def ring(words: Any, record: int) -> None:
    """Wakes the owner of a record."""
    index = RECORDS_AT + record * (RECORD_BYTES // 8) + BELL
    words[index] = (words[index] + 1) & 0xFFFFFFFF
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
    _claimed.clear()
    _files.clear()
    return left
