"""Mistakes with the writer that is invoked beside the queue's: who fences whom, what comes again, what is told."""

from __future__ import annotations

from functools import partial
from typing import Any, List

from fk_backend.errors import Refused, Unavailable, Unknown
from fk_backend.functions import writer
from fk_backend.session import direct, inbox, machine, sending
from fk_backend.session.machine import AWAITING, DO_WRITE, WRITE
from fk_backend.writer import reservation, step

from . import edited
from .bug import plant, swap

D, Q, W = direct.DirectWrites, sending.QueuedWrites, writer.Writer
complete_reservation, write_for = reservation.complete_reservation, W.write_for
NAMES: List[str] = []
"""Of the bugs here: they are looked for in worlds in which writers are invoked."""


edit = partial(edited.edit, NAMES)

edit(
    "no fence after unknown",
    "an invocation without an answer is sent to the queue",
    D, "_ask", "except Unknown:", "except ZeroDivisionError:",
)  # fmt: skip
swap(
    "invocations overtake",
    "an invocation does not wait for what is in the queue",
    (machine.STEPS, (AWAITING, WRITE), DO_WRITE),
)
NAMES.append("invocations overtake")
edit(
    "invoked answer before events",
    "its answer is shown before the events that it shows",
    D, "_write_direct", "await self._arrived(tag, op, written)",
    "machine.shown(written.zxid); await self._arrived(tag, op, written)",
)  # fmt: skip
edit(
    "number is lost",
    "what was not done takes a number with it",
    D, "_write_direct", "machine.put_back(number, tag, op)", "machine.requested.appendleft((tag, op))",
)  # fmt: skip
edit(
    "owner unheard",
    "who invokes the writer for an ephemeral has not beaten before",
    D, "_may_own", "if self._begins_to_own(op):", "if self._begins_to_own(op) and False:",
)  # fmt: skip
edit(
    "moved session writes",
    "an invocation is taken for that of the connection that has the session now",
    W, "_step_of", "Call(message.session, message.inbox, message.requests[0])",
    "Call(message.session, getattr(cache.snapshot.sessions.get(message.session), 'inbox', ''), message.requests[0])",
)  # fmt: skip
edit(
    "invoked and not told",
    "what an invocation committed is told to nobody, and taken for told",
    W, "_write_for", "await self._tell(ns, step.head, begins, looked)", "self._fan_out.note(ns, step.head.zxid)",
)  # fmt: skip
edit(
    "failed by an old head",
    "what an invocation failed by need not be true any more",
    W, "_work_out", "await self._confirm(ns, cache)", "pass",
)  # fmt: skip
edit(
    "cut message forgotten",
    "an invocation forgets how much of a message is done",
    W, "_work_out", "unfinished(cache.head)", "{}",
)  # fmt: skip
edit(
    "kept promise forgotten",
    "an invocation forgets that a promise was kept whose message may come again",
    step, "unfinished", "if head.reserved is not None and head.reserved.inbox:", "if False:", writer,
)  # fmt: skip
edit(
    "unknown taken for definite",
    "a commit of an invocation without an answer is taken for none",
    W, "_write_for", "looked = await self._commit_and_look(ns, step)",
    "looked = await _definite(self._commit_and_look(ns, step))",
)  # fmt: skip


edit(
    "sends before it listens",
    "a write goes to the queue before there is an inbox for its answer",
    Q, "_send", "await self._listen()", "pass",
)  # fmt: skip
edit(
    "nobody looks",
    "what a function that died has told nobody is not looked for",
    inbox.Inbox, "_look", "if len(self._machine.watches):", "if False:",
)  # fmt: skip
edit(
    "looks past a promise",
    "who looks takes a promise for kept, whether its node was written or not",
    inbox.Inbox, "_look", "await self._reader.begun(head)", "head.zxid",
)  # fmt: skip
edit(
    "kept promise not seen",
    "who looks takes a promise for open, although its node was written",
    inbox.Inbox, "_look", "await self._reader.begun(head)", "head.settled",
)  # fmt: skip


@plant("a promise that nobody can keep is left as it is", (writer, "complete_reservation"))
async def promise_of_nobody(ports: Any, ns: str, head: Any, messages: Any) -> Any:
    return head if head.reserved.inbox == "" else await complete_reservation(ports, ns, head, messages)


@plant("the library asks again for an invocation that had no answer", (W, "write_for"))
async def invoked_twice(self: Any, ns: str, body: bytes) -> Any:
    try:
        return await write_for(self, ns, body)
    except (Unknown, Unavailable, Refused):
        return await write_for(self, ns, body)


DESERTED = ["nobody looks", "looks past a promise", "kept promise not seen"]
"""Of who looks for what nobody tells: they show where a function died, and its client with it."""
NAMES += ["promise of nobody", "invoked twice"]
