"""A message takes requests as they are; data that are too large for it are laid down before it is sent."""

from __future__ import annotations

import logging
from typing import Any, Dict, List, Optional

from ..core.requests import Create, Multi, Request, SetData
from ..messages import split_id
from ..ports import UNLIMITED, Blobs, Gateway
from .ops import WRITES

log = logging.getLogger(__name__)

MAX_MESSAGE_REQUESTS = 250
MAX_MESSAGE_BYTES = 700_000
"""Of several requests in one message. A single one may be larger where the queue takes it."""
NAMED_BYTES = 300
"""What takes the place of data that are laid down, at most."""
OTHERS_BYTES = 100
"""What a request takes beside what its sender can make longer, at most."""


def size_of(op: Any, blobs: Optional[Blobs], inline_bytes: Optional[int] = None) -> int:
    """The bytes that it takes in a message, at most, if data over ``inline_bytes`` are laid down."""
    if isinstance(op, Multi):
        return OTHERS_BYTES + sum(size_of(part, blobs, inline_bytes) for part in op.ops)
    size = len(getattr(op, "data", None) or b"") if isinstance(op, (Create, SetData)) else 0
    if blobs is not None and size > (blobs.inline_bytes if inline_bytes is None else inline_bytes):
        size = NAMED_BYTES
    texts = [getattr(op, "path", ""), getattr(op, "credential", "")]
    texts += [text for acl in getattr(op, "acl", None) or () for text in acl[1:]]
    return OTHERS_BYTES + size + sum(8 + _text_bytes(text) for text in texts)


def _text_bytes(text: str) -> int:
    return (2 if text.isascii() else 6) * len(text)  # as JSON, where every character may have to be escaped


def sendable(op: Any, gateway: Gateway) -> bool:
    """Whether a message takes it, with all of its data laid down if need be."""
    most = gateway.store.limits.message_bytes
    if most == UNLIMITED.message_bytes or not isinstance(op, WRITES):
        return True  # without measuring: every write comes here
    return size_of(op, gateway.blobs, 0) <= most


async def with_uploads(gateway: Gateway, ns: str, session: int, name: str, requests: List[Request]) -> List[Request]:
    """The requests of that message, with data that are too large for one laid down where the writer finds them."""
    if log.isEnabledFor(logging.DEBUG):
        connection, first = split_id(name)
        fields: Dict[str, Any] = {"namespace": ns, "session": "0x%x" % session, "connection": connection}
        fields.update(request=first, requests=len(requests))
        text = "namespace %(namespace)s: session %(session)s sent from request %(request)d on: %(requests)d"
        log.debug(text, fields, extra=fields)
    blobs, most = gateway.blobs, gateway.store.limits.message_bytes
    if blobs is None:
        return requests
    inline_bytes = blobs.inline_bytes
    while inline_bytes and sum(size_of(request, blobs, inline_bytes) for request in requests) > most:
        inline_bytes //= 2

    async def one(part: Any, number: str) -> Any:
        if isinstance(part, Multi):
            ops = [await one(op, "%s-%d" % (number, position)) for position, op in enumerate(part.ops)]
            return part._replace(ops=tuple(ops))
        if isinstance(part, (Create, SetData)) and isinstance(part.data, bytes) and len(part.data) > inline_bytes:
            return part._replace(data=await blobs.upload(ns, number, part.data))
        return part

    return [await one(request, "%s-%d" % (name, position)) for position, request in enumerate(requests)]
