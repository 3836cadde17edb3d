"""What a client of ZooKeeper's asks a gateway, and what it is told."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any, Iterator, List

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, NodeExistsError
from kazoo.security import make_acl

from fk_backend.core.model import Error
from fk_backend.testing.faults import FaultyGateway
from fk_kazoo import jute
from tests.gateway.served import PATIENCE_S, Place, Raw, create, number, read


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with Place() as made:
        yield made


@pytest.fixture(scope="module")
def port(place: Place) -> int:
    return place.gate(words=frozenset("*")).port


@pytest.fixture
def raw(port: int) -> Iterator[Raw]:
    with Raw(port) as client:
        client.connect()
        yield client


@pytest.fixture
def kazoo(port: int) -> Iterator[Any]:
    client = KazooClient("127.0.0.1:%d" % port)
    client.start(PATIENCE_S)
    yield client
    client.stop()
    client.close()


def test_kazoos_own_client_does_its_work(kazoo: Any, port: int) -> None:
    seen: List[Any] = []
    came = kazoo.handler.event_object()

    def watch(event: Any) -> None:
        seen.append((event.type, event.path))
        came.set()

    kazoo.create("/work", b"1", acl=[make_acl("ip", "127.0.0.1", all=True)])
    with pytest.raises(NodeExistsError):
        kazoo.create("/work")
    assert kazoo.get("/work", watch=watch)[0] == b"1"
    made = kazoo.create("/work/n-", ephemeral=True, sequence=True)
    assert made == "/work/n-0000000000" and kazoo.exists(made).ephemeralOwner == kazoo.client_id[0]
    both = kazoo.transaction()
    both.set_data("/work", b"2")
    both.check("/work", 9)
    assert isinstance(both.commit()[1], BadVersionError) and not seen
    kazoo.set("/work", b"2")
    came.wait(PATIENCE_S)
    assert seen == [("CHANGED", "/work")]
    other = KazooClient("127.0.0.1:%d" % port)
    other.start(PATIENCE_S)
    assert other.get_children("/work") == ["n-0000000000"]
    kazoo.stop()
    assert other.get_children("/work") == []
    other.delete("/work")
    other.stop()
    other.close()


def test_no_reply_waits_until_the_client_has_confirmed_the_one_before(place: Place) -> None:
    """Nagle's algorithm would hold it back for up to 40 ms, which a client that pipelines pays for each time."""
    gate = place.gate()
    with Raw(gate.port) as client:
        client.connect()
        (transport,) = [each._transport for each in gate.connections]
        assert transport is not None
        assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_replies_come_in_order_and_events_before_what_they_explain(raw: Raw, port: int) -> None:
    raw.call(jute.CREATE, create("/order"))
    raw.call(jute.GET_DATA, read("/order", watch=True))
    with Raw(port) as other:
        other.connect()
        changed = other.call(jute.SET_DATA, jute.string("/order") + jute.buffer(b"2") + number(-1))
    asked = [raw.ask(jute.GET_DATA, read("/order")) for _ in range(40)]
    told = [raw.reply() for _ in range(41)]
    assert told[0].xid == jute.NOTIFICATION_XID and told[0].body == struct.pack(">ii", 3, 3) + jute.string("/order")
    assert [reply.xid for reply in told[1:]] == asked
    assert all(reply.zxid >= changed.zxid and reply.body[4:5] == b"2" for reply in told[1:])
    raw.ask(jute.PING, xid=jute.PING_XID)
    assert raw.reply().xid == jute.PING_XID


def test_a_session_goes_on_at_another_gateway(place: Place) -> None:
    first, second = place.gate(), place.gate()
    with Raw(first.port) as before, Raw(second.port) as after:
        _, session, password, _ = before.connect()
        before.call(jute.CREATE, create("/moving", flags=1))
        before.call(jute.EXISTS, read("/moving", watch=True))
        asked = [before.ask(jute.GET_DATA, read("/moving")) for _ in range(30)]
        place.run(first.drain())
        answered = []
        with pytest.raises(EOFError):
            while True:
                answered.append(before.reply().xid)
        assert answered == asked[: len(answered)]
        with pytest.raises(OSError):
            Raw(first.port)
        assert after.connect(session=session, password=password)[1] == session
        assert after.call(jute.EXISTS, read("/moving")).code == 0
        after.call(jute.CLOSE)
        assert after.ended()
    with Raw(second.port) as late:
        granted_ms, none, _, _ = late.connect(session=session, password=password)
        assert (granted_ms, none) == (0, 0) and late.ended()


