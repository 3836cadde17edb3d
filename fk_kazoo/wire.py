"""kazoo's requests become operations by their opcode; results become ZooKeeper's reply bytes, which kazoo itself reads.

So whatever kazoo does with a reply (exceptions, chroot, watchers, a request class of the app's own that
deserializes in its own way) is kazoo's own code. Only a list of children is handed over as it is: see `Listing`.
"""

from __future__ import annotations

import struct
from typing import Any, Callable, Dict, List, Sequence, Tuple

from kazoo.protocol.serialization import (
    GetChildren,
    MultiHeader,
    bool_struct,
    int_int_long_struct,
    int_int_struct,
    int_struct,
    read_string,
    stat_struct,
    write_buffer,
    write_string,
)

from fk_backend.core.model import Acl, Error
from fk_backend.core.requests import Auth, Check, Close, Create, Delete, Flags, Multi, Result, SetAcl, SetData
from fk_backend.core.watches import CHILD, DATA, MODES, PERSISTENT, RECURSIVE
from fk_backend.session import ops
from fk_backend.session.watchlist import Event

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL = 1, 2, 3, 4, 5, 6, 7
GET_CHILDREN, SYNC, PING, GET_CHILDREN2, CHECK, MULTI, CREATE2 = 8, 9, 11, 12, 13, 14, 15
CREATE_CONTAINER, REMOVE_WATCHES, CREATE_TTL, AUTH, ADD_WATCH, CLOSE = 19, 18, 21, 100, 106, -11
"""Opcodes (``ZooDefs.OpCode``)."""

READS = frozenset((EXISTS, GET_DATA, GET_ACL, GET_CHILDREN, GET_CHILDREN2))
WRITES = frozenset((CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL, DELETE, SET_DATA, SET_ACL, MULTI))
DIRECT = READS | WRITES | {CHECK, SYNC}
"""Requests that need nothing of kazoo's connection loop."""

UNSENDABLE = (struct.error, TypeError, ValueError, AttributeError, LookupError, OverflowError)
"""What is raised for what can't be put on ZooKeeper's wire."""

MAX_REQUEST_BYTES = 0xFFFFF
"""ZooKeeper's ``jute.maxbuffer``: a request of this size or more is refused."""


def _acl(entries: Sequence[Any]) -> Any:
    return tuple(Acl(entry.perms, entry.id.scheme or "", entry.id.id or "") for entry in entries)


def _create(flags: int = 0, with_stat: bool = False) -> Callable[[Any], Any]:
    def make(r: Any) -> Create:
        return Create(r.path, r.data, _acl(r.acl), r.flags | flags, getattr(r, "ttl_ms", 0), with_stat)

    return make


def _exists(request: Any) -> Any:
    """ZooKeeper's server looks at the path of an exists, and not at those of other reads."""
    return ops.Fail(Error.BAD_ARGUMENTS) if "\0" in request.path else ops.Exists(request.path, bool(request.watcher))


_ADD_MODES = {0: PERSISTENT, 1: RECURSIVE}
"""``AddWatchMode`` on the wire."""
_REMOVE_TYPES = {1: (CHILD,), 2: (DATA,), 3: tuple(sorted(MODES)), 4: (PERSISTENT,), 5: (RECURSIVE,)}
"""``Watcher.WatcherType`` on the wire; 4 and 5 came after ZooKeeper 3.8."""


def _path_and_int(request: Any) -> Tuple[str, int]:
    """Of a request that is those two, as it would be sent: an app's own class may name them as it likes."""
    body = bytes(request.serialize())
    path, offset = read_string(body, 0)
    return path or "", int(int_struct.unpack(body[offset:])[0])


def _add_watch(request: Any) -> Any:
    path, number = _path_and_int(request)
    mode = _ADD_MODES.get(number)
    return ops.Fail(Error.MARSHALLING) if mode is None else ops.AddWatch(path, mode)


def _remove_watches(request: Any) -> Any:
    path, number = _path_and_int(request)
    modes = _REMOVE_TYPES.get(number)
    return ops.Fail(Error.MARSHALLING) if modes is None else ops.RemoveWatches(path, modes)


