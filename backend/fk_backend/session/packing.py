"""How much a message takes. Data that are too large for it are uploaded before it is sent: see `uploads`."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import Any, Optional

from ..core.requests import Create, Multi, SetData
from ..ports import UNLIMITED, Blobs, Gateway
from .ops import WRITES

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
    texts = [getattr(op, name, "") for name in ("path", "scheme", "credential")]
    texts += [text for acl in getattr(op, "acl", None) or () for text in acl[1:]]
    return OTHERS_BYTES + size + sum(8 + len(encode_basestring_ascii(text)) for text in texts)


def sendable(op: Any, gateway: Gateway) -> bool:
    """Whether a message takes it, with all of its data laid down if need be."""
    most = gateway.store.capabilities.message_bytes
    if most == UNLIMITED.message_bytes or not isinstance(op, WRITES):
        return True  # without measuring: every write comes here
    return size_of(op, gateway.blobs, 0) <= most
