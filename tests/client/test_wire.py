"""What kazoo asks for is asked, field by field, and what comes back is what kazoo's own code reads."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kazoo.protocol import serialization as kazoo
from kazoo.security import ACL, OPEN_ACL_UNSAFE, Id

from fk_backend.core import requests as core
from fk_backend.core.model import Acl, Error
from fk_backend.core.requests import Result
from fk_backend.core.stats import Stat
from fk_backend.session import ops
from fk_backend.session.watchlist import Event
from fk_kazoo import jute, requests, values, wire

ACLS = [ACL(5, Id("digest", "u:h")), ACL(1, Id("world", "anyone"))]
OURS = (Acl(5, "digest", "u:h"), Acl(1, "world", "anyone"))
STAT = Stat(*range(1, 12))
WATCHER = print


def _create(flags: int, ttl_ms: int = 0, with_stat: bool = True) -> core.Create:
    return core.Create("/a", b"x", OURS, flags, ttl_ms, with_stat)


ASKED: Dict[str, Tuple[Any, Any]] = {
    "create": (kazoo.Create("/a", b"x", ACLS, 3), _create(3, with_stat=False)),
    "create2": (kazoo.Create2("/a", b"x", ACLS, 3), _create(3)),
    "container": (requests.CreateContainer("/a", b"x", ACLS, 4), _create(4)),
    "container without its flag": (requests.CreateContainer("/a", b"x", ACLS, 0), _create(4)),
    "ttl": (requests.CreateTTL("/a", b"x", ACLS, 5, 9), _create(5, 9)),
    "delete": (kazoo.Delete("/a", 7), core.Delete("/a", 7)),
    "set": (kazoo.SetData("/a", b"x", 7), core.SetData("/a", b"x", 7)),
    "set acl": (kazoo.SetACL("/a", ACLS, 7), core.SetAcl("/a", OURS, 7)),
    "check": (kazoo.CheckVersion("/a", 7), core.Check("/a", 7)),
    "multi": (
        kazoo.Transaction([kazoo.CheckVersion("/a", 7), kazoo.Delete("/b", 8), kazoo.SetData("/c", b"x", 9)]),
        core.Multi((core.Check("/a", 7), core.Delete("/b", 8), core.SetData("/c", b"x", 9))),
    ),
    "exists": (kazoo.Exists("/a", None), ops.Exists("/a", False)),
    "exists and watch": (kazoo.Exists("/a", WATCHER), ops.Exists("/a", True)),
    "get": (kazoo.GetData("/a", None), ops.GetData("/a", False)),
    "get and watch": (kazoo.GetData("/a", WATCHER), ops.GetData("/a", True)),
    "children": (kazoo.GetChildren("/a", None), ops.GetChildren("/a", False)),
    "children and watch": (kazoo.GetChildren("/a", WATCHER), ops.GetChildren("/a", True)),
    "children2": (kazoo.GetChildren2("/a", WATCHER), ops.GetChildren("/a", True)),
    "acl": (kazoo.GetACL("/a"), ops.GetAcl("/a")),
    "sync": (kazoo.Sync("/a"), ops.Sync("/a")),
    "auth": (kazoo.Auth(0, "digest", "u:p"), core.Auth("digest", "u:p")),
    "close": (kazoo.Close(), core.Close()),
}


@pytest.mark.parametrize("what", ASKED)
def test_what_is_asked_is_asked(what: str) -> None:
    request, expected = ASKED[what]
    for found in (wire.operation(request), wire._by_its_bytes(request)):
        assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize("spare", [0, 1, -1])
def test_a_request_is_as_large_as_zookeeper_takes(spare: int) -> None:
    empty = len(kazoo.SetData("/a", b"", 0).serialize())
    request = kazoo.SetData("/a", b"x" * (wire.MAX_REQUEST_BYTES - empty - spare), 0)
    refused = wire.operation(request) == ops.Fail(Error.TOO_LARGE)
    assert refused == (len(request.serialize()) >= wire.MAX_REQUEST_BYTES) == (spare <= 0)


@pytest.mark.parametrize(
    "request_",
    [
        kazoo.Delete("/a", 1 << 31),
        kazoo.SetData("/\ud800", b"", 0),
        kazoo.Create("/a", b"", [ACL(1 << 40, Id("world", "anyone"))], 0),
        kazoo.Create("/a", b"", OPEN_ACL_UNSAFE, 1 << 40),
        kazoo.Transaction([kazoo.Delete("/a", 1 << 31)]),
    ],
)
def test_what_can_not_be_sent_is_a_bad_argument(request_: Any) -> None:
    assert wire.operation(request_) == ops.Fail(Error.BAD_ARGUMENTS)


def test_what_is_not_known_is_unimplemented() -> None:
    class Unknown(kazoo.Exists):  # type: ignore[misc]
        type = 77

    assert wire.operation(Unknown("/a", None)) == ops.Fail(Error.UNIMPLEMENTED)


def _read(request: Any, value: Any) -> Any:
    return request.deserialize(wire.reply(request, Result(0, value, 1)), 0)


def test_what_comes_back_is_what_kazoo_reads() -> None:
    assert _read(kazoo.Create("/a", b"", ACLS, 0), "/a1") == "/a1"
    for kind in (kazoo.Create2, requests.CreateContainer):
        path, stat = _read(kind("/a", b"", ACLS, 0), ("/a1", STAT))
        assert path == "/a1" and tuple(stat) == tuple(STAT)
    path, stat = _read(requests.CreateTTL("/a", b"", ACLS, 5, 9), ("/a1", STAT))
    assert path == "/a1" and tuple(stat) == tuple(STAT)
    assert _read(kazoo.Delete("/a", 0), None) is True
    for request in (kazoo.Exists("/a", None), kazoo.SetData("/a", b"", 0), kazoo.SetACL("/a", ACLS, 0)):
        assert tuple(_read(request, STAT)) == tuple(STAT)
    for data in (b"x", b"", None):
        found, stat = _read(kazoo.GetData("/a", None), (data, STAT))
        assert found == data and tuple(stat) == tuple(STAT)
    names = ["b", "\u00e4", "a"]
    assert kazoo.GetChildren.deserialize(jute.strings(names), 0) == names
    found, stat = _read(kazoo.GetChildren2("/a", None), (names, STAT))
    assert found == names and tuple(stat) == tuple(STAT)
    acls, stat = _read(kazoo.GetACL("/a"), (OURS, STAT))
    assert acls == ACLS and tuple(stat) == tuple(STAT)
    assert _read(kazoo.Sync("/a"), "/a") == "/a"


def _shown(request: Any, value: Any) -> Any:
    """A value as an app sees it: errors have no equality of their own."""
    if isinstance(request, kazoo.Transaction):
        return [(type(each), getattr(each, "code", each)) for each in value]
    return value


ANSWERS: Dict[str, Tuple[Any, Any]] = {
    "create": (kazoo.Create("/a", b"", ACLS, 0), "/\u00e41"),
    "create2": (kazoo.Create2("/a", b"", ACLS, 0), ("/a1", STAT)),
    "delete": (kazoo.Delete("/a", 0), None),
    "exists": (kazoo.Exists("/a", None), STAT),
    "set": (kazoo.SetData("/a", b"", 0), list(STAT)),
    "set acl": (kazoo.SetACL("/a", ACLS, 0), STAT),
    "data": (kazoo.GetData("/a", None), (b"x", STAT)),
    "no data": (kazoo.GetData("/a", None), (None, list(STAT))),
    "names": (kazoo.GetChildren("/a", None), (["b", "\u00e4"], STAT)),
    "names and stat": (kazoo.GetChildren2("/a", None), (["b", "a"], STAT)),
    "sync": (kazoo.Sync("/a"), "/a"),
    "multi": (
        kazoo.Transaction([kazoo.Create("/a", b"", ACLS, 0), kazoo.SetData("/a", b"", 0), kazoo.Delete("/a", -1)]),
        [(0, "/a", 1), (0, STAT, 1), (0, None, 1)],
    ),
    "multi that failed": (
        kazoo.Transaction([kazoo.Create("/a", b"", ACLS, 0), kazoo.CheckVersion("/a", 0), kazoo.Delete("/a", -1)]),
        [(0, None, 1), (Error.BAD_VERSION, None, 1), (Error.RUNTIME_INCONSISTENCY, None, 1)],
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_handed_over_is_what_kazoo_reads_from_its_bytes(what: str) -> None:
    request, value = ANSWERS[what]
    handed_over = values.answer(request, Result(0, value, 1))
    assert isinstance(handed_over, values.Value)
    read = _read(request, value)
    assert _shown(request, handed_over.value) == _shown(request, read)
    assert type(handed_over.value) is type(read)


def test_an_apps_own_class_gets_its_bytes() -> None:
    class Own(kazoo.GetChildren):  # type: ignore[misc]
        """An app's."""

    names, own = ["b", "a"], Own("/a", None)
    body = values.answer(own, Result(0, (names, STAT), 1))
    assert type(body) is bytes and own.deserialize(body, 0) == names
    plain = values.answer(kazoo.GetChildren("/a", None), Result(0, (names, STAT), 1))
    assert isinstance(plain, values.Value) and plain.value == names and plain.value is not names

    class Part(kazoo.Delete):  # type: ignore[misc]
        """An app's, within one of kazoo's."""

    assert type(values.answer(kazoo.Transaction([Part("/a", 0)]), Result(0, [(0, None, 1)], 1))) is bytes


