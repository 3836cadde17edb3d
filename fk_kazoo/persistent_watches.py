"""The watches that stay (ZooKeeper 3.6), which kazoo's tables have no room for; and how watches are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Tuple

from kazoo.protocol.paths import _prefix_root
from kazoo.protocol.states import EVENT_TYPE_MAP, Callback, EventType, KeeperState, WatchedEvent

from fk_backend.core.model import EventType as Kind
from fk_backend.core.watches import RECURSIVE

from .requests import AddWatch, AddWatchMode, RemoveWatches, read_event

if TYPE_CHECKING:
    from kazoo.client import KazooClient as _Client
    from kazoo.client import _Watch
    from kazoo.interfaces import IAsyncResult
else:
    _Client = object  # kazoo's comes after it: to import that here may be to import ours (see `run`)

_CLOSED_STATES = (KeeperState.EXPIRED_SESSION, KeeperState.AUTH_FAILED, KeeperState.CLOSED)
"""kazoo's."""


class PersistentWatches(_Client):
    """The part of our client that has them."""

    _persistent: Dict[Tuple[str, str], Dict[Any, None]]
    """By (path, mode); watchers are called in the order in which they came."""

    def add_watch(self, path: str, watch: _Watch, mode: str = AddWatchMode.PERSISTENT) -> None:
        """Leaves a watch that stays until it is removed (ZooKeeper 3.6); see `add_watch_async`."""
        self.add_watch_async(path, watch, mode).get()

    def add_watch_async(self, path: str, watch: _Watch, mode: str = AddWatchMode.PERSISTENT) -> IAsyncResult[bool]:
        """``watch`` is called with a WatchedEvent for every change; ``mode`` is one of AddWatchMode.

        It survives reconnects; what happened while disconnected is not told afterwards, as in ZooKeeper.
        """
        if not callable(watch):
            raise TypeError("Invalid type for 'watch' (must be a callable)")
        if mode not in (AddWatchMode.PERSISTENT, AddWatchMode.PERSISTENT_RECURSIVE):
            raise TypeError("Invalid value for 'mode' (one of AddWatchMode)")
        result = self.handler.async_result()
        self._call(AddWatch(_prefix_root(self.chroot, path), watch, mode), result)
        return result

    def remove_all_watches(self, path: str) -> None:
        """Removes every watch of this client on the path. NoWatcherError if there is none."""
        self.remove_all_watches_async(path).get()

    def remove_all_watches_async(self, path: str) -> IAsyncResult[bool]:
        """As `remove_all_watches`; returns an IAsyncResult."""
        result = self.handler.async_result()
        self._call(RemoveWatches(_prefix_root(self.chroot, path)), result)
        return result

    def _answered(self, request: Any) -> None:
        """A request succeeded: keeps the watchers that kazoo's tables have no room for."""
        if isinstance(request, AddWatch) and request.watch is not None:
            mode = RECURSIVE if request.mode in (RECURSIVE, 1) else AddWatchMode.PERSISTENT
            self._persistent.setdefault((request.path, mode), {})[request.watch] = None
        elif isinstance(request, RemoveWatches):
            self._data_watchers.pop(request.path, None)
            self._child_watchers.pop(request.path, None)
            for key in [key for key in self._persistent if key[0] == request.path]:
                del self._persistent[key]

    def _fire_persistent(self, buffer: bytes, offset: int) -> None:
        if not self._persistent or self._stopped.is_set():
            return
        kind, path = read_event(buffer, offset)
        event = WatchedEvent(EVENT_TYPE_MAP[kind], self._state, self.unchroot(path))
        for (root, mode), watchers in self._persistent.items():
            below = mode == RECURSIVE and kind != Kind.CHILD and path.startswith(root.rstrip("/") + "/")
            if below or (path == root and not (mode == RECURSIVE and kind == Kind.CHILD)):
                for watch in watchers:
                    self.handler.dispatch_callback(Callback("watch", watch, (event,)))

    def _reset_watchers(self) -> None:
        super()._reset_watchers()
        if self._state not in _CLOSED_STATES:
            return
        event = WatchedEvent(EventType.NONE, self._state, None)
        for watchers in self._persistent.values():
            for watch in watchers:
                self.handler.dispatch_callback(Callback("watch", watch, (event,)))
        self._persistent = {}
