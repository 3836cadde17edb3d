"""What kazoo asks for is asked, field by field, and what comes back is what kazoo's own code reads."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import pytest
from kazoo.protocol import serialization as kazoo
from kazoo.security import ACL, OPEN_ACL_UNSAFE, Id

from fk_backend.core import requests as core
from fk_backend.core.model import Acl, Error
from fk_backend.core.requests import Result
from fk_backend.core.stats import Stat
from fk_backend.session import ops
from fk_backend.session.watchlist import Event
from fk_kazoo import jute, requests, wire

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
    found = wire.operation(request)
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


def test_names_are_handed_over_as_they_are_to_kazoos_own_class_alone() -> None:
    class Own(kazoo.GetChildren):  # type: ignore[misc]
        """An app's, which wants its bytes."""

    names, plain, own = ["b", "a"], kazoo.GetChildren("/a", None), Own("/a", None)
    listing = wire.by_hand(plain)
    assert listing == plain and wire.reply(listing, Result(0, (names, STAT), 1)) == b""
    assert listing.deserialize(b"", 0) == names and listing.deserialize(b"", 0) is not names
    assert wire.by_hand(own) is own and _read(own, (names, STAT)) == names


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