PATHS = st.sampled_from(["/a", "", "/\u00e4", "/\ud800", "/a\0b", None, "/" + "x" * 200_000])
DATA = st.sampled_from([b"", b"x", None, bytearray(b"y"), b"z" * 840_000, b"z" * 1_048_000, b"z" * (1 << 20)])
NUMBERS = st.sampled_from([0, -1, 3, True, (1 << 31) - 1, 1 << 31, -(1 << 31), -(1 << 31) - 1])
LISTS = st.sampled_from([OPEN_ACL_UNSAFE, list(OPEN_ACL_UNSAFE), tuple(OPEN_ACL_UNSAFE), ACLS, [], OPEN_ACL_UNSAFE * 2])
PARTS = st.one_of(
    st.builds(kazoo.Create, PATHS, DATA, LISTS, NUMBERS),
    st.builds(kazoo.Delete, PATHS, NUMBERS),
    st.builds(kazoo.SetData, PATHS, DATA, NUMBERS),
    st.builds(kazoo.CheckVersion, PATHS, NUMBERS),
)
REQUESTS = st.one_of(
    PARTS.filter(lambda part: type(part) is not kazoo.CheckVersion),
    *(st.builds(kind, PATHS, st.sampled_from([None, WATCHER])) for kind in (kazoo.Exists, kazoo.GetData)),
    *(st.builds(kind, PATHS, st.sampled_from([None, WATCHER])) for kind in (kazoo.GetChildren, kazoo.GetChildren2)),
    st.builds(kazoo.Transaction, st.lists(PARTS, max_size=3)),
    st.builds(kazoo.Transaction, st.lists(PARTS, max_size=3).map(tuple)),
)


