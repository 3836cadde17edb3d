"""Mistakes of the client's half: the order of what is shown, watches, beats."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any

from fk_backend import layout
from fk_backend.core import acls
from fk_backend.core.acls import SUPER
from fk_backend.core.requests import Result
from fk_backend.errors import BackendError
from fk_backend.messages import message_id
from fk_backend.ports import after
from fk_backend.session import beats, direct, engine, machine, owned, reading, sending, watchlist
from fk_backend.session.machine import AWAITING, DO_READ, DO_WRITE, FULL, READ, WRITE
from fk_backend.session.ops import Exists

from .bug import plant, swap
from .edited import changed

D = direct.DirectWrites
S, R, L = engine.Session, reading.Reader, watchlist.WatchList
M, STEPS = machine.Machine, machine.STEPS
register, reader_read, catch_up, fire = R._register, R.read, S._catch_up, L.fire
take_fired, missed = S._take_fired, watchlist.missed
counter = itertools.count()


swap(
    "reads overtake writes",
    "reads do not wait for earlier writes",
    (STEPS, (AWAITING, READ), DO_READ),
    (STEPS, (FULL, READ), DO_READ),
)
swap(
    "unknown as new",
    "a direct write that may have been done is sent",
    (D, "_ask", changed(D, "_ask", "except Unknown:", "except ZeroDivisionError:")),
)
swap(
    "direct overtakes",
    "a direct write does not wait for those on their way",
    (STEPS, (AWAITING, WRITE), DO_WRITE),
)
swap(
    "direct before events",
    "the answer of a direct write is shown before the events that it shows",
    (
        D,
        "_write_direct",
        changed(
            D,
            "_write_direct",
            "await self._arrived(tag, op, written)",
            "machine.shown(written.zxid); await self._arrived(tag, op, written)",
        ),
    ),
)


@plant("a node is read before its watch is registered", (R, "_register"))
async def read_before_registering(self: Any, path: str, mode: str) -> int:
    self._numbers += 1
    number = self._numbers

    async def late() -> None:
        await asyncio.sleep(0.02)
        key = layout.registration_key(self._ns, path, mode, self.inbox)
        with contextlib.suppress(BackendError):
            await self._store.commit([reading.Put(key, reading.Item(number, b""), owner=self.inbox)])

    self.__dict__["late"] = asyncio.ensure_future(late())
    return number


@plant("a watch is never registered", (R, "_register"))
async def not_registered(self: Any, path: str, mode: str) -> int:
    self._numbers += 1
    return int(self._numbers)


@plant("the watermark moves, and the events up to it are forgotten", (M, "events"))
def events_skipped(self: Any, zxid: int, trigger_log: Any) -> Any:
    return []


@plant("an answer is shown before the events that it shows", (S, "_show"))
async def answer_before_event(self: Any, tag: Any, result: Any, trigger_log: Any = None) -> None:
    if tag is not machine.NO_TAG:
        self._listener.replied(tag, result)
    await self._catch_up(result.zxid, trigger_log)


@plant("a registration that was consumed early is not made again", (S, "_rearm"))
async def no_rearm(self: Any, path: str, mode: str, number: int) -> None:
    return None


swap(
    "a watch has no floor",
    "a change that its read showed fires it",
    (reading, "shown", lambda mode, pair, head_zxid: 0),
)
swap("a watch's floor is the head", "a change between the read and the head is no news",
     (reading, "shown", lambda mode, pair, head_zxid: 1 << 40))  # fmt: skip


@plant("a watch that fired stays armed", (L, "drop"))
def one_shot_stays(self: Any, watch: Any) -> None:
    return None


@plant("answers that were heard are heard again", (M, "next_answers"))
def answered_twice(self: Any) -> Any:
    for first in sorted(self._answers):
        if first > self.awaited or not self.in_flight:
            return None
        return self._answers.pop(first)
    return None


@plant("a session does not beat", (beats, "beat"))
async def no_beats(gateway: Any, ns: str, session: int) -> None:
    return None


@plant("being out of touch is not noticed", (S, "overdue"))
def never_overdue(self: Any) -> bool:
    return False


@plant("who has to look at the registrations does not", (R, "reconcile"))
async def no_reconciliation(self: Any, zxid: int, trigger_log: Any) -> Any:
    return []


@plant("a listing is not of one moment", (R, "_family"))
async def torn_listing(self: Any, path: str) -> Any:
    pair = await self._pair(path)
    page = await self._store.query(
        reading.STATE, layout.node_partition(self._ns, path), layout.CHILDREN, after(layout.CHILDREN)
    )
    return pair, [sort[1:] for sort, _ in page.rows]


@plant("exists leaves no watch on a missing node", (R, "read"))
async def no_watch_on_the_missing(self: Any, op: Any, identities: Any) -> Any:
    read = await reader_read(self, op, identities)
    return read._replace(watch=None) if isinstance(op, Exists) and read.result.code else read


@plant("a read comes from a cache", (R, "read"))
async def stale_reads(self: Any, op: Any, identities: Any) -> Any:
    kept = self.__dict__.setdefault("kept", {})
    if op not in kept:
        kept[op] = await reader_read(self, op, identities)
    return kept[op]


@plant("a deletion is told to each watch of the node", (L, "fire"))
def deletion_fires_half(self: Any, trigger: Any) -> Any:
    watch = next(iter(self.on(trigger.path)), None)
    event = fire(self, trigger)
    if event is not None and watch is not None and trigger.kind == 2 and watch.mode == "data":
        self.arm(watch)
    return event


@plant("an expired session is said to be lost", (S, "_land"))
async def close_unanswered(self: Any, answers: Any) -> None:
    for code, value, zxid in answers.results[:1]:
        pending = self._machine.in_flight.popleft()
        self._machine.awaited = pending.number + 1
        await self._show(pending.tag, Result(code, value, zxid), answers.trigger_log)


@plant("what a connection registered is left when it ends", (R, "leave"))
async def registrations_left(self: Any) -> None:
    return None


tries = itertools.count(1)


@plant("what is sent again is a new message to the queue", (sending, "message_id"))
def resent_as_new(inbox: str, first: int) -> str:
    return message_id(inbox, first + 1000 * next(tries))


swap("a torn node is taken", "a node and what its children changed are of two moments",
     (reading.layout, "torn", lambda items: False))  # fmt: skip


@plant("a family that was removed is taken for the one of the node that came after it", (reading.layout, "torn"))
def a_removed_family_stays(items: Any) -> bool:
    node, family = items
    if node is None:
        return False
    if layout.codec.loads(node.body)[0] > (0 if family is None else family.rev):
        return True
    return family is not None and layout.codec.loads(family.body)[0] > node.rev


swap("beats are forgotten", "a session that owns something does not beat, where beats are dear",
     (owned.OwnedEphemerals, "__bool__", lambda self: self._always))  # fmt: skip


@plant("a session asks for what it owns before its first beat was heard", (S, "_begins_to_own"))
def not_heard_yet(self: Any, op: Any) -> bool:
    if self._lease.begins_to_own(op):
        self._lease.contact_s = self._gateway.clock.monotonic()
        self._beat_wakeup.set()
    return False


swap(
    "everybody may know",
    "a session is told of what it may not read",
    (acls, "may_know", lambda readers, identities: True),
)


@plant("a watch that is not told of a change goes on waiting", (L, "fire"))
def unheard_stays(self: Any, trigger: Any) -> Any:
    waiting = [watch for watch in self.all() if watch.path == trigger.path]
    event = fire(self, trigger)
    for watch in waiting if event is None else ():
        self.arm(watch)
    return event


@plant("a node is judged by no ACL where the list does not reach back", (reading, "missed"))
def told_of_secrets(watch: Any, pair: Any, head_zxid: int, identities: Any) -> Any:
    return missed(watch, pair, head_zxid, (SUPER,))


@plant("what came before a credential is judged with it", (L, "_at"))
def credential_too_early(self: Any, zxid: int) -> Any:
    return self._was[-1][1]


@plant("a push is heard while a credential is on its way", (S, "_take_fired"))
async def heard_too_early(self: Any, note: Any) -> None:
    state = self._machine
    in_flight, state.in_flight = state.in_flight, type(state.in_flight)()
    try:
        await take_fired(self, note)
    finally:
        state.in_flight = in_flight
