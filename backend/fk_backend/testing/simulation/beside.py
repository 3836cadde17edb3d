"""`ports.Direct` of a client in another process than the host: its writer is at work while the host's may begin to be.

The host's word is looked at in the instant of the commit, and nothing holds the host up. What is told is known to both.
"""

from __future__ import annotations

from typing import List, Optional, Sequence

from ... import layout
from ...errors import BackendError, Unavailable, Unknown
from ...messages import Message
from ...ports import INTEREST, Item, Key, Pushed, Put, Remove, Written
from .direct import DirectStore, InTheClient
from .ports import Deployment, SimulatedInboxes
from .world import Process

NO_ROOM = 0.1
"""How often."""


def is_of_clients(writes: Sequence[object]) -> bool:
    """Whether it is what anybody may write at any time."""
    return all(write.key.table == INTEREST for write in writes if isinstance(write, (Put, Remove)))


class BesideStore(DirectStore):
    """A store whose commits are only done while the host has nothing to do."""

    _seen = 0
    """The head that was read or written last."""

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.load`."""
        found = await super().load(keys)
        head = layout.head_key(self._deployment.ns)
        self._seen = next((item.rev for key, item in zip(keys, found) if item and key == head), self._seen)
        return found

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`: what fails is taken by the look at the head by which it fails."""
        if self.message is None or list(keys) != [layout.head_key(self._deployment.ns)]:
            return await super().get(keys)

        def effect() -> List[Optional[Item]]:
            if self._deployment.head_rev() == self._seen:
                self._may()  # what the queue has already is taken before it, though it is done after it
                self.take()
            found: List[Optional[Item]] = self._deployment.at_once(self._items.get(keys))
            return found

        return await self._process.call("store", "get", effect)

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""

        def effect() -> None:
            if not is_of_clients(writes):
                self._may()
            self.write(writes)
            self._seen = self._deployment.head_rev()

        await self._process.call("store", "commit", effect)

    def _may(self) -> None:
        if not self._deployment.is_free():
            raise Unavailable("it is the host's turn")


class SimulatedEvents(SimulatedInboxes):
    """`ports.Ports.events`: now and then there is no room for somebody, nor for those after that one."""

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`."""

        def effect() -> None:
            for message in messages:
                if self._process.random.random() < NO_ROOM:
                    raise Unavailable("there is no room")
                self._deployment.push(message)

        await self._process.call("inbox", "push", effect)


class SimulatedBeside(InTheClient):
    """Of one client process."""

    def __init__(self, deployment: Deployment, process: Process) -> None:
        events = SimulatedEvents(deployment, process).push
        super().__init__(deployment, process, BesideStore(deployment, process), deployment.told, events)

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`, as `providers.direct.InProcessDirect` has it."""
        process = self._process
        if process.random.random() >= self._deployment.world.knobs.beside or not self._deployment.is_free():
            return None
        if process.is_writing:  # each of a process's is one step, whichever connection asks
            return None
        self._store.message, process.is_writing = message, True
        try:
            written = await self._writer.write(ns, message, wakes=False)
        except Unknown:
            await self._tell()
            raise
        finally:
            self._store.message, process.is_writing = None, False
        if not await self._is_fanned_out():
            await self._tell()
        return written

    async def _tell(self) -> None:
        """The host is asked for the fan-out, unless it is gone: the next one finds out by itself."""
        try:
            await self._process.call("queue", "tell", self._deployment.tell)
        except BackendError:
            pass
