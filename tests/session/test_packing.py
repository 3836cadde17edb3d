"""What is sent to the queue is never larger than it takes: larger data are laid down, and what is left is measured."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, Dict, List

from hypothesis import example, given
from hypothesis import strategies as st

from fk_backend.core.model import Acl, Blob, Data
from fk_backend.core.requests import Auth, Create, Delete, Multi, Request, SetAcl, SetData
from fk_backend.messages import Message, decode, encode
from fk_backend.session.packing import MAX_MESSAGE_BYTES, sendable, size_of
from fk_backend.session.uploads import with_uploads

INLINE_BYTES, MESSAGE_BYTES = 16 << 10, (1 << 20) // 4 * 3
INBOX = "0" * 32


class Blobs:
    """Takes everything."""

    inline_bytes = INLINE_BYTES

    def __init__(self) -> None:
        self.laid: Dict[str, bytes] = {}

    async def upload(self, ns: str, name: str, data: bytes) -> Blob:
        key = "uploads/%s/%s" % (ns, name)
        self.laid[key] = data
        return Blob(key, len(data))


def _gateway(blobs: Any, message_bytes: int = MESSAGE_BYTES) -> Any:
    return SimpleNamespace(
        blobs=blobs, store=SimpleNamespace(capabilities=SimpleNamespace(message_bytes=message_bytes))
    )


def _sent(gateway: Any, requests: List[Request]) -> bytes:
    made = asyncio.run(with_uploads(gateway, "n" * 64, 1, "%s-%d" % (INBOX, 10**9), requests))
    return encode(Message(INBOX, 2**63 - 1, 10**9, tuple(made)))


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
acls = st.lists(st.builds(Acl, st.integers(0, 31), texts, texts), max_size=3).map(tuple)
data = st.one_of(st.binary(max_size=50), st.integers(0, 30_000).map(bytes))
parts = st.one_of(
    st.builds(Create, texts, data, acls, st.integers(0, 6), st.integers(0, 2**40), st.booleans()),
    st.builds(SetData, texts, data, st.integers(-1, 2**31 - 1)),
    st.builds(SetAcl, texts, acls, st.integers(-1, 2**31 - 1)),
    st.builds(Delete, texts, st.integers(-1, 2**31 - 1)),
)
multis = st.lists(parts, max_size=60).map(lambda ops: Multi(tuple(ops)))
requests = st.one_of(parts, st.builds(Auth, texts, texts), multis)


@given(st.lists(requests, min_size=1, max_size=5))
@example([Auth("\x1f" * 20 + "\U00010000" * 20, ""), Auth("\x1f" * 20, "\x07" * 20)])
def test_a_message_takes_no_more_than_was_reckoned(asked: List[Request]) -> None:
    """And what comes out of it is what was asked for."""
    blobs = Blobs()
    gateway = _gateway(blobs)
    body = _sent(gateway, asked)
    assert len(body) <= 200 + sum(size_of(each, blobs) for each in asked)
    assert len(body) <= MESSAGE_BYTES or not all(sendable(each, gateway) for each in asked) or len(asked) > 1
    found = [_whole(each, blobs) for each in decode(body).requests]
    assert found == [_whole(each, blobs) for each in asked]


def _whole(request: Any, blobs: Blobs) -> Any:
    if isinstance(request, Multi):
        return Multi(tuple(_whole(each, blobs) for each in request.ops))
    named: Data = getattr(request, "data", None)
    return request._replace(data=blobs.laid[named.key]) if isinstance(named, Blob) else request


def test_a_multi_of_much_that_is_inline_elsewhere_is_laid_down_as_far_as_need_be() -> None:
    """50 sets of 16 KiB are over what a message of SQS takes, in base64."""
    blobs = Blobs()
    small, large = SetData("/small", bytes(100), -1), SetData("/large", bytes(INLINE_BYTES), -1)
    body = _sent(_gateway(blobs), [Multi((small,) + (large,) * 49)])
    assert len(body) <= MESSAGE_BYTES and 1 <= len(blobs.laid) <= 49
    assert bytes(100) not in blobs.laid.values()
    few = _sent(_gateway(blobs := Blobs()), [Multi((large,) * 5)])
    assert not blobs.laid and len(few) > 5 * INLINE_BYTES


def test_what_no_laying_down_makes_small_enough_can_not_be_sent() -> None:
    ids = tuple(Acl(31, "digest", "x" * 30_000) for _ in range(30))
    assert sendable(SetAcl("/a", ids, -1), _gateway(None, 1 << 30))
    assert not sendable(SetAcl("/a", ids, -1), _gateway(Blobs()))
    assert sendable(Create("/a", bytes(1 << 20), (), 0, 0, False), _gateway(Blobs()))
    assert MAX_MESSAGE_BYTES < MESSAGE_BYTES
