"""The order of the queue is the order of the tree, and a request is applied at most once.

For each batch of a namespace: load, apply, commit on condition that the head is unchanged, fan out. A batch that is too
much for one commit takes several, of whole messages. A batch that comes again finds in the head which of its messages
are done, and is answered from there. A writer that has lost its batch to another one fails at the commit and stops.
"""

from __future__ import annotations

import logging
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..codec import Malformed
from ..core.apply import apply, needs
from ..core.model import Error, Id
from ..core.requests import Call, Result
from ..core.snapshot import Missing, Outcome, Snapshot
from ..errors import StorageFull, Unknown
from ..layout import Head
from ..messages import INTERNAL, Message, bulletin, decode
from ..ports import Delivery, Ports
from .distributor import answer_notes, distribute, keep
from .loading import fresh_head, load, load_head, snapshot_of, writes_of

log = logging.getLogger(__name__)

KEEP_TRIGGERS = 64
"""How many triggers the head keeps after they are fanned out, for sessions to catch up from."""
MAX_CALLS = 500
"""Requests in one commit."""
MAX_BYTES = 4 << 20
"""Bytes of messages in one commit: what one transaction of the tightest store takes."""


class Entry(NamedTuple):
    """One request on its way: which connection it came from, its number there, and what the core is asked."""

    inbox: str
    number: int
    call: Call


class Sized(NamedTuple):
    """A message, and the bytes that it came in."""

    message: Message
    size: int


class Writer:
    """The writer function. One instance may serve any number of namespaces, one batch of each at a time."""

    def __init__(self, ports: Ports, super_id: Optional[Id] = None) -> None:
        self._ports = ports
        self._super_id = super_id
        self._told: Dict[str, int] = {}
        """Namespace → zxid up to which this instance knows that everything was fanned out."""

    async def __call__(self, ns: str, batch: Sequence[Delivery]) -> None:
        """Handles a batch in order. When it returns, all of it is answered; if it raises, it must be called again."""
        head = await self.recover(ns)
        messages = _decoded(batch)
        inboxes = {message.inbox for message, _ in messages}
        done = {inbox: first + len(results) for inbox, first, results in head.answers if inbox in inboxes}
        while messages:
            count = _fitting(messages)
            entries = _entries(messages[:count], done)
            if entries:
                head = await self._write(ns, head, entries, done)
            messages = messages[count:]

    async def recover(self, ns: str) -> Head:
        """The head, after making sure that its last commit was fanned out."""
        head = await load_head(self._ports, ns) or fresh_head(self._ports)
        if self._told.get(ns) != head.zxid:
            await self._tell(ns, head)
        return head

    async def _tell(self, ns: str, head: Head) -> None:
        """Fans out the head's commit. It is committed: whatever goes wrong here must be tried again, not set aside."""
        try:
            await distribute(self._ports, ns, head)
        except Exception as error:
            raise Unknown("fan-out of zxid %d: %r" % (head.zxid, error)) from error
        self._told[ns] = head.zxid

    async def _write(self, ns: str, head: Head, entries: Sequence[Entry], done: Dict[str, int]) -> Head:
        """Applies and commits some requests; the head after them. ``done``: what of the batch is done with them."""
        snapshot, outcome = await self._apply(ns, head, [entry.call for entry in entries])
        answers = _answers(entries, outcome.results)
        if outcome.zxid == head.zxid:
            await self._answer(head, answers)
            return head
        after = _next_head(head, outcome, answers, done)
        try:
            await self._ports.store.commit(writes_of(ns, snapshot, outcome.changes, after))
        except StorageFull as error:
            log.error("namespace %s: %d requests refused: %s", ns, len(entries), error)
            refusals = [Result(Error.STORAGE_FULL, None, head.zxid)] * len(entries)
            await self._answer(head, _answers(entries, refusals))
            return head
        await self._tell(ns, after)
        return after

    async def _apply(self, ns: str, head: Head, calls: List[Call]) -> Tuple[Snapshot, Outcome]:
        snapshot = snapshot_of(head, self._super_id)
        now_ms = self._ports.clock.now_ms()
        wanted = needs(calls)
        while True:
            await load(self._ports, ns, snapshot, wanted)
            try:
                return snapshot, apply(snapshot, calls, now_ms)
            except Missing as missing:
                wanted = missing

    async def _answer(self, head: Head, answers: Sequence[Tuple[str, int, List[Any]]]) -> None:
        """Answers of a batch that changed nothing: there is no commit, and so nothing to redo."""
        board = bulletin(head.zxid, head.since, head.triggers)
        await self._ports.inboxes.push(answer_notes(answers, board))


def _decoded(batch: Sequence[Delivery]) -> List[Sized]:
    """The messages of a batch, without what can't be one: that is set aside, its sender can't be known."""
    found = []
    for delivery in batch:
        message = _message(delivery)
        if message is not None:
            found.append(Sized(message, len(delivery.body)))
    return found


def _message(delivery: Delivery) -> Optional[Message]:
    try:
        message = decode(delivery.body)
    except Malformed as error:
        log.error("message of %d bytes set aside: %s", len(delivery.body), error)
        return None
    if not delivery.internal and any(isinstance(request, INTERNAL) for request in message.requests):
        log.error("message of %s set aside: only the heartbeat may ask for this", message.inbox)
        return None
    return message


def _fitting(messages: Sequence[Sized]) -> int:
    """How many of the messages go into one commit; at least one."""
    calls = size = 0
    for count, (message, length) in enumerate(messages):
        calls += len(message.requests)
        size += length
        if count and (calls > MAX_CALLS or size > MAX_BYTES):
            return count
    return len(messages)


def _entries(messages: Sequence[Sized], done: Dict[str, int]) -> List[Entry]:
    """What is left to do of the messages. ``done``, inbox → number below which all is done, goes on accordingly."""
    entries: List[Entry] = []
    for message, _ in messages:
        inbox = message.inbox
        for number, request in enumerate(message.requests, message.first):
            if number >= done.get(inbox, 0):
                entries.append(Entry(inbox, number, Call(message.session, inbox, request)))
                done[inbox] = number + 1
    return entries


def _answers(entries: Sequence[Entry], results: Sequence[Result]) -> List[Tuple[str, int, List[Any]]]:
    """Results by connection: (inbox, number of the first, results), numbers being consecutive."""
    by_inbox: Dict[str, Tuple[int, List[Any]]] = {}
    for entry, result in zip(entries, results):
        by_inbox.setdefault(entry.inbox, (entry.number, []))[1].append(result)
    return [(inbox, first, found) for inbox, (first, found) in by_inbox.items()]


def _next_head(
    head: Head, outcome: Outcome, answers: Sequence[Tuple[str, int, List[Any]]], done: Dict[str, int]
) -> Head:
    """The head of this commit. That it is made says that the last one was fanned out.

    What else of the batch is done is noted as answers of nothing: if the batch comes again, it must not be done again.
    """
    triggers, dropped = keep((*head.triggers, *outcome.triggers), head.zxid, KEEP_TRIGGERS)
    answered = {inbox for inbox, _, _ in answers}
    return Head(
        outcome.zxid,
        head.namespace_id,
        head.zxid,
        max(head.since, dropped),
        triggers,
        (*answers, *((inbox, upto, []) for inbox, upto in sorted(done.items()) if inbox not in answered)),
        tuple(outcome.ended),
        tuple(outcome.moved),
    )
