"""What is written can be read back, and no bytes at all can do more than be refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fk_backend import codec, messages
from fk_backend.codec import Malformed
from fk_backend.core.model import Acl, Trigger
from fk_backend.core.requests import (
    Attach,
    Auth,
    Check,
    Close,
    Create,
    Delete,
    Expire,
    Multi,
    Open,
    Reap,
    SetAcl,
    SetData,
)
from fk_backend.triggers import packed, unpacked

int64 = st.integers(-(1 << 63), (1 << 63) - 1)
int32 = st.integers(-(1 << 31), (1 << 31) - 1)
text = st.text(max_size=20)
data = st.none() | st.binary(max_size=50)
acls = st.lists(st.builds(Acl, int32, text, text), max_size=3).map(tuple)
ops = st.one_of(
    st.builds(Create, text, data, acls, int32, int64, st.booleans()),
    st.builds(Delete, text, int32),
    st.builds(SetData, text, data, int32),
    st.builds(SetAcl, text, acls, int32),
    st.builds(Check, text, int32),
)
requests = st.one_of(
    ops,
    st.builds(Multi, st.lists(ops, max_size=4).map(tuple)),
    st.builds(Auth, text, text),
    st.builds(Open, st.binary(max_size=32), int64, text, st.none() | text),
    st.builds(Attach, int64, st.binary(max_size=16), text, st.none() | text),
    st.just(Close()),
    st.builds(Expire, int64, int64),
    st.builds(Reap, text, int64),
)
numbers = st.integers(0, 1 << 40)
letters = st.builds(messages.Message, text, int64, numbers, st.lists(requests, max_size=5).map(tuple), int64)
values: Any = st.recursive(
    st.none() | st.booleans() | int64 | text | st.binary(max_size=50), lambda v: st.lists(v, max_size=4), max_leaves=20
)


@given(values)
def test_values_come_back(value: Any) -> None:
    """Bytes and text stay what they are; None is not the empty string."""
    assert codec.loads(codec.dumps(value)) == value


@given(letters)
def test_messages_come_back(message: messages.Message) -> None:
    """With every field of every request, and the same types."""
    found = messages.decode(messages.encode(message))
    assert found == message
    assert [type(r) for r in found.requests] == [type(r) for r in message.requests]


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_way(body: bytes) -> None:
    """Or they are a message: nothing else comes out of `decode`."""
    try:
        messages.decode(body)
    except Malformed:
        pass


@given(letters, st.data())
def test_damaged_messages_are_refused_in_one_way(message: messages.Message, choice: st.DataObject) -> None:
    """A byte changed, cut off, or added."""
    body = bytearray(messages.encode(message))
    position = choice.draw(st.integers(0, len(body) - 1))
    body[position] = choice.draw(st.integers(0, 255))
    cut = choice.draw(st.integers(0, len(body)))
    for damaged in (bytes(body), bytes(body[:cut]), bytes(body) + b"x"):
        try:
            messages.decode(damaged)
        except Malformed:
            pass


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        [2, "i", 0, 1, []],
        [1, "i", 0, 1, [["Nothing"]]],
        [1, "i", 0, 1, [["Delete", "/a"]]],
        [1, "i", 0, 1, [["Delete", "/a", "1"]]],
        [1, "i", 0, 1, [["Delete", "/a", 1 << 63]]],
        [1, "i", 0, 1, [["Multi", [["Close"]]]]],
        [1, "i", 0, 1, [["Multi", [["Multi", []]]]]],
        [1, "i", 0, 1.5, []],
        [1, "i", 0, 1, [], "1"],
        [1, "i", 0, 1, [], 1, 1],
        [1, 7, 0, 1, []],
        [1, "i", 0, 1, [["Close"]] * (messages.MAX_REQUESTS + 1)],
    ],
)
def test_what_is_no_message(value: Any) -> None:
    """Wrong formats, names, counts, types, and too many of them."""
    with pytest.raises(Malformed):
        messages.decode(codec.dumps(value))


def test_a_message_without_the_hint_is_a_message() -> None:
    """As they were before there was one; and what says nothing is not sent."""
    plain = codec.dumps([1, "i", 7, 1, [["Close"]]])
    message = messages.Message("i", 7, 1, (Close(),))
    assert messages.decode(plain) == message and messages.encode(message) == plain


def test_nothing_but_plain_values_can_be_written() -> None:
    """A class of ours that slipped in would come back as something else."""
    for value in ({1}, object(), float("nan")):
        with pytest.raises((TypeError, ValueError)):
            codec.dumps([value])


readers = st.none() | st.lists(st.sampled_from(("x", "y", "ip:10.0.0.1")), unique=True).map(tuple)


@given(st.lists(st.builds(Trigger, int64, text, st.integers(1, 4), readers), max_size=5), int64, int64)
def test_notes_come_back(triggers: Any, zxid: int, since: int) -> None:
    """With their bulletin."""
    board = messages.bulletin(zxid, since, triggers)
    for note in (messages.Answers(1, [[0, None, 5]], board), messages.Fired([["/a", "data", 3]], board)):
        found = messages.decode_note(messages.encode_note(note))
        assert found == note and found.bulletin.triggers() == triggers
    assert messages.decode_note(messages.encode_note(messages.Ended(5, True))) == messages.Ended(5, True)


NO_NOTES = [b"", b"\x00\x00\x00\x02[]", codec.dumps(["z"]), codec.dumps(["a", 1]), codec.dumps(None)]


@pytest.mark.parametrize("body", NO_NOTES)
def test_what_is_no_note(body: bytes) -> None:
    """An inbox is no more trusted than a queue."""
    with pytest.raises(Malformed):
        messages.decode_note(body)


def test_message_ids_split() -> None:
    """Whatever the inbox is called."""
    assert messages.split_id(messages.message_id("heartbeat:a-b", 17)) == ("heartbeat:a-b", 17)


def test_an_acl_is_told_once_however_many_of_its_nodes_changed() -> None:
    """And one that everybody may read costs nothing."""
    who, others = ("x" * 16,), ("y" * 16, "ip:10.0.0.1")
    found = [Trigger(1, "/a", 1, who), Trigger(1, "/", 4), Trigger(2, "/b", 1, others), Trigger(3, "/a", 3, who)]
    assert packed(found) == [[1, "/a", 1, who], [1, "/", 4], [2, "/b", 1, others], [3, "/a", 3, 0]]
    assert unpacked(json.loads(json.dumps(packed(found)))) == found