@given(REQUESTS)
@example(kazoo.Transaction([kazoo.SetData("/a", b"z" * 840_000, 0)] * 2))
@example(kazoo.Create("/a", b"", ACLS, 0))
@example(kazoo.Delete("/a", 1 << 31))
@example(kazoo.Delete("/\u00e4", 0))
@example(kazoo.Delete("/\ud800", 0))
def test_what_is_taken_as_it_is_is_what_its_bytes_say(request_: Any) -> None:
    found, read = wire.operation(request_), wire._by_its_bytes(request_)
    assert found == read and type(found) is type(read)


def test_the_usual_request_is_taken_without_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_by_its_bytes", None)
    parts = [kazoo.Create("/a", b"x", OPEN_ACL_UNSAFE, 3), kazoo.SetData("/a", b"x", -1), kazoo.Delete("/a", -1)]
    for request in (*parts, kazoo.Transaction([*parts, kazoo.CheckVersion("/a", 0)]), kazoo.GetData("/a", None)):
        assert wire.operation(request)


def test_an_error_has_no_body() -> None:
    for request, _ in ASKED.values():
        assert wire.reply(request, Result(Error.NO_NODE, None, 1)) == b""


def test_each_part_of_a_multi_has_its_result_or_its_error() -> None:
    request = kazoo.Transaction([kazoo.Create("/a", b"", ACLS, 0), kazoo.SetData("/a", b"", 0), kazoo.Delete("/a", -1)])
    good = [(0, "/a", 1), (0, STAT, 1), (0, None, 1)]
    path, stat, deleted = _read(request, good)
    assert (path, tuple(stat), deleted) == ("/a", tuple(STAT), True)
    bad = [(0, None, 1), (Error.BAD_VERSION, None, 1), (Error.RUNTIME_INCONSISTENCY, None, 1)]
    assert [getattr(each, "code", None) for each in _read(request, bad)] == [0, -103, -2]


def test_an_event_is_one_of_kazoos() -> None:
    found, _ = kazoo.Watch.deserialize(wire.event(Event(7, "/\u00e4", 3)), 0)
    assert (found.type, found.state, found.path) == (3, 3, "/\u00e4")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_connection_is_told_its_session(read_only: bool) -> None:
    found, _ = kazoo.Connect.deserialize(wire.connected(4000, 77, b"p" * 16, read_only), 0)
    assert (found.time_out, found.session_id, found.passwd) == (4000, 77, b"p" * 16)
    assert bool(found.read_only) == read_only