_OPS: Dict[int, Callable[[Any], Any]] = {
    CREATE: _create(),
    CREATE2: _create(with_stat=True),
    CREATE_CONTAINER: _create(Flags.CONTAINER, with_stat=True),
    CREATE_TTL: _create(with_stat=True),
    DELETE: lambda r: Delete(r.path, r.version),
    SET_DATA: lambda r: SetData(r.path, r.data, r.version),
    SET_ACL: lambda r: SetAcl(r.path, _acl(r.acls), r.version),
    CHECK: lambda r: Check(r.path, r.version),
    MULTI: lambda r: Multi(tuple(_OPS[op.type](op) for op in r.operations)),
    EXISTS: _exists,
    GET_DATA: lambda r: ops.GetData(r.path, bool(r.watcher)),
    GET_CHILDREN: lambda r: ops.GetChildren(r.path, bool(r.watcher)),
    GET_CHILDREN2: lambda r: ops.GetChildren(r.path, bool(r.watcher)),
    GET_ACL: lambda r: ops.GetAcl(r.path),
    SYNC: lambda r: ops.Sync(r.path),
    AUTH: lambda r: Auth(r.scheme, r.auth),
    ADD_WATCH: _add_watch,
    REMOVE_WATCHES: _remove_watches,
    CLOSE: lambda r: Close(),
}


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
    make = _OPS.get(request.type)
    if make is None:
        return ops.Fail(Error.UNIMPLEMENTED)
    try:
        if len(request.serialize()) >= MAX_REQUEST_BYTES:
            return ops.Fail(Error.TOO_LARGE)
        return make(request)
    except UNSENDABLE:  # an int too long, half a surrogate; what a signal's handler raises is the caller's
        return ops.Fail(Error.BAD_ARGUMENTS)


# --- replies ------------------------------------------------------------------------------------


def _stat(value: Sequence[int]) -> bytes:
    return bytes(stat_struct.pack(*value))


def _strings(values: Sequence[str]) -> bytes:
    parts = [int_struct.pack(len(values))]
    for value in map(str.encode, values):
        parts += (len(value).to_bytes(4, "big"), value)
    return b"".join(parts)


def _names(request: Any, names: Sequence[str]) -> bytes:
    if type(request) is not Listing:
        return _strings(names)
    request.names = names
    return b""


def _acls(value: Any) -> bytes:
    acl, stat = value
    entries = (int_struct.pack(perms) + write_string(scheme) + write_string(name) for perms, scheme, name in acl)
    return b"".join([int_struct.pack(len(acl)), *entries, _stat(stat)])


def _results(request: Any, results: Any) -> bytes:
    body = bytearray()
    failed = any(entry[0] != Error.OK for entry in results)
    for part, (code, value, _) in zip(request.operations, results):
        if failed:
            body += MultiHeader(-1, False, code).serialize() + int_struct.pack(code)
        else:
            body += MultiHeader(part.type, False, 0).serialize() + _BODIES[part.type](part, value)
    return bytes(body + MultiHeader(-1, True, -1).serialize())


_BODIES: Dict[int, Callable[[Any, Any], bytes]] = {
    CREATE: lambda r, path: write_string(path),
    CREATE2: lambda r, value: write_string(value[0]) + _stat(value[1]),
    DELETE: lambda r, value: b"",
    CHECK: lambda r, value: b"",
    SET_DATA: lambda r, stat: _stat(stat),
    SET_ACL: lambda r, stat: _stat(stat),
    MULTI: _results,
    EXISTS: lambda r, stat: _stat(stat),
    GET_DATA: lambda r, value: write_buffer(value[0]) + _stat(value[1]),
    GET_CHILDREN: lambda r, value: _names(r, value[0]),
    GET_CHILDREN2: lambda r, value: _strings(value[0]) + _stat(value[1]),
    GET_ACL: lambda r, value: _acls(value),
    SYNC: lambda r, path: write_string(path),
}
_BODIES[CREATE_CONTAINER] = _BODIES[CREATE_TTL] = _BODIES[CREATE2]


def reply(request: Any, result: Result) -> bytes:
    """The body of a reply, as a ZooKeeper server sends it; empty for an error."""
    make = _BODIES.get(request.type)
    return b"" if result.code != Error.OK or make is None else make(request, result.value)


def event(fired: Event) -> bytes:
    """A WatcherEvent; its state is SyncConnected."""
    return b"".join([int_int_struct.pack(fired.kind, 3), write_string(fired.path)])


def connected(timeout_ms: int, session: int, password: bytes, read_only: bool) -> bytes:
    """A ConnectResponse; a timeout of 0 says that the session has expired."""
    reply = (int_int_long_struct.pack(0, timeout_ms, session), write_buffer(password), bool_struct.pack(read_only))
    return b"".join(reply)
