"""Triggers as they are kept in the head and travel: the ordinary one, which everybody may know of, is three values.

One that not everybody may know of has a fourth: who may, or, where an earlier one of the list said the same, which of
those lists it was, counted from 0. So an ACL is told once, however many of its nodes changed.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import Any, Dict, Iterable, List, Sequence, Tuple, Union

from . import codec
from .core.model import Trigger

Readers = Tuple[str, ...]

ENTRY_BYTES = 17
"""About what a trigger takes, besides its path and its readers."""
READER_BYTES = 3
"""About what a reader takes, besides the characters."""


def packed(triggers: Iterable[Trigger]) -> List[List[Any]]:
    """As plain values."""
    known: Dict[Readers, int] = {}
    found: List[List[Any]] = []
    for zxid, path, kind, readers in triggers:
        entry: List[Any] = [zxid, path, kind]
        if readers is not None:
            entry.append(known[readers] if readers in known else readers)
            known.setdefault(readers, len(known))
        found.append(entry)
    return found


def packed_text(triggers: Sequence[Trigger]) -> str:
    """The JSON of `packed`. That of the triggers of a commit is needed by its head and by what is told of it."""
    known, entries, text = _latest[0]
    if known is triggers and type(triggers) is tuple:
        return text
    same = _count_of_known(known, triggers) if entries else 0
    entries, more = entries[len(known) - same :] if same else [], triggers[same:]
    if any(trigger.readers is not None for trigger in more):
        entries, text = [], codec.encoded(packed(triggers))[0]
    else:
        quoted = encode_basestring_ascii
        entries += ["[%d,%s,%d]" % (zxid, quoted(path), kind) for zxid, path, kind, _ in more]
        text = "[%s]" % ",".join(entries)
    _latest[0] = (triggers, entries, text)
    return text


def _count_of_known(known: Sequence[Trigger], triggers: Sequence[Trigger]) -> int:
    """How many of them were the last ones before, in that order: as a rule all but those of the last commit."""
    try:
        first = known.index(triggers[0])
    except (IndexError, ValueError):
        return 0
    return len(known) - first if known[first:] == triggers[: len(known) - first] else 0


_latest: List[Tuple[Sequence[Trigger], List[str], str]] = [((), [], "[]")]
"""The last ones that were asked for, and theirs: of each, if everybody may know of all of them, and of all."""


def unpacked(values: Iterable[List[Any]]) -> List[Trigger]:
    """Of plain values."""
    known: List[Readers] = []
    found: List[Trigger] = []
    for zxid, path, kind, *rest in values:
        if not rest:
            found.append(Trigger(zxid, path, kind))
            continue
        told: Union[int, List[str]] = rest[0]
        if not isinstance(told, int):
            known.append(tuple(told))
            told = -1
        found.append(Trigger(zxid, path, kind, known[told]))
    return found


def bytes_of(readers: Readers) -> int:
    """About what they take, once."""
    return sum(map(len, readers)) + READER_BYTES * len(readers)
