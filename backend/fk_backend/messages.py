"""What travels: requests towards the writer, answers and events back. Input is untrusted until it is decoded here.

A message numbers the requests of one connection (``inbox``) from ``first`` on. Its id, by which a queue drops
what it has seen, is :func:`message_id`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Type

from . import codec
from .codec import Malformed
from .core.acls import OPEN_ACL
from .core.model import Acl, Blob, Data, Trigger, plain
from .core.requests import (
    Attach,
    Auth,
    Call,
    Check,
    Close,
    Create,
    Delete,
    Expire,
    Multi,
    Open,
    Reap,
    Request,
    SetAcl,
    SetData,
    StopTicking,
    WatchSubtrees,
)
from .mac import TAG_BYTES, tag
from .triggers import packed_text, unpacked

FORMAT = 2
MAX_REQUESTS = 500
"""Requests in one message."""
MAX_PARTS = 100_000
"""Operations in one multi, entries in one ACL: more than fit a request of ZooKeeper's size."""
MAX_NUMBER = 1 << 62
"""Of a request in its connection."""

INTERNAL = (Expire, Reap, StopTicking)
"""Requests that only the heartbeat may send."""


class Position(NamedTuple):
    """Where in its queue a message is: its number, and when it was sent, in ms since the epoch.

    ``sequence`` grows from message to message of a group, and is the same when a message comes again. By it a writer
    that was handed a batch, and was so late that others have gone on long since, sees that nothing is left to do. 0: no
    number, from a queue that never hands anything to a second writer while the first one may still be at it.

    Numbers are those of one queue, and a queue may be made anew, or a store be restored beside another one. So what was
    sent at times that are far apart is in the order of these: a queue that is deleted can be made again after 60 s (SQS
    API Reference, DeleteQueue).
    """

    sequence: int = 0
    sent_ms: int = 0

    def covers(self, other: "Position") -> bool:
        """Whether everything at the other one is done when everything up to here is."""
        if other.sequence == 0:
            return False
        if self.sent_ms and other.sent_ms and abs(other.sent_ms - self.sent_ms) > FAR_APART_MS:
            return other.sent_ms < self.sent_ms
        return other.sequence <= self.sequence

    def later(self, other: "Position") -> "Position":
        """The one of the two that covers the other one; this one if the other one has no number."""
        return other if other.sequence > 0 and not self.covers(other) else self


FAR_APART_MS = 30_000
"""Of messages of one queue, the one with the greater number may have been sent earlier by far less: clocks differ."""


class Message(NamedTuple):
    """Consecutive requests of one connection. ``session`` is 0 until it is open.

    ``answered`` is a hint: a zxid up to which the sender has its answers; 0, as in a message without it, says nothing.
    """

    inbox: str
    session: int
    first: int
    requests: Tuple[Request, ...]
    answered: int = 0


class Entry(NamedTuple):
    """One request on its way: of which connection (none: ""), its number there, and what the core is asked.

    ``position`` is its message's, and it may be the ``last`` request in it.
    """

    inbox: str
    number: int
    call: Call
    position: Position = Position()
    last: bool = False

    @property
    def handled(self) -> Position:
        """Up to where every message is done once this request is: messages come in order."""
        return self.position if self.last else self.position._replace(sequence=self.position.sequence - 1)


def message_id(inbox: str, first: int) -> str:
    """The id that makes a resent message the same message."""
    return "%s-%d" % (inbox, first)


def split_id(identity: str) -> Tuple[str, int]:
    """(inbox, number of the first request) of a message id."""
    inbox, _, first = identity.rpartition("-")
    return inbox, int(first)


# --- requests -----------------------------------------------------------------------------------

