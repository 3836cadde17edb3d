"""Writes: what the differential tests can't see — triggers, changes, zxids, batches — and each code once."""

from __future__ import annotations

from typing import List, Tuple

import pytest

from fk_backend.core.acls import OPEN_ACL, READ_ACL
from fk_backend.core.apply import needs
from fk_backend.core.model import Acl, Acls, Error, EventType, Family, Perms, Trigger
from fk_backend.core.requests import (
    Call,
    Check,
    Close,
    Create,
    Delete,
    Expire,
    Flags,
    Multi,
    Op,
    Reap,
    Request,
    Result,
    SetAcl,
    SetData,
)
from fk_backend.core.tree import MAX_DATA_BYTES

from .world import World

CREATED, DELETED, CHANGED, CHILD = EventType.CREATED, EventType.DELETED, EventType.CHANGED, EventType.CHILD


def create(path: str, flags: int = 0, acl: Acls = OPEN_ACL, data: "bytes | None" = b"", ttl_ms: int = -1) -> Create:
    return Create(path, data, acl, flags, ttl_ms, False)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def session(world: World) -> int:
    return world.open()


def test_triggers_are_zookeepers_in_zookeepers_order(world: World, session: int) -> None:
    for request in (
        create("/a"),
        create("/a/b"),
        SetData("/a/b", b"1", 0),
        SetAcl("/a", OPEN_ACL, 0),
        Delete("/a/b", 1),
    ):
        world.do(session, request)
    assert world.triggers == [
        Trigger(2, "/a", CREATED),
        Trigger(2, "/", CHILD),
        Trigger(3, "/a/b", CREATED),
        Trigger(3, "/a", CHILD),
        Trigger(4, "/a/b", CHANGED),
        Trigger(6, "/a/b", DELETED),
        Trigger(6, "/a", CHILD),
    ]


def test_what_changes_nothing_takes_no_zxid(world: World, session: int) -> None:
    requests: List[Request] = [
        create("/a"),
        create("/a"),
        Check("/a", 0),
        Multi((Check("/a", 0),)),
        Multi(()),
        Delete("/b", -1),
    ]
    requests.append(create("/b"))
    results = world.run([Call(session, "inbox", request) for request in requests])
    assert [each.zxid for each in results] == [2, 2, 2, 2, 2, 2, 3]
    assert [each.code for each in results] == [0, Error.NODE_EXISTS, 0, 0, 0, Error.NO_NODE, 0]
    assert world.zxid == 3


def test_creating_a_child_writes_its_parents_family_and_not_its_node(world: World, session: int) -> None:
    world.do(session, create("/a", data=b"x" * 1000))
    world.do(session, create("/a/b"))
    assert set(world.last.changes.nodes) == {"/a/b"}
    assert world.last.changes.families == {"/a": Family(1, 3, 1), "/a/b": Family(0, 3, 0)}


def test_created_and_deleted_in_one_batch_is_gone_in_both_tables(world: World, session: int) -> None:
    world.run([Call(session, "inbox", each) for each in (create("/a", Flags.EPHEMERAL), Delete("/a", 0))])
    changes = world.last.changes
    assert changes.nodes == {"/a": None}
    assert changes.families == {"/a": None, "/": Family(1, 3, 1)}
    assert changes.ephemerals == {(session, "/a"): False}
    assert [t.kind for t in world.last.triggers] == [CREATED, CHILD, DELETED, CHILD]


def test_deleted_and_created_in_one_batch_is_a_new_node(world: World, session: int) -> None:
    world.do(session, create("/a"))
    world.do(session, create("/a/b"))
    again = (Delete("/a/b", 0), Delete("/a", 0), create("/a", Flags.CONTAINER))
    world.run([Call(session, "inbox", each) for each in again])
    node, family = world.nodes["/a"]
    assert (node.czxid, node.version, family) == (6, 0, Family(0, 6, 0))
    assert world.last.changes.reapable == {"/a": True}


def test_sequence_numbers_within_a_batch_take_two_loads(world: World, session: int) -> None:
    calls = [Call(session, "inbox", create("/s-", Flags.SEQUENTIAL)) for _ in range(5)]
    assert [each.value for each in world.run(calls)] == ["/s-%010d" % n for n in range(5)]
    assert world.rounds == 2


