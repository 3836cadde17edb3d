"""Data that are too large for a message are uploaded before it is sent, and the message names them."""

from __future__ import annotations

import logging
from typing import Any, Dict, List

from ..core.requests import Create, Multi, Request, SetData
from ..messages import split_id
from ..ports import Gateway
from .packing import size_of

log = logging.getLogger(__name__)


async def with_uploads(gateway: Gateway, ns: str, session: int, name: str, requests: List[Request]) -> List[Request]:
    """The requests of that message, with data that are too large for one laid down where the writer finds them."""
    if log.isEnabledFor(logging.DEBUG):
        connection, first = split_id(name)
        fields: Dict[str, Any] = {"namespace": ns, "session": "0x%x" % session, "connection": connection}
        fields.update(request=first, requests=len(requests))
        text = "namespace %(namespace)s: session %(session)s sent from request %(request)d on: %(requests)d"
        log.debug(text, fields, extra=fields)
    blobs, most = gateway.blobs, gateway.store.capabilities.message_bytes
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
