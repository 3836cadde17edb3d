"""What a session was asked and was sent, and what it does next: no awaits, no I/O, no clock.

`engine.Session` drives it: puts in what is asked (`ask`) and pushed (`receive`), does the `next_step`, and shows the
`answers` and `events` that come out. Consecutive writes share messages and may be on their way together; what is no
write waits until every earlier write is answered, and a later write until that is shown. `STEPS` is all there is to it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import Any, Deque, Dict, Iterator, List, NamedTuple, Optional, Tuple, cast

from ..core.model import Error, Id, Trigger
from ..core.requests import Auth, Request, Result, WatchSubtrees
from ..core.watches import RECURSIVE
from ..messages import Answers, Fired, TriggerLog, decode_note
from ..ports import Blobs, Written
from .ops import WRITES, AddWatch, Fail, Op
from .packing import MAX_MESSAGE_BYTES, MAX_MESSAGE_REQUESTS, size_of
from .watchlist import Event, Watch, WatchList

MAX_IN_FLIGHT = 2000
"""Writes that may be unanswered."""
NO_TAG = object()
"""The tag of what the session itself asks for."""

# States: before the first answer; no write is on its way; some are; as many as may be; the connection has ended.
OPENING, IDLE, AWAITING, FULL, OVER = "opening", "idle", "awaiting", "full", "over"
# What is first in line: something pushed; a write; what is no write; nothing.
NOTE, WRITE, READ, NOTHING = "note", "write", "read", "nothing"
# Steps: take in what was pushed; write, directly if that can be; write by the queue; read; wait for something new.
TAKE_NOTE, DO_WRITE, SEND, DO_READ, WAIT = "take note", "do write", "send", "do read", "wait"

STEPS: Dict[Tuple[str, str], str] = {
    # What was pushed while a session is opened is its first answer: who opens it takes that.
    (OPENING, NOTE): WAIT, (OPENING, WRITE): WAIT, (OPENING, READ): WAIT, (OPENING, NOTHING): WAIT,
    (IDLE, NOTE): TAKE_NOTE, (IDLE, WRITE): DO_WRITE, (IDLE, READ): DO_READ, (IDLE, NOTHING): WAIT,
    (AWAITING, NOTE): TAKE_NOTE, (AWAITING, WRITE): SEND, (AWAITING, READ): WAIT, (AWAITING, NOTHING): WAIT,
    (FULL, NOTE): TAKE_NOTE, (FULL, WRITE): WAIT, (FULL, READ): WAIT, (FULL, NOTHING): WAIT,
    (OVER, NOTE): WAIT, (OVER, WRITE): WAIT, (OVER, READ): WAIT, (OVER, NOTHING): WAIT,
}  # fmt: skip
"""(state, what is first in line) -> what is done next."""

_EMPTY: Any = ()


class Pending(NamedTuple):
    """A write that was sent."""

    number: int
    tag: Any
    op: Any


class Machine:
    """The state of one connection of one session. Slots, as a thousand sessions in a process are nothing special."""

    __slots__ = (
        "_answers",
        "_deferred",
        "answered_zxid",
        "awaited",
        "has_begun",
        "in_flight",
        "is_over",
        "next_number",
        "notes",
        "read_only",
        "requested",
        "watches",
        "watermark",
    )

    def __init__(self) -> None:
        self.has_begun = self.is_over = self.read_only = False
        self.watermark = 0
        """The zxid up to which everything was shown."""
        self.answered_zxid = 0
        """Of the head with which the last answer came."""
        self.next_number = self.awaited = 0
        """Of the next request, and of the first that is not answered."""
        self.watches = WatchList()
        self._answers: Dict[int, Answers] = {}
        """By the number of their first: those that came before earlier ones."""
        self._deferred: List[Fired] = []
        self.notes: Deque[bytes]
        """What was pushed, as it came."""
        self.requested: Deque[Tuple[Any, Op]]
        """(tag, op) that wait."""
        self.in_flight: Deque[Pending]
        self.clear()

    def clear(self) -> None:
        """Nothing waits any more. An idle session keeps no queues: they would be most of its size."""
        self.notes = self.requested = self.in_flight = _EMPTY

    # --- states ---------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """One of those in `STEPS`."""
        if self.is_over:
            return OVER
        if not self.has_begun:
            return OPENING
        if not self.in_flight:
            return IDLE
        return AWAITING if len(self.in_flight) < MAX_IN_FLIGHT else FULL

    @property
    def first_in_line(self) -> str:
        """What comes first, as `STEPS` has it."""
        if self.notes:
            return NOTE
        if not self.requested:
            return NOTHING
        return WRITE if isinstance(self.requested[0][1], WRITES) else READ

    def next_step(self) -> str:
        """What is to be done now."""
        return STEPS[self.state, self.first_in_line]

    @property
    def is_busy(self) -> bool:
        """Whether something waits, or is on its way."""
        return bool(self.notes or self.requested or self.in_flight)

    def begin(self, zxid: int, answered_zxid: int, identities: List[Id]) -> None:
        """The first answer has come, and was of that zxid."""
        self.watches.became(zxid, identities)
        self.watermark, self.answered_zxid = zxid, answered_zxid
        self.next_number = self.awaited = 1
        self.has_begun = True

    def observe(self, zxid: int) -> None:
        """There is no session: what is shown begins with that zxid, and nothing is written."""
        self.watermark = zxid
        self.read_only = self.has_begun = True

    def end(self) -> None:
        """The connection is over."""
        self.is_over = True

    # --- in -------------------------------------------------------------------------------------

    def receive(self, body: bytes) -> None:
        """Something was pushed."""
        self.notes = self.notes or deque()
        self.notes.append(body)

    def submit(self, tag: Any, op: Op, fits: bool = True) -> None:
        """Asks for something, for the app. ``fits``: whether a message takes it."""
        if self.read_only and isinstance(op, WRITES):
            op = Fail(Error.NOT_READ_ONLY)
        elif not fits:
            op = Fail(Error.TOO_LARGE)
        if isinstance(op, AddWatch) and op.mode == RECURSIVE and not self.read_only:
            self.ask(NO_TAG, WatchSubtrees())
        self.ask(tag, op)

    def ask(self, tag: Any, op: Op) -> None:
        """Asks for something, as it is."""
        self.requested = self.requested or deque()
        self.requested.append((tag, op))

    # --- writes ---------------------------------------------------------------------------------

    def is_single(self) -> bool:
        """Whether no other write waits behind the first one: what waits for its answer anyway is no company."""
        return len(self.requested) == 1 or not isinstance(self.requested[1][1], WRITES)

    def number(self) -> int:
        """The number of a request that is sent. It is used up, whatever becomes of it."""
        self.next_number += 1
        return self.next_number - 1

    def put_back(self, number: int, tag: Any, op: Op) -> None:
        """A write that was taken out of ``requested`` was not sent after all, so its number can be another's."""
        self.next_number = number
        self.requested.appendleft((tag, op))

    def next_message(self, blobs: Optional[Blobs]) -> Tuple[int, List[Request]]:
        """The writes that wait, as many as a message takes, and the number of the first. They are in flight now."""
        first, size = self.next_number, 0
        if not self.in_flight:
            self.awaited = first
        requests: List[Request] = []
        while self.requested and isinstance(self.requested[0][1], WRITES) and len(requests) < MAX_MESSAGE_REQUESTS:
            size += size_of(self.requested[0][1], blobs)
            if requests and size > MAX_MESSAGE_BYTES:
                break
            tag, op = self.requested.popleft()
            requests.append(cast(Request, op))
            self.in_flight = self.in_flight or deque()
            self.in_flight.append(Pending(self.number(), tag, op))
        return first, requests

    # --- answers --------------------------------------------------------------------------------

    def keep(self, answers: Answers) -> None:
        """Answers have come, in whatever order, and maybe once more. A batch that came again may have been cut anew."""
        kept = self._answers.get(answers.first)
        if kept is None or len(kept.results) < len(answers.results):
            self._answers[answers.first] = answers

    def next_answers(self) -> Optional[Answers]:
        """The answers that begin with the one waited for."""
        for first in sorted(self._answers):
            if first > self.awaited:
                return None
            answers = self._answers.pop(first)
            results = answers.results[self.awaited - first :]
            if results:
                return answers._replace(first=self.awaited, results=results)
        return None

    def answers(self, answers: Answers) -> Iterator[Tuple[Pending, Result]]:
        """One after the other, each with its request: the next is taken when that one is shown."""
        for code, value, zxid in answers.results:
            pending = self.in_flight.popleft()
            self.awaited = pending.number + 1
            yield pending, Result(code, value, zxid)
            if self.is_over:
                return
        self.answered_by(answers.trigger_log.zxid)

    def answered_by(self, zxid: int) -> None:
        """An answer came with a head of that zxid."""
        self.answered_zxid = max(self.answered_zxid, zxid)

    def learn(self, op: Any, result: Result) -> None:
        """What the answer to a write says of the session, before that is shown."""
        code, value, zxid = result
        if isinstance(op, WatchSubtrees) and code:  # the watch behind it would never hear of anything
            self.requested[0] = (self.requested[0][0], Fail(code))
        if isinstance(op, Auth) and code == Error.OK:
            self.watches.became(zxid, [Id(*each) for each in value])

    # --- events ---------------------------------------------------------------------------------

    def defer(self, fired: Fired) -> bool:
        """Whether that has to wait: what a credential on its way makes of the session decides what it may know."""
        if any(isinstance(pending.op, Auth) for pending in self.in_flight):
            self._deferred.append(fired)
            return True
        return False

    def take_fired(self) -> List[Fired]:
        """What was pushed of triggers, in front of everything else that was pushed."""
        found: List[Fired] = []
        others: Deque[bytes] = deque()
        for body in self.notes:
            note = decode_note(body)
            if isinstance(note, Fired):
                found.append(note)
            else:
                others.append(body)
        if found:
            self.notes = others
        return found

    def deferred(self) -> List[Fired]:
        """What had to wait, and is tried again."""
        waiting, self._deferred = self._deferred, []
        return waiting

    def skip(self, trigger_log: TriggerLog) -> Optional[List[Watch]]:
        """The armed watches, if the log does not reach back to the watermark; what it lacks is passed over unseen."""
        if trigger_log.since <= self.watermark:
            return None
        self.watches.skip(self.watermark, trigger_log.since)
        return self.watches.all()

    def events(self, zxid: int, trigger_log: TriggerLog) -> Iterator[Event]:
        """The session's own events above the watermark and up to ``zxid``, in order."""
        triggers = trigger_log.triggers()
        for position in range(bisect_left(triggers, cast(Trigger, (self.watermark + 1,))), len(triggers)):
            if triggers[position].zxid > zxid:
                break
            event = self.watches.fire(triggers[position])
            if event is not None:
                yield event

    def shown(self, zxid: int) -> None:
        """Everything up to ``zxid`` was shown."""
        self.watermark = max(self.watermark, zxid)

    def has_events_before(self, written: Written) -> bool:
        """Whether the session may have events to tell before that answer: its own, and what others did before it."""
        seen, zxid = self.watermark, written.result.zxid
        if written.since > seen:
            return zxid > seen
        return any(seen < trigger.zxid <= zxid and self.watches.hit_by(trigger) for trigger in written.triggers)