def test_a_sequential_create_into_a_taken_name(world: World, session: int) -> None:
    """ZooKeeper does not skip: the create fails, and so does the next one, until the counter moves."""
    world.do(session, create("/s-0000000001"))
    calls = [Call(session, "inbox", create("/s-", Flags.SEQUENTIAL)) for _ in range(2)]
    assert [each.code for each in world.run(calls)] == [Error.NODE_EXISTS, Error.NODE_EXISTS]
    assert world.do(session, create("/t")) == "/t"
    assert world.do(session, create("/s-", Flags.SEQUENTIAL)) == "/s-0000000002"


def test_the_counter_wraps_as_an_int32(world: World, session: int) -> None:
    node, family = world.nodes["/"]
    world.nodes["/"] = (node, family._replace(creates=2**31 - 1))
    assert world.do(session, create("/s", Flags.SEQUENTIAL)) == "/s2147483647"
    assert world.do(session, create("/s", Flags.SEQUENTIAL)) == "/s-2147483648"


def test_a_version_never_becomes_the_wildcard(world: World, session: int) -> None:
    world.do(session, create("/a"))
    for version, after in ((2**31 - 1, -(2**31)), (-2, 0)):
        node, family = world.nodes["/a"]
        world.nodes["/a"] = (node._replace(version=version), family)
        assert world.do(session, SetData("/a", b"", version)).version == after


def test_data_over_the_limit_is_refused(world: World, session: int) -> None:
    assert world.one(session, create("/a", data=b"x" * MAX_DATA_BYTES)).code == Error.OK
    for request in (create("/b", data=b"x" * (MAX_DATA_BYTES + 1)), SetData("/a", b"x" * (MAX_DATA_BYTES + 1), -1)):
        assert world.one(session, request).code == Error.TOO_LARGE


def test_a_failed_multi_leaves_no_trace(world: World, session: int) -> None:
    world.do(session, create("/a"))
    ops = (
        create("/a/s", Flags.EPHEMERAL_SEQUENTIAL),
        create("/c", Flags.CONTAINER),
        SetData("/a", b"1", 7),
        Delete("/a", 0),
    )
    result = world.one(session, Multi(ops))
    assert result == Result(
        Error.OK,
        (
            Result(Error.OK, None, 2),
            Result(Error.OK, None, 2),
            Result(Error.BAD_VERSION, None, 2),
            Result(Error.RUNTIME_INCONSISTENCY, None, 2),
        ),
        2,
    )
    changes = world.last.changes
    assert not (changes.nodes or changes.families or changes.ephemerals or changes.reapable or world.last.triggers)


def test_a_failed_multi_keeps_what_came_before_it_in_the_batch(world: World, session: int) -> None:
    failing = Multi((SetData("/a", b"2", 0), create("/a/b"), create("/a/b")))
    requests = (create("/a"), failing, SetData("/a", b"3", 0), create("/a/b"))
    results = world.run([Call(session, "inbox", each) for each in requests])
    assert [each.code for each in results[1].value] == [0, 0, Error.NODE_EXISTS]
    assert [each.zxid for each in results] == [2, 2, 3, 4]
    node, family = world.nodes["/a"]
    assert (node.data, node.version, node.mzxid, family) == (b"3", 1, 3, Family(1, 4, 1))


def test_a_multi_has_one_zxid_and_sees_itself(world: World, session: int) -> None:
    ops = (create("/a"), create("/a/b"), SetAcl("/a", READ_ACL, 0), create("/a/c"))
    assert [each.code for each in world.one(session, Multi(ops)).value] == [0, 0, 0, Error.NO_AUTH]
    assert [each.zxid for each in world.one(session, Multi(ops[:3])).value] == [2, 2, 2]
    assert {t.zxid for t in world.triggers} == {2}


