"""A deployment on one machine: SQLite files under ``$FK_KAZOO_HOME``, shared by any number of processes.

Every process reads and writes the files directly, one at a time: with the commit lock. There is no daemon to start.

Imports: functions, writer, ports, sqlite3. Never: kazoo, fk_kazoo, fk_backend.session, fk_backend.providers.memory.
"""

from __future__ import annotations

import os
from typing import List, Mapping

from ... import layout
from ...errors import NoDeployment, NotADeployment
from ...ports import AdminPorts, Gateway, NullSender, Ports
from ..clock import SystemClock
from . import files, lock, shared_memory
from .gateway import LocalGateway
from .store import LocalStore, namespaces

READS_AT_ONCE = True
"""A read waits for nothing: whoever holds the loop's turn can do it from any thread."""
_gateways: List[LocalGateway] = []
_discarded: List[object] = []


class OpenGateway(LocalGateway):
    """One of those that are open in this process."""

    def __init__(self, place: files.Place) -> None:
        super().__init__(place)
        _gateways.append(self)

    async def close(self) -> None:
        """`ports.Gateway.close`."""
        if self in _gateways:
            _gateways.remove(self)
        await super().close()


def identity(name: str) -> str:
    """What two openings share if they are of the same deployment."""
    return os.path.realpath(files.locate(name).directory)


def check(name: str, options: Mapping[str, str]) -> None:
    """Whether the deployment can be used; it is made if there is none. DeploymentError if it can't be.

    What is open in this process was checked already; SQLite could not close its files again while they are locked.
    """
    if any(gateway.place == files.locate(name) for gateway in _gateways):
        return
    place = files.prepare(name)
    LocalStore(place, writable_state=False).close()  # its header was found good; now its tables


async def connect(name: str, options: Mapping[str, str]) -> Gateway:
    """This process's way to a deployment of this machine. NotADeployment while a restore fills it."""
    gateway = OpenGateway(files.prepare(name))
    try:
        if (await gateway.store.get([layout.RESTORING]))[0] is not None:
            raise NotADeployment(
                "local://%s is being restored: try again when that is done. If it was broken off, remove it with "
                "fk-kazoo destroy, and restore again" % name
            )
    except BaseException:
        await gateway.close()
        raise
    return gateway


async def administer(name: str, options: Mapping[str, str], make: bool) -> AdminPorts:
    """The files, whoever uses them: a commit is conditional on the head, so that no order is broken.

    DeploymentError as `check`; NotADeployment also if there is none, unless ``make`` says that it may be made.
    """
    place = files.locate(name)
    if not make and not os.path.lexists(place.directory):
        raise NoDeployment("there is no deployment %s" % place.directory)
    store = LocalStore(files.prepare(name), writable_state=True)

    async def close() -> None:
        store.close()

    nobody = NullSender()
    return AdminPorts(Ports(store, nobody, nobody, SystemClock()), lambda: namespaces(store), close)


def rest() -> None:
    """Before a fork: no connection of SQLite crosses it, since the child's own ones would then take no locks.

    https://sqlite.org/howtocorrupt.html, 2.6: SQLite counts the locks of a file within a process, and a child would
    inherit the counts without the locks. Its log could be deleted while it writes.
    """
    for gateway in _gateways:
        gateway.store.rest()


def abandon(forked: bool = True) -> None:
    """Nothing of what was open may be used or finalized, but its sockets must not stay open, in a child or here."""
    for gateway in _gateways:
        for descriptor in gateway.abandon(forked):
            descriptor.close()
    _discarded.extend(_gateways)
    _gateways.clear()
    lock.forget_locks()
    for descriptor in shared_memory.forget_locks():
        descriptor.close()
