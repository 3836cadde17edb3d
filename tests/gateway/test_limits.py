"""Whatever a client does, it costs nobody else anything."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fk_backend.core.model import Error
from fk_backend.session import ops
from fk_backend.session.reading import Reader
from fk_kazoo import jute
from fk_kazoo.__main__ import main
from fk_kazoo.gateway import acceptor, connection
from fk_kazoo.gateway.server import Server
from tests.gateway.served import OPEN_ACL, PATIENCE_S, Place, Raw, create, number, read

HOSTILE = [
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff" + b"x" * 100,
    struct.pack(">i", 0x100000),
    jute.framed(b""),
    jute.framed(b"x" * 27),
    jute.framed(struct.pack(">iqiq", 0, 0, 5000, 0) + b"\x7f\xff\xff\xff"),
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]
BEGUN = [jute.framed(b""), jute.framed(b"\0\0\0\1"), b"\xff\xff\xff\xfe", struct.pack(">i", 1 << 30)]

HEAD = struct.Struct(">i?i")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with Place() as made:
        yield made


@pytest.fixture(scope="module")
def port(place: Place) -> int:
    return place.gate().port


@pytest.fixture(scope="module")
def witness(port: int) -> Iterator[Raw]:
    """A client that has nothing to do with it."""
    with Raw(port) as client:
        client.connect(timeout_ms=600_000)
        yield client
        assert client.call(jute.EXISTS, read("/")).code == 0


@pytest.mark.parametrize("sent", HOSTILE)
def test_who_begins_with_nonsense_is_hung_up_on(port: int, witness: Raw, sent: bytes) -> None:
    with Raw(port) as client:
        client.socket.sendall(sent)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.ended()
    assert witness.call(jute.EXISTS, read("/")).code == 0


@pytest.mark.parametrize("sent", BEGUN)
def test_who_goes_on_with_nonsense_is_hung_up_on(port: int, witness: Raw, sent: bytes) -> None:
    with Raw(port) as client:
        client.connect()
        client.socket.sendall(sent)
        assert client.ended()
    assert witness.call(jute.EXISTS, read("/")).code == 0


cuts = st.just(0) | st.integers(0, 200)
opcodes = st.sampled_from(sorted({*jute.OPS, jute.SASL, jute.PING} - {jute.CLOSE})) | st.integers(-20, 120)
bodies = st.binary(max_size=80) | st.builds(create, st.text(max_size=5).map(lambda t: "/" + t), st.binary(max_size=9))
fuzzed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

WHOLE = [
    struct.pack(">ii", xid, opcode) + body
    for xid, (opcode, body) in enumerate(
        [
            (jute.CREATE, create("/fuzzed", b"data", 3)),
            (jute.CREATE_TTL, create("/fuzzed", b"", 5) + struct.pack(">q", 5000)),
            (jute.GET_DATA, read("/", watch=True)),
            (jute.GET_CHILDREN2, read("/", watch=True)),
            (jute.SET_ACL, jute.string("/none") + OPEN_ACL + number(-1)),
            (jute.MULTI, HEAD.pack(jute.CREATE, False, -1) + create("/fuzzed/x") + HEAD.pack(-1, True, -1)),
            (jute.MULTI_READ, HEAD.pack(jute.GET_DATA, False, -1) + read("/") + HEAD.pack(-1, True, -1)),
            (jute.AUTH, number(0) + jute.string("digest") + jute.buffer(b"a:b")),
            (jute.SET_WATCHES2, struct.pack(">q", 0) + jute.strings(["/"]) * 5),
            (jute.ADD_WATCH, jute.string("/") + number(1)),
            (jute.REMOVE_WATCHES, jute.string("/") + number(3)),
            (jute.GET_EPHEMERALS, jute.string("/")),
            (jute.RECONFIG, jute.string("a") * 3 + struct.pack(">q", 1)),
        ],
        1,
    )
]


@fuzzed
@given(st.lists(st.tuples(st.integers(-10, 10), opcodes, bodies), max_size=8), st.binary(max_size=20))
def test_whatever_is_sent_is_answered_or_hung_up_on(port: int, witness: Raw, frames: List[Any], rest: bytes) -> None:
    sent = b"".join(jute.framed(struct.pack(">ii", xid, opcode) + body) for xid, opcode, body in frames)
    _costs_only_who_sends_it(port, witness, sent + rest)


def _damaged(frame: bytes, at: int, byte: int, cut: int) -> bytes:
    changed = bytearray(frame)
    changed[at % len(frame)] = byte
    return bytes(changed[: len(frame) - cut % len(frame)])


@fuzzed
@given(
    st.lists(
        st.builds(
            _damaged, st.sampled_from(WHOLE), st.integers(0, 200), st.integers(0, 255), st.just(0) | st.integers(0)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_is_wrong_with_a_request_costs_only_who_sends_it(port: int, witness: Raw, frames: List[bytes]) -> None:
    _costs_only_who_sends_it(port, witness, b"".join(map(jute.framed, frames)))


def _costs_only_who_sends_it(port: int, witness: Raw, sent: bytes) -> None:
    with Raw(port) as client:
        client.connect(timeout_ms=1000)
        try:
            client.socket.sendall(sent)
            client.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        client.drain()
    assert witness.call(jute.EXISTS, read("/")).code == 0


@fuzzed
@given(st.integers(0, 44), st.integers(0, 255), st.integers(0, 44))
def test_whatever_is_wrong_with_the_beginning_costs_only_who_sends_it(
    port: int, witness: Raw, at: int, byte: int, cut: int
) -> None:
    begins = struct.pack(">iqiq", 0, 0, 1000, 0) + jute.buffer(bytes(16)) + b"\0"
    with Raw(port) as client:
        client.socket.sendall(jute.framed(_damaged(begins, at, byte, cut)))
        client.socket.shutdown(socket.SHUT_WR)
        client.drain()
    assert witness.call(jute.EXISTS, read("/")).code == 0


@fuzzed
@given(st.lists(st.integers(1, 120), max_size=12))
def test_however_it_comes_in_pieces_it_is_answered_in_order(port: int, sizes: List[int]) -> None:
    whole = b"".join(map(jute.framed, WHOLE))
    with Raw(port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connect()
        for size in sizes:
            client.socket.sendall(whole[:size])
            whole = whole[size:]
        client.socket.sendall(whole)
        replies = [client.reply() for _ in WHOLE]
        while len([each for each in replies if each.xid > 0]) < len(WHOLE):
            replies.append(client.reply())
    assert [each.xid for each in replies if each.xid > 0] == list(range(1, len(WHOLE) + 1))


def test_a_client_that_does_not_read_takes_bounded_memory(place: Place, port: int, witness: Raw) -> None:
    with Raw(port) as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        slow.connect(timeout_ms=60_000)
        slow.call(jute.CREATE, create("/large", b"x" * 900_000))
        asked = [slow.ask(jute.GET_DATA, read("/large")) for _ in range(100)]
        for _ in range(20):
            assert witness.call(jute.GET_DATA, read("/")).code == 0
        most = max(place.run(_waiting(place)))
        assert connection.HIGH_BYTES < most < 20_000_000
        for xid in asked:
            assert slow.reply().xid == xid


def test_many_reads_of_much_take_bounded_memory(place: Place) -> None:
    gate = place.gate()
    named = HEAD.pack(jute.GET_DATA, False, -1) + read("/parts")
    body = named * 4 + HEAD.pack(-1, True, -1)
    with Raw(gate.port) as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        slow.connect(timeout_ms=60_000)
        slow.call(jute.CREATE, create("/parts", b"x" * 900_000))
        asked = [slow.ask(jute.MULTI_READ, body) for _ in range(40)]
        _until(lambda: place.run(_unsent(gate)) > connection.HIGH_BYTES)
        for _ in range(10):
            with Raw(gate.port) as other:
                other.connect()
        assert place.run(_unsent(gate)) < 20_000_000
        for xid in asked:
            assert slow.reply().xid == xid


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def _unsent(gate: Server) -> int:
    return max(each._transport.get_write_buffer_size() for each in gate.connections if each._transport)


async def _waiting(place: Place) -> List[int]:
    """How many bytes wait for each client."""
    gates = place._gates
    return [each._transport.get_write_buffer_size() for gate in gates for each in gate.connections if each._transport]


def test_an_address_has_so_many_connections(place: Place) -> None:
    gate = place.gate(max_connections=2)
    with Raw(gate.port) as first, Raw(gate.port) as second:
        first.connect()
        second.connect()
        with Raw(gate.port) as third:
            assert third.ended()
        with Raw(gate.port, source="127.0.0.2") as elsewhere:
            assert elsewhere.connect()[1] != 0
        assert first.call(jute.CLOSE).code == 0 and first.ended()
        _until(lambda: len(gate.connections) == 1)
        with Raw(gate.port) as fourth:
            assert fourth.connect()[1] != 0
    assert gate.frontends[0].figures.rejected == 1


def test_all_addresses_together_have_so_many_connections(place: Place) -> None:
    gate = place.gate(max_total=2)
    with Raw(gate.port) as first, Raw(gate.port, source="127.0.0.2") as second:
        first.connect()
        second.connect()
        with Raw(gate.port, source="127.0.0.3") as third:
            assert third.ended()
        assert first.call(jute.EXISTS, read("/")).code == 0


def test_where_there_are_no_more_files_nobody_is_let_in_until_there_are(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = place.gate()
    left = iter([OSError(errno.EMFILE, "too many open files")])
    accept = socket.socket.accept

    def no_more(listening: socket.socket) -> Any:
        for error in left:
            raise error
        return accept(listening)

    monkeypatch.setattr(socket.socket, "accept", no_more)
    monkeypatch.setattr(acceptor, "PAUSE_S", 0.01)
    with Raw(gate.port) as client:
        assert client.connect()[1] != 0


def test_a_request_is_so_large(place: Place) -> None:
    gate = place.gate(max_request_bytes=1000)
    with Raw(gate.port) as client:
        client.connect()
        assert client.call(jute.CREATE, create("/small", b"x" * 800)).code == 0
        client.ask(jute.SET_DATA, jute.string("/small") + jute.buffer(b"x" * 1000) + number(-1))
        assert client.ended()


def test_four_letter_words_are_those_that_were_allowed(place: Place) -> None:
    gate = place.gate()
    for word, start in ((b"srvr", b"Zookeeper version: 3.8"), (b"isro", b"rw"), (b"dump", b"dump is not executed")):
        with Raw(gate.port) as client:
            client.socket.sendall(word)
            assert client.exactly(len(start)) == start


def test_the_command_serves_until_it_is_told_to_end() -> None:
    command = [sys.executable, "-m", "fk_kazoo", "serve", "memory://served", "--listen"]
    with subprocess.Popen([*command, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        with Raw(int(said.rpartition(":")[2])) as client:
            client.connect()
            process.terminate()
            assert client.ended()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["memory://x", "--listen", "nowhere"], 2),
        (["memory://x", "--listen", "127.0.0.1:x"], 2),
        (["memory://x", "--listen", "127.0.0.1:99999"], 2),
        (["memory://x", "--admin", "8080"], 2),
        (["memory://x/below"], 2),
        (["zookeeper://x"], 2),
        (["memory://x", "--tls-key", "key.pem"], 2),
        (["memory://x", "--tls-cert", "/nowhere/cert.pem"], 3),
    ],
)
def test_what_it_can_not_serve_is_said(arguments: List[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *arguments]) == code
    assert "fk-kazoo serve: " in capsys.readouterr().err


def test_who_never_reads_again_is_hung_up_on(place: Place) -> None:
    gate = place.gate()
    with Raw(gate.port) as stuck:
        stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        stuck.connect(timeout_ms=1000)
        stuck.call(jute.CREATE, create("/stuck", b"x" * 900_000))
        for _ in range(30):
            stuck.ask(jute.GET_DATA, read("/stuck"))
        _until(lambda: not gate.connections)


@pytest.mark.parametrize(
    "opcode, body",
    [
        (jute.MULTI_READ, (HEAD.pack(jute.GET_DATA, False, -1) + read("/")) * 20_000 + HEAD.pack(-1, True, -1)),
        (jute.SET_WATCHES, struct.pack(">qi", 1, 0) + jute.strings(["/%x" % i for i in range(20_000)]) + bytes(4)),
    ],
    ids=["multiRead", "setWatches"],
)
def test_a_request_that_is_much_work_keeps_nobody_waiting(place: Place, port: int, opcode: int, body: bytes) -> None:
    with Raw(port) as other, Raw(port) as client:
        other.connect(timeout_ms=60_000)
        client.connect(timeout_ms=60_000)
        client.ask(opcode, body)
        client.socket.setblocking(False)
        meanwhile = 0
        while not _heard(client):
            assert other.call(jute.EXISTS, read("/")).code == 0
            meanwhile += 1
        assert meanwhile >= 5


def test_the_end_of_many_watches_keeps_nobody_waiting(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns of the loop are counted, not time: each is one in which another connection could be served."""
    turns: List[int] = []
    left = Reader.leave

    async def counted(reader: Reader) -> None:
        ending = asyncio.ensure_future(left(reader))
        turns.append(0)
        while not ending.done():
            await asyncio.sleep(0)
            turns[-1] += 1
        await ending

    monkeypatch.setattr(Reader, "leave", counted)
    gate = place.gate()
    with Raw(gate.port) as client:
        client.connect(timeout_ms=60_000)
        paths = ["/%x" % i for i in range(5000)]
        assert client.call(jute.SET_WATCHES, struct.pack(">qi", 1, 0) + jute.strings(paths) + bytes(4)).code == 0
    _until(lambda: not gate.connections)
    assert turns[-1] > 5000 / 100


