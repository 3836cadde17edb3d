"""The writer function: takes messages in the queue's order, commits what they ask for, and has it fanned out.

Rule: the order of the queue is the order of the tree, and a request is applied at most once.

For each batch of a namespace: load, apply, commit on condition that the head is unchanged, fan out. A batch that is too
much for one commit takes several, of whole messages. A batch that comes again finds in the head which of its messages
are done, and is answered from there. A writer that has lost its batch to another one fails at the commit and stops.
"""

from __future__ import annotations

import logging
from typing import Any, Awaitable, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, TypeVar, Union

from .. import layout
from ..codec import Malformed
from ..core.model import Error, Id
from ..core.requests import INVOKED, Attach, Call, Open, Result, Sweep
from ..core.snapshot import Missing
from ..errors import BackendError, Conflict, Refused, StorageFull, Taken, Unavailable, Unknown
from ..layout import Head, is_inbox, is_namespace
from ..messages import INTERNAL, Entry, Message, decode, encode_note, trigger_log_of
from ..messages import Ended as EndedNote
from ..ports import Delivery, Ports, Pushed, Put, Written
from ..writer import request_log
from ..writer.cache import Cache
from ..writer.distributor import answer_notes, distribute, push_events, remove_leftovers, wake_note, watched_partitions
from ..writer.fanout import FanOutProgress
from ..writer.journal import load_head_and_journal
from ..writer.large import foreign
from ..writer.loading import Write, fresh_head, load
from ..writer.ratelimit import log_limited
from ..writer.reservation import complete_reservation
from ..writer.resume import calls_of, is_behind, prefetch, prefetch_meanwhile, undelivered
from ..writer.senders import begins, is_functions, is_sender
from ..writer.step import Step, answers_of, next_step, recorded, unfinished
from ..writer.watch import Rows

log = logging.getLogger(__name__)

T = TypeVar("T")

REWAKE_S = 60.0
"""So often a writer wakes the heartbeat anew while there come ephemerals: it begins again if its ticks were lost."""
TRIES = 5
"""So often a batch of the queue is tried at once where others write beside it; then it comes again."""
SINGLE_TRIES = 2
"""The same where others leave off as soon as they see it: one of them may just be writing."""
MAX_CONFLICTS = 1
"""After so many a direct write is left to the queue."""
MAX_CALLS = 500
"""Requests in one commit."""
MAX_BYTES = 4 << 20
"""Bytes of messages in one commit: what one transaction of the tightest store takes."""


class Received(NamedTuple):
    """A message, and as what it came."""

    message: Message
    delivery: Delivery
    is_ours: bool = False
    """Whether this very process sent it, which need not prove who it is."""


