"""A caller's own thread writes, unless its process has something in the queue: then nobody has to be woken for it.

It takes the commit lock, and commits onto what everybody was told of. Of several who write at the same time, one
commits for all (see `combining`). Everything else takes the process's queue.
"""

from __future__ import annotations

import asyncio
import json
import logging
from time import monotonic
from typing import Callable, Dict, List, Optional, Tuple

from ... import codec
from ...codec import Malformed
from ...core.requests import INVOKED, Call, Multi, Result
from ...eager import Waits, at_once
from ...errors import BackendError, Conflict, Unavailable, Unknown
from ...functions.writer import Writer
from ...layout import Head, head_key, head_of
from ...messages import Entry, Message, decode, encode
from ...ports import Written
from ...triggers import packed_text, unpacked
from ...writer.senders import COMBINED
from ...writer.step import CARRIED_ZXIDS, Step
from ..contention import Contention
from ..direct import InProcessDirect
from .combining import DONE, LOST, MAX_ANSWER_BYTES, PUBLISHED, REFUSED, TAKEN, Publication, Records
from .progress import Progress
from .store import LocalStore

log = logging.getLogger(__name__)

QUEUED_S = 0.25
"""For how long writes go to the queue after somebody else had the commit lock for too long, at first."""
WAIT_S = 0.3
"""So long a caller waits for whoever has the commit lock; then the queue has its message."""
LOOK_S = 0.01
"""So often it looks meanwhile whether it is its own turn, in case that somebody ended who would have rung."""
SEE_OFF_S = 0.25
"""So long who withdraws waits for whoever may be committing what is withdrawn, who will say what came of it."""
MAX_PARTS = 20
"""Of a multi that others may commit: its answer has to fit into a record."""


