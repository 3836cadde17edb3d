"""One process's way to a deployment of this machine: it has its own queue and its own writer, as every other one."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Callable, Dict, List, Optional, Sequence

from ...errors import Unavailable
from ...functions.heartbeat import Heartbeat
from ...functions.writer import Writer
from ...mac import inbox_name
from ...ports import Direct, Ports, Pushed, Queue
from ...writer.senders import is_functions
from ..clock import SystemClock
from ..descriptors import Descriptor
from ..dispatch import Dispatcher
from ..subscriber import MOVED, Subscriber
from . import files
from .combining import Records
from .direct import DirectWriter
from .event_sockets import EventSocket, EventSockets, inbox_at, number_of
from .host import Host
from .progress import Progress, shared_words
from .shared_memory import SharedMemory, is_possible
from .store import LocalStore
from .turn import Turn

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
CUT_OFF = "this process could not be told what happened, as it did not listen for too long"


class FunctionsQueue:
    """`ports.Queue` of the functions themselves."""

    def __init__(self, functions: Callable[[], Dispatcher]) -> None:
        self._functions = functions

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        self._functions().accept(group, message_id, body, internal=True)


class LocalInboxes:
    """`ports.Inboxes`: those of this process, and of others by their sockets."""

    def __init__(self, sockets: EventSockets, own_number: Callable[[], int]) -> None:
        self.subscribers: Dict[str, Subscriber] = {}
        self._sockets = sockets
        self._own_number = own_number

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`. An answer is for who asked, so for this process, or for one that is gone."""
        away: List[List[Any]] = []
        for inbox, body, upto in messages:
            subscriber = self.subscribers.get(inbox)
            if subscriber is not None:
                subscriber.receive(body)
            elif not upto and self._is_away(inbox):
                away.append([inbox, body])
        if away:
            await self._sockets.deliver(away)

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        subscriber = self.subscribers.pop(inbox, None)
        if subscriber is not None:
            subscriber.lost(MOVED)
        elif self._is_away(inbox):
            await self._sockets.deliver([[inbox, None]])

    def _is_away(self, inbox: str) -> bool:
        return not is_functions(inbox) and number_of(inbox) not in (None, self._own_number())

    def received(self, inbox: str, body: Optional[bytes]) -> None:
        """Another process, or a caller's thread of this one, tells something. TypeError, ValueError."""
        subscriber = self.subscribers.get(inbox)
        if subscriber is None:
            return
        if body is None:
            del self.subscribers[inbox]
            subscriber.lost(MOVED)
        elif type(body) is bytes:
            subscriber.receive(body)
        else:
            raise ValueError("no note")


class LocalGateway:
    """`ports.Gateway` and `ports.Queue` of one process for one deployment."""

    address: Optional[str] = ADDRESS
    blobs = None

    def __init__(self, place: files.Place) -> None:
        self.place = place
        self.store = LocalStore(place, writable_state=True)
        try:
            self._begin(place)
        except BaseException:
            self.store.close()
            raise

    def _begin(self, place: files.Place) -> None:
        self.clock = SystemClock()
        words, is_shared = shared_words(place)
        progress = Progress(words)
        self.store.only_while(progress.while_asked)
        sockets = EventSockets(place)
        self._inboxes = LocalInboxes(sockets, lambda: self._socket.number)
        with files.as_our_error(place.commit_lock):
            memory = SharedMemory(place, words)
        self._records = Records(memory, is_shared and is_possible(), sockets.wake)
        self.functions_queue = FunctionsQueue(lambda: self._functions)
        ports = Ports(self.store, self._inboxes, self.functions_queue, self.clock, events=sockets.push)
        writer = Writer(ports, files.super_id(place), told=progress)
        self._turn = Turn(
            self._records, lambda: self._socket.number, lambda: self._direct.see_off(), self.store.locked_s
        )
        self._functions = Dispatcher(writer, None, self._inboxes, self.clock, turn=self._turn)
        self._direct = DirectWriter(
            lambda: writer,
            lambda ns: self._functions.is_free(ns) and not self._functions.is_at_work,
            self._functions.schedule_fan_out,
            self.store,
            progress,
            self._records,
        )
        self._socket = EventSocket(place, self._inboxes.received, self._turn.wake, self._see_whether_heard)
        self.host = Host(place, self.store, words, progress, self._functions, Heartbeat(ports), self.clock)
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        self._functions.begin()
        try:
            await self.host.run(self._see_whether_heard)
        finally:  # cancelled, too, as by asyncio.run of an app that closed nothing: others may be the host
            self.host.stop()

    @property
    def queue(self) -> Queue:
        """`ports.Gateway.queue`."""
        return self

    @property
    def direct(self) -> Optional[Direct]:
        """`ports.Gateway.direct`."""
        return self._direct

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        self._functions.accept(group, message_id, body)

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        self._see_whether_heard()
        return inbox_at(inbox_name(ns, key, nonce), self._socket.number)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""
        if not self._socket.number:
            self._socket.open()
        if number_of(inbox) not in (None, self._socket.number):
            raise Unavailable(CUT_OFF)
        self._inboxes.subscribers[inbox] = Subscriber(receive, lost)

    def take_pushed(self) -> None:
        """`ports.Gateway.take_pushed`: what others told comes by the socket, and answers do not."""
        self._socket.read()

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        self._inboxes.subscribers.pop(inbox, None)

    def _see_whether_heard(self) -> None:
        """Who can't be told anything ends all connections: they begin anew, at another socket."""
        if self._socket.is_heard():
            return
        subscribers = list(self._inboxes.subscribers.values())
        self._inboxes.subscribers.clear()
        try:
            self._socket.open()
        except Unavailable as error:
            log.warning("%s", error)
        for subscriber in subscribers:
            subscriber.lost(CUT_OFF)

    async def check(self) -> None:
        """`ports.Gateway.check`."""
        if self._functions.halted:
            raise Unavailable("the deployment was closed here")
        self._see_whether_heard()
        await self._turn.check()

    def abandon(self, forked: bool) -> List[Descriptor]:
        """Nothing of it is used any more: the descriptors to close."""
        self.store.abandon(forked)
        lock = self.host.lock
        found = [self._socket.descriptor, None if lock is None else lock.descriptor]
        return [each for each in found if each is not None]

    async def close(self) -> None:
        """`ports.Gateway.close`."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.host.stop()
        await self._functions.stop()
        self._socket.close()
        self._records.close()
        self.store.close()
