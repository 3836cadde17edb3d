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
from fk_backend.mac import tag
from fk_backend.triggers import packed, packed_text, unpacked

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
    st.builds(Open, st.binary(max_size=32), int64, text, st.none() | text, st.none() | text),
    st.builds(Attach, int64, st.binary(max_size=16), text, st.none() | text, st.none() | text),
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
        [messages.FORMAT - 1, "i", 0, 1, []],
        [messages.FORMAT, "i", 0, 1, [["Nothing"]]],
        [messages.FORMAT, "i", 0, 1, [["Delete", "/a"]]],
        [messages.FORMAT, "i", 0, 1, [["Delete", "/a", "1"]]],
        [messages.FORMAT, "i", 0, 1, [["Delete", "/a", 1 << 63]]],
        [messages.FORMAT, "i", 0, 1, [["Multi", [["Close"]]]]],
        [messages.FORMAT, "i", 0, 1, [["Multi", [["Multi", []]]]]],
        [messages.FORMAT, "i", 0, 1.5, []],
        [messages.FORMAT, "i", 0, 1, [], "1"],
        [messages.FORMAT, "i", 0, 1, [], 1, 1],
        [messages.FORMAT, 7, 0, 1, []],
        [messages.FORMAT, "i", 0, 1, [["Close"]] * (messages.MAX_REQUESTS + 1)],
    ],
)
def test_what_is_no_message(value: Any) -> None:
    """Wrong formats, names, counts, types, and too many of them."""
    with pytest.raises(Malformed):
        messages.decode(_tagged(value))


def test_a_message_without_the_hint_is_a_message() -> None:
    """As they were before there was one; and what says nothing is not sent."""
    plain = _tagged([messages.FORMAT, "i", 7, 1, [["Close"]]])
    message = messages.Message("i", 7, 1, (Close(),))
    assert messages.decode(plain) == message and messages.encode(message) == plain


@pytest.mark.parametrize("request_", [Open(b"h", 1, "i", None), Attach(7, b"p", "i", "10.0.0.1")])
def test_a_session_that_is_asked_for_without_a_certificate_is_asked_for_as_before(request_: Any) -> None:
    """There was no field for its subject: functions that know of none understand it, and this is understood of old."""
    old = _tagged([messages.FORMAT, "i", 0, 0, [[type(request_).__name__, *request_[:-1]]]])
    message = messages.Message("i", 0, 0, (request_,))
    assert messages.decode(old) == message and messages.encode(message) == old


def test_nothing_but_plain_values_can_be_written() -> None:
    """A class of ours that slipped in would come back as something else."""
    for value in ({1}, object(), float("nan")):
        with pytest.raises((TypeError, ValueError)):
            codec.dumps([value])


readers = st.none() | st.lists(st.sampled_from(("x", "y", "ip:10.0.0.1")), unique=True).map(tuple)


@given(st.lists(st.builds(Trigger, int64, text, st.integers(1, 4), readers), max_size=5), int64, int64)
def test_notes_come_back(triggers: Any, zxid: int, since: int) -> None:
    """With their bulletin."""
    trigger_log = messages.trigger_log_of(zxid, since, triggers)
    for note in (messages.Answers(1, [[0, None, 5]], trigger_log), messages.Fired([["/a", "data", 3]], trigger_log)):
        found = messages.decode_note(messages.encode_note(note))
        assert found == note and found.trigger_log.triggers() == triggers
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


triggers = st.builds(
    Trigger, int64, st.sampled_from(["/a", "/b/c", "/\u00fc"]), st.integers(1, 4), st.none() | st.just(("x" * 16,))
)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.lists(triggers, max_size=3)), max_size=12))
def test_the_text_of_triggers_is_that_of_all_of_them(commits: Any) -> None:
    """Though as a rule only that of the latest commit is made anew: the first ones leave, others come."""
    kept: Any = ()
    for leave, twice, come in commits:
        kept = (*kept[leave:], *come)
        for _ in range(1 + twice):
            assert json.loads(packed_text(kept)) == json.loads(json.dumps(packed(kept)))
        assert json.loads(packed_text(list(kept))) == json.loads(json.dumps(packed(kept)))


# --- one by one: every field, every rule of the format ---------------------------------------------

