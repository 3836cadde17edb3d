"""What a gateway tells of itself: four letter words on the port, health and metrics over HTTP."""

from __future__ import annotations

import http.client
import json
import re
import socket
from typing import Any, Dict, Iterator, Tuple

import pytest

from fk_backend.testing.faults import FaultyGateway
from fk_kazoo import jute
from fk_kazoo.gateway.server import Server
from tests.gateway.served import PATIENCE_S, Place, Raw, create, number, read


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with Place() as made:
        yield made


@pytest.fixture
def gate(place: Place) -> Server:
    return place.gate(words=frozenset("*"), admin=("127.0.0.1", 0))


def ask(gate: Server, word: bytes) -> str:
    with Raw(gate.port) as client:
        client.socket.sendall(word)
        parts = []
        while part := client.socket.recv(1 << 16):
            parts.append(part)
        return b"".join(parts).decode()


def fetch(gate: Server, path: str, method: str = "GET") -> Tuple[int, str]:
    assert gate.admin is not None
    client = http.client.HTTPConnection("127.0.0.1", gate.admin.port, PATIENCE_S)
    try:
        client.request(method, path)
        response = client.getresponse()
        return response.status, response.read().decode()
    finally:
        client.close()


def fields(text: str) -> Dict[str, str]:
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def test_srvr_is_what_clients_and_monitors_parse(gate: Server) -> None:
    with Raw(gate.port) as client:
        client.connect()
        client.call(jute.CREATE, create("/words"))
        text = ask(gate, b"srvr")
        assert re.match(r"Zookeeper version: (\d+)\.(\d+)\.(\d+)-.*", text), "aiozk asks for it before it connects"
        told = fields(text)
        names = ["Latency min/avg/max", "Received", "Sent", "Connections", "Outstanding", "Zxid", "Mode", "Node count"]
        assert list(told)[1:] == names
        assert (told["Received"], told["Sent"], told["Outstanding"]) == ("2", "2", "0")
        assert re.fullmatch(r"\d+/[\d.]+/\d+", told["Latency min/avg/max"])
        zxid = client.call(jute.SET_DATA, jute.string("/words") + jute.buffer(b"2") + number(-1)).zxid
        assert int(fields(ask(gate, b"srvr"))["Zxid"], 16) == zxid
        assert "Clients:\n /127.0.0.1:" in ask(gate, b"stat")


def test_who_asks_all_the_time_has_the_deployment_read_once(place: Place, gate: Server) -> None:
    scanned = []
    store, scan = place.deployment.store, place.deployment.store.scan

    async def counting(*args: Any) -> Any:
        scanned.append(args)
        return await scan(*args)

    store.scan = counting
    try:
        ask(gate, b"srvr")
        once = len(scanned)
        for word in (b"srvr", b"stat", b"mntr"):
            ask(gate, word)
        assert len(scanned) == once > 0
    finally:
        del store.scan


def test_words_about_connections_and_their_watches(gate: Server) -> None:
    with Raw(gate.port) as client:
        _, session, _, _ = client.connect()
        client.call(jute.CREATE, create("/watched"))
        client.call(jute.EXISTS, read("/watched", watch=True))
        local = client.socket.getsockname()[1]
        counts = "(queued=0,recved=3,sent=3,sid=0x%x,to=10000)" % session
        assert " /127.0.0.1:%d[1]%s\n" % (local, counts) in ask(gate, b"cons")
        assert ask(gate, b"wchs") == "1 connections watching 1 paths\nTotal watches:1\n"
        assert ask(gate, b"wchc") == "0x%x\n\t/watched\n\n" % session
        assert ask(gate, b"wchp") == "/watched\n\t0x%x\n\n" % session
        assert ask(gate, b"crst") == "Connection stats reset.\n" and "recved=0,sent=0,sid" in ask(gate, b"cons")
        assert ask(gate, b"srst") == "Server stats reset.\n" and fields(ask(gate, b"srvr"))["Received"] == "0"
    assert "clientPort=" in ask(gate, b"conf") and "jute.maxbuffer=1048575" in ask(gate, b"conf")
    assert ask(gate, b"gtmk").startswith("gtmk is not executed")


def test_metrics_have_zookeepers_names(gate: Server) -> None:
    with Raw(gate.port) as client:
        client.connect()
        client.ask(jute.AUTH, number(0) + jute.string("none") + jute.buffer(b""), jute.AUTH_XID)
        client.reply()
        assert client.ended()
    with Raw(gate.port) as large:
        large.connect()
        large.socket.sendall(b"\x00\x20\x00\x00")
        assert large.ended()
    status, text = fetch(gate, "/metrics")
    told = {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}
    assert status == 200 and "# TYPE packets_received counter\npackets_received " in text
    assert told["auth_failed_count"] == told["large_requests_rejected"] == 1 and told["packets_received"] == 3
    assert told["znode_count"] >= 1 and told["connection_rejected"] == 0 and told["open_file_descriptor_count"] > 0
    words = dict(line.split("\t") for line in ask(gate, b"mntr").splitlines())
    assert {"zk_" + name for name in told} | {"zk_version", "zk_server_state"} == set(words)
    monitor = json.loads(fetch(gate, "/commands/monitor")[1])
    assert set(told) | {"command", "error", "version", "server_state"} == set(monitor)


def test_health_says_whether_the_deployment_is_reached() -> None:
    with Place(FaultyGateway) as place:
        gate = place.gate(words=frozenset("*"), admin=("127.0.0.1", 0))
        assert fetch(gate, "/commands/ruok") == (200, '{"command": "ruok", "error": null}\n')
        assert json.loads(fetch(gate, "/commands/is_read_only")[1])["read_only"] is False
        assert fetch(gate, "/commands/ruok", "HEAD") == (200, "")
        assert fetch(gate, "/commands/shutdown")[0] == 404
        assert fetch(gate, "/commands/ruok", "POST")[0] == 405
        place.call(place.deployment.halt)
        assert fetch(gate, "/commands/ruok")[0] == 503
        assert json.loads(fetch(gate, "/commands/is_read_only")[1])["read_only"] is True
        assert ask(gate, b"ruok") == "This ZooKeeper instance is not currently serving requests\n"


@pytest.mark.parametrize("sent", [b"\0" * 9000, b"GET /" + b"x" * 9000, b"\r\n\r\n", b"GET\r\n\r\n", b""])
def test_whatever_is_sent_to_it_costs_nobody_else(gate: Server, sent: bytes) -> None:
    assert gate.admin is not None
    with socket.create_connection(("127.0.0.1", gate.admin.port), PATIENCE_S) as hostile:
        hostile.sendall(sent)
        hostile.shutdown(socket.SHUT_WR)
        try:
            answer = hostile.recv(1 << 16)
        except ConnectionError:
            answer = b""
    assert answer == b"" or re.match(rb"HTTP/1.1 40[45] ", answer)
    assert fetch(gate, "/commands/ruok")[0] == 200
