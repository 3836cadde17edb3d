"""One deployment in memory: the functions and what they are reached by, all in one process."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Callable, Dict, List, Optional, Sequence

from ...core.model import Id
from ...errors import Unavailable
from ...functions.heartbeat import Heartbeat
from ...functions.writer import Writer
from ...mac import inbox_name
from ...ports import Clock, Ports, Pushed, Queue
from ..clock import SystemClock
from ..direct import InProcessDirect
from ..dispatch import Dispatcher
from ..subscriber import MOVED, Subscriber
from .store import MemoryStore

ADDRESS = "127.0.0.1"


class MemoryDeployment:
    """`ports.Gateway`, `ports.Queue` and `ports.Inboxes` in one: there is nothing in between."""

    address: Optional[str] = ADDRESS
    blobs = None

    def __init__(
        self, super_id: Optional[Id] = None, store: Optional[MemoryStore] = None, clock: Optional[Clock] = None
    ) -> None:
        self.store = store or MemoryStore()
        self.clock = clock or SystemClock()
        self._subscribers: Dict[str, Subscriber] = {}
        self._ports, self._super_id = Ports(self.store, self, self, self.clock), super_id
        self._writer = Writer(self._ports, super_id)
        self._functions = Dispatcher(self._writer, Heartbeat(self._ports), self, self.clock)
        self.direct = InProcessDirect(lambda: self._writer, self._functions.is_free, self._functions.schedule_fan_out)
        self.home: Optional[asyncio.AbstractEventLoop] = asyncio._get_running_loop()
        self.given_up = False
        """Whether it goes on elsewhere: who comes here opens it anew."""
        self.watched: List[str] = []
        """The namespaces that its heartbeat looked after when it was given up."""

    async def replace_writer(self) -> None:
        """The writer ends, and another one that knows nothing goes on from what is stored. In the loop's thread."""
        writer = Writer(self._ports, self._super_id)
        await self._functions.replace_writer(writer)
        self._writer = writer

    @property
    def stopped(self) -> bool:
        """Whether its functions were ended."""
        return self._functions.halted

    async def stop(self) -> None:
        """Ends its functions: nothing is taken any more."""
        await self._functions.stop()

    def give_up(self) -> MemoryStore:
        """What it stored, for the one that goes on: here there is nothing any more, whoever still asks for it."""
        self.watched = self.watched or self._functions.watched
        self.given_up = self._functions.halted = True
        subscribers, self._subscribers = self._subscribers, {}
        for subscriber in subscribers.values():
            with contextlib.suppress(RuntimeError):  # the loop is closed
                if self.home is not None:
                    self.home.call_soon_threadsafe(subscriber.lost, "the deployment moved to another event loop")
        return self.store.moved()

    async def succeed(self, other: "MemoryDeployment") -> None:
        """Goes on where another one ended, whose loop is gone: with its tree, and with the sessions that were open."""
        for ns in other.watched:
            await self._writer.recover(ns)
            self._functions.watch(ns)

    @property
    def queue(self) -> Queue:
        """`ports.Gateway.queue`."""
        return self

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        self._functions.accept(group, message_id, body, internal=message_id.startswith("heartbeat:"))

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`."""
        for message in messages:
            subscriber = self._subscribers.get(message.inbox)
            if subscriber is not None:
                subscriber.receive(message.body)

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        subscriber = self._subscribers.pop(inbox, None)
        if subscriber is not None:
            subscriber.lost(MOVED)

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return inbox_name(ns, key, nonce)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""
        self._subscribers[inbox] = Subscriber(receive, lost)

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        self._subscribers.pop(inbox, None)

    async def check(self) -> None:
        """`ports.Gateway.check`."""
        if self._functions.halted:
            raise Unavailable("the functions of this deployment are halted")

    async def close(self) -> None:
        """`ports.Gateway.close`: the deployment stays for the next one who asks for it by name."""
