"""Bytes for values: JSON for structure, raw bytes after it. Decoding can build nothing but plain values.

Layout: 4 bytes big-endian length of the JSON part, the JSON part, then every bytes value in the order in
which the JSON part refers to it as ``{"b": length}``. Values are None, bool, int, float, str, bytes, and
sequences of them; tuples come back as lists. A dict is not a value: what is one in the JSON part is such a reference.
"""

from __future__ import annotations

import json
import json.encoder
from typing import Any, Callable, Dict, List, Tuple

from .errors import BackendError


class Malformed(BackendError, ValueError):
    """The bytes are not a value that `dumps` wrote."""


class _Encoder:
    """Makes JSON of values, and keeps their bytes in ``tail``."""

    def __init__(self) -> None:
        self.tail: List[bytes] = []
        self.encode = _json_encode(self._refer)

    def _refer(self, part: Any) -> Dict[str, int]:
        if not isinstance(part, (bytes, bytearray, memoryview)):
            raise TypeError("not representable: %r" % type(part))
        self.tail.append(bytes(part))
        return {"b": len(part)}


def _json_encode(default: Callable[[Any], Any]) -> Callable[[Any], str]:
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(default=default, separators=(",", ":"), allow_nan=False, check_circular=False).encode
    # What JSONEncoder makes for each value, made once: that takes as long as its work on a short value.
    chunks = make(None, default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


class _Decoder:
    """Makes values of JSON, with what it refers to in ``data`` from ``offset`` on."""

    def __init__(self) -> None:
        self.data = b""
        self.offset = 0
        self.decode = json.JSONDecoder(object_hook=self._resolve).decode

    def _resolve(self, reference: Dict[str, Any]) -> bytes:
        length = reference.get("b")
        start, data = self.offset, self.data
        if len(reference) != 1 or type(length) is not int or not 0 <= length <= len(data) - start:
            raise Malformed("bad reference")
        self.offset = start + length
        return data[start : start + length]


# Making one costs as much as its work on a short value: whoever is done with one leaves it here for the next.
_encoders: List[_Encoder] = []
_decoders: List[_Decoder] = []


def dumps(value: Any) -> bytes:
    """The bytes of a value. TypeError for what can't be represented."""
    text, tail = encoded(value)
    return joined(text, *tail)


def encoded(value: Any) -> Tuple[str, List[bytes]]:
    """The JSON part of a value, and the bytes values that it refers to. TypeError as `dumps`."""
    try:
        encoder = _encoders.pop()
    except IndexError:
        encoder = _Encoder()
    text = encoder.encode(value)
    tail = encoder.tail
    if tail:
        encoder.tail = []
    _encoders.append(encoder)
    return text, tail


def joined(text: str, *tail: bytes) -> bytes:
    """The bytes of a value of which these are the parts: for who knows the JSON part before."""
    return b"".join([len(text).to_bytes(4, "big"), text.encode("ascii"), *tail])


def loads(data: bytes) -> Any:
    """The value of bytes that `dumps` wrote. Malformed for anything else."""
    size = int.from_bytes(data[:4], "big")
    offset = 4 + size
    if len(data) < offset or size == 0:
        raise Malformed("truncated value")
    try:
        decoder = _decoders.pop()
    except IndexError:
        decoder = _Decoder()
    decoder.data, decoder.offset = data, offset
    try:
        value = decoder.decode(data[4:offset].decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None
    offset = decoder.offset
    decoder.data = b""
    _decoders.append(decoder)
    if offset != len(data):
        raise Malformed("bytes left over")
    return value
