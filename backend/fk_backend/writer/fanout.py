"""Remembers up to which zxid a namespace is fanned out, as far as its writer knows."""

from __future__ import annotations

from typing import Dict

NOT_KNOWN = -1


class FanOutProgress:
    """Of one instance, by itself: it knows of its own fan-outs, and forgets them when it ends."""

    def __init__(self) -> None:
        self._upto: Dict[str, int] = {}

    def upto(self, ns: str) -> int:
        """The zxid up to which every commit was fanned out to its end; NOT_KNOWN."""
        return self._upto.get(ns, NOT_KNOWN)

    def note(self, ns: str, zxid: int) -> None:
        """Every commit up to there was fanned out to its end."""
        self._upto[ns] = zxid
