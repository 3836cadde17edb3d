"""What clients store or send and nobody can understand is logged, but not as often as they like."""

from __future__ import annotations

import logging
from typing import Dict, Tuple
from weakref import WeakKeyDictionary

from ..ports import Clock

log = logging.getLogger(__name__)

EVERY_S = 10.0
"""Between two lines about one namespace."""
MOST_NAMESPACES = 1000

_said: "WeakKeyDictionary[Clock, Dict[str, Tuple[float, int]]]" = WeakKeyDictionary()
"""Of each process's clock: namespace → (when something was said last, how much was not said since)."""


def log_limited(clock: Clock, ns: str, what: str, *args: object) -> None:
    """Logs it, as logging takes it, unless something was logged of the namespace a moment ago."""
    said = _said.setdefault(clock, {})
    now = clock.monotonic()
    last, unsaid = said.get(ns, (now - EVERY_S, 0))
    if abs(now - last) < EVERY_S:
        said[ns] = (last, unsaid + 1)
        return
    if len(said) >= MOST_NAMESPACES:
        said.clear()
    said[ns] = (now, 0)
    more = " (and %d more that were not logged)" % unsaid if unsaid else ""
    log.error("namespace %.100r: %s%s", ns, what % args, more)
