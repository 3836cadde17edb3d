"""The core answers as ZooKeeper 3.8 does: random programs and the known corners, run on both and compared.

FK_DIFFERENTIAL_EXAMPLES sets how many random programs there are.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fk_backend.core.acls import OPEN_ACL, READ_ACL, digest_id
from fk_backend.core.initial import initial_nodes
from fk_backend.core.model import Acl, Acls, Error, Id, Perms
from fk_backend.core.owners import is_sequential
from fk_backend.core.reads import get, get_acl
from fk_backend.core.requests import Check, Create, Delete, Flags, Multi, Op, SetAcl, SetData
from fk_backend.core.watches import PERSISTENT, RECURSIVE

from . import wire
from .pair import Pair, Party, Watcher, as_asked
from .zookeeper_server import SUPER_CREDENTIAL, SUPER_DIGEST, ZookeeperServer, unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

PARTIES = 3
CREDENTIALS = ("ann:1", "ben:2", "no-colon", SUPER_CREDENTIAL)
WATCHING = (SUPER_CREDENTIAL, "ann:1", "")
"""Who watches: who may read everything, some of it, and what all may read."""
ANN, BEN = (Acl(Perms.ALL, *digest_id(each)) for each in CREDENTIALS[:2])
PATHS = ("/a", "/b", "/a/c", "/a/d", "/a/c/e", "/b/c", "/.x", "/a/é", "/a/s-", "/b/")
ODD_PATHS: Tuple[str, ...] = (
    "/a//b",
    "/a/.",
    "/a/..",
    "/../a",
    "/a/\x01",
    "/a/\x7f",
    "/a\0b",
    "/a/\ufff0",
    "/a/\ue000",
    "/a/\U0001f600",
)
ODD_PATHS += ("/a/...", "/a/..b", "/a/.b", "//", "/")
ABSOLUTE = ("", "noslash", "no/slash", "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")
ACLS: Tuple[Acls, ...] = (
    READ_ACL,
    (ANN,),
    (BEN, Acl(Perms.READ, "world", "anyone")),
    (Acl(Perms.ALL, "auth", ""),),
    (Acl(Perms.READ, "auth", "x"), Acl(Perms.READ, "auth", "")),
    (Acl(Perms.ALL & ~Perms.ADMIN, "world", "anyone"), ANN),
    (Acl(Perms.ADMIN, "ip", "127.0.0.1"), Acl(Perms.READ, "world", "anyone")),
    (Acl(Perms.ALL, "ip", "127.0.0.0/8"),),
    (Acl(Perms.ALL, "ip", "10.0.0.1"), Acl(Perms.CREATE | Perms.DELETE, "world", "anyone")),
    OPEN_ACL + OPEN_ACL,
    (),
    (Acl(Perms.ALL, "world", "someone"),),
    (Acl(Perms.ALL, "sasl", "x"),),
    (Acl(0, "world", "anyone"),),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZookeeperServer]:
    """One server for all of this module."""
    with ZookeeperServer(tmp_path_factory.mktemp("zookeeper")) as running:
        yield running


_numbers = itertools.count()


@pytest.fixture
def pair(server: ZookeeperServer) -> Iterator[Pair]:
    """Both sides, with an empty node at base."""
    made = _new_pair(server)
    yield made
    made.finish()


def _new_pair(server: ZookeeperServer) -> Pair:
    made = Pair(server.hosts, "/p%d" % next(_numbers))
    made.write(made.root, Create(made.base, b"", OPEN_ACL, 0, -1, False))
    return made


# Random programs

versions = st.sampled_from((-1, -1, -1, 0, 0, 1, 2, -2, 2**31 - 1))
data = st.sampled_from((None, b"", b"x", b"yy"))
acls = st.one_of(st.just(OPEN_ACL), st.just(OPEN_ACL), st.sampled_from(ACLS))
paths = st.one_of(*[st.sampled_from(PATHS)] * 7, st.sampled_from(ODD_PATHS)).map(lambda path: "{base}" + path)
all_paths = st.one_of(*[paths] * 15, st.sampled_from(ABSOLUTE))
settable = paths  # the absolute ones would be changed for all programs to come
modes = st.one_of(
    st.tuples(st.sampled_from((0, 0, 0, 1, 1, 2, 3, 4)), st.just(-1)),
    st.tuples(st.sampled_from((5, 6)), st.sampled_from((1, 10**9, 2**40 - 1, 2**40, 0, -1))),
    st.tuples(st.sampled_from((7, -1, 100)), st.just(-1)),
    st.tuples(st.sampled_from((0, 1, 4)), st.just(5)),
)
creates = st.builds(
    lambda path, data, acl, mode, stat: as_asked(Create(path, data, acl, mode[0], mode[1], stat)),
    all_paths, data, acls, modes, st.booleans(),
)  # fmt: skip
deletes = st.builds(Delete, all_paths, versions)
sets = st.builds(SetData, settable, data, versions)
set_acls = st.builds(SetAcl, settable, acls, versions)
checks = st.builds(Check, all_paths, versions)
ops = st.one_of(creates, creates, deletes, sets, checks)  # ZooKeeper has no setACL in a multi
writes = st.one_of(creates, creates, creates, deletes, sets, set_acls, st.builds(Multi, st.lists(ops, max_size=5)))
actions = st.one_of(
    *[writes] * 12,
    st.tuples(st.just("auth"), st.sampled_from(CREDENTIALS)),
    st.just(("reopen", "")),
)
programs = st.lists(st.tuples(st.integers(0, PARTIES - 1), actions), min_size=1, max_size=40)


@pytest.mark.timeout(3600)  # for as many programs as one asks for
@settings(
    max_examples=int(os.environ.get("FK_DIFFERENTIAL_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(program=programs)
def test_random_programs_have_the_same_answers(server: ZookeeperServer, program: List[Tuple[int, Any]]) -> None:
    """Codes, values, Stats, children and ACLs of every step, the whole tree at the end, and what watches saw."""
    pair = _new_pair(server)
    watchers = [
        *(Watcher(pair, RECURSIVE, pair.base, who) for who in WATCHING),
        *(Watcher(pair, PERSISTENT, pair.base + "/a", who) for who in WATCHING),
    ]
    parties = [Party(pair) for _ in range(PARTIES)]
    try:
        for index, action in program:
            _step(pair, parties[index], action)
        pair.compare_tree()
        for party in parties:
            party.close()
        pair.compare_tree()
        for watcher in watchers:
            watcher.finish()
    finally:
        for party in parties:
            party.client.stop()
            party.client.close()
        pair.finish()


def _step(pair: Pair, party: Party, action: Any) -> None:
    if action[0] == "auth":
        party.auth("digest", action[1])
    elif action[0] == "reopen":
        party.close()
        party.open()
    else:
        request = _with_base(action, pair.base)
        pair.write(party, request)
        for path in _paths_to_read(request):
            if path.startswith(pair.base) and "\0" not in path:
                pair.read_all(party, path)


def _with_base(request: Any, base: str) -> Any:
    if isinstance(request, Multi):
        return Multi(tuple(_with_base(op, base) for op in request.ops))
    if isinstance(request, Create) and "{base}" not in request.path and is_sequential(request.flags):
        request = request._replace(flags=Flags.PERSISTENT, ttl_ms=-1)  # it would leave nodes outside base
    return request._replace(path=request.path.replace("{base}", base))


def _paths_to_read(request: Any) -> List[str]:
    if isinstance(request, Multi):
        return [path for op in request.ops for path in _paths_to_read(op)]
    return [request.path, request.path.rpartition("/")[0]]


# Corners


def _create(path: str, flags: int = 0, acl: Acls = OPEN_ACL, ttl_ms: int = -1, stat: bool = False) -> Create:
    return as_asked(Create(path, b"", acl, flags, ttl_ms, stat))


def test_a_fresh_server_has_the_same_nodes(tmp_path: Path) -> None:
    """Every Stat field and every ACL of the reserved nodes, but for what opening sessions does not touch anyway."""
    with ZookeeperServer(tmp_path) as fresh:
        pair = Pair(fresh.hosts, "/unused")
        for path, found in initial_nodes().items():
            who = pair.root.identities()
            assert wire.read(pair.root.client, wire.GET, path) == (0, get(found, who))
            assert wire.read(pair.root.client, wire.GET_ACL, path) == (0, get_acl(found, who))
        pair.root.close()


def test_super_digest_is_what_the_server_was_started_with() -> None:
    assert digest_id(SUPER_CREDENTIAL) == Id("digest", SUPER_DIGEST)


IDS = [
    ("digest", each)
    for each in ("a:b", "a:", ":b", ":", "", "a", "a:b:", "a:b::", "a::b", "a:b:c", "::a", "a:b c", "é:ü", "a:\n")
]
IDS += [
    ("ip", each)
    for each in (
        "127.0.0.1", "127.0.0.1/32", "127.0.0.1/33", "127.0.0.1/0", "10.1.2.3/0", "127.9.9.9/8", "127.9.9.9/9", "1.2.3",
        "126.0.0.0/7", "128.0.0.0/7", "0127.+0.00.1", "127.0.0.1/", "127.0.0.1/-1", "127.0.0.1/+8", "127.0.0.256",
        "127.0.0.-0", "127.0.0.1/8/8", "a.b.c.d", "127.0.0.1.", " 127.0.0.1", "1_2.0.0.1", "", "/8", "127.0.0.1/ 8",
    )
]  # fmt: skip
IDS += [
    ("world", ""),
    ("world", "any"),
    ("auth", ""),
    ("super", ""),
    ("sasl", "x"),
    ("x509", "CN=x"),
    ("", ""),
    ("ANY", ""),
]


@pytest.mark.parametrize(("scheme", "id_"), IDS)
def test_an_acl_of_every_kind_of_id_is_taken_or_refused_alike(pair: Pair, scheme: str, id_: str) -> None:
    """What fixupACL makes of it, and whether it then lets a session in that has an address and no digest."""
    party = Party(pair)
    path = pair.base + "/x"
    if pair.write(party, _create(path, acl=(Acl(Perms.ALL, scheme, id_),))) == Error.OK:
        pair.write(party, SetData(path, b"1", -1))
        pair.read_all(party, path)
        pair.read_all(pair.root, path)
    party.close()


@pytest.mark.parametrize("perms", [0, 1, 2, 4, 8, 16, 31, 17, 32, 63, -1, 2**31 - 1])
def test_every_permission_allows_the_same(pair: Pair, perms: int) -> None:
    party = Party(pair)
    path = pair.base + "/x"
    acl = (Acl(perms, "world", "anyone"), ANN)
    pair.write(pair.root, _create(path, acl=acl))
    pair.write(pair.root, _create(path + "/y"))
    requests: List[Op] = [_create(path + "/z"), SetData(path, b"1", -1), Delete(path + "/y", -1), Check(path, -1)]
    for request in requests:
        pair.write(party, Multi((request,)))
    pair.read_all(party, path)
    pair.write(party, SetAcl(path, OPEN_ACL, 3))
    pair.write(party, SetAcl(path, OPEN_ACL, -1))
    pair.read_all(party, path)
    party.close()


def test_the_order_in_which_a_create_is_checked(pair: Pair) -> None:
    """Each request breaks two rules or more; the code tells which one is looked at first."""
    party = Party(pair)
    closed, ephemeral = pair.base + "/closed", pair.base + "/ephemeral"
    pair.write(pair.root, _create(closed, acl=READ_ACL))
    pair.write(pair.root, _create(closed + "/there"))
    pair.write(party, _create(ephemeral, Flags.EPHEMERAL))
    bad: Acls = (Acl(31, "sasl", "x"),)
    for path in (
        closed + "/there",
        closed + "/.",
        ephemeral + "/x",
        ephemeral + "/.",
        pair.base + "/none/x",
        "x",
        "x/y",
    ):
        for acl in (OPEN_ACL, bad, ()):
            for flags in (0, 1, 2, 9):
                pair.write(party, _create(path, flags, acl))
            pair.write(party, _create(path, Flags.TTL, acl, ttl_ms=0))
    for path in ("/", "//", "/zookeeper", pair.base + "/", pair.base + "//"):
        pair.write(party, _create(path))
        pair.write(party, _create(path, acl=bad))
    pair.write(party, _create(pair.base + "/", Flags.SEQUENTIAL))
    pair.compare_tree()
    party.close()


def test_the_order_in_which_a_delete_is_checked(pair: Pair) -> None:
    party = Party(pair)
    closed = pair.base + "/closed"
    for path, acl in ((closed, READ_ACL), (closed + "/full", OPEN_ACL), (closed + "/full/x", OPEN_ACL)):
        pair.write(pair.root, _create(path, acl=acl))
    for path in (
        closed,
        closed + "/full",
        closed + "/none",
        closed + "/",
        closed + "/.",
        "/",
        "/zookeeper/config",
        "x",
    ):
        for version in (7, -1):
            pair.write(party, Delete(path, version))
    pair.write(pair.root, Delete(closed + "/full", 7))
    pair.write(pair.root, Delete(closed + "/full", -1))
    pair.compare_tree()
    party.close()


def test_sequence_numbers_count_creates_only(pair: Pair) -> None:
    """Deletes, failed creates and rolled back multis leave the counter alone."""
    prefix = pair.base + "/s-"
    for flags in (2, 3, 2):
        pair.write(pair.root, _create(prefix, flags, stat=True))
    pair.write(pair.root, Delete(prefix + "0000000001", -1))
    pair.write(pair.root, Multi((_create(prefix, 2), _create(prefix, 2), Delete(pair.base + "/none", -1))))
    pair.write(pair.root, _create(prefix + "0000000004"))
    pair.write(pair.root, _create(prefix, 2))
    pair.write(pair.root, _create(prefix + "0000000005"))
    pair.write(pair.root, _create(prefix, 2))
    pair.write(pair.root, _create(prefix, 6, ttl_ms=10**6))
    pair.compare_tree()


def test_a_multi_sees_what_it_did_and_leaves_nothing_if_it_fails(pair: Pair) -> None:
    base = pair.base
    build = (
        _create(base + "/a"),
        _create(base + "/a/b", stat=True),
        SetData(base + "/a", b"22", 0),
        Check(base + "/a", 1),
    )
    pair.write(pair.root, Multi((*build, Check(base + "/a", 0), _create(base + "/c"))))
    pair.read_all(pair.root, base)
    pair.write(pair.root, Multi(build))
    pair.write(pair.root, Multi((Delete(base + "/a/b", 0), Delete(base + "/a", 1), _create(base + "/a", 1))))
    pair.write(pair.root, Multi((Delete(base + "/a", -1), _create(base + "/a", 4), _create(base + "/a/b"))))
    pair.write(pair.root, Multi(()))
    pair.write(pair.root, Multi((_create(base + "/a/b", 9),)))
    pair.compare_tree()


def test_auth_expands_to_every_digest_and_keeps_first_of_duplicates(pair: Pair) -> None:
    party = Party(pair)
    party.auth("ip", "anything")
    party.auth("digest", "ann:1")
    party.auth("digest", "ann:1")
    path = pair.base + "/x"
    acl = (Acl(1, "auth", ""), Acl(2, "world", "anyone"), Acl(1, "auth", ""), Acl(1, *digest_id("ann:1")), BEN, BEN)
    pair.write(party, _create(path, acl=acl))
    assert wire.read(pair.root.client, wire.GET_ACL, path)[1][0] == pair.world.nodes[path][0].acl
    party.close()


def test_an_unknown_scheme_fails_the_authentication(pair: Pair) -> None:
    party = Party(pair)
    party.auth("sasl", "x")
    party.client.stop()
