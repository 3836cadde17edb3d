"""Triggers as they are kept in the head and travel: the ordinary one, which everybody may know of, is three values.

One that not everybody may know of has a fourth: who may, or, where an earlier one of the list said the same, which of
those lists it was, counted from 0. So an ACL is told once, however many of its nodes changed.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Tuple, Union

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
