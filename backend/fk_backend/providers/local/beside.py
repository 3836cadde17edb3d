"""Who is not the host writes all the same, while the host has nothing to do: then nobody has to be woken for it.

A commit is conditional on the head, and on the word by which the host leaves the namespace to whoever asks; the fan-out
is the host's, which is asked for it where somebody watches. Of several who write at the same time, one commits for all
(see `combining`). Everything else takes the queue.
"""

from __future__ import annotations

import asyncio
import json
import logging
from time import monotonic
from typing import Callable, Dict, List, Optional, Tuple

from ... import codec
from ...codec import Malformed
from ...core.model import Id
from ...core.requests import INVOKED, Call, Multi, Result
from ...eager import Waits, at_once
from ...errors import BackendError, Conflict, Unavailable, Unknown
from ...functions.writer import Writer
from ...layout import Head, head_key, head_of
from ...messages import Entry, Message, decode, encode
from ...ports import NullSender, Ports, Written
from ...triggers import packed_text, unpacked
from ...writer.senders import COMBINED
from ...writer.step import CARRIED_ZXIDS, Step
from ..clock import SystemClock
from ..contention import Contention
from ..direct import InProcessDirect
from .combining import DONE, LOST, MAX_ANSWER_BYTES, PUBLISHED, REFUSED, TAKEN, Publication, Records
from .event_sockets import sender_of_events
from .files import Place
from .frames import Frames
from .progress import Progress, shared
from .shared_memory import SharedMemory, is_possible
from .store import LocalStore

log = logging.getLogger(__name__)

