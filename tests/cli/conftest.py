"""The command line in this process, on ``local://`` and on a real ZooKeeper."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import pytest

from fk_kazoo.__main__ import main
from fk_kazoo.cli.target import connect, leave
from tests.differential.zookeeper_server import ZookeeperServer, unavailable


class Done(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was printed."""
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ``local://`` is; nobody's own settings count."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    for name in ("FK_KAZOO_URL", "FK_KAZOO_AUTH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run("ls", "/")``: `Done`. ``stdin``: what is piped in."""

    def call(*words: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return Done(code, out.decode(), err.decode())

    return call


@pytest.fixture(scope="session")
def zookeeper_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its hosts."""
    why = unavailable()
    if why:
        pytest.skip(why)
    with ZookeeperServer(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server.hosts


@pytest.fixture
def zookeeper(zookeeper_server: str) -> Iterator[str]:
    """The URL of an empty ZooKeeper."""
    url = "zk://" + zookeeper_server
    yield url
    client = connect(url, [("digest", "super:hunter2")], 30, False)
    for name in client.get_children("/"):
        if name != "zookeeper":
            client.delete("/" + name, recursive=True)
    leave(client)


@pytest.fixture
def client() -> Iterator[Callable[..., Any]]:
    """Connected clients by URL, which end with the test."""
    made = []

    def connected(url: str, *auth: str) -> Any:
        one = connect(url, [("digest", each) for each in auth], 30, True)
        made.append(one)
        return one

    yield connected
    for one in made:
        leave(one)
