"""ZooKeeper's wire format: the one place that knows it. Bytes become operations, results become bytes.

What is read may come from anybody: `Malformed` is all that it can raise, and nothing is allocated that was not sent.
Source: ``zookeeper.jute``, ``ZooDefs.OpCode``, ``MultiOperationRecord``, ``MultiResponse`` of ZooKeeper 3.8.
"""

from __future__ import annotations

import struct
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Acl, Acls, Error
from fk_backend.core.requests import Auth, Check, Close, Create, Delete, Flags, Multi, Result, SetAcl, SetData
from fk_backend.core.watches import CHILD, DATA, MODES, PERSISTENT, RECURSIVE
from fk_backend.session import ops
from fk_backend.session.watchlist import Event

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL = 1, 2, 3, 4, 5, 6, 7
GET_CHILDREN, SYNC, PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = 8, 9, 11, 12, 13, 14, 15, 16
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, CREATE_TTL, MULTI_READ = 17, 18, 19, 21, 22
AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = 100, 101, 102, 103, 104
SET_WATCHES2, ADD_WATCH, WHO_AM_I, CLOSE = 105, 106, 107, -11
"""Opcodes (``ZooDefs.OpCode``)."""

NOTIFICATION_XID, PING_XID, AUTH_XID, SET_WATCHES_XID = -1, -2, -4, -8
"""Requests and replies that are of no call (``ClientCnxn``)."""

MAX_REQUEST_BYTES = 0xFFFFF
"""``jute.maxbuffer``: a request of this size or more is refused."""

SYNC_CONNECTED = 3
"""``KeeperState`` of every watch event."""

_INT, _LONG, _BOOL = struct.Struct(">i"), struct.Struct(">q"), struct.Struct(">?")
_HEADER = struct.Struct(">ii")
_STAT = struct.Struct(">qqqqiiiqiiq")
_CONNECT, _CONNECTED = struct.Struct(">iqiq"), struct.Struct(">iiq")
_MULTI_HEADER = struct.Struct(">i?i")
_REPLY = struct.Struct(">iiqi")
_NEGATIVE = 1 << 31
"""From here on, four bytes are a negative number."""
_OPEN_ACL = struct.pack(">iii5si6s", 1, OPEN_ACL[0].perms, 5, b"world", 6, b"anyone")
_END_OF_MULTI = _MULTI_HEADER.pack(-1, True, -1)


class Malformed(ValueError):
    """Bytes that are no record of ZooKeeper's."""


class Connect(NamedTuple):
    """What a connection begins with. ``session`` 0: a new one. ``old``: it does not know of ``read_only``."""

    last_zxid: int
    timeout_ms: int
    session: int
    password: bytes
    read_only: bool
    old: bool


# --- reading ------------------------------------------------------------------------------------


class Reader:
    """Reads one record from front to back."""

    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes, at: int = 0) -> None:
        self._body = body
        self._at = at

    def unpack(self, form: struct.Struct) -> Tuple[Any, ...]:
        """The next values of that form."""
        at = self._at
        self._at = at + form.size
        if self._at > len(self._body):
            raise Malformed("it ends too early")
        return form.unpack_from(self._body, at)

    def int32(self) -> int:
        """32 bits, signed."""
        at = self._at = self._at + 4
        if at > len(self._body):
            raise Malformed("it ends too early")
        return int.from_bytes(self._body[at - 4 : at], "big", signed=True)

    def int64(self) -> int:
        """64 bits, signed."""
        return int(self.unpack(_LONG)[0])

    def flag(self) -> bool:
        """One byte."""
        at = self._at = self._at + 1
        if at > len(self._body):
            raise Malformed("it ends too early")
        return self._body[at - 1] != 0

    def buffer(self) -> Optional[bytes]:
        """Bytes; None where Java has null."""
        body, at = self._body, self._at + 4
        size = int.from_bytes(body[at - 4 : at], "big")
        null = size >= _NEGATIVE
        end = self._at = at if null else at + size
        if end > len(body):
            raise Malformed("it ends too early")
        return None if null else body[at:end]

    def string(self) -> str:
        """Text; empty where Java has null. What is no UTF-8 is replaced, as Java does."""
        return (self.buffer() or b"").decode("utf-8", "replace")

    def strings(self) -> Tuple[str, ...]:
        """A vector of texts."""
        return tuple(self.string() for _ in range(self.int32()))

    def acl(self) -> Acls:
        """A vector of ACL entries; empty where Java has null."""
        at = self._at + len(_OPEN_ACL)
        if self._body[self._at : at] == _OPEN_ACL:  # the usual one, in no time, and all nodes share it
            self._at = at
            return OPEN_ACL
        return tuple(Acl(self.int32(), self.string(), self.string()) for _ in range(self.int32()))

    def ended(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._body)