class Writer:
    """The writer function. One instance may serve any number of namespaces, one batch of each at a time."""

    def __init__(
        self, ports: Ports, super_id: Optional[Id] = None, shares: bool = False, told: Optional[FanOutProgress] = None
    ) -> None:
        """``shares``: others commit beside the queue, whenever they like: see `write_for`.

        ``told``: what writers know together of their fan-outs; None: this one knows of its own.
        """
        self._ports = ports
        self._shares = shares
        self._super_id = super_id
        self._cache: Dict[str, Cache] = {}
        self._fan_out = told or FanOutProgress()
        self._woken_at: Dict[str, float] = {}
        """Namespace → when this instance woke the heartbeat last, in seconds."""

    async def __call__(self, ns: str, batch: Sequence[Delivery]) -> None:
        """Handles a batch in order. When it returns, all of it is answered; if it raises, it must be called again.

        What the last commit left to be told is told first: that is all that a batch of nothing is for.
        """
        messages = _decoded(self._ports, ns, batch)
        cache = self._cache.pop(ns, None)
        if cache is not None and not is_behind(cache, [each.message for each in messages]):
            try:
                if not messages:  # what is to be told may be another instance's
                    await self._confirm(ns, cache)
                await self._finish_fan_out(ns, cache)
                return await self._handle(ns, cache, messages)
            except Conflict:
                pass  # another instance went on from there
        for tries in range(TRIES if self._shares else SINGLE_TRIES, 0, -1):
            try:
                return await self._handle(ns, await self._wake(ns, messages), messages)
            except Conflict:
                if tries == 1:
                    raise

    async def write(self, ns: str, message: Message, wakes: bool = True) -> Written:
        """Does the one request of a message that no queue has: see `ports.Direct`. Raises as a commit does.

        Its sender is taken at its word. What it changed is still to be fanned out: by a batch, which may be empty,
        unless `is_fanned_out` finds that nobody is waiting for it. Conflict, unless it ``wakes``, if that has not been
        found of the commit before.
        """
        return await self._again_after_conflict(
            ns, wakes, lambda cache: self._write_directly(ns, cache, message, wakes)
        )

    async def _again_after_conflict(self, ns: str, wakes: bool, write: Callable[[Cache], Awaitable[T]]) -> T:
        """With what is known of the namespace; if somebody else went on from there, once more with what is so now."""
        cache = self._cache.pop(ns, None)
        if cache is not None:
            try:
                return await write(cache)
            except Conflict:
                pass
        return await write(await (self._wake(ns, []) if wakes else self._look(ns)))

    async def _write_directly(self, ns: str, cache: Cache, message: Message, wakes: bool) -> Written:
        """Nothing is done before the commit, whatever interrupts it, but what is known here is forgotten then.

        The head keeps no answer of it: there is nobody to whom it could have to be given again.
        """
        if wakes:
            await self._finish_fan_out(ns, cache)
            await self._finish_closing(ns, cache, {})
        elif self._fan_out.upto(ns) != cache.head.zxid or cache.head.closing:
            raise Conflict("namespace %s: the last commit is not told" % ns)
        entry, step = await self._step_of(ns, cache, message, {})
        if not step.writes:
            await self._confirm(ns, cache)
        else:
            await self._commit(step.writes, None)
            cache.advance(step.changes, step.head, step.stored)
        return self._written(ns, cache, message, entry, step)

    def _written(self, ns: str, cache: Cache, message: Message, entry: Entry, step: Step) -> Written:
        """What a direct write came to; what is known of the namespace is kept for the next one."""
        request_log.log_done(ns, [entry], step.results, message)
        cache.trim()
        self._cache[ns] = cache
        head = step.head
        return Written(step.results[0], head.zxid, head.since, head.triggers)

    async def _step_of(self, ns: str, cache: Cache, message: Message, done: Dict[str, int]) -> Tuple[Entry, Step]:
        """What a direct write comes to. Refused if the writer has a bug: the queue has a way with that."""
        entry = Entry("", 0, Call(message.session, message.inbox, message.requests[0]))
        return entry, await self._worked_out(ns, cache, [entry], done)

    async def _worked_out(self, ns: str, cache: Cache, entries: Sequence[Entry], done: Dict[str, int]) -> Step:
        try:
            assumes = self._ports.commit_and_look is not None
            return await next_step(self._ports, ns, cache, entries, done, assumes)
        except BackendError:
            raise
        except Exception as error:
            if not _is_of_here(error):  # a signal's handler raised it
                raise
            log.exception("namespace %s: the writer failed", ns)
            raise Refused("the writer failed: %r" % error) from error

    async def write_together(self, ns: str, entries: Sequence[Entry], begins: Callable[[Step], None]) -> List[Written]:
        """Does requests of several senders in one commit, as `write` does one, without ``wakes``. As many as fit.

        The head keeps the answers of those entries that name an inbox. ``begins`` is told what comes.
        """
        return await self._again_after_conflict(
            ns, False, lambda cache: self._write_together(ns, cache, entries, begins)
        )

    async def _write_together(
        self, ns: str, cache: Cache, entries: Sequence[Entry], begins: Callable[[Step], None]
    ) -> List[Written]:
        if self._fan_out.upto(ns) != cache.head.zxid or cache.head.closing:
            raise Conflict("namespace %s: the last commit is not told" % ns)
        await prefetch(self._ports, ns, cache, [entry.call for entry in entries])
        step = await self._worked_out(ns, cache, entries, {})
        if not step.writes:
            await self._confirm(ns, cache)
        else:
            begins(step)
            await self._commit(step.writes, None)
            cache.advance(step.changes, step.head, step.stored)
        request_log.log_done(ns, step.entries, step.results)
        cache.trim()
        self._cache[ns] = cache
        head = step.head
        return [Written(result, head.zxid, head.since, head.triggers) for result in step.results]

    async def write_for(self, ns: str, sent: Union[bytes, Message]) -> Tuple[Written, int]:
        """Does the one request of a direct message, whoever sent it: see `ports.Direct`. With how many conflicts.

        Its sender is proved as that of a queue's message is; a `Message` is of this very process, which is taken at its
        word. All of it is fanned out when this returns. Refused and its kin, Unavailable: nothing was done, and nothing
        will be. Unknown: it may have been done, and nobody tries again; what is to be told of it is told by whoever
        writes next, since the head says so.
        """
        received = _direct(ns, sent)
        cache = self._cache.pop(ns, None)
        conflicts = 0
        while True:
            if cache is None or is_behind(cache, [received.message]):
                cache = await _definite(self._wake(ns, [received]))
            try:
                return await self._write_for(ns, cache, received), conflicts
            except Conflict as error:
                if isinstance(error, Taken) and cache.assumed:  # it is only not as was assumed
                    await _definite(self._load_assumed(ns, cache))
                    continue
                conflicts += 1  # somebody else wrote
                if conflicts > MAX_CONFLICTS:
                    raise
            cache = None

    async def _load_assumed(self, ns: str, cache: Cache) -> None:
        """After a commit that was not made, since there is something at what it was to create."""
        missing = Missing(paths=cache.assumed)
        cache.forget_assumed()
        await load(self._ports, ns, cache, missing)

    async def _write_for(self, ns: str, cache: Cache, received: Received) -> Written:
        entry, step = await _definite(self._work_out(ns, cache, received))
        if step.writes:
            looked = await self._commit_and_look(ns, step)
            begins = 0 < step.head.ticking == step.head.zxid and self._may_have_stopped(ns)
            await self._tell(ns, step.head, begins, looked)
            cache.advance(step.changes, step.head, step.stored)
        return self._written(ns, cache, received.message, entry, step)

    async def _work_out(self, ns: str, cache: Cache, received: Received) -> Tuple[Entry, Step]:
        """All that comes before its commit."""
        await self._finish_fan_out(ns, cache)
        if cache.head.closing:
            raise Refused("namespace %s: the end of a session is not over" % ns)
        if not await self._is_its_own(ns, cache, received):
            log_limited(self._ports.clock, ns, "a direct message for session 0x%x was forged", received.message.session)
            raise Refused("not sent by the session that it names")
        entry, step = await self._step_of(ns, cache, received.message, unfinished(cache.head))
        if step.begins:
            raise Refused("namespace %s: the heartbeat is to begin, and only what comes again can see to that" % ns)
        if step.head.closing:
            raise Refused("namespace %s: the end of a session takes several commits, and only a batch comes again" % ns)
        if not step.writes:
            await self._confirm(ns, cache)
        return entry, step

    async def _is_its_own(self, ns: str, cache: Cache, received: Received) -> bool:
        """Whether the session that it names sent it, or there is no such session, which is what it is told then."""
        message, sessions = received.message, cache.snapshot.sessions
        if begins(message):
            return received.is_ours or is_sender(message, received.delivery.body, None)
        if message.session not in sessions:
            await prefetch(self._ports, ns, cache, calls_of([message]))
        if message.session not in sessions:
            await load(self._ports, ns, cache, Missing(sessions={message.session}))
        session = sessions.get(message.session)
        return session is None or received.is_ours or is_sender(message, received.delivery.body, session)

    async def is_fanned_out(self, ns: str) -> bool:
        """Whether the fan-out of the last commit is over: if nobody but who watches was to be told, they are told here.

        Of a session that was closed, its client knows: what it leaves is removed here. Without `Ports.events` it is
        over only if nobody watches. BackendError: it is not over.
        """
        cache = self._cache.get(ns)
        if cache is None:
            return False
        head = cache.head
        if self._fan_out.upto(ns) != head.zxid:
            answers = any(not is_functions(inbox) for inbox, _, _ in head.answers)
            others = answers or head.moved or head.garbage or any(ended.expired for ended in head.ended)
            begins = self._ports.timer is not None and head.ticking == head.zxid
            if others or begins or not await push_events(self._ports, ns, head):
                return False
            if head.ended:
                await remove_leftovers(self._ports, ns, head, [])
            self._fan_out.note(ns, head.zxid)
        return True

    async def _finish_fan_out(self, ns: str, cache: Cache) -> None:
        """What a direct write has left to be told, before anything else is done. Conflict if it is not the last one."""
        head = cache.head
        if self._fan_out.upto(ns) != head.zxid:
            await self._confirm(ns, cache)
            await self._tell(ns, head, 0 < head.ticking == head.zxid)

    async def recover(self, ns: str) -> Head:
        """The head, after making sure that its last commit was fanned out."""
        cache = self._cache[ns] = await self._wake(ns, [])
        return cache.head

    async def _wake(self, ns: str, messages: Sequence[Received]) -> Cache:
        """The namespace as it is, with everything done that its last commit left to do."""
        asked = [each.message for each in messages]
        found, journal_until_ms = await load_head_and_journal(self._ports, ns)
        head = found or fresh_head(self._ports)
        if head.reserved is not None:
            head = await complete_reservation(self._ports, ns, head, asked)
        cache = Cache(head, self._super_id, journal_until_ms)
        if self._fan_out.upto(ns) != head.zxid:
            telling = self._tell(ns, undelivered(head, asked), 0 < head.ticking == head.zxid)
            if self._ports.store.capabilities.has_latency:
                await prefetch_meanwhile(telling, self._ports, ns, cache, asked[: _fitting(messages)])
            else:
                await telling
        return cache

    async def _look(self, ns: str) -> Cache:
        """The namespace as it is, for who leaves it to others to do what its last commit left to do."""
        head, journal_until_ms = await load_head_and_journal(self._ports, ns)
        if head is None or head.reserved is not None:
            raise Conflict("namespace %s: its last commit is not over" % ns)
        return Cache(head, self._super_id, journal_until_ms)

    async def _handle(self, ns: str, cache: Cache, messages: List[Received]) -> None:
        messages = [each for each in messages if not cache.head.handled.covers(each.delivery.position)]
        inboxes = {each.message.inbox for each in messages}
        done = {inbox: first + len(results) for inbox, first, results in cache.head.answers if inbox in inboxes}
        messages = await self._sent_by_sessions(ns, cache, [each for each in messages if not _is_done(each, done)])
        await self._finish_closing(ns, cache, done)
        while messages:
            count = _fitting(messages)
            entries = _entries(messages[:count], done)
            most = len(entries)
            while entries:
                handled = await self._write(ns, cache, entries[:most], done)
                most = 2 * handled  # what has not fitted once need not all be worked out each time
                done.update((entry.inbox, entry.number + 1) for entry in entries[:handled])
                entries = entries[handled:]
                await self._finish_closing(ns, cache, done)
            messages = messages[count:]
        cache.trim()
        self._cache[ns] = cache

    async def _sent_by_sessions(self, ns: str, cache: Cache, messages: List[Received]) -> List[Received]:
        """Without those that others than the sessions sent that they name: these are set aside.

        Of a session that is gone nobody can tell who sent it. That it is gone is told to the inbox without an answer,
        which would be somebody else's there if a message was forged.
        """
        clients = [each for each in messages if not each.delivery.internal and not begins(each.message)]
        unknown = {each.message.session for each in clients} - cache.snapshot.sessions.keys()
        if unknown:  # with what their messages will need
            await prefetch(self._ports, ns, cache, calls_of([each.message for each in clients][: _fitting(messages)]))
        unknown -= cache.snapshot.sessions.keys()
        if unknown:
            await load(self._ports, ns, cache, Missing(sessions=unknown))
        sent, gone = [], []
        for each in messages:
            message, session = each.message, cache.snapshot.sessions.get(each.message.session)
            if each.delivery.internal or is_sender(message, each.delivery.body, session):
                sent.append(each)
            elif session is None and message.session and not begins(message):
                gone.append(Pushed(message.inbox, encode_note(EndedNote(message.session, True))))
            else:
                log_limited(self._ports.clock, ns, "a message for session 0x%x was forged", message.session)
        if gone:
            await self._confirm(ns, cache)
            await self._ports.inboxes.push(gone)
        return sent

    async def _finish_closing(self, ns: str, cache: Cache, done: Dict[str, int]) -> None:
        """Deletes what is left of sessions that ended with too many ephemerals for one commit."""
        while cache.head.closing:
            sweeps = [Entry("", 0, Call(0, "", Sweep(cache.head.closing[0])))]
            await self._write(ns, cache, sweeps, done)

    async def _tell(self, ns: str, head: Head, begins: bool, looked: Optional[Rows] = None) -> None:
        """Fans out the head's commit. It is committed: whatever goes wrong here must be tried again, not set aside.

        ``begins``: there is something to end from now on. Ticks begin after the commit: one that came before it would
        find nothing to come back for.
        """
        try:
            await distribute(self._ports, ns, head, looked)
            if begins and self._ports.timer is not None:
                await self._ports.timer.wake(ns)
                self._woken_at[ns] = self._ports.clock.monotonic()
        except Exception as error:
            raise Unknown("fan-out of zxid %d: %r" % (head.zxid, error)) from error
        self._fan_out.note(ns, head.zxid)

    def _may_have_stopped(self, ns: str) -> bool:
        """Whether it is long ago that this instance woke the heartbeat: what keeps it going may be lost."""
        return self._ports.clock.monotonic() - self._woken_at.get(ns, float("-inf")) > REWAKE_S

    async def _write(self, ns: str, cache: Cache, entries: Sequence[Entry], done: Dict[str, int]) -> int:
        """Applies and commits as many of the requests as fit; how many. ``done``: what of the batch is done before."""
        assumes = self._ports.commit_and_look is not None
        step = await next_step(self._ports, ns, cache, entries, done, assumes)
        if not step.writes and self._shares and cache.head.zxid:
            step = recorded(self._ports, ns, cache, step, done)
        if not step.writes:
            await self._confirm(ns, cache)
            request_log.log_done(ns, step.entries, step.results)
            await self._answer(cache.head, step.answers)
            return len(step.entries)
        begins = step.begins or (step.head.ticking == step.head.zxid and self._may_have_stopped(ns))
        try:
            looked = await self._commit_and_look(ns, step)
        except Taken:
            if not cache.assumed:
                raise
            await self._load_assumed(ns, cache)
            return await self._write(ns, cache, entries, done)
        except StorageFull as error:
            log.error("namespace %s: %d requests refused: %s", ns, len(step.entries), error)
            refusals = [Result(Error.STORAGE_FULL, None, cache.head.zxid)] * len(step.entries)
            await self._answer(cache.head, answers_of(step.entries, refusals))
            return len(step.entries)
        request_log.log_done(ns, step.entries, step.results)
        # Who asked waits; if this fails, what is known here is dropped anyway.
        await self._tell(ns, step.head, begins, looked)
        cache.advance(step.changes, step.head, step.stored)
        return len(step.entries)

    async def _commit_and_look(self, ns: str, step: Step) -> Optional[Rows]:
        """Commits; what is registered where something changed, if that comes along."""
        at_once = self._ports.commit_and_look
        partitions = [] if at_once is None or step.promise is not None else watched_partitions(ns, step.head)
        if at_once is not None and partitions:
            return await at_once(step.writes, partitions, wake_note(step.head))
        await self._commit(step.writes, step.promise)
        return None

    async def _commit(self, writes: List[Write], promise: Optional[Tuple[Put, Put]]) -> None:
        """All at once, or the head with the promise first and then the node: see reserve.py."""
        if promise is None:
            return await self._ports.store.commit(writes)
        head, node = promise
        await self._ports.store.commit([head])
        try:
            await self._ports.store.commit([node])
        except StorageFull as error:
            raise Unknown("reserved, and not written: %s" % error) from error

    async def _confirm(self, ns: str, cache: Cache) -> None:
        """Before something is answered that no commit checks: that all of it was read under this very head."""
        (item,) = await self._ports.store.get([layout.head_key(ns)])
        if (0 if item is None else item.rev) != cache.head.zxid:
            raise Conflict("namespace %s: somebody else wrote" % ns)

    async def _answer(self, head: Head, answers: Sequence[Tuple[str, int, List[Any]]]) -> None:
        """Answers of a batch that changed nothing: there is no commit, and so nothing to redo."""
        trigger_log = trigger_log_of(head.zxid, head.since, head.triggers)
        most, told = self._ports.store.capabilities.answer_bytes, []
        for note, (inbox, first, results) in zip(answer_notes(answers, trigger_log), answers):
            if len(note.body) > most:
                refusals = [Result(Error.TOO_LARGE, None, head.zxid)] * len(results)
                (note,) = answer_notes([(inbox, first, refusals)], trigger_log)
            told.append(note)
        await self._ports.inboxes.push(told)