def test_a_session_belongs_to_who_has_its_password(port: int, raw: Raw) -> None:
    with Raw(port) as owner, Raw(port) as thief:
        _, session, _, _ = owner.connect()
        assert thief.connect(session=session, password=b"x" * 16)[0] == 0 and thief.ended()
        for number_of_it, password in ((session, b""), (session, b"x" * 17), (-1, bytes(16)), (1 << 62, bytes(16))):
            with Raw(port) as other:
                assert other.connect(session=number_of_it, password=password)[0] == 0 and other.ended()
        assert owner.call(jute.SYNC, jute.string("/")).code == 0


def test_who_is_silent_for_its_timeout_has_lost_its_session(port: int, raw: Raw) -> None:
    with Raw(port) as silent:
        assert silent.connect(timeout_ms=1000)[0] == 1000
        silent.call(jute.CREATE, create("/silent", flags=1))
        started = time.monotonic()
        raw.call(jute.EXISTS, read("/silent", watch=True))
        event = raw.reply()
        assert event.body == struct.pack(">ii", 2, 3) + jute.string("/silent")
        assert 0.9 < time.monotonic() - started < PATIENCE_S
        assert silent.ended()


def test_watches_are_left_again_or_tell_what_they_missed(raw: Raw, port: int) -> None:
    names = ["same", "changed", "deleted", "children", "gone"]
    for name in names:
        raw.call(jute.CREATE, create("/again-" + name))
    since = raw.call(jute.DELETE, jute.string("/again-gone") + number(-1)).zxid
    raw.call(jute.SET_DATA, jute.string("/again-changed") + jute.buffer(b"x") + number(-1))
    raw.call(jute.DELETE, jute.string("/again-deleted") + number(-1))
    raw.call(jute.CREATE, create("/again-children/x"))
    raw.call(jute.CREATE, create("/again-made"))
    data = jute.strings(["/again-same", "/again-changed", "/again-deleted"])
    exist, child = jute.strings(["/again-made", "/again-gone"]), jute.strings(["/again-children", "/again-same"])
    stay = jute.strings(["/again-stay"]) + jute.strings(["/again-tree"])
    with Raw(port) as back:
        back.connect()
        xid = back.ask(jute.SET_WATCHES2, struct.pack(">q", since) + data + exist + child + stay, jute.SET_WATCHES_XID)
        told = []
        while (reply := back.reply()).xid != xid:
            told.append((reply.body[3], reply.body[12:].decode()))
        assert reply.code == 0
        assert told == [(3, "/again-changed"), (2, "/again-deleted"), (1, "/again-made"), (4, "/again-children")]
        checks = [("/again-same", 2, 0), ("/again-same", 1, 0), ("/again-gone", 2, 0), ("/again-stay", 3, 0)]
        for path, kind, code in [*checks, ("/again-tree", 5, 0), ("/again-changed", 3, Error.NO_WATCHER)]:
            assert back.call(jute.CHECK_WATCHES, jute.string(path) + number(kind)).code == code, path
        raw.call(jute.SET_DATA, jute.string("/again-same") + jute.buffer(b"x") + number(-1))
        raw.call(jute.CREATE, create("/again-gone"))
        raw.call(jute.CREATE, create("/again-tree"))
        raw.call(jute.CREATE, create("/again-tree/x"))
        told = [back.reply() for _ in range(4)]
        assert [(each.body[3], each.body[12:].decode()) for each in told] == [
            (3, "/again-same"), (1, "/again-gone"), (1, "/again-tree"), (1, "/again-tree/x")
        ]  # fmt: skip