def header(frame: bytes) -> Tuple[int, int]:
    """(xid, opcode) of a request; its body begins at 8. Malformed."""
    if len(frame) < _HEADER.size:
        raise Malformed("a request has a header of 8 bytes")
    xid, opcode = _HEADER.unpack_from(frame)
    return xid, opcode


def connect(frame: bytes) -> Connect:
    """A ConnectRequest. Malformed."""
    reader = Reader(frame)
    _, last_zxid, timeout_ms, session = reader.unpack(_CONNECT)
    password = reader.buffer() or b""
    old = reader.ended()
    return Connect(last_zxid, timeout_ms, session, password, not old and reader.flag(), old)


_ADD_MODES = {0: PERSISTENT, 1: RECURSIVE}
"""``AddWatchMode`` on the wire."""
_WATCHER_TYPES = {1: (CHILD,), 2: (DATA,), 3: tuple(sorted(MODES)), 4: (PERSISTENT,), 5: (RECURSIVE,)}
"""``Watcher.WatcherType`` on the wire; 4 and 5 came after ZooKeeper 3.8."""


def _create(flags: int = 0, with_stat: bool = False, ttl: bool = False) -> Callable[[Reader], Create]:
    def make(r: Reader) -> Create:
        path, data, acl, mode = r.string(), r.buffer(), r.acl(), r.int32()
        return Create(path, data, acl, mode | flags, r.int64() if ttl else 0, with_stat)

    return make


def _exists(r: Reader) -> Any:
    """ZooKeeper's server looks at the path of an exists, and not at those of other reads."""
    path, watch = r.string(), r.flag()
    return ops.Fail(Error.BAD_ARGUMENTS) if "\0" in path else ops.Exists(path, watch)


def _auth(r: Reader) -> Auth:
    r.int32()
    return Auth(r.string(), r.string())


def _add_watch(r: Reader) -> Any:
    path, mode = r.string(), _ADD_MODES.get(r.int32())
    return ops.Fail(Error.MARSHALLING) if mode is None else ops.AddWatch(path, mode)


def _of_modes(kind: Any) -> Callable[[Reader], Any]:
    def make(r: Reader) -> Any:
        path, modes = r.string(), _WATCHER_TYPES.get(r.int32())
        return ops.Fail(Error.MARSHALLING) if modes is None else kind(path, modes)

    return make


def _parts(r: Reader, kinds: Dict[int, Callable[[Reader], Any]]) -> Tuple[Any, ...]:
    parts: List[Any] = []
    while True:
        opcode, done, _ = r.unpack(_MULTI_HEADER)
        if done:
            return tuple(parts)
        if opcode not in kinds:
            raise Malformed("a multi can't have an operation of type %d" % opcode)
        parts.append(kinds[opcode](r))


def _reconfig(r: Reader) -> ops.Reconfig:
    joining, _, members = r.string(), r.string(), r.string()
    return ops.Reconfig(joining, members)


