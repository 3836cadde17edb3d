"""Follows a source after its copy: changes there are made in the destination, until somebody ends it.

Watches are there before the copy begins, so nothing is missed in between. One that stays and covers the whole tree,
where the source has that (deployments, ZooKeeper from 3.6); else two for each node. No watch tells of a changed ACL,
and none tells what happened while the source was out of reach: then, and before the end, everything is compared.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, List, Sequence, Set

from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import EventType, KazooState

from fk_kazoo.requests import AddWatchMode

from .apply import Applier
from .client_endpoint import ClientEndpoint
from .compare import Difference, compare
from .records import EPHEMERAL, Record, chunks, is_below, is_reserved, join, parent_of

AT_ONCE = 256
QUIET_S = 1.0
ROUNDS = 5


class Mirror:
    """``delete``: whether what only the destination has is removed when everything is compared."""

    def __init__(
        self,
        source: ClientEndpoint,
        destination: ClientEndpoint,
        applier: Applier,
        roots: Sequence[str],
        delete: bool = False,
        each_node: bool = False,
    ) -> None:
        self._source = source
        self._destination = destination
        self._applier = applier
        self._roots = list(roots)
        self._delete = delete
        self._each_node = each_node
        self._lock = threading.Lock()
        self._changed: Dict[str, None] = {}
        self._last_s = time.monotonic()
        self._missed = False
        """Whether something may have happened that no watch told."""
        self._was_disconnected = False
        self.changes = 0
        """How many nodes were changed after the copy."""

    # --- watching -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Watches from now on. To be called before the copy."""
        self._source.client.add_listener(self._state)
        self._watch()

    def end(self) -> None:
        """Watches no longer."""
        self._source.client.remove_listener(self._state)

    def _watch(self) -> None:
        if self._each_node:
            for root in self._roots:
                for record in self._source.walk([root]):
                    self._watch_node(record.path)
            return
        for root in self._roots:
            self._source.client.add_watch(root, self._event, AddWatchMode.PERSISTENT_RECURSIVE)

    def _watch_node(self, path: str) -> None:
        try:
            self._source.client.get_async(path, watch=self._event)
            self._source.client.get_children_async(path, watch=self._event)
        except NoNodeError:
            pass

    def _state(self, state: str) -> None:
        if state != KazooState.CONNECTED:
            self._was_disconnected = True
        elif self._was_disconnected:
            self._was_disconnected, self._missed = False, True

    def _event(self, event: Any) -> None:
        if event.path is None or event.type == EventType.NONE:
            return
        with self._lock:
            self._changed[event.path] = None
            self._last_s = time.monotonic()

    # --- following ------------------------------------------------------------------------------

    def step(self) -> int:
        """Does what was told of so far; how many paths that were."""
        if self._missed:
            self._missed = False
            self._watch()
            return len(self._repair())
        with self._lock:
            paths = sorted(self._changed)[:AT_ONCE]
            for path in paths:
                del self._changed[path]
        self._follow([path for path in paths if not is_reserved(path)])
        return len(paths)

    def _follow(self, paths: List[str]) -> None:
        if self._each_node:
            paths = sorted({*paths, *(child for path in paths for child in self._came_and_went(path))})
        records: List[Record] = []
        for path, record in zip(paths, self._source.lookup(paths)):
            if record is not None and record.kind != EPHEMERAL:
                records.append(record)
            elif record is None:
                self.changes += self._applier.remove(path)
        self.changes += len(records)
        self._applier.apply(records)
        self._applier.finish()
        parents = sorted({parent_of(path) for path in paths if any(path != root for root in self._roots)})
        parents = [one for one in parents if any(is_below(one, root) for root in self._roots)]
        found = [one for one in self._source.lookup(parents) if one is not None and one.kind != EPHEMERAL]
        self._applier.raise_counters({one.path: one.creates for one in found if one.creates})

    def _came_and_went(self, path: str) -> List[str]:
        """Of a node with watches of its own, which fired: children that only one side has. Watches it again."""
        self._watch_node(path)
        sides: List[Set[str]] = []
        for side in (self._source, self._destination):
            try:
                sides.append(set(side.client.get_children(path)))
            except NoNodeError:
                sides.append(set())
        found: List[str] = []
        for name in sides[0] - sides[1]:
            try:
                found.extend(record.path for record in self._source.walk([join(path, name)]))
            except NoNodeError:
                pass
        for one in found:
            self._watch_node(one)
        return found + [join(path, name) for name in sides[1] - sides[0]]

    def follow_until(self, enough: Callable[[], bool], pause_s: float = 0.2) -> None:
        """Follows until ``enough`` says so."""
        while not enough():
            if not self.step():
                time.sleep(pause_s)

    # --- the end --------------------------------------------------------------------------------

    def cut_over(self, inform: Callable[[str], None] = lambda text: None) -> List[Difference]:
        """Waits until nothing is left to be done and nothing more comes, then compares. What still differs:
        nothing, or what was not to be deleted.

        Whoever writes to the source has to be ended before.
        """
        left: List[Difference] = []
        for _ in range(ROUNDS):
            inform("waiting for the mirror to be empty")
            self.follow_until(self._is_empty)
            inform("comparing every node")
            left = self._repair()
            if not any(map(self._mends, left)):
                break
        return left

    def _is_empty(self) -> bool:
        with self._lock:
            return not self._changed and not self._missed and time.monotonic() - self._last_s >= QUIET_S

    def _repair(self) -> List[Difference]:
        """Compares everything and makes it equal; what differed."""
        found = list(compare(self._source, self._destination, self._roots))
        for some in chunks(found, AT_ONCE):
            self._follow(sorted({one.path for one in some if self._mends(one)}))
        return found

    def _mends(self, one: Difference) -> bool:
        """Whether it is one that is made equal."""
        return self._delete or one.what != "only in the destination"
