"""The command line on a deployment in a database: looking, changing, copying there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest

from compat_tests.on_postgres import PostgresServer
from fk_kazoo.__main__ import main
from fk_kazoo.client import KazooClient

Run = Callable[..., str]


@pytest.fixture
def run(capfdbinary: "pytest.CaptureFixture[bytes]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run("ls", "/")``: what it prints; it has to succeed. ``local://`` is a directory of the test's."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path))
    monkeypatch.delenv("FK_KAZOO_URL", raising=False)

    def call(*words: object) -> str:
        code = main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        assert code == 0, (words, err.decode())
        return out.decode()

    return call


@pytest.mark.slow
def test_commands_and_copies(server: PostgresServer, run: Run) -> None:
    url = server.url + "/app?namespace=commands"
    zk = KazooClient(server.url + "?namespace=commands")
    zk.start()
    try:
        zk.create("/app/mine", b"", ephemeral=True, makepath=True)
        assert run("create", "/kept", "some data", "--url", url).strip() == "/kept"
        run("set", "/kept", "other data", "--url", url)
        run("create", "--sequential", "/kept/s-", "--url", url)
        assert run("get", "/kept", "--url", url).strip() == "other data"
        assert run("ls", "/", "--url", url).split() == ["kept", "mine"]
        (session,) = [each for each in json.loads(run("sessions", "--json", "--url", url)) if each["ephemerals"]]
        assert "mine" in str(session["ephemerals"])
        run("doctor", "--url", url)
        run("copy", url, "local://copied/app")
        run("copy", "local://copied/app", server.url + "/again?namespace=commands")
        run("compare", url, server.url + "/again?namespace=commands")
        again = zk.exists("/again/kept")
        assert again is not None and again.numChildren == 1 and zk.get("/again/kept")[0] == b"other data"
        run("rm", "--recursive", "/kept", "--url", url)
        assert run("ls", "/", "--url", url).split() == ["mine"]
    finally:
        zk.stop()
        zk.close()