QUEUED_S = 0.25
"""For how long writes go to the host's queue after somebody else had the commit lock for too long, at first."""
WAIT_S = 0.3
"""So long a caller waits for whoever has the commit lock; then the queue has its message."""
HOST_WAIT_S = 0.05
"""So long it waits for the host, of which nobody knows how much it still has to do."""
IN_A_ROW = 3
"""So often in a row the host is found at work, and has the message, before one waits for it."""
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
        records: Optional[Records],
        now: Callable[[], float] = monotonic,
    ) -> None:
        """``records``: None where nobody can combine. ``now``: in seconds, as `ports.Clock.monotonic`."""
        super().__init__(writer, is_free, schedule_fan_out, store.in_turn)
        self._store = store
        self._progress = progress
        self._records = records
        self._now = now
        self._contention: Dict[str, Contention] = {}
        """By namespace."""
        self._met_host: Dict[str, int] = {}
        """How often in a row the host was at work, by namespace."""

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`."""
        records = self._records
        if ns not in self._contention:
            self._contention[ns] = Contention(QUEUED_S)
        contention = self._contention[ns]
        if not contention.is_due(self._now()):
            return None
        try:
            if records is None:
                return await super().write(ns, message, key)
            if records.number:  # of who was interrupted
                await self._withdrawn(ns, records, records.number)
            return await self._with_others(ns, message, records, contention)
        except BackendError:
            contention.met(self._now())
            raise

    def finish_fan_out(self, ns: str) -> None:
        """`ports.Direct.finish_fan_out`: what is left of an interrupted call is over when this returns."""
        records = self._records
        if records is not None:
            records.give()
            if records.number:
                self._see_off(records, records.number)
        super().finish_fan_out(ns)

    async def _with_others(
        self, ns: str, message: Message, records: Records, contention: Contention, number: int = 0
    ) -> Optional[Written]:
        """Commits, with what others want, or has somebody else commit it, whoever can first.

        ``number``: of the message, if it is published already.
        """
        began = self._now()
        busy_since: Optional[float] = None
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
                    may_commit = state == PUBLISHED and self._is_free(ns)
                    if may_commit:
                        if number:
                            records.retract()
                        found = await self._commit(ns, message, records)
                        if found is not None:
                            self._met_host[ns] = 0
                            return found
                        may_commit, number = False, 0  # the host has begun to write
                        if self._now() - began > WAIT_S:
                            return None
                    elif not number and self._leaves_it(ns, records):
                        return None
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
            busy_since = None if self._is_free(ns) else busy_since or now
            if now - began > WAIT_S or now - (busy_since or now) > HOST_WAIT_S:
                contention.met(now)
                return await self._withdrawn(ns, records, number)
            records.wait(bell, LOOK_S)

    def _leaves_it(self, ns: str, records: Records) -> bool:
        """Whether the host, which is at work, is left a message at once.

        Not where several write, who would keep it at work for ever by that, each with one message: they wait until it
        is done, and go on without it.
        """
        self._met_host[ns] = met = self._met_host.get(ns, 0) + 1
        return met < IN_A_ROW and not records.others_wait()

    def _publish(self, ns: str, message: Message, records: Records) -> int:
        (request,) = message.requests
        if isinstance(request, Multi) and len(request.ops) > MAX_PARTS:
            return 0
        return records.publish(b"%s\n%s" % (ns.encode(), encode(message)))

    async def _commit(self, ns: str, message: Message, records: Records) -> Optional[Written]:
        """With the lock. None if the host is at it after all, or has something to see to first: nothing was done."""
        self._progress.taken = ()
        others = await self._asked_by_others(ns, records)
        if not others:
            try:
                return await super().write(ns, message)
            except (Conflict, Unavailable):
                return await self._given_up(ns)
        taken: List[Publication] = []

        def begins(step: Step) -> None:
            taken[:] = [publication for publication, _ in others[: len(step.entries) - 1]]
            self._progress.taken = [records.take_up(each, step.head.zxid) for each in taken]

        entries = [Entry("", 0, Call(message.session, message.inbox, message.requests[0])), *(e for _, e in others)]
        try:
            written = await self._writer().write_together(ns, entries, begins)
        except (Conflict, Unavailable, GeneratorExit) as error:  # the last: the files are locked, and nobody waits here
            for each in taken:  # else the host's next commits would make it look as if nobody could tell
                records.put_back(each)
            if isinstance(error, GeneratorExit):
                raise
            return await self._given_up(ns)
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

    async def _given_up(self, ns: str) -> Optional[Written]:
        """None: it may be tried again. Unavailable if the host has the last commit to fan out first."""
        head = await self._head(ns)
        if self._progress.upto(ns) != head.zxid:
            raise Unavailable("namespace %s: the last commit is not told" % ns)
        return None

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


class LocalDirect:
    """What this process writes with beside one host after the other. In the event loop, but for its ``direct``."""

    def __init__(self, place: Place, store: LocalStore, super_id: Optional[Id], ns: str) -> None:
        """``ns``: where it will write, if that is known."""
        self._place = place
        self._store = store
        self._super_id = super_id
        self._loop = asyncio.get_event_loop()
        self._namespaces = {ns} if ns else set()
        self._peer: Optional[Frames] = None
        self._slots: Dict[str, int] = {}
        """What the host has said of that."""
        self._progress: Optional[Progress] = None
        self._records: Optional[Records] = None
        self.direct: Optional[InProcessDirect] = None
        """None while there is no host that others may write beside."""

    def meets(self, peer: Frames) -> None:
        """There is a host. It is asked where to write, along with whether it serves."""
        self._peer, self._slots = peer, {}
        for ns in self._namespaces:
            peer.send("slot", ns)

    def joined(self, stamp: int) -> None:
        """It serves, with this stamp; 0: it shares nothing."""
        if not stamp:
            return
        try:
            progress = Progress(shared(self._place.progress), stamp)
        except (OSError, ValueError) as error:
            log.info("%s: every write takes the queue: %s", self._place.directory, error)
            return
        nobody = NullSender()
        ports = Ports(self._store, nobody, nobody, SystemClock(), events=sender_of_events(self._place))
        writer = Writer(ports, self._super_id, told=progress)
        self._store.only_while(progress.while_idle)
        self._progress = progress
        try:
            self._records = Records(SharedMemory(self._place, progress.words)) if is_possible() else None
        except OSError as error:
            log.info("%s: nobody commits for this process: %s", self._place.directory, error)
        self.direct = DirectWriter(
            lambda: writer, progress.is_idle, self._schedule_fan_out, self._store, progress, self._records
        )
        for ns, slot in self._slots.items():
            progress.found(ns, slot)

    def left(self) -> None:
        """The host is gone. Whoever is writing beside it is over before the next one begins."""
        self.direct = self._peer = self._progress = None
        self._slots = {}
        records, self._records = self._records, None
        if records is not None:
            records.close()

    def uses(self, ns: str) -> None:
        """There are sessions of this process in the namespace."""
        if ns not in self._namespaces:
            self._namespaces.add(ns)
            if self._peer is not None:
                self._peer.send("slot", ns)

    def found(self, ns: str, slot: int) -> None:
        """The host says where the namespace is in its progress."""
        self._slots[ns] = slot
        if self._progress is not None:
            self._progress.found(ns, slot)

    def _schedule_fan_out(self, ns: str) -> None:
        """From any thread. If the host is gone by then, the next one finds out by itself."""
        self._loop.call_soon_threadsafe(self._tell, ns)

    def _tell(self, ns: str) -> None:
        if self._peer is not None:
            self._peer.send("tell", ns)
