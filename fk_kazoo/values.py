"""Makes of a result what kazoo would read from the bytes of its reply.

For requests of kazoo's own classes, and ours. An app's own class reads the bytes in its own way.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple, Union

from kazoo.protocol import serialization as kazoo
from kazoo.protocol.states import ZnodeStat
from kazoo.security import ACL, Id

from fk_backend.core.model import Error
from fk_backend.core.requests import Result

from . import jute, wire
from .exceptions import EXCEPTIONS


def _stat(value: Sequence[int]) -> ZnodeStat:
    return ZnodeStat._make(value)


def _acls(value: Any) -> Any:
    """An empty text comes over ZooKeeper's wire as none."""
    entries, stat = value
    acls: List[Tuple[int, Any, Any]] = [(perms, scheme or None, name or None) for perms, scheme, name in entries]
    return [ACL(perms, Id(scheme, name)) for perms, scheme, name in acls], _stat(stat)


def _results(request: Any, results: Sequence[Any]) -> Any:
    if any(entry[0] != Error.OK for entry in results):
        return [EXCEPTIONS[code]() for code, _, _ in results]
    return [_VALUES[part.type](part, value) for part, (_, value, _) in zip(request.operations, results)]


_VALUES: Dict[int, Callable[[Any, Any], Any]] = {
    wire.CREATE: lambda r, path: path,
    wire.CREATE2: lambda r, value: (value[0], _stat(value[1])),
    wire.DELETE: lambda r, value: True,
    wire.CHECK: lambda r, value: True,
    wire.SET_DATA: lambda r, stat: _stat(stat),
    wire.SET_ACL: lambda r, stat: _stat(stat),
    wire.MULTI: _results,
    wire.EXISTS: lambda r, stat: _stat(stat),
    wire.GET_DATA: lambda r, value: (value[0], _stat(value[1])),
    wire.GET_CHILDREN: lambda r, value: list(value[0]),
    wire.GET_CHILDREN2: lambda r, value: (list(value[0]), _stat(value[1])),
    wire.GET_ACL: lambda r, value: _acls(value),
    wire.SYNC: lambda r, path: path,
    jute.AUTH: lambda r, value: True,
    wire.ADD_WATCH: lambda r, value: True,
    wire.REMOVE_WATCHES: lambda r, value: True,
    jute.CLOSE: lambda r, value: True,
}
_VALUES[wire.CREATE_CONTAINER] = _VALUES[wire.CREATE_TTL] = _VALUES[wire.CREATE2]


def is_missing(request: Any, result: Result) -> bool:
    """Whether it says of a node that was asked for by `exists` that there is none, which is no error."""
    return bool(result.code == Error.NO_NODE and request.type == wire.EXISTS)


def value(request: Any, result: Result) -> Any:
    """Of a request that succeeded."""
    return None if is_missing(request, result) else _VALUES[request.type](request, result.value)


_PARTS = frozenset((kazoo.Create, kazoo.Delete, kazoo.SetData, kazoo.CheckVersion))
_OWN = frozenset(
    (
        *(kazoo.Create, kazoo.Create2, kazoo.Delete, kazoo.SetData, kazoo.SetACL, kazoo.Transaction, kazoo.Sync),
        *(kazoo.Exists, kazoo.GetData, kazoo.GetChildren, kazoo.GetChildren2),
    )
)


class Value(NamedTuple):
    """What a request of kazoo's own comes to, in the place of a reply's body."""

    value: Any


def answer(request: Any, result: Result) -> Union[bytes, Value]:
    """The `Value` of a request; the body of the reply if its class is an app's own, or if there is no value."""
    kind = type(request)
    if result.code == Error.OK and kind in _OWN:
        if kind is not kazoo.Transaction or _PARTS.issuperset(map(type, request.operations)):
            return Value(value(request, result))
    return wire.reply(request, result)