def _decoded(ports: Ports, ns: str, batch: Sequence[Delivery]) -> List[Received]:
    """The messages of a batch, without those that nobody may send: they are set aside, whoever sent them."""
    found = []
    for delivery in batch:
        try:
            message = decode(delivery.body)
            why = refusal(ns, message, delivery.internal)
        except Malformed as error:
            why = str(error)
        if why:
            log_limited(ports.clock, ns, "a message of %d bytes is set aside: %.300s", len(delivery.body), why)
        else:
            found.append(Received(message, delivery))
    return found


async def _definite(work: Awaitable[T]) -> T:
    """What comes before a direct write's own commit: whatever is unknown of it, the write itself was not done."""
    try:
        return await work
    except Unknown as error:
        raise Unavailable(str(error)) from error


def _direct(ns: str, sent: Union[bytes, Message]) -> Received:
    """A direct message, as far as that can be said without its session. Refused if nobody may send it so."""
    is_ours = isinstance(sent, Message)
    body = b"" if isinstance(sent, Message) else sent
    try:
        message = sent if isinstance(sent, Message) else decode(sent)
        why = refusal(ns, message, internal=False)
    except Malformed as error:
        raise Refused(str(error)) from None
    if why:
        raise Refused(why)
    if len(message.requests) != 1 or not isinstance(message.requests[0], INVOKED):
        raise Refused("only one request of a session is done directly")
    return Received(message, Delivery(body, internal=False), is_ours)


