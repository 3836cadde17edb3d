"""kazoo's tree cache, on one recursive watch: a copy of a node and everything below it, kept up to date.

A change is told by the watch, and read then. After a reconnection, where changes may not have been told, everything is
read again. What is told of is kazoo's: TreeEvents with NodeData.
"""

from __future__ import annotations

import asyncio
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, List, Optional, Set, Type

from kazoo.exceptions import KazooException, NoNodeError
from kazoo.protocol.states import EventType, KazooState
from kazoo.recipe.cache import NodeData, TreeEvent

from fk_backend.core.watches import RECURSIVE

from ..watching import Watch
from .base import Recipe

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..operations import Operations

_OF_STATES = {
    KazooState.SUSPENDED: TreeEvent.CONNECTION_SUSPENDED,
    KazooState.CONNECTED: TreeEvent.CONNECTION_RECONNECTED,
    KazooState.LOST: TreeEvent.CONNECTION_LOST,
}


class TreeCache(Recipe):
    """``async with zk.TreeCache("/tree") as cache:`` begins, and ends it at the end; listeners before: `listen`."""

    def __init__(self, client: Operations, path: str) -> None:
        super().__init__(client, path.rstrip("/") or "/")
        self._nodes: Dict[str, NodeData] = {}
        self._children: Dict[str, Set[str]] = {}
        self._listeners: List[Callable[[TreeEvent], object]] = []
        self._fault_listeners: List[Callable[[Exception], object]] = []
        self._task: "Optional[asyncio.Task[Any]]" = None
        self._closed = self._initialized = False
        self._watch: Optional[Watch] = None

    async def start(self) -> None:
        """Begins, with a node that is made if there is none. KazooException if it has begun before."""
        if self._task is not None or self._closed:
            raise KazooException("already closed" if self._closed else "already started")
        await self._ensure_path()
        self._watch = Watch(self.client, self.path, RECURSIVE)
        self.client.add_listener(self._on_state)
        self._task = self.client._spawn(self._run(self._watch), self.client._tasks)

    def close(self) -> None:
        """Ends it: what it has stays as it is."""
        self._closed = True
        self.client.remove_listener(self._on_state)
        if self._watch is not None:
            self._watch._close()
        if self._task is not None:
            self._task.cancel()

    def listen(self, listener: Callable[[TreeEvent], object]) -> Callable[[TreeEvent], object]:
        """Has it called, in the event loop, with every TreeEvent."""
        self._listeners.append(listener)
        return listener

    def listen_fault(self, listener: Callable[[Exception], object]) -> Callable[[Exception], object]:
        """Has it called with what listeners raise, and what keeps the cache from going on."""
        self._fault_listeners.append(listener)
        return listener

    def get_data(self, path: str, default: Optional[NodeData] = None) -> Optional[NodeData]:
        """A node, or the default if there is none. ValueError outside of the tree."""
        return self._nodes.get(self._inside(path), default)

    def get_children(self, path: str, default: Optional[FrozenSet[str]] = None) -> Optional[FrozenSet[str]]:
        """The names of a node's children, or the default if there is no node. ValueError outside of the tree."""
        path = self._inside(path)
        return frozenset(self._children.get(path, ())) if path in self._nodes else default

    def _inside(self, path: str) -> str:
        path = path.rstrip("/") or "/"
        if path != self.path and not path.startswith(self.path.rstrip("/") + "/"):
            raise ValueError("outside of tree")
        return path

    # --- keeping up -----------------------------------------------------------------------------

    async def _run(self, watch: Watch) -> None:
        try:
            async with watch:
                await self._retry(self._read_all)
                self._initialized = True
                self._notify(TreeEvent.INITIALIZED)
                async for event in watch:
                    if event.type == EventType.NONE:
                        await self._retry(self._read_all)
                    elif event.type == EventType.DELETED:
                        self._remove(event.path or "")
                    else:
                        await self._retry(partial(self._read, event.path or ""))
        except KazooException as error:
            self._fault(error)

    async def _read_all(self) -> None:
        """All that is there, parents before their children; what is not there any more is removed."""
        seen, level = set(), [self.path]
        while level:
            await asyncio.gather(*map(self._read, level))
            listed = await asyncio.gather(*map(self._names, level))
            seen.update(level)
            level = ["%s/%s" % (path.rstrip("/"), name) for path, names in zip(level, listed) for name in sorted(names)]
        for path in sorted(set(self._nodes) - seen, reverse=True):
            self._remove(path)

    async def _names(self, path: str) -> List[str]:
        try:
            return await self.client.get_children(path)
        except NoNodeError:
            return []

    async def _read(self, path: str) -> None:
        try:
            data, stat = await self.client.get(path)
        except NoNodeError:
            return self._remove(path)
        before = self._nodes.get(path)
        node = self._nodes[path] = NodeData.make(path, data, stat)
        if path != self.path:
            parent, _, name = path.rpartition("/")
            self._children.setdefault(parent or "/", set()).add(name)
        if before is None:
            self._notify(TreeEvent.NODE_ADDED, node)
        elif before.stat.mzxid != stat.mzxid:
            self._notify(TreeEvent.NODE_UPDATED, node)

    def _remove(self, path: str) -> None:
        node = self._nodes.pop(path, None)
        self._children.pop(path, None)
        parent, _, name = path.rpartition("/")
        self._children.get(parent or "/", set()).discard(name)
        if node is not None:
            self._notify(TreeEvent.NODE_REMOVED, node)

    def _on_state(self, state: str) -> None:
        if state in _OF_STATES:
            self._notify(_OF_STATES[state])

    def _notify(self, kind: int, node: Optional[NodeData] = None) -> None:
        if self._closed:
            return
        for listener in list(self._listeners):
            try:
                listener(TreeEvent.make(kind, node))
            except Exception as error:
                self._fault(error)

    def _fault(self, error: Exception) -> None:
        for listener in list(self._fault_listeners):
            try:
                listener(error)
            except Exception:
                self.client.logger.exception("Exception in a fault listener of the cache of %s", self.path)
        if not self._fault_listeners:
            self.client.logger.error("the cache of %s: %r", self.path, error)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        self.close()
