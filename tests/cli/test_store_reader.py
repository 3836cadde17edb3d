"""A deployment is read from its store: as its session may read it, in few requests, each node whole."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional, cast

import pytest
from kazoo.exceptions import NoAuthError
from kazoo.security import make_acl, make_digest_acl

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL, digest_id
from fk_backend.core.model import Blob, Family, Node
from fk_backend.errors import NotAllowed, Unavailable
from fk_backend.ports import AdminPorts, Capabilities, NullSender, Ports, Put
from fk_backend.providers.clock import SystemClock
from fk_backend.providers.local.store import LocalStore
from fk_backend.providers.memory.store import MemoryStore
from fk_kazoo import admin_store
from fk_kazoo.cli import endpoints
from fk_kazoo.moving import apply
from fk_kazoo.moving.client_endpoint import AT_ONCE, ClientEndpoint
from fk_kazoo.moving.records import PERSISTENT, Record, creates_of
from fk_kazoo.moving.store_reader import StoreReader
from fk_kazoo.url import parse

from .conftest import Run

Clients = Callable[..., Any]
APP = "local://app"


def test_what_a_session_may_not_read_is_refused(run: Run, client: Clients) -> None:
    one = client(APP, "me:secret")
    one.create("/app", b"x")
    one.create("/app/mine", b"s", [make_digest_acl("me", "secret", all=True)])
    one.create("/app/shown", b"s", [make_digest_acl("me", "secret", all=True), make_acl("world", "anyone", read=True)])
    assert run("copy", APP, "local://new", "/app/mine").code == 4
    done = run("copy", APP, "local://new", "/app/shown")
    assert done.code == 4 and "/app/shown: its ACL is hidden" in done.err
    done = run("copy", APP, "local://new", "--auth", "digest:me:secret", "--verify")
    assert done.code == 0 and "every node is equal" in done.out, done
    one.set_acls("/app", [make_digest_acl("me", "secret", all=True)])
    stored = StoreReader(parse(APP), ())
    with pytest.raises(NoAuthError, match="/app"):
        stored.names(["/app"])
    stored.close()
    stored = StoreReader(parse(APP), (digest_id("me:secret"),))
    assert sorted(stored.names(["/app", "/none"])[0]) == ["mine", "shown"]
    stored.close()


def test_find_reads_what_it_may(run: Run, client: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ACL that is hidden in part is nobody's concern there. And it asks no client for each node."""
    one = client(APP, "me:secret")
    readable = [make_digest_acl("me", "secret", all=True), make_acl("world", "anyone", read=True)]
    one.create("/app/shown", b"x" * 50, readable, makepath=True)
    one.create("/app/mine", b"x", ephemeral=True)
    monkeypatch.setattr(ClientEndpoint, "_asked", None)
    done = run("find", "/app", "--url", APP, "--larger", "20")
    assert done.code == 0 and done.out == "/app/shown\n", done
    assert run("find", "/app", "--url", APP, "--ephemeral").out == "/app/mine\n"


def test_small_families_are_read_together(client: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for each family would be one for every three nodes here."""
    one = client(APP)
    one.create("/app", b"")
    for number in range(100):
        family = one.transaction()
        for path in ("", "/a", "/b", "/c"):
            family.create("/app/n%03d%s" % (number, path))
        family.commit_async()
    one.sync("/")
    loads: List[int] = []
    load = LocalStore.load

    async def counted(self: LocalStore, keys: Any) -> Any:
        loads.append(len(keys))
        return await load(self, keys)

    monkeypatch.setattr(LocalStore, "load", counted)
    stored = StoreReader(parse(APP), ())
    loads.clear()
    walked = [record.path for record in ClientEndpoint(one, stored).walk(["/app"])]
    stored.close()
    assert len(walked) == len(set(walked)) == 401
    seen = {""}
    for path in walked:
        assert path.rpartition("/")[0] in seen, "parents come first"
        seen.add(path)
    assert len(loads) < 2 * (401 / AT_ONCE + 5) and max(loads) <= 2 * AT_ONCE


def test_where_many_may_not_be_read_at_once(run: Run, client: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on AWS with the clients' policy of a version before: node by node, and it says what is lost by that."""
    client(APP).create("/app/x", b"data", makepath=True)

    async def refused(self: LocalStore, keys: Any) -> Any:
        raise NotAllowed("BatchGetItem")

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "load", refused)
        with pytest.raises(NotAllowed):
            StoreReader(parse(APP), ())

    def nothing(*_: Any) -> Any:
        raise NotAllowed("BatchGetItem")

    monkeypatch.setattr(endpoints, "StoreReader", nothing)
    done = run("copy", APP, "local://new", "--verify")
    assert done.code == 0 and "every node is equal" in done.out
    assert "containers and TTL nodes can't be told from others: BatchGetItem" in done.err


