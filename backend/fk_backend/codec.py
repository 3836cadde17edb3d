"""Bytes for values: JSON for structure, raw bytes after it. Decoding can build nothing but plain values.

Layout: 4 bytes big-endian length of the JSON part, the JSON part, then every bytes value in the order in
which the JSON part refers to it as ``{"b": length}``. Values are None, bool, int, float, str, bytes, and
sequences of them; tuples come back as lists. A dict is not a value: what is one in the JSON part is such a reference.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List

from .errors import BackendError


class Malformed(BackendError, ValueError):
    """The bytes are not a value that `dumps` wrote."""


def dumps(value: Any) -> bytes:
    """The bytes of a value. TypeError for what can't be represented."""
    tail: List[bytes] = []

    def refer(part: Any) -> Dict[str, int]:
        if not isinstance(part, (bytes, bytearray, memoryview)):
            raise TypeError("not representable: %r" % type(part))
        tail.append(bytes(part))
        return {"b": len(part)}

    text = json.dumps(value, default=refer, separators=(",", ":"), allow_nan=False, ensure_ascii=True).encode("ascii")
    if not tail:
        return len(text).to_bytes(4, "big") + text
    return b"".join([len(text).to_bytes(4, "big"), text, *tail])


def loads(data: bytes) -> Any:
    """The value of bytes that `dumps` wrote. Malformed for anything else."""
    size = int.from_bytes(data[:4], "big")
    offset = 4 + size
    if len(data) < offset or size == 0:
        raise Malformed("truncated value")
    if offset == len(data):
        return _parse(data[4:], _no_reference)

    def resolve(reference: Dict[str, Any]) -> bytes:
        nonlocal offset
        length = reference.get("b")
        if len(reference) != 1 or type(length) is not int or not 0 <= length <= len(data) - offset:
            raise Malformed("bad reference")
        start, offset = offset, offset + length
        return data[start:offset]

    value = _parse(data[4 : 4 + size], resolve)
    if offset != len(data):
        raise Malformed("bytes left over")
    return value


def _parse(text: bytes, hook: Any) -> Any:
    try:
        return json.loads(text, object_hook=hook)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None


def _no_reference(reference: Dict[str, Any]) -> bytes:
    if reference == {"b": 0}:
        return b""
    raise Malformed("bad reference")
