"""A write as one synchronous invocation of the writer: nothing of it is queued, and its answer is the response.

Both ends of it: what a client invokes (`Invocations`), and the event and the response (`event`, `asked`, `answer`).
An event is one message in base64, at most 64 KiB of request (`session.direct`), and its response that request's answer
and the head's recent triggers: both are far below the 6 MB that Lambda takes either way.

Sources: Lambda API Reference, "Invoke" (errors, RequestResponse, Qualifier); Lambda Developer Guide, "Lambda quotas".
"""

from __future__ import annotations

import base64
import json
import logging
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

from ... import codec
from ...core.requests import Result
from ...errors import BackendError, Conflict, Unavailable, Unknown
from ...messages import Answers, Message, decode_note, encode, encode_note, trigger_log_of
from ...ports import Clock, Written
from ..contention import Contention
from . import names
from .clients import Clients
from .failures import code_of, wrote

log = logging.getLogger(__name__)

MAX_EVENT_BYTES = 1 << 20
"""Of a message as text, whoever sends it: as much as a queue would take."""
WITHOUT_S = 60.0
"""So long a deployment is left alone that can't be invoked, or not by these credentials."""
_NOT_THERE = ("ResourceNotFoundException", "AccessDeniedException", "AccessDenied", "UnknownOperationException")
"""Of these, nothing was invoked: an older deployment has no such alias, an older policy no such permission."""

Event = Dict[str, Any]


# --- what travels ---------------------------------------------------------------------------------


def event(ns: str, body: bytes) -> Event:
    """For a writer that is invoked directly. One of an older release takes it for a batch of nothing."""
    return {"Records": [], "ns": ns, "message": base64.b64encode(body).decode()}


def asked(event: Any) -> Optional[Tuple[str, bytes]]:
    """The namespace and the message of an event, whoever sent it; None if it is none."""
    found = event if isinstance(event, dict) else {}
    ns, text = found.get("ns"), found.get("message")
    if not isinstance(ns, str) or not isinstance(text, str) or len(text) > MAX_EVENT_BYTES:
        return None
    try:
        return ns, base64.b64decode(text, validate=True)
    except ValueError:
        return None


def answer(written: Written, conflicts: int) -> Event:
    """What was done. ``conflicts``: how often others were first meanwhile."""
    trigger_log = trigger_log_of(written.zxid, written.since, written.triggers)
    note = encode_note(Answers(0, [written.result], trigger_log))
    return {"note": base64.b64encode(note).decode(), "conflicts": conflicts}


def refusal(error: BackendError) -> Event:
    """That nothing was done, and nothing will be. What the queue does better just this once is no conflict."""
    return {"refused": str(error)[:300], "conflicts": int(isinstance(error, (Conflict, Unavailable)))}


class WriterResponse(NamedTuple):
    """A response; ``written`` is None if nothing was done."""

    written: Optional[Written]
    conflicts: int
    why: str = ""


def told(response: bytes) -> Optional[WriterResponse]:
    """A response; None if it is that of a writer that knows of no direct messages. Unknown if it is none."""
    try:
        found = json.loads(response)
        if "refused" in found:
            return WriterResponse(None, int(found["conflicts"]), str(found["refused"]))
        if "note" not in found and found.get("batchItemFailures") == []:
            return None
        note = decode_note(base64.b64decode(found["note"], validate=True))
        (code, value, zxid) = note.results[0]
        trigger_log = note.trigger_log
        written = Written(Result(code, value, zxid), trigger_log.zxid, trigger_log.since, tuple(trigger_log.triggers()))
        return WriterResponse(written, int(found["conflicts"]))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, codec.Malformed) as error:
        raise Unknown("the writer's response can't be understood: %r" % error) from error


# --- the client's end -----------------------------------------------------------------------------


class Invocations:
    """`ports.Direct`: asked once, since whatever is asked twice may be done twice."""

    never_waits = False

    def __init__(self, clients: Clients, deployment: str, clock: Clock) -> None:
        self._clients = clients
        self._function = names.function(deployment, names.WRITER)
        self._clock = clock
        self._contention: Dict[str, Contention] = {}
        """By namespace."""
        self._without_until = float("-inf")

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`. Others' writes, throttles and a deployment without it: the queue, for a while."""
        now = self._clock.monotonic()
        contention = self._contention.setdefault(ns, Contention())
        contention.about_to(message, now)
        if now < self._without_until or not contention.is_due(now):
            return None
        try:
            told = await self._invoke(event(ns, encode(message, key)))
        except Unknown:
            raise
        except BackendError as error:
            if error.__cause__ is not None and code_of(error.__cause__) in _NOT_THERE:
                log.info("writes go to the queue: %s", error)
                self._without_until = now + WITHOUT_S
            else:
                contention.met(self._clock.monotonic())
            return None
        if told is None:
            self._without_until = now + WITHOUT_S
            return None
        if told.conflicts:
            contention.met(self._clock.monotonic())
        elif told.written is not None:
            contention.alone()
        if told.why:
            log.debug("namespace %s: a write goes to the queue: %s", ns, told.why)
        return told.written

    async def _invoke(self, event: Event) -> Optional[WriterResponse]:
        """Unknown: it may be under way for as long as the function may run, and nobody can stop it."""
        functions = await self._clients.functions()
        response = await wrote(
            functions.invoke(
                FunctionName=self._function,
                Qualifier=names.DIRECT,
                InvocationType="RequestResponse",
                Payload=json.dumps(event).encode(),
            )
        )
        try:
            payload = await response["Payload"].read()
        except Exception as error:  # whatever the library raises where a body is cut short
            raise Unknown(repr(error)) from error
        if response.get("FunctionError"):
            raise Unknown("the writer failed: %.300s" % payload.decode(errors="replace"))
        return told(payload)

    def in_turn(self, has_turn: Callable[[], bool]) -> None:
        """`ports.Direct.in_turn`: it waits, so nobody asks."""

    def finish_fan_out(self, ns: str) -> None:
        """`ports.Direct.finish_fan_out`: the function has seen to it."""


def wanted(options: Mapping[str, str], endpoint: str, functions: str) -> bool:
    """Whether writes may be invocations: not with ``via=queue``, nor where AWS is emulated and its functions are not.

    ``endpoint``, ``functions``: where the interfaces of all of AWS and of Lambda are, if not at their usual places.
    """
    return options.get("via") != "queue" and (not endpoint or bool(functions))
