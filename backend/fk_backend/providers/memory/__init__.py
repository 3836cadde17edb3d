"""A deployment inside one process: real functions, real protocol, nothing kept when the process ends.

It lives as long as the process, whoever is connected, so that clients which come and go find their tree again.
"""

from __future__ import annotations

from typing import Callable, Dict, Mapping, NamedTuple, Optional, Sequence

from ...core.model import Id
from ...errors import DeploymentError, Unavailable
from ...functions.heartbeat import Heartbeat
from ...functions.writer import Writer
from ...mac import inbox_name
from ...ports import Administration, Clock, Gateway, Ports, Pushed, Queue
from ..clock import SystemClock
from ..direct import InPlace
from ..dispatch import Dispatcher
from .store import MemoryStore

ADDRESS = "127.0.0.1"
READS_AT_ONCE = True
"""A read waits for nothing: whoever holds the loop's turn can do it from any thread."""
_deployments: Dict[str, "MemoryDeployment"] = {}
_left: Dict[str, "MemoryDeployment"] = {}
"""Those of an event loop that is gone, until somebody asks for them."""


class Ear(NamedTuple):
    """Who listens to an inbox."""

    receive: Callable[[bytes], None]
    lost: Callable[[str], None]


class MemoryDeployment:
    """`ports.Gateway`, `ports.Queue` and `ports.Inboxes` in one: there is nothing in between."""

    address: Optional[str] = ADDRESS
    thrifty = False
    blobs = None

    def __init__(
        self, super_id: Optional[Id] = None, store: Optional[MemoryStore] = None, clock: Optional[Clock] = None
    ) -> None:
        self.store = store or MemoryStore()
        self.clock = clock or SystemClock()
        self._ears: Dict[str, Ear] = {}
        self._ports, self._super_id = Ports(self.store, self, self, self.clock), super_id
        self._writer = Writer(self._ports, super_id)
        self._functions = Dispatcher(self._writer, Heartbeat(self._ports), self, self.clock)
        self.direct = InPlace(self._functions)

    async def replace_writer(self) -> None:
        """The writer ends, and another one that knows nothing goes on from what is stored. In the loop's thread."""
        writer = Writer(self._ports, self._super_id)
        await self._functions.replace_writer(writer)
        self._writer = writer

    async def stop(self) -> None:
        """Ends its functions: nothing is taken any more."""
        await self._functions.stop()

    async def succeed(self, other: "MemoryDeployment") -> None:
        """Goes on where another one ended, whose loop is gone: with its tree, and with the sessions that were open."""
        for ns in other._functions.watched:
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
            ear = self._ears.get(message.inbox)
            if ear is not None:
                ear.receive(message.body)

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        ear = self._ears.pop(inbox, None)
        if ear is not None:
            ear.lost("the session moved to another connection")

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return inbox_name(ns, key, nonce)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""
        self._ears[inbox] = Ear(receive, lost)

    async def hush(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.hush`."""
        self._ears.pop(inbox, None)

    async def check(self) -> None:
        """`ports.Gateway.check`."""
        if self._functions.halted:
            raise Unavailable("the functions of this deployment are halted")

    async def close(self) -> None:
        """`ports.Gateway.close`: the deployment stays for the next one who asks for it by name."""


def identity(name: str) -> str:
    """What two openings share if they are of the same deployment."""
    return name


def check(name: str, options: Mapping[str, str]) -> None:
    """Whether the deployment can be used: always."""


def make(name: str, clock: Clock) -> MemoryDeployment:
    """A deployment whose time goes by this clock. ValueError if there is one of that name. In the loop's thread."""
    if name in _deployments:
        raise ValueError("there is a deployment memory://%s" % name)
    made = _deployments[name] = MemoryDeployment(clock=clock)
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
    found = _deployments.get(name)
    if found is None:
        left = _left.pop(name, None)
        found = _deployments[name] = MemoryDeployment(store=None if left is None else left.store)
        if left is not None:
            await found.succeed(left)
    return found


async def administer(name: str, options: Mapping[str, str], make: bool) -> Administration:
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
