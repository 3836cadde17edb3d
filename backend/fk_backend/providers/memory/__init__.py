"""A deployment inside one process: real functions, real protocol, nothing kept when the process ends.

It lives as long as the process, whoever is connected, so that clients which come and go find their tree again. It
lives in one event loop at a time: other loops of the process come to it there (`other_loop`), and where its loop is
gone, or stands still, the next one who comes takes it over.

Imports: functions, ports. Never: kazoo, fk_kazoo, fk_backend.session, fk_backend.providers.local, sqlite3.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Callable, Dict, Mapping, Optional

from ...core.model import Id
from ...errors import DeploymentError
from ...ports import AdminPorts, Clock, Gateway
from .. import naming
from .deployment import MemoryDeployment as MemoryDeployment
from .other_loop import OtherLoopGateway

READS_AT_ONCE = True
"""A read waits for nothing: whoever holds the loop's turn can do it from any thread."""
_deployments: Dict[str, MemoryDeployment] = {}
_left: Dict[str, MemoryDeployment] = {}
"""Those of an event loop that is gone, until somebody asks for them."""


class Visited(MemoryDeployment):
    """One in an event loop that ends before the process does. It is there for its guests only; the tree stays."""

    async def close(self) -> None:
        """`ports.Gateway.close`: nothing of it runs any more. The next one who asks for it by name goes on with it."""
        for name, known in list(_deployments.items()):
            if known is self:
                del _deployments[name]
                _left[name] = self
        self.watched = self._functions.watched
        subscribers, self._subscribers = self._subscribers, {}
        for subscriber in subscribers.values():  # of other loops
            subscriber.lost("the event loop in which the deployment lived has ended")
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
