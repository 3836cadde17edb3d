"""What changes is pushed to the pages that are open: each node that was looked at is watched from then on.

Rule upheld here: a page that is slow, or gone, holds nobody up and keeps no memory: it is told that it missed
something, and asks again.
"""

from __future__ import annotations

import asyncio
import collections
import threading
from typing import Any, AsyncIterator, Dict, Set

from kazoo.exceptions import KazooException, UnimplementedError
from kazoo.protocol.states import KazooState

from fk_kazoo.requests import AddWatchMode

WATCHED = 2000
"""Nodes that are watched at most; the one that was not looked at for the longest gives way in the page, not here."""
WAITING = 1000
PAUSE_S = 15.0
MISSED = ("missed", "")


class Live:
    """Of one client. ``watch`` and what the client calls are of any thread, ``events`` is of the server's loop."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._watched: "collections.OrderedDict[str, None]" = collections.OrderedDict()
        self._readers: Set["_Reader"] = set()
        self.is_live = True
        """Whether the place has watches that stay; a ZooKeeper before 3.6 has not."""
        client.add_listener(self._state)

    def watch(self, path: str) -> None:
        """Tells of its data and its children's coming and going from now on; of no more than `WATCHED` nodes."""
        with self._lock:
            if path in self._watched or len(self._watched) >= WATCHED or not self.is_live:
                return
            self._watched[path] = None
        try:
            self._client.add_watch(path, self._event, AddWatchMode.PERSISTENT)
        except UnimplementedError:
            self.is_live = False
        except KazooException:
            with self._lock:
                self._watched.pop(path, None)

    def _event(self, event: Any) -> None:
        if event.path is not None:
            self._tell((str(event.type).lower(), event.path))

    def _state(self, state: str) -> None:
        self._tell(("connection", str(state)))
        if state == KazooState.CONNECTED:
            with self._lock:
                again, self._watched = list(self._watched), collections.OrderedDict()
            if again:  # not in the client's own thread, which has to go on for the answer to come
                threading.Thread(target=self._again, args=(again,), daemon=True).start()

    def _again(self, paths: "list[str]") -> None:
        for path in paths:
            self.watch(path)
        self._tell(MISSED)

    def _tell(self, what: "tuple[str, str]") -> None:
        with self._lock:
            readers = list(self._readers)
        for reader in readers:
            reader.tell(what)

    async def events(self, ended: asyncio.Event) -> AsyncIterator[Dict[str, str]]:
        """``{"event": …, "path": …}`` as they come, and an empty one now and then, until ``ended``."""
        reader = _Reader()
        with self._lock:
            self._readers.add(reader)
        try:
            yield {"event": "connection", "path": str(self._client.state)}
            while not ended.is_set():
                for kind, path in await reader.take(ended):
                    yield {"event": kind, "path": path}
                yield {}
        finally:
            with self._lock:
                self._readers.discard(reader)


class _Reader:
    """A page. What it did not take yet is bounded."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._some = asyncio.Event()
        self._waiting: Dict["tuple[str, str]", None] = {}
        self._lock = threading.Lock()

    def tell(self, what: "tuple[str, str]") -> None:
        with self._lock:
            if len(self._waiting) >= WAITING:
                self._waiting = {MISSED: None}
            self._waiting[what] = None
        try:
            self._loop.call_soon_threadsafe(self._some.set)
        except RuntimeError:
            pass  # the server has ended

    async def take(self, ended: asyncio.Event) -> "list[tuple[str, str]]":
        """What waits, the same only once; nothing after `PAUSE_S`."""
        waits = [asyncio.ensure_future(one.wait()) for one in (self._some, ended)]
        try:
            await asyncio.wait(waits, timeout=PAUSE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        self._some.clear()
        with self._lock:
            found, self._waiting = list(self._waiting), {}
        return found
