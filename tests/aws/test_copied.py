"""`fk-kazoo copy` and `compare` into a deployment on AWS, emulated, and back: every node equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest

from fk_kazoo.__main__ import main
from fk_kazoo.cli.target import Target
from fk_kazoo.moving.records import creates_of

from .conftest import Deployment


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command printed with --json. The functions run in this process and print their metrics, too."""
    assert main([*words, "--json"]) == 0, capsys.readouterr()
    return json.loads("".join(line for line in capsys.readouterr().out.splitlines() if '"_aws"' not in line))


def test_there_and_back(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data of every size, ACLs, kinds and counters; the same command again finds everything there."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    with Target("local://one").client(make=True) as source:
        source.create("/app", b"root")
        source.create("/app/large", bytes(range(256)) * 1000)
        source.create("/app/none", None)
        source.create_container("/app/jobs", b"c")
        source.create("/app/jobs/one", b"")
        source.create_ttl("/app/cache", 3_600_000, b"t")
        pending: List[Any] = [source.create_async("/app/n%03d" % number, b"x" * number * 100) for number in range(20)]
        for answer in pending:
            answer.get()
        for _ in range(5):
            source.delete(source.create("/app/jobs/s-", b"", sequence=True))
    url = deployment.url
    done = told(capsys, "copy", "local://one", url, "--verify", "--timeout", "60")
    assert done["created"] == 26 and done["raised"] == 5 and done["equal_sides"], done
    assert told(capsys, "copy", "local://one", url)["equal"] == 27
    back = told(capsys, "copy", url, "local://two", "--verify", "--timeout", "60")
    assert back["created"] == 26 and back["equal_sides"], back
    assert told(capsys, "compare", "local://one", "local://two")["equal_sides"]
    with Target("local://two").client() as copied:
        assert creates_of(copied.exists("/app/jobs")) == 6
    figures = told(capsys, "top", "--url", url, "-n", "1", "--interval", "0.2")
    assert figures["queue"] is not None and figures["usd_per_hour"] > 0
    with Target(url, timeout_s=60).client():
        sessions = main(["sessions", "--url", url]), capsys.readouterr()
    assert sessions[0] == 0 and "from: not known" in sessions[1].out and "not known to aws://" in sessions[1].err


def test_the_clients_policy_is_enough(
    emulated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Many nodes by one request, with their kinds; nothing is told that could not be read."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    with Target("local://one").client(make=True) as source:
        source.create("/policy/a", b"a", makepath=True)
        source.create_ttl("/policy/t", 3_600_000, b"t")
    for words in (("local://one", emulated_url), (emulated_url, "local://two")):
        assert main(["copy", *words, "/policy", "--verify", "--timeout", "60"]) == 0
        out, err = capsys.readouterr()
        assert "every node is equal" in out and "can't be told" not in err, (out, err)