_KINDS: Dict[str, Type[Any]] = {
    kind.__name__: kind
    for kind in (
        Create,
        Delete,
        SetData,
        SetAcl,
        Check,
        Multi,
        Auth,
        Open,
        Attach,
        Close,
        Expire,
        Reap,
        StopTicking,
        WatchSubtrees,
    )
}
_INT64 = 1 << 63
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character: nothing that stores UTF-8 can hold it."""


def _int(value: Any) -> int:
    if not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise Malformed("int64 expected")
    return int(value)  # True is 1 to an app, and comes as true


def _int32(value: Any) -> int:
    number = _int(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise Malformed("int32 expected")
    return number


def _str(value: Any) -> str:
    if type(value) is not str or not (value.isascii() or _HALF.search(value) is None):
        raise Malformed("string expected")
    return value


def _text(value: Any) -> Optional[str]:
    return None if value is None else _str(value)


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Malformed("bool expected")
    return value


def _bytes(value: Any) -> bytes:
    if type(value) is not bytes:
        raise Malformed("bytes expected")
    return value


def _data(value: Any) -> Data:
    if isinstance(value, list) and len(value) == 2:
        key, size = _str(value[0]), _int(value[1])
        if size < 0:
            raise Malformed("size of a blob")
        return Blob(key, size)
    return None if value is None else _bytes(value)


def _list(value: Any, limit: int) -> List[Any]:
    if type(value) is not list or len(value) > limit:
        raise Malformed("list of at most %d expected" % limit)
    return value


_OPEN = [list(entry) for entry in OPEN_ACL]


def _acl(value: Any) -> Tuple[Acl, ...]:
    if value == _OPEN and type(value[0][0]) is int:
        return OPEN_ACL
    return tuple(Acl(_int32(p), _str(s), _str(i)) for p, s, i in (_list(entry, 3) for entry in _list(value, MAX_PARTS)))


def _ops(value: Any) -> Tuple[Request, ...]:
    ops = tuple(_request(op) for op in _list(value, MAX_PARTS))
    if not all(isinstance(op, (Create, Delete, SetData, SetAcl, Check)) for op in ops):
        raise Malformed("a multi holds tree operations only")
    return ops


_FIELDS: Dict[str, Callable[[Any], Any]] = {
    "path": _str, "data": _data, "acl": _acl, "flags": _int32, "ttl_ms": _int, "with_stat": _bool, "version": _int32,
    "ops": _ops, "scheme": _str, "credential": _str, "password_hash": _bytes, "timeout_ms": _int, "inbox": _str,
    "address": _text, "subject": _text, "session": _int, "password": _bytes, "beats": _int, "zxid": _int, "at_ms": _int,
}  # fmt: skip


_LATER = (Open, Attach)
"""Their last field, the ``subject``, is left out where there is none: functions before it know of none."""


def _plain(request: Request) -> List[Any]:
    if isinstance(request, Multi):
        return ["Multi", [_plain(op) for op in request.ops]]
    parts = [type(request).__name__, *plain(request)]
    return parts[:-1] if isinstance(request, _LATER) and parts[-1] is None else parts


def _request(value: Any) -> Request:
    kind = _KINDS.get(value[0]) if type(value) is list and value and type(value[0]) is str else None
    missing = 0 if kind is None else len(kind._fields) + 1 - len(value)
    if kind is None or not (missing == 0 or (missing == 1 and kind in _LATER)):
        raise Malformed("unknown request")
    made: Request = kind(*(_FIELDS[name](part) for name, part in zip(kind._fields, value[1:])))
    return made


def encode(message: Message, key: bytes = b"") -> bytes:
    """The bytes of a message, with what proves that whoever has the session's key sent them."""
    hint = [message.answered] if message.answered else []
    requests = [_plain(request) for request in message.requests]
    payload = codec.dumps([FORMAT, message.inbox, message.session, message.first, requests, *hint])
    return payload + tag(payload, key)


def decode(body: bytes) -> Message:
    """The message of bytes from a queue, whoever sent them. Malformed if they are not one, whatever they are."""
    try:
        form, inbox, session, first, requests, *hint = codec.loads(body[:-TAG_BYTES])
        (answered,) = hint or (0,)
    except (TypeError, ValueError) as error:
        raise Malformed(str(error)) from None
    if form != FORMAT:
        raise Malformed("message format %r" % (form,))
    try:
        made = tuple(_request(r) for r in _list(requests, MAX_REQUESTS))
    except (TypeError, ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None
    number = _int(first)
    if not 0 <= number <= MAX_NUMBER:
        raise Malformed("request number %d" % number)
    return Message(_str(inbox), _int(session), number, made, _int(answered))


# --- what comes back ----------------------------------------------------------------------------


class TriggerLog(NamedTuple):
    """The head's recent triggers as of ``zxid``: every one after ``since`` is in ``text``.

    ``text`` is JSON that is decoded only by a session that waits for something.
    """

    zxid: int
    since: int
    text: str

    def triggers(self) -> List[Trigger]:
        """In zxid order; not to be changed. Decoded once for all the answers that came with it."""
        text, found = _latest[0]
        if text is not self.text:
            found = unpacked(json.loads(self.text))
            _latest[0] = self.text, found
        return found


_latest: List[Tuple[str, List[Trigger]]] = [("[]", [])]
"""The last text that was decoded, and its triggers."""


def trigger_log_of(zxid: int, since: int, triggers: Sequence[Trigger]) -> TriggerLog:
    """The trigger log of a head."""
    return TriggerLog(zxid, since, packed_text(triggers))


class Answers(NamedTuple):
    """Results of the requests numbered from ``first``: each (code, value, zxid)."""

    first: int
    results: List[Any]
    trigger_log: TriggerLog


class Fired(NamedTuple):
    """Registrations of this inbox that a commit consumed, or that persist and saw it: each (path, mode, id)."""

    registrations: List[Any]
    trigger_log: TriggerLog


class Ended(NamedTuple):
    """The session is over."""

    session: int
    expired: bool


class Ping(NamedTuple):
    """Somebody asks for a sign of life: a session answers by one beat, whether it owns anything or not."""


_LETTER = {Answers: "a", Fired: "f", Ended: "e", Ping: "p"}
PING = codec.dumps([_LETTER[Ping]])
"""The bytes of a Ping."""


def encode_note(note: NamedTuple) -> bytes:
    """The bytes of an Answers, Fired, Ended or Ping."""
    return codec.dumps([_LETTER[type(note)], *note])


def decode_note(body: bytes) -> Any:
    """The Answers, Fired, Ended or Ping of bytes from an inbox. Malformed if they are not one."""
    value = codec.loads(body)
    try:
        kind, *fields = value
        if kind == "e":
            session, expired = fields
            return Ended(_int(session), _bool(expired))
        if body == PING:
            return Ping()
        what, (zxid, since, text) = fields[:-1], fields[-1]
        trigger_log = TriggerLog(_int(zxid), _int(since), _str(text))
        if kind == "f":
            (hits,) = what
            return Fired([[_str(path), _str(mode), number] for path, mode, number in hits], trigger_log)
        if kind == "a":
            first, results = what
            return Answers(_int(first), [[_int(code), shown, _int(at)] for code, shown, at in results], trigger_log)
        raise Malformed("unknown note")
    except (TypeError, ValueError, LookupError) as error:
        raise Malformed(str(error)) from None
