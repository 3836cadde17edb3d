"""A deployment inside one process: real functions, real protocol, nothing kept when the process ends.

It lives as long as the process, whoever is connected, so that clients which come and go find their tree again.
"""

from __future__ import annotations

from typing import Callable, Dict, Mapping, NamedTuple, Optional, Sequence

from ...core.model import Id
from ...errors import DeploymentError, Unavailable
from ...functions.heartbeat import Heartbeat
from ...functions.writer import Writer
from ...ports import Administration, Gateway, Ports, Pushed, Queue
from ..clock import SystemClock
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

    def __init__(self, super_id: Optional[Id] = None, store: Optional[MemoryStore] = None) -> None:
        self.store = store or MemoryStore()
        self.clock = SystemClock()
        self._ears: Dict[str, Ear] = {}
        ports = Ports(self.store, self, self, self.clock)
        self._writer = Writer(ports, super_id)
        self._functions = Dispatcher(self._writer, Heartbeat(ports), self, self.clock)

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


async def connect(name: str, options: Mapping[str, str]) -> Gateway:
    """The deployment of that name in this process, made when first asked for."""
    deployment = _deployments.get(name)
    if deployment is None:
        left = _left.pop(name, None)
        deployment = _deployments[name] = MemoryDeployment(store=None if left is None else left.store)
        if left is not None:
            await deployment.succeed(left)
    return deployment


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