def test_what_kazoo_does_not_ask_for(raw: Raw) -> None:
    raw.call(jute.CREATE, create("/more"))
    for name in ("b", "a"):
        raw.call(jute.CREATE, create("/more/" + name, b"1", flags=1))
    mine = raw.call(jute.GET_EPHEMERALS, jute.string("/more"))
    assert mine.body == jute.strings(["/more/a", "/more/b"])
    assert raw.call(jute.GET_EPHEMERALS, jute.string("/mor/")).body == jute.strings([])
    assert raw.call(jute.GET_ALL_CHILDREN_NUMBER, jute.string("/more")).body == number(2)
    assert raw.call(jute.GET_ALL_CHILDREN_NUMBER, jute.string("/none")).code == Error.NO_NODE
    raw.ask(jute.AUTH, number(0) + jute.string("digest") + jute.buffer(b"u:p"), jute.AUTH_XID)
    assert raw.reply()[:3:2] == (jute.AUTH_XID, 0)
    who = raw.call(jute.WHO_AM_I).body
    assert who == number(2) + b"".join(map(jute.string, ("ip", "127.0.0.1", "digest", "u")))
    head = struct.Struct(">i?i")
    reads = [(jute.GET_DATA, "/more/a"), (jute.GET_CHILDREN, "/more"), (jute.GET_DATA, "/none")]
    asked = b"".join(head.pack(opcode, False, -1) + read(path) for opcode, path in reads)
    both = raw.call(jute.MULTI_READ, asked + head.pack(-1, True, -1)).body
    assert both.startswith(head.pack(jute.GET_DATA, False, 0) + jute.buffer(b"1"))
    assert both.endswith(head.pack(-1, False, Error.NO_NODE) + number(Error.NO_NODE) + head.pack(-1, True, -1))
    assert jute.strings(["a", "b"]) in both
    for path, data in (("/zookeeper/config", b""), ("/zookeeper", b"")):
        assert raw.call(jute.GET_DATA, read(path)).body.startswith(jute.buffer(data))


def test_a_version_is_checked_outside_a_multi_too(raw: Raw) -> None:
    """No client does so, but ZooKeeper's server takes it."""
    raw.call(jute.CREATE, create("/checked"))
    for path, version, code in (
        ("/checked", 0, Error.OK),
        ("/checked", -1, Error.OK),
        ("/checked", 1, Error.BAD_VERSION),
        ("/none", 0, Error.NO_NODE),
        ("/a//b", 0, Error.BAD_ARGUMENTS),
    ):
        reply = raw.call(jute.CHECK, jute.string(path) + number(version))
        assert (reply.code, reply.body) == (code, b""), path


def test_what_a_deployment_does_not_have_is_answered_as_zookeeper_does(raw: Raw, port: int) -> None:
    assert raw.call(jute.SASL, jute.buffer(b"token")).body == jute.buffer(None)
    for members, code in (("nonsense", Error.BAD_ARGUMENTS), ("server.9=h:1:2;3", Error.NO_AUTH)):
        asked = jute.string(members) + jute.buffer(None) + jute.buffer(None) + struct.pack(">q", -1)
        assert raw.call(jute.RECONFIG, asked).code == code
    assert raw.call(jute.GET_DATA, b"\0\0").code == Error.MARSHALLING
    assert raw.call(77).code == Error.UNIMPLEMENTED
    assert raw.ended()
    with Raw(port) as client:
        client.connect()
        client.ask(jute.AUTH, number(0) + jute.string("none") + jute.buffer(b""), jute.AUTH_XID)
        assert client.reply()[:3:2] == (jute.AUTH_XID, Error.AUTH_FAILED) and client.ended()


def test_an_old_client_is_told_nothing_of_read_only(port: int) -> None:
    with Raw(port) as client:
        client.send(struct.pack(">iqiq", 0, 0, 5000, 0) + jute.buffer(bytes(16)))
        assert len(client.receive()) == 36
        assert client.call(jute.EXISTS, read("/")).code == 0


def test_without_functions_there_are_reads_for_who_takes_them() -> None:
    with Place(FaultyGateway) as place:
        gate = place.gate(words=frozenset("*"))
        with Raw(gate.port) as client:
            client.connect()
            client.call(jute.CREATE, create("/there"))
        place.call(place.deployment.halt)
        with Raw(gate.port) as client, Raw(gate.port) as other:
            assert client.connect(read_only=True)[3]
            assert client.call(jute.EXISTS, read("/there")).code == 0
            assert client.call(jute.CREATE, create("/no")).code == Error.NOT_READ_ONLY
            other.send(struct.pack(">iqiq", 0, 0, 5000, 0) + jute.buffer(bytes(16)) + b"\0")
            assert other.ended()
        with Raw(gate.port) as client:
            client.socket.sendall(b"isro")
            assert client.exactly(2) == b"ro" and client.ended()
