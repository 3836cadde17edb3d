"""Watches: which change fires which.

Rule: which change fires which watch is this one table (``DataTree``, ``WatchManager``, ``WatcherMode``).

    mode         fired by                                                     once
    data         CREATED, CHANGED, DELETED of its path                        yes
    child        CHILD, DELETED of its path                                   yes
    persistent   all four of its path                                         no
    recursive    CREATED, CHANGED, DELETED of its path or any path below it   no

The kinds are those of :class:`~fk_backend.core.model.EventType`. Whoever might not read the node by its ACL at the
change (for CHILD: the one whose list changed; for DELETED: the ACL that it had) is not told, and a watch that is there
for once is gone all the same (``WatchManager.triggerWatch``, ``ServerWatcher.process``, CVE-2024-23944): see
`acls.readers`, `acls.may_know`.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, Set

from .model import EventType, Trigger
from .paths import ROOT, parent

DATA = "data"
"""Left by exists and get."""

CHILD = "child"
"""Left by get_children."""

PERSISTENT = "persistent"
RECURSIVE = "recursive"

_OWN = frozenset((EventType.CREATED, EventType.CHANGED, EventType.DELETED))

_KINDS: Dict[str, FrozenSet[int]] = {
    DATA: _OWN,
    CHILD: frozenset((EventType.CHILD, EventType.DELETED)),
    PERSISTENT: _OWN | {EventType.CHILD},
    RECURSIVE: _OWN,
}

MODES = frozenset(_KINDS)


def is_one_shot(mode: str) -> bool:
    """Whether a watch of this mode is gone once it fired. KeyError if there is no such mode."""
    _KINDS[mode]
    return mode in (DATA, CHILD)


def matches(mode: str, watch_path: str, trigger: Trigger) -> bool:
    """Whether ``trigger`` fires a watch of ``mode`` on ``watch_path``. KeyError if there is no such mode.

    A session that has a data and a child watch on one path is told of its deletion once, as ZooKeeper's
    server does: to fold the two is up to the caller, who alone knows the watches of one session.
    """
    if trigger.kind not in _KINDS[mode]:
        return False
    return trigger.path == watch_path or (mode == RECURSIVE and is_below(trigger.path, watch_path))


def covered(triggers: Iterable[Trigger]) -> Set[str]:
    """Every path whose recursive watches are fired by one of the triggers."""
    found: Set[str] = set()
    for trigger in triggers:
        path = trigger.path
        while trigger.kind in _KINDS[RECURSIVE] and path not in found:
            found.add(path)
            path = parent(path)
    return found


def is_below(path: str, above: str) -> bool:
    """Whether ``path`` is a proper descendant of ``above``; both are valid paths."""
    return path != above and path.startswith(above if above == ROOT else above + "/")
