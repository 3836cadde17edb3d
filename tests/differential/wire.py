"""Core requests, sent to a real ZooKeeper server through kazoo's connection, unchecked by kazoo's client side."""

from __future__ import annotations

import struct
from typing import Any, Callable, Dict, List, Optional, Tuple

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.protocol.serialization import read_acl, read_buffer, read_string, write_buffer

from fk_backend.core.model import Acl, Acls, Error, Stat
from fk_backend.core.requests import Check, Create, Delete, Flags, Multi, Op, SetAcl, SetData

CREATE, DELETE, EXISTS, GET, SET, GET_ACL, SET_ACL, CHILDREN, CHECK, MULTI = 1, 2, 3, 4, 5, 6, 7, 12, 13, 14
CREATE2, CREATE_CONTAINER, CREATE_TTL, ADD_WATCH = 15, 19, 21, 106
_STAT = struct.Struct("!qqqqiiiqiiq")
_INT = struct.Struct("!i")
_HEADER = struct.Struct("!iBi")

Reader = Callable[[bytes, int], Tuple[Any, int]]


class Raw:
    """A request as kazoo's connection sends it, with the reader of its answer."""

    def __init__(self, type_: int, payload: bytes, reader: Reader) -> None:
        self.type = type_
        self._payload = payload
        self._reader = reader

    def serialize(self) -> bytes:
        """The bytes after the request header."""
        return self._payload

    def deserialize(self, data: bytes, offset: int) -> Any:
        """The answer."""
        return self._reader(data, offset)[0]


def ask(client: KazooClient, raw: Raw) -> Tuple[int, Any]:
    """(code, value) of a request."""
    answer = client.handler.async_result()
    client._call(raw, answer)
    try:
        value = answer.get(timeout=20)
        # kazoo's connection turns NO_NODE into None where it was asked for existence.
        return (Error.NO_NODE, None) if raw.type == EXISTS and value is None else (Error.OK, value)
    except KazooException as error:
        if not hasattr(error, "code"):
            raise
        return error.code, None


def write(client: KazooClient, request: Any) -> Tuple[int, Any]:
    """(code, value) of a write of the core's; the value of a multi is a list of (code, value)."""
    if isinstance(request, Multi):
        body = b"".join(_HEADER.pack(_type(op), 0, -1) + _payload(op) for op in request.ops)
        return ask(client, Raw(MULTI, body + _HEADER.pack(-1, 1, -1), _read_multi))
    return ask(client, Raw(_type(request), _payload(request), _reader(_type(request))))


def read(client: KazooClient, type_: int, path: str) -> Tuple[int, Any]:
    """(code, value) of EXISTS, GET, GET_ACL or CHILDREN."""
    watch = b"" if type_ == GET_ACL else b"\0"
    return ask(client, Raw(type_, _string(path) + watch, _reader(type_)))


def add_watch(client: KazooClient, path: str, mode: int) -> int:
    """Put a watch of the server's mode 0 (persistent) or 1 (persistent, recursive) on ``path``; the code."""
    return ask(client, Raw(ADD_WATCH, _string(path) + _INT.pack(mode), _read_nothing))[0]


def _type(op: Op) -> int:
    if not isinstance(op, Create):
        return {Delete: DELETE, SetData: SET, SetAcl: SET_ACL, Check: CHECK}[type(op)]
    if op.ttl_ms > 0 or op.flags in (Flags.TTL, Flags.TTL_SEQUENTIAL):
        return CREATE_TTL
    if op.flags == Flags.CONTAINER:
        return CREATE_CONTAINER
    return CREATE2 if op.with_stat else CREATE


def answers_with_stat(op: Create) -> bool:
    """Whether ZooKeeper answers this create with path and Stat."""
    return _type(op) != CREATE


def _payload(op: Op) -> bytes:
    if isinstance(op, Create):
        body: bytes = _string(op.path) + write_buffer(op.data) + _acl(op.acl) + _INT.pack(op.flags)
        return body + struct.pack("!q", op.ttl_ms) if _type(op) == CREATE_TTL else body
    if isinstance(op, SetData):
        data: bytes = write_buffer(op.data)
        return _string(op.path) + data + _INT.pack(op.version)
    if isinstance(op, SetAcl):
        return _string(op.path) + _acl(op.acl) + _INT.pack(op.version)
    return _string(op.path) + _INT.pack(op.version)


def _string(text: str) -> bytes:
    encoded = text.encode("utf-8")
    return _INT.pack(len(encoded)) + encoded


def _acl(acl: Optional[Acls]) -> bytes:
    if acl is None:
        return _INT.pack(-1)
    return _INT.pack(len(acl)) + b"".join(_INT.pack(a.perms) + _string(a.scheme) + _string(a.id) for a in acl)


def _reader(type_: int) -> Reader:
    readers: Dict[int, Reader] = {
        CREATE: read_string,
        CREATE2: _read_path_and_stat,
        CREATE_CONTAINER: _read_path_and_stat,
        CREATE_TTL: _read_path_and_stat,
        SET: _read_stat,
        SET_ACL: _read_stat,
        EXISTS: _read_stat,
        GET: _pair(read_buffer),
        GET_ACL: _pair(_read_acl),
        CHILDREN: _pair(_read_names),
    }
    return readers.get(type_, _read_nothing)


def _pair(first: Reader) -> Reader:
    def read_both(data: bytes, offset: int) -> Tuple[Any, int]:
        value, offset = first(data, offset)
        stat, offset = _read_stat(data, offset)
        return (value, stat), offset

    return read_both


_read_path_and_stat = _pair(read_string)


def _read_nothing(data: bytes, offset: int) -> Tuple[None, int]:
    return None, offset


def _read_stat(data: bytes, offset: int) -> Tuple[Stat, int]:
    return Stat(*_STAT.unpack_from(data, offset)), offset + _STAT.size


def _read_list(data: bytes, offset: int, reader: Reader) -> Tuple[List[Any], int]:
    found = []
    count, offset = _INT.unpack_from(data, offset)[0], offset + _INT.size
    for _ in range(count):
        item, offset = reader(data, offset)
        found.append(item)
    return found, offset


def _read_names(data: bytes, offset: int) -> Tuple[List[str], int]:
    names, offset = _read_list(data, offset, read_string)
    return sorted(names), offset


def _read_acl(data: bytes, offset: int) -> Tuple[Acls, int]:
    entries, offset = _read_list(data, offset, read_acl)
    return tuple(Acl(each.perms, each.id.scheme, each.id.id) for each in entries), offset


def _read_multi(data: bytes, offset: int) -> Tuple[List[Tuple[int, Any]], int]:
    found: List[Tuple[int, Any]] = []
    while True:
        type_, done, _ = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        if done:
            return found, offset
        if type_ == -1:
            found.append((_INT.unpack_from(data, offset)[0], None))
            offset += _INT.size
        else:
            value, offset = _reader(type_)(data, offset)
            found.append((Error.OK, value))
