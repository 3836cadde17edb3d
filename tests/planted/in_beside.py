"""Mistakes with the writer beside a host: what it looks at before it commits, and who tells what it wrote."""

from __future__ import annotations

from functools import partial
from typing import List

from fk_backend.functions import writer
from fk_backend.providers import ticking
from fk_backend.session import direct, machine, reads
from fk_backend.testing.simulation import beside, ports
from fk_backend.writer import distributor

from . import edited

D, M, R = direct.DirectWrites, machine.Machine, reads.Reads
W, B = writer.Writer, beside.BesideStore
NAMES: List[str] = []
"""Of the bugs here: they are looked for in worlds in which somebody writes beside a host."""


IN_TURN: List[str] = []
"""Of those that show where who watches writes in its own thread."""

COMING: List[str] = []
"""Of those that show where sessions are opened and closed all the time."""

edit, in_turn, coming = (partial(edited.edit, names) for names in (NAMES, IN_TURN, COMING))

in_turn(
    "own event after the answer",
    "a write of the caller's own thread is answered before the events of what it did itself",
    M, "has_events_before", "seen < trigger.zxid <= zxid", "seen < trigger.zxid < zxid",
)  # fmt: skip
in_turn(
    "earlier event overtaken",
    "a write of the caller's own thread is answered before the events of what others did before it",
    M, "has_events_before", "seen < trigger.zxid <= zxid", "trigger.zxid == zxid",
)  # fmt: skip
in_turn(
    "list taken for whole",
    "a write of the caller's own thread is answered although the list of triggers does not reach back",
    M, "has_events_before", "if written.since > seen:", "if False:",
)  # fmt: skip
in_turn(
    "done and forgotten",
    "a write of the caller's own thread is answered without the events that the loop should tell first",
    R, "_try_read", "return await self._show(tag, op.result, op.trigger_log)", "return self._reply(tag, op.result)",
)  # fmt: skip
edit(
    "word looked at before",
    "what the host begins with after the write was begun is overlooked",
    B, "_may", "if not self._deployment.is_free():", "if False:",
)  # fmt: skip
edit(
    "told too early",
    "a write beside the host is taken for told before anybody has looked who watches",
    W, "_written", "request_log.log_done(", "self._fan_out.note(ns, step.head.zxid)\n    request_log.log_done(",
)  # fmt: skip
in_turn(
    "woken and not told",
    "a write beside the host is taken for told although there was no room for somebody who watches",
    distributor, "push_events",
    "await ports.events(fired_notes(hits, trigger_log_of(head.zxid, head.since, head.triggers)))",
    """try:
            await ports.events(fired_notes(hits, trigger_log_of(head.zxid, head.since, head.triggers)))
        except Exception:
            pass""", writer,
)  # fmt: skip
in_turn(
    "consumed before told",
    "registrations of who watches are removed before there was room to tell them",
    distributor, "push_events", "if hits:\n", "if hits:\n        await drop_fired(ports, hits)\n", writer,
)  # fmt: skip
edit(
    "beside answered first",
    "a write beside the host is answered although its commit failed",
    W, "_write_directly", "await self._commit(step.writes, None)",
    "try:\n            await self._commit(step.writes, None)\n        except BackendError:\n            pass",
)  # fmt: skip
edit(
    "stale answers",
    "what fails is answered by a head that need not be the last one",
    W, "_write_directly", "await self._confirm(ns, cache)", "pass",
)  # fmt: skip
edit(
    "opened again",
    "an opening that has no answer is sent to the queue as well",
    D, "_ask", "except Unknown:\n        raise\n    except (BackendError, Waits):", "except (BackendError, Waits):",
)  # fmt: skip
coming(
    "rests too early",
    "the heartbeat rests although a session was opened beside the queue while it found that there was none",
    ticking.Ticking, "_may_rest", "return not await self._heartbeat(ns) and", "return",
)  # fmt: skip
coming(
    "opened unseen",
    "a session is opened beside the queue while the heartbeat rests",
    ports.Deployment, "is_free", "and self.is_looked_after()", "",
)  # fmt: skip