def _set_watches(staying: bool) -> Callable[[Reader], ops.SetWatches]:
    def make(r: Reader) -> ops.SetWatches:
        since, data, exist, child = r.int64(), r.strings(), r.strings(), r.strings()
        rest = (r.strings(), r.strings()) if staying else ((), ())
        return ops.SetWatches(since, data, exist, child, *rest)

    return make


_IN_MULTI: Dict[int, Callable[[Reader], Any]] = {
    CREATE: _create(),
    CREATE2: _create(with_stat=True),
    CREATE_CONTAINER: _create(Flags.CONTAINER, with_stat=True),
    CREATE_TTL: _create(with_stat=True, ttl=True),
    DELETE: lambda r: Delete(r.string(), r.int32()),
    SET_DATA: lambda r: SetData(r.string(), r.buffer(), r.int32()),
    CHECK: lambda r: Check(r.string(), r.int32()),
}
_IN_MULTI_READ: Dict[int, Callable[[Reader], Any]] = {
    GET_DATA: lambda r: ops.GetData(r.string(), r.flag()),
    GET_CHILDREN: lambda r: ops.GetChildren(r.string(), r.flag()),
}
OPS: Dict[int, Callable[[Reader], Any]] = {
    **_IN_MULTI,
    **_IN_MULTI_READ,
    SET_ACL: lambda r: SetAcl(r.string(), r.acl(), r.int32()),
    MULTI: lambda r: Multi(_parts(r, _IN_MULTI)),
    MULTI_READ: lambda r: ops.ReadAll(_parts(r, _IN_MULTI_READ)),
    EXISTS: _exists,
    GET_CHILDREN2: lambda r: ops.GetChildren(r.string(), r.flag()),
    GET_ACL: lambda r: ops.GetAcl(r.string()),
    SYNC: lambda r: ops.Sync(r.string()),
    AUTH: _auth,
    ADD_WATCH: _add_watch,
    CHECK_WATCHES: _of_modes(ops.CheckWatches),
    REMOVE_WATCHES: _of_modes(ops.RemoveWatches),
    SET_WATCHES: _set_watches(staying=False),
    SET_WATCHES2: _set_watches(staying=True),
    GET_EPHEMERALS: lambda r: ops.GetEphemerals(r.string()),
    GET_ALL_CHILDREN_NUMBER: lambda r: ops.CountBelow(r.string()),
    RECONFIG: _reconfig,
    WHO_AM_I: lambda r: ops.WhoAmI(),
    CLOSE: lambda r: Close(),
}
"""What a request asks for, by its opcode: from the reader of its body to an operation of the session."""


def operation(opcode: int, body: bytes, at: int = 0) -> Any:
    """What a request asks for, the body of which begins at ``at``. KeyError for an opcode that is none; Malformed."""
    return OPS[opcode](Reader(body, at))


# --- writing ------------------------------------------------------------------------------------


def string(text: str) -> bytes:
    """A text."""
    data = text.encode()
    return len(data).to_bytes(4, "big") + data


def buffer(data: Optional[bytes]) -> bytes:
    """Bytes, or null."""
    return b"\xff\xff\xff\xff" if data is None else len(data).to_bytes(4, "big") + data


def strings(values: Sequence[str]) -> bytes:
    """A vector of texts."""
    parts = [_INT.pack(len(values))]
    for value in map(str.encode, values):
        parts += (len(value).to_bytes(4, "big"), value)
    return b"".join(parts)


def stat(value: Sequence[int]) -> bytes:
    """A Stat."""
    return _STAT.pack(*value)


def acl(entries: Acls) -> bytes:
    """A vector of ACL entries."""
    parts = [_INT.pack(perms) + string(scheme) + string(name) for perms, scheme, name in entries]
    return b"".join([_INT.pack(len(parts)), *parts])


def _error(code: int) -> bytes:
    return _MULTI_HEADER.pack(-1, False, code) + _INT.pack(code)