def test_many_requests_at_once_keep_nobody_waiting(port: int) -> None:
    count = 9000
    asked = jute.framed(struct.pack(">ii", 1, jute.EXISTS) + read("/"))
    with Raw(port) as other, Raw(port) as client, ThreadPoolExecutor(2) as thread:
        other.connect(timeout_ms=60_000)
        client.connect(timeout_ms=60_000)
        sent = thread.submit(client.socket.sendall, asked * count)
        answers = thread.submit(lambda: [client.reply().xid for _ in range(count)])
        meanwhile = 0
        while not answers.done():
            assert other.call(jute.EXISTS, read("/")).code == 0
            meanwhile += 1
        sent.result()
        assert answers.result() == [1] * count and meanwhile >= 10


def _heard(client: Raw) -> bool:
    try:
        return client.socket.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return False


def test_a_read_of_many_nodes_is_not_larger_than_a_client_takes(port: int) -> None:
    with Raw(port) as client:
        client.connect()
        client.call(jute.CREATE, create("/often", b"x" * 900_000))
        named = HEAD.pack(jute.GET_DATA, False, -1) + read("/often")
        end = HEAD.pack(-1, True, -1)
        assert client.call(jute.MULTI_READ, named * 4 + end).code == 0
        assert client.call(jute.MULTI_READ, named * 1000 + end).code == Error.BAD_ARGUMENTS


