"""Owners, Stats, watches and reads: each a small table of ZooKeeper's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fk_backend.core import owners, reads, watches
from fk_backend.core.acls import OPEN_ACL, READ_ACL
from fk_backend.core.errors import ZkError
from fk_backend.core.initial import initial_nodes
from fk_backend.core.model import CONTAINER_OWNER, MAX_TTL_MS, Acl, Error, EventType, Family, Node, Trigger
from fk_backend.core.requests import Flags
from fk_backend.core.stats import int32, stat

SESSION = 5 << 40 | 9


@given(st.integers(1, MAX_TTL_MS))
def test_a_ttl_comes_back_from_the_owner(ttl_ms: int) -> None:
    owners.check_mode(Flags.TTL, ttl_ms)
    owner = owners.owner_of(Flags.TTL_SEQUENTIAL, ttl_ms, SESSION)
    assert -(1 << 63) <= owner < 0
    assert owner & 0xFFFFFFFFFFFFFFFF == 0xFF00000000000000 | ttl_ms
    assert owners.ttl_ms(owner) == ttl_ms
    assert (owners.is_ephemeral(owner), owners.is_container(owner), owners.is_reapable(owner)) == (False, False, True)


@pytest.mark.parametrize(
    ("flags", "owner"),
    [(0, 0), (1, SESSION), (2, 0), (3, SESSION), (4, CONTAINER_OWNER)],
)
def test_owner_of_the_other_modes(flags: int, owner: int) -> None:
    owners.check_mode(flags, -1)
    assert owners.owner_of(flags, -1, SESSION) == owner
    assert owners.is_ephemeral(owner) is (owner == SESSION)
    assert owners.is_reapable(owner) is (flags == 4)
    assert owners.is_sequential(flags) is (flags in (2, 3))


@pytest.mark.parametrize(
    ("flags", "ttl_ms"), [(-1, -1), (7, -1), (0, 1), (4, 1), (5, 0), (5, -1), (6, -1), (6, MAX_TTL_MS + 1)]
)
def test_refused_modes(flags: int, ttl_ms: int) -> None:
    with pytest.raises(ZkError) as refused:
        owners.check_mode(flags, ttl_ms)
    assert refused.value.code == Error.BAD_ARGUMENTS


def _node(owner: int = 0, data: "bytes | None" = b"123") -> Node:
    return Node(1, 2, 3, 4, 5, 6, owner, OPEN_ACL, data)


def test_stat() -> None:
    shown = stat(_node(SESSION), Family(creates=7, pzxid=8, count=3))
    assert tuple(shown) == (1, 2, 3, 4, 5, 11, 6, SESSION, 3, 3, 8)
    assert stat(_node(data=None), Family(0, 0, 0)).dataLength == 0
    assert stat(_node(CONTAINER_OWNER), Family(0, 0, 0)).ephemeralOwner == 0
    assert stat(_node(owners.owner_of(Flags.TTL, 9, SESSION)), Family(0, 0, 0)).ephemeralOwner == 0


@given(st.integers())
def test_int32_wraps(value: int) -> None:
    assert -(2**31) <= int32(value) < 2**31
    assert (int32(value) - value) % 2**32 == 0


def test_a_fresh_namespace_shows_negative_cversions() -> None:
    nodes = initial_nodes()
    assert {path: (stat(*found).cversion, stat(*found).numChildren) for path, found in nodes.items()} == {
        "/": (-1, 1),
        "/zookeeper": (-2, 2),
        "/zookeeper/quota": (0, 0),
        "/zookeeper/config": (0, 0),
    }
    config = nodes["/zookeeper/config"][0]
    assert (config.acl, config.aversion) == (READ_ACL, -1)


CREATED, DELETED, CHANGED, CHILD = EventType.CREATED, EventType.DELETED, EventType.CHANGED, EventType.CHILD


@pytest.mark.parametrize(
    ("mode", "on_path", "below", "once"),
    [
        (watches.DATA, {CREATED, DELETED, CHANGED}, set(), True),
        (watches.CHILD, {CHILD, DELETED}, set(), True),
        (watches.PERSISTENT, {CREATED, DELETED, CHANGED, CHILD}, set(), False),
        (watches.RECURSIVE, {CREATED, DELETED, CHANGED}, {CREATED, DELETED, CHANGED}, False),
    ],
)
def test_the_table_of_watches(mode: str, on_path: "set[int]", below: "set[int]", once: bool) -> None:
    kinds = (CREATED, DELETED, CHANGED, CHILD)
    assert {kind for kind in kinds if watches.matches(mode, "/a", Trigger(1, "/a", kind))} == on_path
    for path in ("/a/b", "/a/b/c"):
        assert {kind for kind in kinds if watches.matches(mode, "/a", Trigger(1, path, kind))} == below
    for path in ("/ab", "/", "/b", "/b/a"):
        assert not any(watches.matches(mode, "/a", Trigger(1, path, kind)) for kind in kinds)
    assert watches.is_one_shot(mode) is once
    assert mode in watches.MODES


def test_everything_is_below_the_root() -> None:
    assert watches.matches(watches.RECURSIVE, "/", Trigger(1, "/a/b", CHANGED))
    assert watches.matches(watches.RECURSIVE, "/", Trigger(1, "/", CHANGED))
    with pytest.raises(KeyError):
        watches.matches("other", "/", Trigger(1, "/", CHANGED))
    with pytest.raises(KeyError):
        watches.is_one_shot("other")


def test_reads() -> None:
    found = (_node(), Family(1, 9, 1))
    assert reads.exists(found) == stat(*found)
    assert reads.get(found, ()) == (b"123", stat(*found))
    assert reads.children(found, ()) == stat(*found)
    assert reads.get_acl(found, ()) == (OPEN_ACL, stat(*found))


def test_reads_are_refused() -> None:
    closed = (_node()._replace(acl=(Acl(2, "world", "anyone"),)), Family(0, 0, 0))
    reads.exists(closed)
    for refuse, code in ((closed, Error.NO_AUTH), (None, Error.NO_NODE)):
        for read in (reads.get, reads.children, reads.get_acl):
            with pytest.raises(ZkError) as refused:
                read(refuse, ())
            assert refused.value.code == code
    with pytest.raises(ZkError):
        reads.exists(None)


def test_child_names() -> None:
    assert reads.child_names("/a", ["/a/y", "/a/x", "/a/x/z", "/b", "/ab/c", "/a", "/"]) == ["x", "y"]
    assert reads.child_names("/", ["/", "/b", "/a/x"]) == ["b"]
    assert reads.child_name("/a", "/a/x") == "x"
    assert reads.child_name("/", "/") is None