def results(opcodes: Iterable[int], values: Sequence[Any]) -> bytes:
    """The body of a multi's reply: of each operation, its result; if one failed, of each its error."""
    failed = any(code != Error.OK for code, _, _ in values)
    parts = [
        _error(code) if failed else _MULTI_HEADER.pack(opcode, False, 0) + BODIES[opcode](value)
        for opcode, (code, value, _) in zip(opcodes, values)
    ]
    return b"".join(parts) + _END_OF_MULTI


def read_results(opcodes: Iterable[int], values: Sequence[Any]) -> bytes:
    """The body of a multiRead's reply: of each read, its result or its error."""
    parts = [
        _error(code) if code else _MULTI_HEADER.pack(opcode, False, 0) + BODIES[opcode](value)
        for opcode, (code, value, _) in zip(opcodes, values)
    ]
    return b"".join(parts) + _END_OF_MULTI


_IN_RESULTS = {Delete: DELETE, SetData: SET_DATA, Check: CHECK, ops.GetData: GET_DATA, ops.GetChildren: GET_CHILDREN}


def result_opcodes(parts: Iterable[Any]) -> List[int]:
    """How the result of each operation of a multi is named: with a Stat, a create is create2, of whatever kind."""
    return [_IN_RESULTS.get(type(part)) or (CREATE2 if part.with_stat else CREATE) for part in parts]


BODIES: Dict[int, Callable[[Any], bytes]] = {
    CREATE: string,
    CREATE2: lambda value: string(value[0]) + stat(value[1]),
    DELETE: lambda value: b"",
    CHECK: lambda value: b"",
    SET_DATA: stat,
    SET_ACL: stat,
    EXISTS: stat,
    GET_DATA: lambda value: buffer(value[0]) + stat(value[1]),
    GET_CHILDREN: lambda value: strings(value[0]),
    GET_CHILDREN2: lambda value: strings(value[0]) + stat(value[1]),
    GET_ACL: lambda value: acl(value[0]) + stat(value[1]),
    SYNC: string,
    ADD_WATCH: lambda value: _INT.pack(Error.OK),
    GET_EPHEMERALS: strings,
    GET_ALL_CHILDREN_NUMBER: _INT.pack,
    WHO_AM_I: lambda value: _INT.pack(len(value)) + b"".join(string(each) for pair in value for each in pair),
}
"""The body of a reply that is no error, by the opcode of its request, from the value of the result."""
BODIES[CREATE_CONTAINER] = BODIES[CREATE_TTL] = BODIES[CREATE2]


def body(opcode: int, op: Any, result: Result) -> bytes:
    """The body of a reply, as a ZooKeeper server sends it; empty for an error."""
    if result.code != Error.OK:
        return b""
    if opcode == MULTI:
        return results(result_opcodes(op.ops), result.value)
    if opcode == MULTI_READ:
        return read_results(result_opcodes(op.ops), result.value)
    make = BODIES.get(opcode)
    return b"" if make is None else make(result.value)


def event(fired: Event) -> bytes:
    """A WatcherEvent."""
    return _HEADER.pack(fired.kind, SYNC_CONNECTED) + string(fired.path)


def connected(timeout_ms: int, session: int, password: bytes, read_only: bool, old: bool = False) -> bytes:
    """A ConnectResponse; a timeout of 0 says that the session has expired."""
    told = b"" if old else _BOOL.pack(read_only)
    return _CONNECTED.pack(0, timeout_ms, session) + buffer(password) + told


def framed(payload: bytes) -> bytes:
    """As it is sent: its length in front."""
    return len(payload).to_bytes(4, "big") + payload


def reply(xid: int, zxid: int, code: int, payload: bytes = b"") -> bytes:
    """A reply with its header, as it is sent."""
    return _REPLY.pack(_REPLY.size - 4 + len(payload), xid, zxid, code) + payload
