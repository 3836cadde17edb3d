"""Sessions: where they are, who they are, and what goes with them."""

from __future__ import annotations

from typing import List

import pytest

from fk_backend.core.acls import OPEN_ACL, digest_id
from fk_backend.core.model import Acl, Error, EventType, Id, Trigger
from fk_backend.core.requests import Attach, Auth, Call, Close, Create, Delete, Expire, Flags, Open, Reap, SetData
from fk_backend.core.sessions import MAX_TIMEOUT_MS, MIN_TIMEOUT_MS
from fk_backend.core.snapshot import Ended

from .world import PASSWORD, World

ANN = digest_id("ann:1")
HOME = Id("ip", "127.0.0.1")


def create(path: str, flags: int = 0, ttl_ms: int = -1) -> Create:
    return Create(path, b"", OPEN_ACL, flags, ttl_ms, False)


def codes(world: World, *calls: Call) -> List[int]:
    return [result.code for result in world.run(calls)]


@pytest.fixture
def world() -> World:
    return World(super_id=digest_id("root:1"))


def test_a_session_is_named_by_namespace_and_zxid(world: World) -> None:
    assert world.open() == 5 << 40 | 1
    assert world.open("other") == 5 << 40 | 2
    assert world.zxid == 2


@pytest.mark.parametrize(("asked", "given"), [(0, MIN_TIMEOUT_MS), (10**9, MAX_TIMEOUT_MS), (7_000, 7_000)])
def test_the_timeout_is_bounded(world: World, asked: int, given: int) -> None:
    result = world.one(0, Open(b"", asked, "inbox", None))
    assert result.value == (5 << 40 | 1, given, ())


def test_nobody_acts_for_a_session_that_is_not_there_or_elsewhere(world: World) -> None:
    session = world.open()
    for call, code in (
        (Call(session, "elsewhere", create("/a")), Error.SESSION_MOVED),
        (Call(session + 1, "inbox", create("/a")), Error.SESSION_EXPIRED),
        (Call(0, "inbox", create("/a")), Error.SESSION_EXPIRED),
        (Call(session, "elsewhere", Close()), Error.SESSION_MOVED),
        (Call(session, "elsewhere", Auth("digest", "ann:1")), Error.SESSION_MOVED),
    ):
        assert codes(world, call) == [code]
    assert world.zxid == 1


def test_attaching_moves_the_session_and_starts_its_identities_anew(world: World) -> None:
    session = world.open()
    world.do(session, Auth("digest", "ann:1"))
    result = world.one(0, Attach(session, PASSWORD, "new", "10.0.0.1"))
    assert result.value == (session, 5_000, (Id("ip", "10.0.0.1"),))
    assert (result.zxid, world.last.moved) == (3, ["inbox"])
    assert codes(world, Call(session, "inbox", create("/a")), Call(session, "new", create("/b"))) == [-118, 0]


def test_a_certificate_is_the_connections(world: World) -> None:
    (session, *_), ann = world.one(0, Open(b"", 5_000, "inbox", "10.0.0.1", "CN=ann")).value, Id("x509", "CN=ann")
    assert world.sessions[session].identities == (Id("ip", "10.0.0.1"), ann)
    assert world.one(session, Auth("x509", "CN=ben")).value == (ann,)
    assert world.one(session, create("/of-ann")._replace(acl=(Acl(31, *ann),))).code == 0
    other = world.open("other")
    for request in (SetData("/of-ann", b"", -1), create("/x")._replace(acl=(Acl(31, *ann),)), Auth("x509", "CN=ann")):
        assert world.one(other, request, "other").code in (Error.NO_AUTH, Error.INVALID_ACL, Error.AUTH_FAILED)
    assert world.one(session, SetData("/of-ann", b"", -1)).code == 0


def test_attaching_from_the_same_inbox_moves_nothing(world: World) -> None:
    session = world.open()
    world.do(0, Attach(session, PASSWORD, "inbox", None))
    assert world.last.moved == []
    assert world.sessions[session].identities == ()


def test_a_wrong_password_and_an_unknown_session_look_alike(world: World) -> None:
    session = world.open()
    attempts = (Attach(session, b"q" * 16, "new", None), Attach(session + 1, PASSWORD, "new", None))
    assert codes(world, *(Call(0, "", each) for each in attempts)) == [Error.SESSION_EXPIRED] * 2
    assert world.sessions[session].inbox == "inbox"
    assert world.last.moved == []


def test_a_failed_attach_in_a_batch_takes_nothing_back_from_others(world: World) -> None:
    session = world.open()
    attempts = (Attach(session, PASSWORD, "new", None), Attach(session, b"", "evil", None))
    assert codes(world, *(Call(0, "", each) for each in attempts)) == [0, Error.SESSION_EXPIRED]
    assert (world.sessions[session].inbox, world.last.moved) == ("new", ["inbox"])


def test_auth_adds_up_and_is_idempotent(world: World) -> None:
    session = world.open()
    assert world.do(session, Auth("digest", "ann:1")) == (ANN,)
    result = world.one(session, Auth("digest", "ann:1"))
    assert (result.value, result.zxid) == ((ANN,), 2)
    assert world.do(session, Auth("ip", "")) == (HOME,)
    assert world.do(session, Auth("digest", "root:1")) == (Id("super", ""), digest_id("root:1"))
    assert world.sessions[session].identities == (HOME, ANN, Id("super", ""), digest_id("root:1"))
    assert world.one(session, Auth("sasl", "x")).code == Error.AUTH_FAILED


