"""The wire format beside kazoo's own: what kazoo writes is read as it was meant, and kazoo reads what is written."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kazoo.protocol import serialization as kazoo
from kazoo.security import ACL, Id

from fk_backend.core import requests as core
from fk_backend.core.model import Acl, Error, Stat
from fk_backend.core.requests import Result
from fk_backend.core.watches import PERSISTENT, RECURSIVE
from fk_backend.session import ops
from fk_backend.session.watchlist import Event
from fk_kazoo import jute, requests

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
paths = text.filter(lambda path: "\0" not in path)
data = st.none() | st.binary(max_size=50)
int32, int64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
acls = st.lists(st.tuples(int32, text, text), max_size=4)
stats = st.builds(Stat, *[int64] * 4, *[int32] * 3, int64, int32, int32, int64)
switch = st.booleans()
few = settings(max_examples=30, deadline=None)


def theirs(entries: List[Tuple[int, str, str]]) -> List[ACL]:
    return [ACL(perms, Id(scheme, name)) for perms, scheme, name in entries]


def ours(entries: List[Tuple[int, str, str]]) -> Tuple[Acl, ...]:
    return tuple(Acl(*entry) for entry in entries)


def read(request: Any) -> Any:
    return jute.operation(request.type, bytes(request.serialize()))


@few
@given(paths, data, acls, int32, int64)
def test_creates_are_read(path: str, value: Any, acl: Any, flags: int, ttl_ms: int) -> None:
    plain = core.Create(path, value, ours(acl), flags, 0, False)
    assert read(kazoo.Create(path, value, theirs(acl), flags)) == plain
    assert read(kazoo.Create2(path, value, theirs(acl), flags)) == plain._replace(with_stat=True)
    container = requests.CreateContainer(path, value, theirs(acl), flags)
    assert read(container) == plain._replace(with_stat=True, flags=flags | 4)
    ttl = requests.CreateTTL(path, value, theirs(acl), flags, ttl_ms)
    assert read(ttl) == plain._replace(with_stat=True, ttl_ms=ttl_ms)


@few
@given(paths, data, acls, int32, text, switch)
def test_the_other_requests_are_read(path: str, value: Any, acl: Any, version: int, more: str, watch: bool) -> None:
    watcher = print if watch else None
    assert read(kazoo.Delete(path, version)) == core.Delete(path, version)
    assert read(kazoo.SetData(path, value, version)) == core.SetData(path, value, version)
    assert read(kazoo.SetACL(path, theirs(acl), version)) == core.SetAcl(path, ours(acl), version)
    assert read(kazoo.CheckVersion(path, version)) == core.Check(path, version)
    assert read(kazoo.Exists(path, watcher)) == ops.Exists(path, watch)
    assert read(kazoo.GetData(path, watcher)) == ops.GetData(path, watch)
    assert read(kazoo.GetChildren(path, watcher)) == read(kazoo.GetChildren2(path, watcher))
    assert read(kazoo.GetChildren2(path, watcher)) == ops.GetChildren(path, watch)
    assert read(kazoo.GetACL(path)) == ops.GetAcl(path)
    assert read(kazoo.Sync(path)) == ops.Sync(path)
    assert read(kazoo.Auth(version, path, more)) == core.Auth(path, more)
    mode = RECURSIVE if watch else PERSISTENT
    assert read(requests.AddWatch(path, None, mode)) == ops.AddWatch(path, mode)
    assert read(requests.RemoveWatches(path)) == ops.RemoveWatches(path)


@few
@given(st.lists(st.tuples(paths, data, int32, st.sampled_from("cdsk"))))
def test_multis_are_read(parts: Any) -> None:
    made = {
        "c": lambda p, d, v: (kazoo.Create(p, d, [], v), core.Create(p, d, (), v, 0, False)),
        "d": lambda p, d, v: (kazoo.Delete(p, v), core.Delete(p, v)),
        "s": lambda p, d, v: (kazoo.SetData(p, d, v), core.SetData(p, d, v)),
        "k": lambda p, d, v: (kazoo.CheckVersion(p, v), core.Check(p, v)),
    }
    both = [made[kind](*fields) for *fields, kind in parts]
    assert read(kazoo.Transaction([each for each, _ in both])) == core.Multi(tuple(each for _, each in both))


@few
@given(int64, int32, int64, st.binary(max_size=20), switch)
def test_a_connection_begins(zxid: int, timeout_ms: int, session: int, password: bytes, read_only: bool) -> None:
    sent = bytes(kazoo.Connect(0, zxid, timeout_ms, session, password, read_only).serialize())
    assert jute.connect(sent) == (zxid, timeout_ms, session, password, read_only, False)
    assert jute.connect(sent[:-1]) == (zxid, timeout_ms, session, password, False, True)
    found, _ = kazoo.Connect.deserialize(jute.connected(timeout_ms, session, password, read_only), 0)
    assert found == (0, 0, timeout_ms, session, password, read_only)


def body(opcode: int, value: Any, op: Any = None) -> bytes:
    return jute.body(opcode, op, Result(Error.OK, value, 1))


@few
@given(text, data, stats, acls, st.lists(text))
def test_kazoo_reads_replies(path: str, value: Any, stat: Stat, acl: Any, names: List[str]) -> None:
    assert kazoo.Create.deserialize(body(jute.CREATE, path), 0) == path
    assert kazoo.Create2.deserialize(body(jute.CREATE2, (path, stat)), 0) == (path, stat)
    assert kazoo.GetData.deserialize(body(jute.GET_DATA, (value, stat)), 0) == (value, stat)
    assert kazoo.SetData.deserialize(body(jute.SET_DATA, stat), 0) == stat
    assert kazoo.GetChildren.deserialize(body(jute.GET_CHILDREN, (names, stat)), 0) == names
    assert kazoo.GetChildren2.deserialize(body(jute.GET_CHILDREN2, (names, stat)), 0) == (names, stat)
    assert kazoo.GetACL.deserialize(body(jute.GET_ACL, (ours(acl), stat)), 0) == (theirs(acl), stat)
    assert kazoo.Sync.deserialize(body(jute.SYNC, path), 0) == path
    assert kazoo.Watch.deserialize(jute.event(Event(1, path, 3)), 0)[0] == (3, 3, path)


@few
@given(int32, int64, int32, st.binary(max_size=20))
def test_a_reply_has_its_header(xid: int, zxid: int, code: int, payload: bytes) -> None:
    sent = jute.reply(xid, zxid, code, payload)
    assert int.from_bytes(sent[:4], "big") == len(sent) - 4
    assert kazoo.ReplyHeader.deserialize(sent[4:], 0) == ((xid, zxid, code), 16)
    assert sent[20:] == payload


def test_the_results_of_a_multi_are_named() -> None:
    made = (core.Create("/a", b"", (), 0, 0, False), core.Check("/a", 0), core.SetData("/a", b"", 0))
    stat = Stat(*range(11))
    sent = body(jute.MULTI, ((0, "/a", 1), (0, None, 1), (0, stat, 1)), core.Multi(made))
    assert kazoo.Transaction.deserialize(sent, 0) == ["/a", True, stat]
    assert jute.result_opcodes([made[0]._replace(with_stat=True, flags=4)]) == [jute.CREATE2]


@few
@given(st.sampled_from(sorted(jute.OPS)), st.binary(max_size=200))
def test_whatever_is_sent_is_an_operation_or_malformed(opcode: int, sent: bytes) -> None:
    try:
        jute.operation(opcode, sent)
    except jute.Malformed:
        pass


@few
@given(st.binary(max_size=60))
def test_whatever_begins_a_connection_is_understood_or_malformed(sent: bytes) -> None:
    for read_it in (jute.connect, jute.header):
        try:
            read_it(sent)
        except jute.Malformed:
            pass


@pytest.mark.parametrize("opcode", sorted(set(jute.OPS) - {jute.CLOSE, jute.WHO_AM_I}))
def test_a_request_that_ends_too_early_is_malformed(opcode: int) -> None:
    with pytest.raises(jute.Malformed):
        jute.operation(opcode, b"\0\0\0")
