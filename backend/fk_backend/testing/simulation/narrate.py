"""A run as a story: one line for everything that happened, in order, in words that a reader of a failure needs."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator

from .run import History
from .world import Entry


def _op(op: Any) -> str:
    fields = ", ".join(repr(part) for name, part in zip(op._fields, op) if name not in ("acl", "ttl_ms"))
    return "%s(%s)" % (type(op).__name__, fields)


def _message(value: Any) -> str:
    ops = "; ".join(_op(request) for request in value.requests)
    return "queue takes %s #%d: %s" % (value.inbox[:6], value.first, ops)


def _said(value: Any) -> str:
    if value.tag == -1:
        return "%s is over: %s" % (value.conn[:6], value.value[0])
    if value.tag == 0:
        return "%s EVENT zxid %d %s kind %d" % (value.conn[:6], *value.value)
    code, answer, zxid = value.value
    return "%s answers %d: code %d zxid %d %r" % (value.conn[:6], value.tag % 1000000, code, zxid, answer)


_WORDS: Dict[str, Callable[[Any], str]] = {
    "accepted": _message,
    "commit": lambda v: "commits zxid %d to %d" % (v.before, v.after),
    "kept": lambda v: "writes the node of zxid %d" % v,
    "asked": lambda v: "%s asks %d: %s" % (v.conn[:6], v.tag % 1000000, _op(v.op)),
    "said": _said,
    "begun": lambda v: "%s has session %x%s" % (v.conn[:6], v.session, " (attached)" if v.attached else ""),
    "beat": lambda v: "beats for %x: %d" % v,
    "fault": lambda v: "FAULT %s %s %s for %s s" % (v.kind, v.who, v.detail, v.span),
}


def line(entry: Entry) -> str:
    """One entry."""
    told = _WORDS.get(entry.what, lambda v: "%s %s" % (entry.what, "" if v is None else v))(entry.value)
    return "%5d %8.3f  %-12s %s" % (entry.step, entry.at, entry.who, told)


def narrate(history: History, beats: bool = False) -> Iterator[str]:
    """The run, line by line."""
    plan = history.plan
    yield "seed %d, %d ops and faults, %s" % (plan.seed, plan.size, plan.knobs)
    for entry in history.log:
        if beats or entry.what not in ("beat", "batch", "returned"):
            yield line(entry)
    yield "trace %s" % history.trace
