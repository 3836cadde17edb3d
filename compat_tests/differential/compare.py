"""Compares what a program saw here with what it saw on ZooKeeper. What may differ is said here, and nothing else may.

- *The order of what one session's end removed*: the server walks a hash set. Events between the last answer before an
  end and the first after it are compared as a set.
- *When an event comes that nothing shown depends on*: here it may come later, but before the session is shown its
  change or anything after it: the answer to its own successful write, or to a read that shows what the event tells.
- *Before which of its own writes' answers an event comes*: a session that sends several writes at once may be told of
  the last one's change before it is answered the first one, and of others' changes likewise.
- Times, absolute zxids and session ids, the order of children's names and of what "auth" became: not in a transcript.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Optional

from .calls import READS, WRITES
from .runner import Transcript

Told = List[List[Any]]


class Event(NamedTuple):
    """An event, and how many replies came before it."""

    kind: str
    path: str
    at: int


def differences(real: Transcript, ours: Transcript) -> List[str]:
    """What is not as on ZooKeeper; empty if all is."""
    if list(real) != list(ours):
        return ["sessions: %s, here %s" % (list(real), list(ours))]
    found: List[str] = []
    for name in real:
        found += ["session %s: %s" % (name, each) for each in _of_session(real[name], ours[name])]
    return found


def _of_session(real: Dict[str, Any], ours: Dict[str, Any]) -> List[str]:
    for part in ("states", "calls"):
        if real[part] != ours[part]:
            return ["%s: %s, here %s" % (part, json.dumps(real[part]), json.dumps(ours[part]))]
    replies = _replies(real["told"])
    for index, (there, here) in enumerate(zip(replies, _replies(ours["told"]))):
        if there != here:
            return ["reply %d: %s, here %s" % (index, json.dumps(there), json.dumps(here))]
    if len(replies) != len(_replies(ours["told"])):
        return ["%d replies, here %d" % (len(replies), len(_replies(ours["told"])))]
    return _of_events(replies, _events(real["told"]), _events(ours["told"]))


def _replies(told: Told) -> Told:
    return [item for item in told if item[0] != "event"]


def _events(told: Told) -> List[Event]:
    """In order; what came between two words around an end, sorted."""
    found: List[Event] = []
    stretch, at = 0, 0
    for item, following in zip(told, [*told[1:], ["nothing"]]):
        if item[0] == "event":
            found.append(Event(item[1], item[2], at))
            continue
        at += 1
        if item[0] == "end":
            found[stretch:] = sorted(found[stretch:])
            stretch = len(found)
        elif item[1][0] in ("set", "fence") and not _failed(item[2]) and following[0] != "end":
            stretch = len(found)
    return found


def _of_events(replies: Told, real: List[Event], ours: List[Event]) -> List[str]:
    if [each[:2] for each in real] != [each[:2] for each in ours]:
        return ["events: %s, here %s" % (_words(real), _words(ours))]
    for there, here in zip(real, ours):
        if any(reply[0] == "end" or reply[1][0] not in WRITES for reply in replies[here.at : there.at]):
            return ["%s comes before reply %d, here before reply %d" % (_words([there]), there.at, here.at)]
        latest = next((i for i in range(there.at, len(replies)) if _shows(replies[i], there)), len(replies))
        if here.at > latest:
            return [
                "%s comes after reply %d (%s), which shows it" % (_words([there]), latest, json.dumps(replies[latest]))
            ]
    return []


def _words(events: List[Event]) -> str:
    return ", ".join("%s %s" % each[:2] for each in events) or "none"


def _failed(value: Any) -> bool:
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return True  # a multi
    return isinstance(value, dict) and "error" in value


def _error(value: Any) -> Optional[str]:
    return value.get("error") if isinstance(value, dict) else None


def _shows(reply: List[Any], event: Event) -> bool:
    """Whether this reply shows the change that the event tells of, or something that came after it."""
    if reply[0] == "end":
        return False
    call, value = reply[1], reply[2]
    if call[0] in WRITES:
        return not _failed(value)
    if call[0] not in READS or call[1] != event.path:
        return False
    if value is None or _error(value) == "NoNodeError":
        return True
    names_only = call[0] == "children" and not call[3]
    return _error(value) is None and (not names_only or event.kind == "CHILD")
