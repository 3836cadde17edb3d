"""`ports.Direct` of a client in whose process the functions run: its writer and the queue's take turns.

What is sent meanwhile is taken by the queue afterwards, so that the order in which things are taken is their order.
When it is over, or its process is dead, the queue's writer makes sure that the last commit was fanned out.
"""

from __future__ import annotations

from typing import Callable, Optional, Sequence, cast

from ... import layout
from ...errors import BackendError
from ...functions.writer import Writer
from ...messages import Message
from ...ports import Push, Store, Written
from ...writer.fanout import FanOutProgress
from .ports import Deployment, SimulatedStore
from .world import Process


class DirectStore(SimulatedStore):
    """A store whose first commit of the head takes a message, which no queue has."""

    message: Optional[Message] = None

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""

        await self._process.call("store", "commit", lambda: self.write(writes))

    def write(self, writes: Sequence[object]) -> None:
        """The commit's effect."""
        if any(getattr(write, "key", None) == layout.head_key(self._deployment.ns) for write in writes):
            head = self._deployment.head_rev()
            if any(getattr(write, "expect", None) == head for write in writes) or head == 0:
                self.take()
        self._deployment.commit(self._process, writes)

    def take(self) -> None:
        """From here on it may have been done."""
        message, self.message = self.message, None
        if message is not None:
            self._deployment.note_taken(self._process, message)


class InTheClient:
    """`ports.Direct`, of one client process that has a writer."""

    never_waits = False

    def __init__(
        self,
        deployment: Deployment,
        process: Process,
        store: DirectStore,
        told: Optional[FanOutProgress] = None,
        events: Optional[Push] = None,
    ) -> None:
        self._deployment = deployment
        self._process = process
        self._store = store
        ports = deployment.ports(process)._replace(store=cast(Store, store), events=events)
        self._writer = Writer(ports, told=told)

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`."""
        raise NotImplementedError

    async def _is_fanned_out(self) -> bool:
        try:
            return await self._writer.is_fanned_out(self._deployment.ns)
        except BackendError:
            return False

    def in_turn(self, has_turn: Callable[[], bool]) -> None:
        """`ports.Direct.in_turn`: it waits, so nobody asks."""

    def finish_fan_out(self, ns: str) -> None:
        """`ports.Direct.finish_fan_out`: see `write`."""


class SimulatedDirect(InTheClient):
    """Where the functions are in the process, too."""

    def __init__(self, deployment: Deployment, process: Process) -> None:
        super().__init__(deployment, process, DirectStore(deployment, process))
        process.on_death.append(lambda: deployment.release(process))

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`."""
        deployment, process = self._deployment, self._process
        if process.random.random() >= deployment.world.knobs.direct or not deployment.hold(process):
            return None
        told, written = False, None
        try:
            written = await self._write(message)
            told = await self._is_fanned_out()
        finally:
            deployment.release(process, told)
        return written

    async def _write(self, message: Message) -> Written:
        self._store.message = message
        written = await self._writer.write(self._deployment.ns, message)
        self._store.take()
        return written
