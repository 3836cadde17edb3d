"""kazoo's requests become operations, by the bytes that kazoo would send; results become ZooKeeper's reply bytes.

So whatever kazoo does with a reply (exceptions, chroot, watchers, a request class of the app's own that
deserializes in its own way) is kazoo's own code. What the bytes mean is known by `jute` alone.

Making bytes and reading them again takes longer than the rest of a call. So the usual request of a class of kazoo's own
is taken as it is, where its bytes would say the same (`_AS_IT_IS`); its answer is made by `values`.
"""

from __future__ import annotations

import struct
from typing import Any, Callable, Dict, List, Optional

from kazoo.protocol import serialization as kazoo
from kazoo.security import ACL, Id

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Check, Create, Delete, Multi, Result, SetData
from fk_backend.session import ops

from . import jute

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA = jute.CREATE, jute.DELETE, jute.EXISTS, jute.GET_DATA, jute.SET_DATA
GET_ACL, SET_ACL, SYNC, PING, CHECK, MULTI = jute.GET_ACL, jute.SET_ACL, jute.SYNC, jute.PING, jute.CHECK, jute.MULTI
GET_CHILDREN, GET_CHILDREN2, CREATE2 = jute.GET_CHILDREN, jute.GET_CHILDREN2, jute.CREATE2
CREATE_CONTAINER, CREATE_TTL = jute.CREATE_CONTAINER, jute.CREATE_TTL
ADD_WATCH, REMOVE_WATCHES, MAX_REQUEST_BYTES = jute.ADD_WATCH, jute.REMOVE_WATCHES, jute.MAX_REQUEST_BYTES
event, connected = jute.event, jute.connected

CREATES = frozenset((CREATE, CREATE2))
READS = frozenset((EXISTS, GET_DATA, GET_ACL, GET_CHILDREN, GET_CHILDREN2))
WRITES = frozenset((CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL, DELETE, SET_DATA, SET_ACL, MULTI))
DIRECT = READS | WRITES | {CHECK, SYNC}
"""Requests that need nothing of kazoo's connection loop."""

ASKED = DIRECT | {ADD_WATCH, REMOVE_WATCHES, jute.AUTH, jute.CLOSE}
"""Every request that kazoo or an app of its may make."""

UNSENDABLE = (struct.error, TypeError, ValueError, AttributeError, LookupError, OverflowError)
"""What is raised for what can't be put on ZooKeeper's wire."""


_ENOUGH_BYTES = MAX_REQUEST_BYTES - 1000
"""What is longer than this is measured by its bytes."""
_PART_BYTES = 100
"""What a part of a multi takes beside its path and its data, at most."""
_OPEN_TO_ALL = [ACL(each.perms, Id(each.scheme, each.id)) for each in OPEN_ACL]
_INT32 = 1 << 31


def _is_plain(path: Any, data: Any = None) -> bool:
    if type(path) is not str or not path.isascii() or "\0" in path:
        return False
    return data is None or (type(data) is bytes and len(data) + len(path) < _ENOUGH_BYTES)


def _is_int32(number: Any) -> bool:
    return type(number) is int and -_INT32 <= number < _INT32


def _create(request: Any) -> Optional[Create]:
    path, data, acl, flags = request
    if acl != _OPEN_TO_ALL or not _is_plain(path, data) or not _is_int32(flags):
        return None
    return Create(path, data, OPEN_ACL, flags, 0, False)


def _set_data(request: Any) -> Optional[SetData]:
    path, data, version = request
    return SetData(path, data, version) if _is_plain(path, data) and _is_int32(version) else None


def _versioned(kind: Any) -> Callable[[Any], Any]:
    def make(request: Any) -> Any:
        path, version = request
        return kind(path, version) if _is_plain(path) and _is_int32(version) else None

    return make


def _read(kind: Any) -> Callable[[Any], Any]:
    def make(request: Any) -> Any:
        path, watcher = request
        return kind(path, bool(watcher)) if _is_plain(path) else None

    return make


def _multi(request: Any) -> Optional[Multi]:
    found: List[Any] = []
    size = 0
    for part in request.operations if type(request.operations) is list else ():
        make = _PARTS_AS_THEY_ARE.get(type(part))
        op = None if make is None else make(part)
        if op is None:
            return None
        size += len(op.path) + len(getattr(op, "data", None) or b"") + _PART_BYTES
        found.append(op)
    return Multi(tuple(found)) if found and size < _ENOUGH_BYTES else None


_PARTS_AS_THEY_ARE: Dict[type, Callable[[Any], Any]] = {
    kazoo.Create: _create,
    kazoo.Delete: _versioned(Delete),
    kazoo.SetData: _set_data,
    kazoo.CheckVersion: _versioned(Check),
}
_AS_IT_IS: Dict[type, Callable[[Any], Any]] = {
    kazoo.Create: _create,
    kazoo.Delete: _versioned(Delete),
    kazoo.SetData: _set_data,
    kazoo.Transaction: _multi,
    kazoo.Exists: _read(ops.Exists),
    kazoo.GetData: _read(ops.GetData),
    kazoo.GetChildren: _read(ops.GetChildren),
    kazoo.GetChildren2: _read(ops.GetChildren),
}
"""By class, and an app's own is another one: the operation, or None for what is unusual and goes by its bytes."""


def operation(request: Any) -> Any:
    """What a request of kazoo's asks for; an `ops.Fail` for what can't be asked."""
    as_it_is = _AS_IT_IS.get(type(request))
    op = None if as_it_is is None else as_it_is(request)
    return _by_its_bytes(request) if op is None else op


def _by_its_bytes(request: Any) -> Any:
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
    """The body of a reply, as a ZooKeeper server sends it; empty for an error."""
    if result.code != Error.OK:
        return b""
    if request.type == MULTI:
        return jute.results((part.type for part in request.operations), result.value)
    make = jute.BODIES.get(request.type)
    return b"" if make is None else make(result.value)
