"""A message takes requests as they are; data that are too large for it are laid down before it is sent."""

from __future__ import annotations

from typing import Any, List, Optional

from ..core.requests import Create, Multi, Request, SetData
from ..ports import Blobs


def size_of(op: Any, blobs: Optional[Blobs]) -> int:
    """About the bytes that it takes in a message."""
    if isinstance(op, (Create, SetData)):
        size = len(op.data or b"")
        if blobs is not None and size > blobs.inline_bytes:
            size = 100
        return size + len(op.path) + 64 * len(getattr(op, "acl", ()))
    if isinstance(op, Multi):
        return sum(size_of(part, blobs) for part in op.ops)
    return 100


async def laid_down(blobs: Optional[Blobs], ns: str, name: str, requests: List[Request]) -> List[Request]:
    """The requests, with data that are too large for a message laid down where the writer finds them."""
    if blobs is None:
        return requests

    async def one(part: Any, number: str) -> Any:
        if isinstance(part, Multi):
            ops = [await one(op, "%s-%d" % (number, position)) for position, op in enumerate(part.ops)]
            return part._replace(ops=tuple(ops))
        if isinstance(part, (Create, SetData)) and isinstance(part.data, bytes):
            if blobs is not None and len(part.data) > blobs.inline_bytes:
                return part._replace(data=await blobs.upload(ns, number, part.data))
        return part

    return [await one(request, "%s-%d" % (name, position)) for position, request in enumerate(requests)]