class DirectWriter(InProcessDirect):
    """`InProcessDirect` of one process among others: they commit together what waits (see `combining`)."""

    def __init__(
        self,
        writer: Callable[[], Writer],
        is_free: Callable[[str], bool],
        schedule_fan_out: Callable[[str], None],
        store: LocalStore,
        progress: Progress,
        records: Records,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """``now``: in seconds, as `ports.Clock.monotonic`."""
        super().__init__(writer, is_free, schedule_fan_out, store.in_turn)
        self._store = store
        self._progress = progress
        self._records = records
        self._now = now
        self._contention: Dict[str, Contention] = {}
        """By namespace."""

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`."""
        records = self._records
        if ns not in self._contention:
            self._contention[ns] = Contention(QUEUED_S)
        contention = self._contention[ns]
        if not contention.is_due(self._now()) or not self._is_free(ns):
            return None
        try:
            if records.number:  # of who was interrupted
                await self._withdrawn(ns, records, records.number)
            return await self._with_others(ns, message, records, contention)
        except Conflict:  # there is something to see to first, as the queue's next batch does
            raise
        except BackendError:
            contention.met(self._now())
            raise

    def finish_fan_out(self, ns: str) -> None:
        """`ports.Direct.finish_fan_out`: what is left of an interrupted call is over when this returns."""
        if not self._records.is_loops:
            self._records.give()
        self.see_off()
        super().finish_fan_out(ns)

    def see_off(self) -> None:
        """Ends what is left of an interrupted call, unless the event loop waits in its place."""
        if self._records.number and not self._records.is_loops:
            self._see_off(self._records, self._records.number)

    async def _with_others(
        self, ns: str, message: Message, records: Records, contention: Contention, number: int = 0
    ) -> Optional[Written]:
        """Commits, with what others want, or has somebody else commit it, whoever can first.

        ``number``: of the message, if it is published already.
        """
        began = self._now()
        while True:
            bell = records.bell() if number else 0
            if number and not self._store.has_turn():
                raise Unknown("interrupted while others were asked")
            if records.take():
                may_commit = False
                try:
                    state = records.state(number) if number else PUBLISHED
                    if state == TAKEN:  # who had the lock did not finish
                        return await self._withdrawn(ns, records, number)
                    may_commit = state == PUBLISHED
                    if may_commit:
                        if number:
                            records.retract()
                        return await self._commit(ns, message, records)
                finally:
                    records.give(rings=may_commit)
            if not number:
                if is_loops_thread():  # there others wait for whoever waits
                    return None
                number = self._publish(ns, message, records)
                if not number:
                    return None
                continue  # whoever had the lock may have looked for the last time
            if records.state(number) in (DONE, REFUSED, LOST):
                return await self._withdrawn(ns, records, number)
            now = self._now()
            if now - began > WAIT_S:
                contention.met(now)
                return await self._withdrawn(ns, records, number)
            records.wait(bell, LOOK_S)

    def _publish(self, ns: str, message: Message, records: Records) -> int:
        (request,) = message.requests
        if isinstance(request, Multi) and len(request.ops) > MAX_PARTS:
            return 0
        return records.publish(b"%s\n%s" % (ns.encode(), encode(message)))

    async def _commit(self, ns: str, message: Message, records: Records) -> Optional[Written]:
        """With the lock. Conflict, Unavailable: nothing was done, as there is something to see to first."""
        self._progress.taken = ()
        others = await self._asked_by_others(ns, records)
        if not others:
            return await super().write(ns, message)
        taken: List[Publication] = []

        def begins(step: Step) -> None:
            taken[:] = [publication for publication, _ in others[: len(step.entries) - 1]]
            self._progress.taken = [records.take_up(each, step.head.zxid) for each in taken]

        entries = [Entry("", 0, Call(message.session, message.inbox, message.requests[0])), *(e for _, e in others)]
        try:
            written = await self._writer().write_together(ns, entries, begins)
        except (Conflict, Unavailable, GeneratorExit):  # the last: the files are locked, and nobody waits here
            for each in taken:  # else the next commits would make it look as if nobody could tell
                records.put_back(each)
            raise
        except BackendError as error:
            for each, _ in others:
                records.settle(each, LOST if isinstance(error, Unknown) and each in taken else REFUSED)
            if isinstance(error, Unknown):
                self._schedule_fan_out(ns)
            raise
        finally:
            self._progress.taken = ()
        for (each, _), one in zip(others, written[1:]):
            records.settle(each, DONE, _encoded(one))
        self._see_to_fan_out(ns)
        return written[0]

    async def _asked_by_others(self, ns: str, records: Records) -> List[Tuple[Publication, Entry]]:
        """What is to be committed of what others have published; what somebody else has committed is settled."""
        found: List[Tuple[Publication, Entry]] = []
        head: Optional[Head] = None
        for each in records.published():
            theirs, _, body = each.body.partition(b"\n")
            if theirs != ns.encode():
                continue
            request = _direct(body)
            if request is None:
                records.settle(each, REFUSED)
                continue
            if each.target:
                head = head or await self._head(ns)
                state, answer = _fate(head, each.name, each.number, each.target)
                if state != PUBLISHED:
                    records.settle(each, state, b"" if answer is None else _encoded(answer))
                    continue
            found.append((each, Entry(inbox_of(each.name), each.number, request, last=True)))
        return found

    async def _withdrawn(self, ns: str, records: Records, number: int) -> Optional[Written]:
        """What came of one's own message; None if nothing did, and nothing will. Unknown."""
        state = self._see_off(records, number) if records.number == number else LOST
        if state == DONE:
            return _decoded(records.answer())
        written: Optional[Written] = None
        if state == TAKEN:
            state, written = _fate(await self._head(ns), records.name, number, records.target_of(number))
        if state == LOST:
            raise Unknown("who committed it did not say what came of it")
        return written

    def _see_off(self, records: Records, number: int) -> int:
        """Withdraws one's own message: how far it came, when nobody can be at it any more. LOST if there may be."""
        records.retract()
        give_up = self._now() + SEE_OFF_S
        while records.reply(number) == TAKEN:
            bell = records.bell()
            if records.take():
                records.give(rings=False)
                break
            if self._now() > give_up:  # who has the lock is stopped, but finds now that it was withdrawn
                try:
                    at_once(self._store.fence())
                    break
                except (BackendError, Waits):
                    return LOST
            records.wait(bell, LOOK_S)
        return records.reply(number)

    async def _head(self, ns: str) -> Head:
        (item,) = await self._store.get([head_key(ns)])
        if item is None:
            raise Unavailable("namespace %s has no head" % ns)
        return head_of(item)


def is_loops_thread() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _direct(body: bytes) -> Optional[Call]:
    """The one request of a message that may be done directly; None if it is none."""
    try:
        message = decode(body)
    except Malformed:
        return None
    if len(message.requests) != 1 or not isinstance(message.requests[0], INVOKED):
        return None
    return Call(message.session, message.inbox, message.requests[0])


def _fate(head: Head, name: int, number: int, target: int) -> Tuple[int, Optional[Written]]:
    """What came of a message that was taken into the commit of a zxid, when nobody can be at that any more."""
    if target > head.zxid or not target:
        return PUBLISHED, None
    for inbox, first, results in head.answers:
        if (inbox, first) == (inbox_of(name), number):
            return DONE, Written(Result(*results[0]), head.zxid, head.since, head.triggers)
    # Heads keep the answers for so long: had it been made, there would be one.
    return (PUBLISHED if head.zxid < target + CARRIED_ZXIDS else LOST), None


def inbox_of(name: int) -> str:
    """Under which the head keeps the answers to a process: no client's."""
    return "%s%x" % (COMBINED, name)


def _encoded(written: Written) -> bytes:
    result, zxid, since, triggers = written
    answer = codec.dumps([result, zxid, since, packed_text(triggers)])
    return answer if len(answer) <= MAX_ANSWER_BYTES else codec.dumps([result, zxid, zxid, "[]"])


def _decoded(answer: bytes) -> Written:
    try:
        result, zxid, since, triggers = codec.loads(answer)
        return Written(Result(*result), zxid, since, tuple(unpacked(json.loads(triggers))))
    except (TypeError, ValueError) as error:
        raise Unknown("the answer can't be read: %s" % error) from error