def refusal(ns: str, message: Message, internal: bool) -> str:
    """Why a message may not be in this namespace's queue; nothing if it may.

    ``internal``: a function sent it. A client speaks for its own connection alone: a session that it opens or attaches
    to is at the inbox that it asks from, since whatever is given up with it (registrations, the inbox) is that one's.
    """
    if not is_namespace(ns):
        return "no namespace"
    if not internal and not is_inbox(message.inbox):
        return "%r is no client's inbox" % message.inbox[:100]
    for request in message.requests:
        if isinstance(request, INTERNAL) and not internal:
            return "of %s: only the heartbeat may ask for this" % message.inbox
        if isinstance(request, (Open, Attach)) and request.inbox != message.inbox:
            return "of %s: it asks for a session at another inbox" % message.inbox
        if foreign(ns, request):
            return "of %s: it names data that it can't have laid down in this namespace" % message.inbox
    return ""


def _is_of_here(error: BaseException) -> bool:
    """Whether it was raised by code of this package."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and str(at.tb_frame.f_globals.get("__name__")).partition(".")[0] == "fk_backend"


def _is_done(received: Received, done: Dict[str, int]) -> bool:
    message = received.message
    return message.first + len(message.requests) <= done.get(message.inbox, 0)


def _fitting(messages: Sequence[Received]) -> int:
    """How many of the messages go into one commit; at least one."""
    calls = size = 0
    for count, (message, delivery, _) in enumerate(messages):
        calls += len(message.requests)
        size += len(delivery.body)
        if count and (calls > MAX_CALLS or size > MAX_BYTES):
            return count
    return len(messages)


def _entries(messages: Sequence[Received], done: Dict[str, int]) -> List[Entry]:
    """What is left to do of the messages. ``done``: inbox → number below which all is done."""
    entries: List[Entry] = []
    upto = dict(done)
    for message, delivery, _ in messages:
        inbox, last = message.inbox, message.first + len(message.requests) - 1
        for number, request in enumerate(message.requests, message.first):
            if number >= upto.get(inbox, 0):
                call = Call(message.session, inbox, request)
                entries.append(Entry(inbox, number, call, delivery.position, number == last))
                upto[inbox] = number + 1
    return entries
