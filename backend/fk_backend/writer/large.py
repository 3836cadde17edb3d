"""Keeps and removes the blobs that commits name.

Rule: data over the inline size are kept before the commit that names them, and removed after the one that does no more.

A crash in between leaves an object that nothing names, which the sweep removes; never a name without its object.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple, Union

from ..core.model import Blob, Data
from ..core.requests import Create, Multi, Request, SetData
from ..core.snapshot import Changes
from ..errors import Refused
from ..ports import Blobs, Ports
from .cache import Cache

UPLOADS, KEPT = "uploads", "data"
"""What the keys of a blob begin with; then comes the namespace."""


def prefix(kind: str, ns: str) -> str:
    """Of the keys of one kind in one namespace."""
    return "%s/%s/" % (kind, ns)


async def keep_large(ports: Ports, ns: str, changes: Changes, zxid: int) -> None:
    """Keeps what is too large for its node, in ``changes`` too. Refused if what a client named is not there."""
    blobs = ports.blobs
    if blobs is None:
        if any(node is not None and isinstance(node.data, Blob) for node in changes.nodes.values()):
            raise Refused("data are named that can't be laid down anywhere")
        return
    for path, node in changes.nodes.items():
        data = None if node is None else _large(blobs, node.data)
        if node is not None and data is not None:
            name = "%016x-%s" % (zxid, ports.clock.random_bytes(8).hex())
            changes.nodes[path] = node._replace(data=await blobs.keep(ns, name, data))


def _large(blobs: Blobs, data: Data) -> Union[bytes, Blob, None]:
    if isinstance(data, Blob):
        return data if data.key.startswith(UPLOADS + "/") else None
    return data if data is not None and len(data) > blobs.inline_bytes else None


def garbage(cache: Cache, changes: Changes) -> Tuple[str, ...]:
    """Keys that the nodes named before the changes, and do not any more."""
    before = _keys([pair[0].data for path in changes.nodes for pair in [cache.snapshot.nodes.get(path)] if pair])
    if not before:
        return ()
    after = _keys([node.data for node in changes.nodes.values() if node is not None])
    return tuple(key for key in before if key not in after)


def _keys(kept: Sequence[Data]) -> List[str]:
    return [data.key for data in kept if isinstance(data, Blob)]


MAX_KEY_BYTES = 1024
"""S3's own limit."""


def foreign(ns: str, request: Request) -> bool:
    """Whether the request names a blob that is not one that a client of this namespace can lay down."""
    parts = request.ops if isinstance(request, Multi) else (request,)
    named = [part.data.key for part in parts if isinstance(part, (Create, SetData)) and isinstance(part.data, Blob)]
    return not all(key.startswith(prefix(UPLOADS, ns)) and len(key.encode()) <= MAX_KEY_BYTES for key in named)
