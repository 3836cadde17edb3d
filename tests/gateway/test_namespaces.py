"""One gateway for several namespaces of a deployment, each on a port of its own."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from typing import Iterator, List, Tuple

import pytest

from fk_backend.core.model import Error
from fk_kazoo import jute
from fk_kazoo.__main__ import main
from fk_kazoo.gateway.server import Server
from fk_kazoo.gateway.settings import Also
from tests.gateway.served import PATIENCE_S, Place, Raw, create, read


@pytest.fixture
def gate() -> Iterator[Server]:
    also = (Also("memory://x?namespace=orders", "orders", "127.0.0.1", 0),)
    with Place() as place:
        yield place.gate(also=also, words=frozenset("*"), admin=("127.0.0.1", 0), max_connections=4)


def fetch(gate: Server, path: str) -> Tuple[int, str]:
    assert gate.admin is not None
    client = http.client.HTTPConnection("127.0.0.1", gate.admin.port, PATIENCE_S)
    client.request("GET", path)
    response = client.getresponse()
    told = response.status, response.read().decode()
    client.close()
    return told


def test_each_has_its_own_tree_sessions_and_words(gate: Server) -> None:
    ports = [front.port for front in gate.frontends]
    with Raw(ports[0]) as first, Raw(ports[1]) as orders:
        _, number, password, _ = first.connect()
        orders.connect()
        zxid = first.call(jute.CREATE, create("/first")).zxid
        assert orders.call(jute.EXISTS, read("/first")).code == Error.NO_NODE
        assert orders.call(jute.CREATE, create("/orders")).zxid == zxid
        with Raw(ports[1]) as thief:  # what is nobody's session there
            assert thief.connect(session=number, password=password)[1] == 0
        with Raw(ports[1]) as word:
            word.socket.sendall(b"cons")
            told = b"".join(iter(lambda: word.socket.recv(1 << 16), b"")).decode()
        assert told.count("sid=0x") == 2 and "sid=0x%x," % number not in told
        (left, right) = [json.loads(fetch(gate, "/commands/monitor" + each)[1]) for each in ("", "?namespace=orders")]
        assert (left["num_alive_connections"], right["num_alive_connections"]) == (1, 1)
        text = fetch(gate, "/metrics")[1]
        assert text.count("# TYPE znode_count gauge\n") == 1
        assert 'znode_count{namespace="default"} ' in text and 'znode_count{namespace="orders"} ' in text
        assert fetch(gate, "/commands/ruok?namespace=none") == (404, "the namespaces are default, orders\n")


def test_an_address_has_so_many_connections_in_all_of_them(gate: Server) -> None:
    ports = [front.port for front in gate.frontends]
    with Raw(ports[0]) as one, Raw(ports[1]) as two, Raw(ports[0]) as three, Raw(ports[1]) as four:
        for each in (one, two, three, four):
            each.connect()
        with Raw(ports[1]) as fifth:
            assert fifth.ended()


def test_a_port_that_is_taken_ends_all_of_it(gate: Server) -> None:
    free = Also("memory://x?namespace=a", "a", "127.0.0.1", 0)
    taken = Also("memory://x?namespace=b", "b", "127.0.0.1", gate.port)
    with Place() as place, pytest.raises(OSError):
        place.gate(also=(free, taken))


def test_the_command_says_where_each_is() -> None:
    command = [sys.executable, "-m", "fk_kazoo", "serve", "memory://several", "--listen", "127.0.0.1:0"]
    more = ["--namespace", "orders=127.0.0.1:0", "--namespace", "bills=127.0.0.1:0"]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().split() for _ in range(3)]
        for *_, place in said:
            with Raw(int(place.rpartition(":")[2])) as client:
                client.connect()
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    assert [words[2] for words in said] == [
        "memory://several" + each for each in ("", "?namespace=orders", "?namespace=bills")
    ]


@pytest.mark.parametrize("given", [["x"], ["a b=127.0.0.1:1"], ["x=y"], ["default=127.0.0.1:1"], ["x=h:1", "x=h:2"]])
def test_what_is_no_namespace_is_said(given: List[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "memory://x", *(part for each in given for part in ("--namespace", each))]) == 2
    assert "fk-kazoo serve: " in capsys.readouterr().err
