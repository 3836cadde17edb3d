"""A deployment inside one process: real functions, real protocol, nothing kept when the process ends.

It lives as long as the process, whoever is connected, so that clients which come and go find their tree again. It
lives in one event loop at a time: other loops of the process come to it there (`other_loop`), and where its loop is
gone, or stands still, the next one who comes takes it over.

Imports: functions, ports. Never: kazoo, fk_kazoo, fk_backend.session, fk_backend.providers.local, sqlite3.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ...core.model import Id
from ...errors import DeploymentError, Unavailable
from ...functions.heartbeat import Heartbeat
from ...functions.writer import Writer
from ...mac import inbox_name
from ...ports import AdminPorts, Clock, Gateway, Ports, Pushed, Queue
from .. import naming
from ..clock import SystemClock
from ..direct import InProcessDirect
from ..dispatch import Dispatcher
from .other_loop import OtherLoopGateway
from .store import MemoryStore

ADDRESS = "127.0.0.1"
READS_AT_ONCE = True
"""A read waits for nothing: whoever holds the loop's turn can do it from any thread."""
_deployments: Dict[str, "MemoryDeployment"] = {}
_left: Dict[str, "MemoryDeployment"] = {}
"""Those of an event loop that is gone, until somebody asks for them."""


class Subscriber(NamedTuple):
    """Who listens to an inbox."""

    receive: Callable[[bytes], None]
    lost: Callable[[str], None]


class MemoryDeployment:
    """`ports.Gateway`, `ports.Queue` and `ports.Inboxes` in one: there is nothing in between."""

    address: Optional[str] = ADDRESS
    beats_only_if_owning = False
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
        ears, self._subscribers = self._subscribers, {}
        for ear in ears.values():
            with contextlib.suppress(RuntimeError):  # the loop is closed
                if self.home is not None:
                    self.home.call_soon_threadsafe(ear.lost, "the deployment moved to another event loop")
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
            ear = self._subscribers.get(message.inbox)
            if ear is not None:
                ear.receive(message.body)

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        ear = self._subscribers.pop(inbox, None)
        if ear is not None:
            ear.lost("the session moved to another connection")

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


class Visited(MemoryDeployment):
    """One in an event loop that ends before the process does. It is there for its guests only; the tree stays."""

    async def close(self) -> None:
        """`ports.Gateway.close`: nothing of it runs any more. The next one who asks for it by name goes on with it."""
        for name, known in list(_deployments.items()):
            if known is self:
                del _deployments[name]
                _left[name] = self
        self.watched = self._functions.watched
        ears, self._subscribers = self._subscribers, {}
        for ear in ears.values():  # of other loops
            ear.lost("the event loop in which the deployment lived has ended")
        await self.stop()


def identity(name: str) -> str:
    """What two openings share if they are of the same deployment."""
    return name


def check(name: str, options: Mapping[str, str]) -> None:
    """Whether the deployment can be used: always, once it is there. BadUrl for a name that none may have."""
    if name not in _deployments and name not in _left:
        naming.checked("memory", name)


def make(name: str, clock: Clock, super_id: Optional[Id] = None) -> MemoryDeployment:
    """A deployment whose time goes by this clock. ValueError if there is one of that name. In the loop's thread."""
    if name in _deployments:
        raise ValueError("there is a deployment memory://%s" % name)
    made = _deployments[name] = MemoryDeployment(super_id, clock=clock)
    return made


def deployment(name: str) -> MemoryDeployment:
    """The deployment of that name. KeyError if there is none."""
    return _deployments[name]


async def forget(name: str) -> None:
    """Ends a deployment and loses its tree. In the loop's thread."""
    found = _deployments.pop(name, None)
    if found is not None:
        await found.stop()


async def connect(name: str, options: Mapping[str, str]) -> Gateway:
    """The deployment of that name in this process, made when first asked for."""
    return await _opened(name, MemoryDeployment)


async def visit(name: str, options: Mapping[str, str]) -> Gateway:
    """As `connect`, for an event loop that ends before the process does: close it before."""
    return await _opened(name, Visited)


async def _opened(name: str, make: Callable[..., MemoryDeployment]) -> Gateway:
    found, left = _deployments.get(name), _left.pop(name, None)
    if found is not None:
        if found.home in (None, asyncio.get_running_loop()):
            return found
        if found.home.is_running():
            return OtherLoopGateway(found, found.home, partial(_opened, name, make))
        left = found
    found = _deployments[name] = make(store=None if left is None else left.give_up())
    if left is not None:
        await found.succeed(left)
    return found


async def administer(name: str, options: Mapping[str, str], make: bool) -> AdminPorts:
    """Nobody can have more of it than its process has. DeploymentError."""
    raise DeploymentError("memory://%s is gone with its process: nobody can back it up, or restore into it" % name)


def rest() -> None:
    """Before a fork: there is nothing to close."""


def abandon(forked: bool = True) -> None:
    """In a forked child: the parent's deployments are the parent's. Where files were closed: they get another loop."""
    if forked:
        _left.clear()
    else:
        _left.update(_deployments)
    _deployments.clear()