def test_closing_deletes_ephemerals_under_one_zxid_in_order(world: World) -> None:
    session, other = world.open(), world.open("other")
    world.do(session, create("/p"))
    for path in ("/p/z", "/p/a", "/e"):
        world.do(session, create(path, Flags.EPHEMERAL))
    assert world.one(other, create("/o", Flags.EPHEMERAL), "other").code == 0
    world.triggers.clear()
    closed = world.one(session, Close())
    assert (closed.code, closed.value, closed.zxid) == (0, None, 8)
    gone = [("/e", "/"), ("/p/a", "/p"), ("/p/z", "/p")]
    assert world.triggers == [
        Trigger(8, path, kind) for pair in gone for path, kind in zip(pair, (EventType.DELETED, EventType.CHILD))
    ]
    assert world.last.ended == [Ended(session, "inbox", False)]
    assert {"/o", "/p"} < world.nodes.keys()
    assert (world.nodes["/p"][1].pzxid, world.nodes["/p"][1].count) == (8, 0)


def test_a_session_that_ended_can_do_nothing_more_in_the_same_batch(world: World) -> None:
    session = world.open()
    requests = (create("/a", Flags.EPHEMERAL), Close(), create("/b", Flags.EPHEMERAL), Close())
    assert codes(world, *(Call(session, "inbox", each) for each in requests)) == [0, 0, -112, -112]
    assert codes(world, Call(0, "", Attach(session, PASSWORD, "x", None))) == [-112]
    assert "/a" not in world.nodes


def test_an_ephemeral_that_was_deleted_or_made_anew_by_others_is_not_the_sessions(world: World) -> None:
    session, other = world.open(), world.open("other")
    world.do(session, create("/a", Flags.EPHEMERAL))
    calls = [Call(other, "other", Delete("/a", -1)), Call(other, "other", create("/a", Flags.EPHEMERAL))]
    assert codes(world, *calls, Call(session, "inbox", Close())) == [0, 0, 0]
    assert world.nodes["/a"][0].owner == other


def test_closing_asks_for_everything_in_two_loads(world: World) -> None:
    session = world.open()
    for path in ("/a", "/b", "/c"):
        world.do(session, create(path, Flags.EPHEMERAL))
    world.do(session, Close())
    assert world.rounds == 2


def test_expiry_is_void_if_the_counter_moved_or_the_session_is_gone(world: World) -> None:
    session = world.open()
    world.beats[session] = 4
    for request in (Expire(session, 3), Expire(session + 1, 0)):
        assert world.one(0, request) == (0, False, 1)
    world.do(session, create("/e", Flags.EPHEMERAL))
    assert world.one(0, Expire(session, 4)) == (0, True, 3)
    assert world.last.ended == [Ended(session, "inbox", True)]
    assert "/e" not in world.nodes
    assert world.one(0, Expire(session, 4)) == (0, False, 3)


def test_a_container_is_reaped_when_it_was_used_and_is_empty(world: World) -> None:
    session = world.open()
    world.do(session, create("/c", Flags.CONTAINER))
    assert world.do(0, Reap("/c", 0)) is False
    world.do(session, create("/c/x"))
    assert world.do(0, Reap("/c", 0)) is False
    world.do(session, Delete("/c/x", 0))
    assert world.do(0, Reap("/c", 0)) is True
    assert world.last.changes.reapable == {"/c": False}
    assert world.triggers[-2:] == [Trigger(5, "/c", EventType.DELETED), Trigger(5, "/", EventType.CHILD)]
    assert world.do(0, Reap("/c", 0)) is False


def test_a_ttl_counts_from_the_last_change_of_a_childless_node(world: World) -> None:
    session = world.open()
    world.do(session, create("/t", Flags.TTL, 100))
    world.now_ms += 99
    assert world.do(0, Reap("/t", world.now_ms + 1)) is False
    world.do(session, SetData("/t", b"", -1))
    world.now_ms += 99
    assert world.do(0, Reap("/t", world.now_ms + 1)) is False
    world.do(session, create("/t/x"))
    assert world.do(0, Reap("/t", world.now_ms + 1)) is False
    world.do(session, Delete("/t/x", 0))
    assert world.do(0, Reap("/t", world.now_ms + 1)) is True


def test_whether_a_ttl_has_passed_is_told_by_who_looked_and_not_by_who_is_late(world: World) -> None:
    """Or a batch that comes again could come to something else (seeds 153960, 171258)."""
    session = world.open()
    world.do(session, create("/t", Flags.TTL, 100))
    asked = Reap("/t", world.now_ms + 99)
    world.now_ms += 10**6
    assert world.do(0, asked) is False


@pytest.mark.parametrize("path", ["/", "/zookeeper/quota", "/p", "/e", "/none", "x", "//"])
def test_nothing_else_is_ever_reaped(world: World, path: str) -> None:
    session = world.open()
    world.do(session, create("/p"))
    world.do(session, create("/e", Flags.EPHEMERAL))
    world.now_ms += 10**12
    assert world.one(0, Reap(path, world.now_ms)) == (0, False, 3)