def test_what_is_unanswered_is_counted_in_bytes_and_paths(place: Place, port: int) -> None:
    with Raw(port) as client:
        client.connect()
        for _ in range(12):
            client.ask(jute.SET_DATA, jute.string("/none") + jute.buffer(b"x" * 900_000) + number(-1))
        for _ in range(12):
            assert client.reply().code == Error.NO_NODE
    assert connection._cost(jute.operation(jute.CREATE, create("/x")), 10) == 1
    many = jute.operation(jute.SET_WATCHES, struct.pack(">q", 1) + jute.strings(["/x"] * 300) + bytes(8))
    assert connection._cost(many, 2000) > connection.MAX_OUTSTANDING
    assert connection._cost(ops.Sync("/"), 900_000) > connection.MAX_OUTSTANDING // 8


def test_nobody_begins_with_a_large_frame(port: int) -> None:
    with Raw(port) as client:
        client.socket.sendall(struct.pack(">i", connection.MAX_CONNECT_BYTES + 1))
        assert client.ended()


@pytest.mark.parametrize("dribbled", [b"", b"\0\0\0\x2c" + bytes(40)], ids=["half-open", "a byte at a time"])
def test_who_does_not_say_what_it_wants_is_hung_up_on(
    port: int, monkeypatch: pytest.MonkeyPatch, dribbled: bytes
) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.5)
    with Raw(port) as client:
        client.socket.settimeout(0.05)
        started = time.monotonic()
        for at in range(int(PATIENCE_S / 0.05)):
            try:
                client.socket.sendall(dribbled[at : at + 1])
                if not client.socket.recv(1):
                    break
            except socket.timeout:
                continue
            except ConnectionError:
                break
        assert 0.4 < time.monotonic() - started < PATIENCE_S
