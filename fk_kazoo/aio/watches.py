"""Which functions an event calls: kazoo's two tables of one-shot watches, and the persistent watches.

A table is a mirror of what the session has armed. Nobody waits for a watch any more: the session is told to remove it,
so that nothing is left behind where a task was cancelled. A request that is on its way may arm one for somebody else:
then it is that one's to remove.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, NamedTuple

from kazoo.protocol.states import WatchedEvent

from fk_backend.core.model import EventType as Kind
from fk_backend.core.model import Trigger
from fk_backend.core.watches import CHILD, DATA, PERSISTENT, RECURSIVE, is_one_shot, matches

Watcher = Callable[[WatchedEvent], object]
_ONE_SHOT = {
    Kind.CREATED: (DATA,),
    Kind.CHANGED: (DATA,),
    Kind.DELETED: (DATA, CHILD),
    Kind.CHILD: (CHILD,),
}


class Armed(NamedTuple):
    """A watch of the session: ``mode`` is DATA, CHILD, PERSISTENT or RECURSIVE; ``path`` with the chroot."""

    mode: str
    path: str


class Watches:
    """The watchers of one client."""

    __slots__ = ("_arming", "_disarm", "_watchers")

    def __init__(self, disarm: Callable[[Armed], None]) -> None:
        """``disarm``: has the session remove a watch."""
        self._disarm = disarm
        self._watchers: Dict[Armed, Dict[Watcher, int]] = {}
        """How often each was given, in the order in which they came: each is called once."""
        self._arming: Dict[Armed, int] = {}

    def asked(self, armed: Armed) -> None:
        """A request that arms it is on its way."""
        self._arming[armed] = self._arming.get(armed, 0) + 1

    def answered(self, armed: Armed, watcher: Watcher, is_armed: bool, is_wanted: bool) -> None:
        """It was answered: armed or not; wanted, unless whoever asked was cancelled meanwhile."""
        on_their_way = self._arming.pop(armed, 1) - 1
        if on_their_way:
            self._arming[armed] = on_their_way
        if is_armed and is_wanted:
            watchers = self._watchers.setdefault(armed, {})
            watchers[watcher] = watchers.get(watcher, 0) + 1
        elif is_armed:
            self._remove_unwanted(armed)

    def remove(self, armed: Armed, watcher: Watcher) -> None:
        """It is not to be called any more, if it was given once. No error if it is gone."""
        watchers = self._watchers.get(armed)
        if watchers is not None and watcher in watchers:
            watchers[watcher] -= 1
            if not watchers[watcher]:
                del watchers[watcher]
            if not watchers:
                del self._watchers[armed]
                self._remove_unwanted(armed)

    def forget(self, armed: Armed, watcher: Watcher) -> None:
        """It is not to be called any more, however often it was given."""
        if watcher in self._watchers.get(armed, ()):
            self._watchers[armed][watcher] = 1
            self.remove(armed, watcher)

    def _remove_unwanted(self, armed: Armed) -> None:
        if armed not in self._watchers and armed not in self._arming:
            self._disarm(armed)

    def removed(self, path: str) -> None:
        """The session has none on the path any more."""
        for mode in (DATA, CHILD, PERSISTENT, RECURSIVE):
            self._watchers.pop(Armed(mode, path), None)

    def staying(self) -> List[Armed]:
        """Those that are armed again by every connection."""
        return [armed for armed in self._watchers if not is_one_shot(armed.mode)]

    def fired(self, kind: int, path: str) -> List[Watcher]:
        """Who is to be called; those that are there for once are gone."""
        found = [each for mode in _ONE_SHOT.get(kind, ()) for each in self._watchers.pop(Armed(mode, path), ())]
        staying = self.staying() if self._watchers else []
        reached = (armed for armed in staying if matches(armed.mode, armed.path, Trigger(0, path, kind)))
        found.extend(each for armed in reached for each in self._watchers[armed])
        return found

    def lost(self, all_of_them: bool) -> Iterator[Watcher]:
        """The connection is gone: who was waiting. Those that stay go only with ``all_of_them``."""
        gone = [armed for armed in self._watchers if all_of_them or is_one_shot(armed.mode)]
        self._arming.clear()
        for armed in gone:
            yield from self._watchers.pop(armed)

    def __len__(self) -> int:
        return len(self._watchers) + len(self._arming)