WRONG: Any = {
    "int": [1 << 63, -(1 << 63) - 1, 1.0, "1", None, [1], b"1"],
    "int32": [1 << 31, -(1 << 31) - 1, 1.0, "1", None, [1], b"1"],
    "text": [1, None, b"x", ["x"], True, "\ud800", "a\udfff"],
    "text or nothing": [1, b"x", ["x"], "\ud800"],
    "bool": [0, 1, None, "true"],
    "bytes": [None, "x", 1, [1]],
    "data": [1, "x", ["k"], ["k", -1], ["k", "1"], [b"k", 1], ["k", 1, 1], ["\ud800", 1], []],
    "acl": [
        None,
        1,
        "x",
        [[1, "world"]],
        [["1", "world", "anyone"]],
        [[1, 2, "anyone"]],
        [[1, "s", "i", "x"]],
        [1],
        [[1 << 31, "world", "anyone"]],
    ],
    "ops": [None, [1], [[]], [["Nothing"]], [["Close"]], [["Check", "/a"]], [["Check", "/a", "0"]]],
}
OF_FIELDS = {
    "path": "text", "data": "data", "acl": "acl", "flags": "int32", "ttl_ms": "int", "with_stat": "bool",
    "version": "int32", "ops": "ops", "scheme": "text", "credential": "text", "password_hash": "bytes",
    "timeout_ms": "int", "inbox": "text", "address": "text or nothing", "subject": "text or nothing", "session": "int",
    "password": "bytes", "beats": "int", "zxid": "int", "at_ms": "int",
}  # fmt: skip
RIGHT: Any = {
    "int": 1, "int32": 1, "text": "/a", "text or nothing": None, "bool": True, "bytes": b"x", "data": b"x",
    "acl": [[31, "world", "anyone"]], "ops": [["Check", "/a", 1]],
}  # fmt: skip


def _tagged(value: Any) -> bytes:
    payload = codec.dumps(value)
    return payload + tag(payload, b"")


FIELDS = [(kind, field) for kind, made in sorted(messages._KINDS.items()) for field in made._fields]


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_every_field_of_every_request_is_what_it_has_to_be(kind: str, field: str) -> None:
    fields = messages._KINDS[kind]._fields
    right = [kind, *(RIGHT[OF_FIELDS[name]] for name in fields)]
    (request,) = messages.decode(_tagged([messages.FORMAT, "i", 7, 1, [right]])).requests
    assert type(request).__name__ == kind
    for wrong in WRONG[OF_FIELDS[field]]:
        values = [kind, *(wrong if name == field else RIGHT[OF_FIELDS[name]] for name in fields)]
        with pytest.raises(Malformed):
            messages.decode(_tagged([messages.FORMAT, "i", 7, 1, [values]]))
    later = fields[-1] == "subject"
    for values in (right[: -2 if later else -1], [*right, 1]):
        with pytest.raises(Malformed):
            messages.decode(_tagged([messages.FORMAT, "i", 7, 1, [values]]))


@pytest.mark.parametrize("name", ["inbox", "session", "first", "answered"])
def test_every_field_of_a_message_is_what_it_has_to_be(name: str) -> None:
    right = {"inbox": "i", "session": 7, "first": 1, "answered": 3}
    for wrong in WRONG["text" if name == "inbox" else "int"]:
        inbox, session, first, answered = {**right, name: wrong}.values()
        with pytest.raises(Malformed):
            messages.decode(_tagged([messages.FORMAT, inbox, session, first, [], answered]))


def test_there_are_bounds() -> None:
    """Of requests in a message, operations in a multi, entries in an ACL."""
    check = ["Check", "/a", 1]
    most, ops = messages.MAX_REQUESTS, messages.MAX_PARTS
    assert len(messages.decode(_tagged([messages.FORMAT, "i", 7, 1, [check] * most])).requests) == most
    many_acls = ["SetAcl", "/a", [[1, "s", "i"]] * (ops + 1), 1]
    for requests in ([check] * (most + 1), [["Multi", [check] * (ops + 1)]], [many_acls]):
        with pytest.raises(Malformed):
            messages.decode(_tagged([messages.FORMAT, "i", 7, 1, requests]))


def _value(text: bytes, tail: bytes = b"") -> bytes:
    return len(text).to_bytes(4, "big") + text + tail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\0",
        b"\0\0\0\x05[1]",
        _value(b"[1]", b"x"),
        _value(b'[{"b":2}]', b"x"),
        _value(b'[{"b":-1}]'),
        _value(b'[{"b":-1},{"b":2}]', b"x"),
        _value(b'[{"b":true}]', b"x"),
        _value(b'[{"b":"1"}]', b"x"),
        _value(b'[{"b":1,"c":1}]', b"x"),
        _value(b'[{"c":1}]', b"x"),
        _value(b"[1"),
        _value(b'["\xc3\xa4"]'),
        _value(b"[" * 100_000),
    ],
)
def test_what_is_no_value(body: bytes) -> None:
    """And whoever decodes next gets its own."""
    with pytest.raises(Malformed):
        codec.loads(body)
    assert codec.loads(codec.dumps([b"ab", "x", b"c"])) == [b"ab", "x", b"c"]


def test_a_value_that_can_not_be_written_leaves_nothing_to_the_next() -> None:
    with pytest.raises(TypeError):
        codec.dumps([b"left behind", object()])
    assert codec.loads(codec.dumps([b"x"])) == [b"x"]
