"""A deployment in a PostgreSQL database, shared by the processes of any number of machines.

What is, is in three tables; what is asked and told goes by NOTIFY; the functions run in the process that holds an
advisory lock. ``fk-kazoo init`` makes a deployment. All of it needs the extra ``fk_kazoo[postgres]``.

Imports: functions, ports, asyncpg. Never: kazoo, fk_kazoo, fk_backend.session, fk_backend.providers.local, sqlite3.
"""

from __future__ import annotations

import importlib.util
import weakref
from typing import List, Mapping, Sequence

from ...errors import DeploymentError, NotADeployment
from ...ports import AdminPorts, Gateway, NullSender, Ports
from ..clock import SystemClock
from .place import Place, identity

__all__ = ["FIRST_ANSWER_S", "abandon", "administer", "check", "connect", "identity", "init", "rest"]

FIRST_ANSWER_S = 3.0
"""How long a session may take to open, and to close: it may be that a writer has to be elected first."""

_gateways: "weakref.WeakSet[Gateway]" = weakref.WeakSet()
"""As long as somebody uses them."""
_discarded: List[object] = []


def check(name: str, options: Mapping[str, str]) -> None:
    """Whether the deployment can be used, as far as can be told without asking: the library is there."""
    if importlib.util.find_spec("asyncpg") is None:
        raise DeploymentError("postgresql:// needs one more library: pip install 'fk_kazoo[postgres]'")


async def connect(name: str, options: Mapping[str, str]) -> Gateway:
    """This process's way to a deployment. DeploymentError if there is none, or not for this role."""
    from .gateway import PostgresGateway

    gateway = await PostgresGateway.open(name, options)
    _gateways.add(gateway)
    return gateway


async def init(name: str, options: Mapping[str, str], roles: Sequence[str], namespace: str = "") -> bool:
    """Makes the deployment, or brings it up to date, and lets the roles use it. Whether anything was made.

    ``namespace``: that one alone, which is these roles' own from then on. DeploymentError.
    """
    check(name, options)
    from .connections import Connections
    from .failures import DRIVER, at_connect
    from .schema import make

    place = Place(name, options)
    connections = Connections(place)
    connection = await connections.open()
    try:
        return await make(connection, place.shown, list(roles), namespace)
    except DRIVER as error:
        raise at_connect(error, place.shown) from error
    finally:
        await connection.close()


async def administer(name: str, options: Mapping[str, str], make: bool) -> AdminPorts:
    """The tables; ``make`` has the deployment made if there is none. DeploymentError as `connect`."""
    check(name, options)
    from .connections import Connections
    from .server import examine
    from .store import PostgresStore

    place = Place(name, options)
    connections = Connections(place)
    connection = await connections.open()
    try:
        await examine(connection, place)
    except NotADeployment:
        if not make:
            raise
        await init(name, options, [])
    finally:
        await connection.close()
    store = PostgresStore(connections)
    nobody = NullSender()
    return AdminPorts(Ports(store, nobody, nobody, SystemClock()), store.namespaces, connections.close)


def rest() -> None:
    """Before a fork: connections are the parent's; nothing of them is locked."""


def abandon(forked: bool = True) -> None:
    """In a forked child, or where files were closed: lets go of the connections without closing them."""
    _discarded.extend(_gateways)
    _gateways.clear()
