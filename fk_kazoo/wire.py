"""kazoo's requests become operations, by the bytes that kazoo would send; results become ZooKeeper's reply bytes.

So whatever kazoo does with a reply (exceptions, chroot, watchers, a request class of the app's own that
deserializes in its own way) is kazoo's own code. Only a list of children is handed over as it is: see `Listing`.
What the bytes mean is known by `jute` alone.
"""

from __future__ import annotations

import struct
from typing import Any, List, Sequence

from kazoo.protocol.serialization import GetChildren

from fk_backend.core.model import Error
from fk_backend.core.requests import Result
from fk_backend.session import ops

from . import jute

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA = jute.CREATE, jute.DELETE, jute.EXISTS, jute.GET_DATA, jute.SET_DATA
GET_ACL, SET_ACL, SYNC, PING, CHECK, MULTI = jute.GET_ACL, jute.SET_ACL, jute.SYNC, jute.PING, jute.CHECK, jute.MULTI
GET_CHILDREN, GET_CHILDREN2, CREATE2 = jute.GET_CHILDREN, jute.GET_CHILDREN2, jute.CREATE2
CREATE_CONTAINER, CREATE_TTL = jute.CREATE_CONTAINER, jute.CREATE_TTL
ADD_WATCH, REMOVE_WATCHES, MAX_REQUEST_BYTES = jute.ADD_WATCH, jute.REMOVE_WATCHES, jute.MAX_REQUEST_BYTES
event, connected = jute.event, jute.connected

READS = frozenset((EXISTS, GET_DATA, GET_ACL, GET_CHILDREN, GET_CHILDREN2))
WRITES = frozenset((CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL, DELETE, SET_DATA, SET_ACL, MULTI))
DIRECT = READS | WRITES | {CHECK, SYNC}
"""Requests that need nothing of kazoo's connection loop."""

ASKED = DIRECT | {ADD_WATCH, REMOVE_WATCHES, jute.AUTH, jute.CLOSE}
"""Every request that kazoo or an app of its may make."""

UNSENDABLE = (struct.error, TypeError, ValueError, AttributeError, LookupError, OverflowError)
"""What is raised for what can't be put on ZooKeeper's wire."""


class Listing(GetChildren):
    """kazoo's request for the names of children, which takes them as they are: packing takes longer than reading."""

    names: Sequence[str] = ()

    def deserialize(self, bytes: bytes, offset: int) -> List[str]:  # type: ignore[override] # kazoo asks the instance
        """What was taken."""
        return list(self.names)


def by_hand(request: Any) -> Any:
    """The request as it may be answered without bytes in between. An app's own class wants its bytes."""
    return Listing(*request) if type(request) is GetChildren else request


def operation(request: Any) -> Any:
    """What a request of kazoo's asks for; an `ops.Fail` for what can't be asked."""
    if request.type not in ASKED:
        return ops.Fail(Error.UNIMPLEMENTED)
    try:
        body = bytes(request.serialize())
        if len(body) >= MAX_REQUEST_BYTES:
            return ops.Fail(Error.TOO_LARGE)
        return jute.operation(request.type, body)
    except jute.Malformed:
        return ops.Fail(Error.MARSHALLING)
    except UNSENDABLE:  # an int too long, half a surrogate; what a signal's handler raises is the caller's
        return ops.Fail(Error.BAD_ARGUMENTS)


def reply(request: Any, result: Result) -> bytes:
    """The body of a reply, as a ZooKeeper server sends it; empty for an error, and for a `Listing`."""
    if result.code != Error.OK:
        return b""
    if type(request) is Listing:
        request.names = result.value[0]
        return b""
    if request.type == MULTI:
        return jute.results((part.type for part in request.operations), result.value)
    make = jute.BODIES.get(request.type)
    return b"" if make is None else make(result.value)
