"""Flat combining: who finds another process writing publishes what it wants, and that one commits all of it at once.

One process writes at a time: the one with the commit lock (a POSIX record lock: it goes with the process). Who can't
have it at once puts its message into its record, in memory that all processes share, and sleeps until that is answered
or the lock is its own. Who has the lock takes what is published into its own commit, in which the head keeps the
answers of the others: if it dies before it hands them over, whoever has the lock next finds them there.

An event loop does not sleep for the lock: it publishes that it waits, and is woken by a datagram. Who comes after that
stands back, or those who hand each other the lock would keep it from its turn.

Who has the lock may be stopped for any time. So who waited for too long withdraws, and a commit looks, within its
transaction, whether all that it has taken is still asked for.

A record has two words, and behind all words its message and its answer. One word is written by its owner alone: the
number of what he asks for, or 0. The other by whoever has the lock: which number he has got how far with. The scheme is
Hendler, Incze, Shavit and Tzafrir's, https://doi.org/10.1145/1810479.1810540.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from . import shared_memory
from .progress import ASKED_AT, RECORDS, RECORDS_AT, REPLIED_AT, TAKEN_AT
from .shared_memory import SharedMemory

RECORD_BYTES = 8192
HEADER_WORDS = 8
MESSAGE_AT, ANSWER_AT = 8 * HEADER_WORDS, 4096
MAX_MESSAGE_BYTES = ANSWER_AT - MESSAGE_AT
MAX_ANSWER_BYTES = RECORD_BYTES - ANSWER_AT

PUBLISHED, TAKEN, DONE, REFUSED, LOST = range(5)
"""How far a message is. LOST is what may have been done, and nobody can tell."""
_CODES = 8

NAME, TARGET, MESSAGE_SIZE, ANSWER_SIZE, BELL, SOCKET = range(6)
"""Words of a record's header: whose it is, the zxid of the commit that has it, sizes, what a sleeper waits for, and the
number of the socket at which one waits that does not sleep: an event loop, for the lock alone."""
STOOD_BACK_S = 0.05
"""So long others stand back for an event loop that waits for the lock: it may be stopped."""

COMMIT_LOCK = 0
"""Its number; those of the records come after it."""


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

    def __init__(
        self,
        memory: SharedMemory,
        combines: bool = True,
        wake_loop: Callable[[int], None] = lambda number: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``combines``: whether others see what is published. ``wake_loop``: wakes who waits at the socket of a number.

        ``now``: in seconds.
        """
        self._memory = memory
        self._words = memory.words
        self._combines = combines
        self._wake_loop = wake_loop
        self._now = now
        self.is_loops = False
        """Whether it is the event loop that has the lock, for a batch."""
        self._waiting_since: Dict[Tuple[int, int], float] = {}
        """Of event loops that wait for the lock, by record and number, when that was seen first."""
        self.name = int.from_bytes(os.urandom(8), "big")
        """Nobody else's."""
        self._number = 0
        self._mine = -1
        self._settled: List[int] = []

    def close(self) -> None:
        """Gives everything back."""
        self.give()
        if self._mine >= 0:
            self.retract()
            self._mine = -1
        self._memory.close()

    # --- the commit lock ------------------------------------------------------------------------

    def take(self) -> bool:
        """Whether the commit lock is this one's now. Who has it gives it back.

        Who has published nothing stands back for event loops that wait.
        """
        if self._memory.holds(COMMIT_LOCK) or (not self.number and self._stands_back()):
            return False
        if not self._memory.lock(COMMIT_LOCK):
            return False
        self._words[TAKEN_AT] = (self._words[TAKEN_AT] + 1) & 0xFFFFFFFF
        for record, number in self._given_up():
            self._words[REPLIED_AT + record] = number * _CODES + REFUSED
        return True

    def is_available(self) -> bool:
        """Whether nobody has the lock just now."""
        if not self._memory.lock(COMMIT_LOCK):
            return False
        self._memory.unlock(COMMIT_LOCK)
        return True

    @property
    def taken(self) -> int:
        """How often the lock was taken, by anybody: if it does not move, who has it may be stopped."""
        return int(self._words[TAKEN_AT])

    def _stands_back(self) -> bool:
        waiting_since, now = self._waiting_since, self._now()
        found = [each for each in waiting(self._words, self._mine) if self._waits_for_turn(each)]
        if not found and not waiting_since:
            return False
        loops = {(record, int(self._words[ASKED_AT + record])) for record in found}
        self._waiting_since = {each: waiting_since.get(each, now) for each in loops}
        return any(now - since < STOOD_BACK_S for since in self._waiting_since.values())

    def _given_up(self) -> List[Tuple[int, int]]:
        """Those for whom one has stood back for too long, and who still wait."""
        if not self._waiting_since:
            return []
        self._waiting_since = {
            (record, number): since
            for (record, number), since in self._waiting_since.items()
            if self._words[ASKED_AT + record] == number and self._waits_for_turn(record)
        }
        long_ago = self._now() - STOOD_BACK_S
        return [each for each, since in self._waiting_since.items() if since <= long_ago]

    def _waits_for_turn(self, record: int) -> bool:
        return bool(self._words[self._header(record) + SOCKET])

    def give(self, rings: bool = True) -> None:
        """Gives the commit lock back, if it is this one's, and wakes the next one who waits for it."""
        if not self._memory.holds(COMMIT_LOCK):
            return
        self._memory.unlock(COMMIT_LOCK)
        if rings:
            self._ring_one()
        settled, self._settled = self._settled, []
        for record in settled:
            ring(self._words, record, self._memory.wake)

    def _ring_one(self) -> None:
        """Wakes one of those who wait for the lock, each in its turn."""
        found = waiting(self._words, self._mine)
        if found:
            record = next((each for each in found if each > self._mine), found[0])
            number = self._words[self._header(record) + SOCKET]
            if number:
                self._wake_loop(int(number))
            else:
                ring(self._words, record, self._memory.wake)

    # --- one's own ------------------------------------------------------------------------------

    def publish(self, body: bytes) -> int:
        """Puts a message where whoever has the lock finds it; its number. 0: there is no room for it."""
        return self._ask(body, 0) if len(body) <= MAX_MESSAGE_BYTES else 0

    def wait_for_turn(self, socket: int) -> int:
        """Says that an event loop waits for the lock, at the socket of that number. As `publish`."""
        return self._ask(b"", socket)

    def _ask(self, body: bytes, socket: int) -> int:
        if not self._combines or (self._mine < 0 and not self._claim()):
            return 0
        self._number += 1
        self._put(self._mine, MESSAGE_AT, body, MESSAGE_SIZE)
        header = self._header(self._mine)
        self._words[header + NAME] = self.name
        self._words[header + SOCKET] = socket
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
            # For the system call: what is read after it is what was there after it.
            ring(self._words, self._mine, self._memory.wake)

    def target_of(self, number: int) -> int:
        """The zxid of the commit that one's own message was taken into; 0: nobody took it."""
        if self._words[REPLIED_AT + self._mine] // _CODES != number:
            return 0
        return int(self._words[self._header(self._mine) + TARGET])

    def answer(self) -> bytes:
        """Of one's own message, which is DONE."""
        size = min(self._words[self._header(self._mine) + ANSWER_SIZE], MAX_ANSWER_BYTES)
        return self._memory.read(8 * self._header(self._mine) + ANSWER_AT, size)

    def bell(self) -> int:
        """What one's bell shows: to be read before one looks whether it has to be waited for."""
        return int(self._words[self._header(self._mine) + BELL]) & 0xFFFFFFFF

    def wait(self, bell: int, seconds: float) -> None:
        """Sleeps until somebody rings, for so long at most."""
        self._memory.sleep(self._header(self._mine) + BELL, bell, seconds)

    def _claim(self) -> bool:
        for record in range(RECORDS):
            if not self._memory.lock(1 + record):
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
            if self._words[header + SOCKET]:
                continue
            size = min(self._words[header + MESSAGE_SIZE], MAX_MESSAGE_BYTES)
            body = self._memory.read(8 * header + MESSAGE_AT, size)
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

    def _put(self, record: int, offset: int, data: bytes, size: int) -> None:
        self._memory.write(8 * self._header(record) + offset, data)
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


def ring(words: Any, record: int, wake: Optional[Callable[[int], None]] = None) -> None:
    """Wakes the owner of a record. ``wake``: of a `SharedMemory` with these words, if there is one at hand."""
    index = RECORDS_AT + record * (RECORD_BYTES // 8) + BELL
    words[index] = (words[index] + 1) & 0xFFFFFFFF
    if wake is None:
        shared_memory.wake(words, index)
    else:
        wake(index)
