"""A client's connection is made by the class that kazoo's module names, so that an app's overrides count.

kazoo looks up ``kazoo.client.ConnectionHandler`` whenever it makes a client, so apps put a class of their own there.
Its methods are kept in front of ours, and ours in front of kazoo's: what calls ``super()`` reaches the deployment.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kazoo.exceptions import ConfigurationError
from kazoo.protocol import connection as kazoo_connection

from .connection import ConnectionHandler, DeploymentConnection, Persistent

_THEIRS = kazoo_connection.ConnectionHandler


def adopt(connection: Any) -> Any:
    """Has a connection that was made for kazoo, by whatever kazoo's module named, reach the deployment; returns it.

    ConfigurationError if its class does not derive from kazoo's: nothing else can be told how to.
    """
    if not isinstance(connection, _THEIRS):
        raise ConfigurationError("%r does not derive from kazoo's ConnectionHandler" % (type(connection),))
    ours: Any = connection
    if not isinstance(connection, Persistent):
        named: Any = type(connection)
        ours.__class__ = _over_ours(named)
        ours.prepare()
    ours.only_kazoos = _only_kazoos(type(ours))
    return ours


@lru_cache(maxsize=64)
def _over_ours(named: Any) -> Any:
    if named is _THEIRS:
        return ConnectionHandler
    bases = (
        (Persistent, named) if issubclass(named, DeploymentConnection) else (Persistent, named, DeploymentConnection)
    )
    return type(named.__name__, bases, {"__module__": named.__module__, "__doc__": named.__doc__})


def _only_kazoos(kind: Any) -> bool:
    """Whether all that it inherits is kazoo's and ours; also kazoo's own class may have got methods of an app's."""
    known = [_THEIRS.__module__, *(part.__module__ for part in DeploymentConnection.__mro__[:-1])]
    inherited = [part for parent in kind.__mro__[1:-1] for part in (parent, *vars(parent).values())]
    return all(getattr(part, "__module__", known[0]) in known for part in inherited)