# --- one moment, and what is kept elsewhere -------------------------------------------------------


class Blobs:
    """Data kept elsewhere. ``then``: what somebody commits while they are asked for."""

    def __init__(self, store: MemoryStore) -> None:
        self.kept: Dict[str, bytes] = {}
        self.then: List[Any] = []
        self._store = store

    async def fetch(self, blob: Blob) -> Optional[bytes]:
        """`ports.Blobs.fetch`."""
        await self._store.commit(self.then)
        return self.kept.get(blob.key)


class Rows(MemoryStore):
    """Whose reads of many are of no one moment: a family that comes with its node is not seen."""

    def __init__(self) -> None:
        super().__init__(Capabilities(atomic_queries=False))

    async def load(self, keys: Any) -> Any:
        """Without the families."""
        return [None if key.sort == layout.FAMILY else item for key, item in zip(keys, await self.get(keys))]


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    """A store in the place of a deployment's."""
    store = Rows()
    _serve(store, monkeypatch)
    return store


def _serve(store: Rows, monkeypatch: pytest.MonkeyPatch, blobs: Optional[Blobs] = None) -> None:
    async def nothing() -> Any:
        return None

    async def administer(*_: Any) -> AdminPorts:
        ports = Ports(store, NullSender(), NullSender(), SystemClock(), None, cast(Any, blobs))
        return AdminPorts(ports, nothing, nothing)

    monkeypatch.setattr(admin_store, "provider", lambda scheme: SimpleNamespace(administer=administer))


def _node(data: Any, zxid: int) -> Node:
    return Node(zxid, zxid, 0, 0, 0, 0, 0, OPEN_ACL, data)


def put(store: Rows, path: str, data: Any, zxid: int, family: Optional[Family] = None) -> None:
    """A node, and its family if it has one, as one commit leaves them."""
    key, family_key = layout.node_keys("default", path)
    writes = [Put(key, layout.node_item(_node(data, zxid), zxid, zxid if family else 0))]
    if family is not None:
        writes.append(Put(family_key, layout.family_item(family, zxid, zxid)))
    asyncio.run(store.commit(writes))


def test_node_and_family_are_of_one_moment(rows: Rows) -> None:
    """Else a counter would be behind, and a number given twice."""
    put(rows, "/q", b"x", 7, Family(5, 7, 1))
    stored = StoreReader(parse("local://q"), ())
    (stat,) = stored.stats(["/q"])
    assert stat is not None and creates_of(stat) == 5 and stat.numChildren == 1
    stored.close()


def test_data_that_are_kept_elsewhere(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaced while they are fetched: then the node has others. Gone for ever: that is an error, and no node."""
    blobs = Blobs(rows)
    _serve(rows, monkeypatch, blobs)
    blobs.kept["new"] = b"new data"
    put(rows, "/a", Blob("old", 8), 7)
    put(rows, "/kept", Blob("new", 8), 7)
    stored = StoreReader(parse("local://q"), ())
    with pytest.raises(Unavailable, match="/a"):
        stored.nodes(["/kept", "/a"])
    blobs.then = [Put(layout.node_keys("default", "/a")[0], layout.node_item(_node(Blob("new", 8), 8), 8, 0))]
    found = stored.nodes(["/kept", "/a"])
    assert [one.data for one in found if one is not None] == [b"new data"] * 2
    stored.close()


# --- what is sent together ------------------------------------------------------------------------


def _record(path: str, data: bytes = b"x") -> Record:
    return Record(path, data, (), PERSISTENT, 0, 0)


def test_a_request_fills_a_transaction_and_not_more() -> None:
    flat = list(apply._packed(_record("/app/n%03d" % number) for number in range(470)))
    assert [len(some) for some in flat] == [47] * 10, "two items each, their parent, and the head"
    deep = list(apply._packed(_record("/app/n%03d/x" % number) for number in range(96)))
    assert [len(some) for some in deep] == [32] * 3, "and each parent's"
    large = list(apply._packed(_record("/app/n%03d" % number, bytes(30_000)) for number in range(5)))
    assert [len(some) for some in large] == [2, 2, 1]
