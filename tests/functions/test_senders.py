"""Ids of sessions and names of inboxes are in tables that every client reads. They prove nothing."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Attach, Close, Create, Open, Request
from fk_backend.layout import is_inbox
from fk_backend.mac import inbox_name, inbox_prefix, is_inbox_of, is_tagged, key_of, shared_name, tag
from fk_backend.messages import Message, encode
from fk_backend.ports import Delivery

from .doubles import KEY, NS, PASSWORD, Bench

VICTIM = inbox_name(NS, KEY, b"1111")
THIEF_PASSWORD = b"t" * 16
THIEF_KEY = key_of(THIEF_PASSWORD)
THIEF = inbox_name(NS, THIEF_KEY, b"2222")
NUMBER = 5
"""Of the victim's next request."""


def _create(path: str, flags: int = 0) -> Create:
    return Create(path, b"", OPEN_ACL, flags, 0, False)


async def _sessions(bench: Bench) -> Dict[str, int]:
    victim = await bench.open(VICTIM)
    await bench.write(Message(THIEF, 0, 0, (Open(THIEF_KEY, 4000, THIEF, None),)))
    return {"victim": victim, "thief": int(bench.told(THIEF).answers[0][1][0])}


@given(st.integers(1, 10**9 - 1))
def test_a_client_that_connects_again_is_at_the_same_queue(reconnects: int) -> None:
    inbox = "%s-%d" % (VICTIM, reconnects)
    assert is_inbox_of(inbox, KEY) and shared_name(inbox) == VICTIM and is_inbox(inbox)
    assert not is_inbox_of(inbox, THIEF_KEY)


FORGED: Dict[str, Any] = {
    "for the victim's session": lambda ids: (Message(VICTIM, ids["victim"], NUMBER, (Close(),)), THIEF_KEY),
    "with no key": lambda ids: (Message(VICTIM, ids["victim"], NUMBER, (Close(),)), b""),
    "for it, from the thief's inbox": lambda ids: (Message(THIEF, ids["victim"], NUMBER, (_create("/x"),)), THIEF_KEY),
    "for the thief's, from the victim's inbox": lambda ids: (
        Message(VICTIM, ids["thief"], NUMBER, (_create("/x"),)),
        THIEF_KEY,
    ),
    "for no session, from the victim's inbox": lambda ids: (
        Message(VICTIM, ids["thief"] + 1000, NUMBER, (_create("/x"),)),
        THIEF_KEY,
    ),
    "a session at the victim's inbox": lambda ids: (
        Message(VICTIM, 0, NUMBER, (Open(THIEF_KEY, 4000, VICTIM, None),)),
        THIEF_KEY,
    ),
    "the thief's session at the victim's inbox": lambda ids: (
        Message(VICTIM, 0, NUMBER, (Attach(ids["thief"], THIEF_PASSWORD, VICTIM, None),)),
        THIEF_KEY,
    ),
    "the victim's session without its password": lambda ids: (
        Message(VICTIM, 0, NUMBER, (Attach(ids["victim"], THIEF_PASSWORD, VICTIM, None),)),
        THIEF_KEY,
    ),
    "a session, and more for the victim's": lambda ids: (
        Message(THIEF, ids["victim"], 0, (Open(THIEF_KEY, 4000, THIEF, None), Close())),
        THIEF_KEY,
    ),
}


@pytest.mark.parametrize("cold", [False, True], ids=["cache", "cold"])
@pytest.mark.parametrize("what", FORGED)
def test_a_forged_message_changes_nothing_and_takes_nobodys_number(what: str, cold: bool) -> None:
    """In a batch of its own, and in one with what the victim asks under the same number, before it."""

    async def check() -> None:
        bench = Bench()
        ids = await _sessions(bench)
        message, key = FORGED[what](ids)
        forged = Delivery(encode(message, key), False)
        before = await bench.contents()
        for attempt in range(2):
            writer = bench.fresh_writer() if cold else bench.writer
            batch = [forged]
            if attempt:
                asked: List[Request] = [_create("/asked")]
                batch.append(Delivery(encode(Message(VICTIM, ids["victim"], NUMBER, tuple(asked)), KEY), False))
            await writer(NS, batch)
            told = bench.told(VICTIM)
            assert {session for session, _ in told.ended} <= {ids["thief"] + 1000}
            if not attempt:
                assert await bench.contents() == before and NUMBER not in told.answers
        assert told.answers[NUMBER][:2] == [Error.OK, "/asked"]

    asyncio.run(check())


def test_what_was_refused_as_forged_is_not_looked_up_in_a_namespace_that_moved_on() -> None:
    """A writer that knows of no such session, since it knows an old head, does not say that it is gone."""

    async def check() -> None:
        bench = Bench()
        old = bench.fresh_writer()
        await bench.open("first")
        await old.recover(NS)
        session = await bench.open(VICTIM)
        unknown = Delivery(encode(Message(VICTIM, session, 1, (_create("/a"),)), KEY), False)
        old._cache[NS].snapshot.sessions[session] = None
        await old(NS, [unknown])
        assert not bench.told(VICTIM).ended and bench.told(VICTIM).answers[1][0] == Error.OK

    asyncio.run(check())


def test_a_session_goes_on_under_its_own_key_after_it_was_attached_to() -> None:
    async def check() -> None:
        bench = Bench()
        session = await bench.open(VICTIM)
        moved = inbox_name(NS, KEY, b"3333")
        await bench.ask(moved, 0, 0, Attach(session, PASSWORD, moved, None))
        ((code, _, _),) = await bench.ask(moved, session, 1, _create("/a"))
        assert code == Error.OK

    asyncio.run(check())


keys = st.binary(max_size=40)


@example(key=b"key", other=b"other", payload=bytes(100), nonce=bytes(4), flip=1)
@given(keys, keys, st.binary(max_size=100), st.binary(min_size=4, max_size=4), st.integers(1, 255))
def test_nothing_but_the_key_makes_the_code(key: bytes, other: bytes, payload: bytes, nonce: bytes, flip: int) -> None:
    body = payload + tag(payload, key)
    assert is_tagged(body, key) and not is_tagged(body[:10], key)
    for at in range(len(body)):
        changed = bytearray(body)
        changed[at] ^= flip
        assert not is_tagged(bytes(changed), key)
    name = inbox_name("ns", key, nonce)
    assert is_inbox_of(name, key) and name.startswith(inbox_prefix("ns")) and len(name) == 32
    if key.rstrip(b"\0") != other.rstrip(b"\0"):  # to HMAC, a short key is one that ends with zeros
        assert not is_tagged(body, other) and not is_inbox_of(name, other)
