"""A deployment on one machine: SQLite files under ``$FK_KAZOO_HOME``, shared by any number of processes.

Reads and watch registrations go to the files directly, and so does a write while the process that is the host now has
nothing to do; else it is the host's. There is no daemon to start: the first process is the host, and when it ends,
another one is.

Imports: functions, ports, sqlite3. Never: kazoo, fk_kazoo, fk_backend.session, fk_backend.providers.memory.
"""

from __future__ import annotations

import os
from typing import Callable, List, Mapping, Optional

from ... import layout
from ...errors import NoDeployment, NotADeployment
from ...mac import inbox_name
from ...messages import split_id
from ...ports import AdminPorts, Direct, Gateway, NullSender, Ports, Queue
from ..clock import SystemClock
from ..descriptors import Descriptor
from . import files, host, outbox, shared_memory
from .beside import LocalDirect
from .event_sockets import EventSocket, inbox_at
from .link import Link
from .store import LocalStore, namespaces

ADDRESS = "127.0.0.1"
READS_AT_ONCE = True
"""A read waits for nothing: whoever holds the loop's turn can do it from any thread."""
_links: List["LocalGateway"] = []
_discarded: List[object] = []


class LocalGateway:
    """`ports.Gateway` and `ports.Queue` of one process for one deployment."""

    address: Optional[str] = ADDRESS
    blobs = None

    def __init__(self, place: files.Place, ns: str = "") -> None:
        """``ns``: where sessions will be opened, if that is known."""
        self.place = place
        self.store = LocalStore(place, writable_state=True, beside=True)
        self.clock = SystemClock()
        super_id = files.super_id(place)
        self.link = Link(place, super_id, LocalDirect(place, self.store, super_id, ns))
        self._events = EventSocket(place, self.link.tell)
        _links.append(self)

    @property
    def queue(self) -> Queue:
        """`ports.Gateway.queue`."""
        return self

    @property
    def direct(self) -> Optional[Direct]:
        """`ports.Gateway.direct`."""
        return self.link.direct

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`: the link keeps it until it is answered."""
        inbox, first = split_id(message_id)
        self.link.send(group, inbox, first, body)

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return inbox_at(inbox_name(ns, key, nonce), self._events.number)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""
        self.link.listen(inbox, receive, lost)

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        self.link.unsubscribe(inbox, keep)

    async def check(self) -> None:
        """`ports.Gateway.check`."""
        await self.link.check()

    def abandon(self, forked: bool) -> List[Descriptor]:
        """Nothing of it is used any more: the descriptors to close."""
        self.store.abandon(forked)
        socket = self._events.descriptor
        return [*self.link.abandon(forked), *([] if socket is None else [socket])]

    async def close(self) -> None:
        """`ports.Gateway.close`."""
        _links.remove(self)
        self._events.close()
        await self.link.close()
        self.store.close()


def identity(name: str) -> str:
    """What two openings share if they are of the same deployment."""
    return os.path.realpath(files.locate(name).directory)


def check(name: str, options: Mapping[str, str]) -> None:
    """Whether the deployment can be used; it is made if there is none. DeploymentError if it can't be.

    What is open in this process was checked already; SQLite could not close its files again while they are locked.
    """
    if any(gateway.place == files.locate(name) for gateway in _links):
        return
    place = files.prepare(name)
    outbox.check(place.outbox)
    LocalStore(place, writable_state=False).close()  # its header was found good; now its tables


async def connect(name: str, options: Mapping[str, str]) -> Gateway:
    """This process's way to a deployment of this machine. NotADeployment while a restore fills it."""
    gateway = LocalGateway(files.prepare(name), options.get("namespace", ""))
    try:
        if (await gateway.store.get([layout.RESTORING]))[0] is not None:
            raise NotADeployment(
                "local://%s is being restored: try again when that is done. If it was broken off, remove it with "
                "fk-kazoo destroy, and restore again" % name
            )
        await gateway.link.begun()  # so that what is asked for first need not wait in the queue
    except BaseException:
        await gateway.close()
        raise
    return gateway


async def administer(name: str, options: Mapping[str, str], make: bool) -> AdminPorts:
    """The files, whoever is the host: a commit is conditional on the head, so that no order is broken.

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
    for gateway in _links:
        gateway.store.rest()
        gateway.link.rest()


def abandon(forked: bool = True) -> None:
    """Nothing of what was open may be used or finalized, but its sockets must not stay open, in a child or here."""
    for gateway in _links:
        for descriptor in gateway.abandon(forked):
            descriptor.close()
    _discarded.extend(_links)
    _links.clear()
    host.forget_locks()
    for descriptor in shared_memory.forget_locks():
        descriptor.close()