def test_each_operation_takes_its_own_permission(world: World, session: int) -> None:
    """Create and delete ask the parent, the others the node; no other bit will do."""
    world.do(session, create("/a"))
    operations: List[Tuple[int, Op]] = [
        (Perms.CREATE, create("/a/s", Flags.SEQUENTIAL)),
        (Perms.DELETE, Delete("/a/x", -1)),
        (Perms.WRITE, SetData("/a", b"", -1)),
        (Perms.READ, Check("/a", -1)),
        (Perms.ADMIN, SetAcl("/a", OPEN_ACL, -1)),
    ]
    for perm, op in operations:
        for perms, code in ((perm, Error.OK), (Perms.ALL & ~perm, Error.NO_AUTH)):
            world.one(session, create("/a/x"))
            node, family = world.nodes["/a"]
            world.nodes["/a"] = (node._replace(acl=(Acl(perms, "world", "anyone"),)), family)
            assert world.one(session, op).code == code
            world.nodes["/a"] = (world.nodes["/a"][0]._replace(acl=OPEN_ACL), world.nodes["/a"][1])


def test_needs_names_what_the_requests_name() -> None:
    """The prefix of a sequential create is no path; what is no valid path is left out."""
    ops = (create("/s/p-", Flags.SEQUENTIAL), SetData("/d", b"", -1), create("/bad/."), Delete("x", -1))
    calls = [Call(7, "", Multi(ops)), Call(8, "", Close()), Call(0, "", Expire(9, 0)), Call(0, "", Reap("/c/t", 0))]
    wanted = needs(calls)
    assert wanted.paths == {"/s", "/d", "/bad", "/c/t", "/c"}
    assert (wanted.sessions, wanted.ephemerals, wanted.beats) == ({7, 8, 9}, {8, 9}, {9})


CLOSED = (Acl(0, "world", "anyone"),)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (create("/open/x", 7), Error.BAD_ARGUMENTS),
        (create("/open/x", Flags.TTL), Error.BAD_ARGUMENTS),
        (create("/open/x/"), Error.NO_NODE),
        (create("/open/"), Error.BAD_ARGUMENTS),
        (create("x"), Error.BAD_ARGUMENTS),
        (create("/open/x\0"), Error.BAD_ARGUMENTS),
        (create("/open/x", acl=()), Error.INVALID_ACL),
        (create("/none/x", acl=()), Error.INVALID_ACL),
        (create("/none/x"), Error.NO_NODE),
        (create("/closed/x"), Error.NO_AUTH),
        (create("/closed/."), Error.NO_AUTH),
        (create("/open"), Error.NODE_EXISTS),
        (create("/"), Error.NODE_EXISTS),
        (create("/ephemeral/x"), Error.NO_CHILDREN_FOR_EPHEMERALS),
        (Delete("/", -1), Error.BAD_ARGUMENTS),
        (Delete("/zookeeper/quota", -1), Error.BAD_ARGUMENTS),
        (Delete("x", -1), Error.BAD_ARGUMENTS),
        (Delete("/none/x", -1), Error.NO_NODE),
        (Delete("/open/none", -1), Error.NO_NODE),
        (Delete("/closed/inside", -1), Error.NO_AUTH),
        (Delete("/full", 3), Error.BAD_VERSION),
        (Delete("/full", 0), Error.NOT_EMPTY),
        (SetData("/open/", b"", -1), Error.BAD_ARGUMENTS),
        (SetData("/none", b"", -1), Error.NO_NODE),
        (SetData("/closed", b"", 9), Error.NO_AUTH),
        (SetData("/open", b"", 9), Error.BAD_VERSION),
        (SetAcl("/none", (), -1), Error.INVALID_ACL),
        (SetAcl("/none", OPEN_ACL, -1), Error.NO_NODE),
        (SetAcl("/closed", OPEN_ACL, -1), Error.NO_AUTH),
        (SetAcl("/open", OPEN_ACL, 1), Error.BAD_VERSION),
        (Check("//", -1), Error.BAD_ARGUMENTS),
        (Check("/none", -1), Error.NO_NODE),
        (Check("/closed", -1), Error.NO_AUTH),
        (Check("/open", -2), Error.BAD_VERSION),
    ],
)
def test_each_refusal(world: World, session: int, request_: Request, code: int) -> None:
    for made in (create("/open"), create("/ephemeral", 1), create("/full"), create("/full/x"), create("/closed")):
        world.do(session, made)
    world.do(session, create("/closed/inside"))
    world.do(session, SetAcl("/closed", CLOSED, 0))
    before = (dict(world.nodes), world.zxid)
    assert world.one(session, request_) == Result(code, None, world.zxid)
    assert (world.nodes, world.zxid) == before
