"""Requests of ZooKeeper 3.5 and 3.6 that kazoo has no class for. They exist beside kazoo's and look like them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, Tuple

from kazoo import exceptions
from kazoo.protocol.serialization import Create2, Watch, int_struct, long_struct, write_string

from fk_backend.core.model import Error
from fk_backend.core.watches import PERSISTENT, RECURSIVE

from . import wire

if hasattr(exceptions, "NoWatcherError"):
    NoWatcherError: Any = exceptions.NoWatcherError
else:  # kazoo before 2.11

    class NoWatcherError(exceptions.ZookeeperError):  # type: ignore[no-redef]
        """There is no such watch to remove."""

        code = Error.NO_WATCHER

    exceptions.EXCEPTIONS[Error.NO_WATCHER] = NoWatcherError


class AddWatchMode:
    """How far a watch that stays reaches (``org.apache.zookeeper.AddWatchMode``)."""

    PERSISTENT = PERSISTENT
    """The node: its creation, data, deletion, and its children's coming and going."""
    PERSISTENT_RECURSIVE = RECURSIVE
    """The node and everything below it: creation, data, deletion."""


class AddWatch(namedtuple("AddWatch", "path watch mode")):
    """Leaves a watch that stays until it is removed."""

    type = wire.ADD_WATCH

    def serialize(self) -> bytes:
        """As ZooKeeper 3.6 sends it. Its own numbers, 0 and 1, are good as modes, too."""
        mode = {PERSISTENT: 0, RECURSIVE: 1}.get(self.mode, self.mode)
        return bytes(write_string(self.path) + int_struct.pack(mode))

    @classmethod
    def deserialize(cls, data: bytes, offset: int) -> bool:
        """Nothing but success comes back."""
        return True


class RemoveWatches(namedtuple("RemoveWatches", "path")):
    """Removes every watch of this client on a path."""

    type = wire.REMOVE_WATCHES

    def serialize(self) -> bytes:
        """As ZooKeeper 3.5 sends it (type 3: any)."""
        return bytes(write_string(self.path) + int_struct.pack(3))

    @classmethod
    def deserialize(cls, data: bytes, offset: int) -> bool:
        """Nothing but success comes back."""
        return True


class CreateContainer(Create2):
    """A node that is removed when it has had children and has none any more."""

    type = wire.CREATE_CONTAINER


class CreateTTL(namedtuple("CreateTTL", "path data acl flags ttl_ms")):
    """A node that is removed when it was not changed for ``ttl_ms`` and has no children."""

    type = wire.CREATE_TTL

    def serialize(self) -> bytes:
        """As ZooKeeper 3.5 sends it."""
        return bytes(Create2(self.path, self.data, self.acl, self.flags).serialize() + long_struct.pack(self.ttl_ms))

    @classmethod
    def deserialize(cls, data: bytes, offset: int) -> Any:
        """(path, ZnodeStat)."""
        return Create2.deserialize(data, offset)


def read_event(buffer: bytes, offset: int) -> Tuple[int, str]:
    """(kind, path) of a WatcherEvent."""
    event, _ = Watch.deserialize(buffer, offset)
    return event.type, event.path
