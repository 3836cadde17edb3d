"""A deployment is made once, is one for everybody, and has on disk what it answered.

Also where its directory lies deep, where many come at once, and after a power cut, as far as that can be had: the files
of the state as they are right after an answer are copied while everything still runs.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, List

import pytest
from kazoo.exceptions import NodeExistsError
from kazoo.protocol.states import EventType

from .processes import Program, eventually

Run = Callable[..., Program]
Connect = Callable[..., Any]
CROWD = 30


@pytest.mark.timeout(240)
def test_many_processes_may_come_at_once_to_what_is_not_there_yet(home: Path, run: Run) -> None:
    """Each makes the deployment if it must; there is only one in the end, and all were served."""
    crowd = [run("brief", "local://crowd") for _ in range(CROWD)]
    for program in crowd:
        program.expect("there", 120)
    for program in crowd:
        program.say("go")
    made = [program.expect("made", 120).split() for program in crowd]
    assert sorted(path for path, _ in made) == ["/n-%010d" % number for number in range(CROWD)]
    assert len({session for _, session in made}) == CROWD
    assert [program.end(60) for program in crowd] == [0] * CROWD
    assert [entry.name for entry in home.iterdir()] == ["crowd"]


def test_namespaces_are_independent(connect: Connect) -> None:
    """Same paths, own sessions, own numbers, own watches."""
    one, two = connect("local://d?namespace=one"), connect("local://d?namespace=two")
    events: List[Any] = []
    two.exists("/n", watch=events.append)
    for number in range(10):
        one.create("/s-", b"%d" % number, sequence=True)
    one.create("/n", b"one", ephemeral=True)
    assert two.get_children("/") == ["zookeeper"] and two.create("/s-", sequence=True) == "/s-0000000000"
    one.stop()
    assert two.create("/n", b"two") == "/n" and two.get("/n")[1].czxid < 10
    assert [event.type for event in eventually(lambda: list(events))] == [EventType.CREATED]
    three = connect("local://d?namespace=one")
    assert not three.exists("/n") and len(three.get_children("/")) == 11


def test_the_deployment_is_one_for_every_process(run: Run, connect: Connect) -> None:
    program = run("member", "local://d/app", 10)
    program.expect("ready")
    client = connect("local://d")
    assert program.ask("create /x") == "/x"
    assert client.exists("/app/x")
    with pytest.raises(NodeExistsError):
        client.create("/app/x")


def test_a_deep_directory_is_as_good_as_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, connect: Connect
) -> None:
    """Deeper than the name of a socket may be long."""
    deep = tmp_path.joinpath(*["a-rather-long-name-of-a-directory"] * 6)
    monkeypatch.setenv("FK_KAZOO_HOME", str(deep))
    assert len(str(deep)) > 150
    client = connect("local://d")
    program = run("member", "local://d", 10)
    program.expect("ready")
    assert program.ask("create /x") == "/x" and client.exists("/x")
    client.stop()
    assert program.ask("set /x 1") == "1"


def test_what_was_answered_is_in_the_state_files(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    """After a power cut there is state.db with its log, and what no client outlives may be as it was at first."""
    client = connect("local://d")
    fresh = tmp_path / "fresh.db"
    client.stop()
    eventually(lambda: not list((home / "d").glob("*-wal")), "everything is closed")
    shutil.copy(home / "d" / "interest.db", fresh)
    client = connect("local://d")
    for number in range(30):
        path = "/n%d" % number
        client.create(path, b"first")
        client.set(path, b"%d" % number)
        client.exists(path, watch=print)
        _cut(home / "d", tmp_path / ("home%d" % number) / "d", fresh)
    session = client.client_id[0]
    client.create("/e", ephemeral=True)
    _cut(home / "d", tmp_path / "home30" / "d", fresh)
    for number in (0, 7, 29, 30):
        monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / ("home%d" % number)))
        again = connect("local://d", timeout=5)
        assert again.client_id[0] != session or number < 30
        for earlier in range(min(number, 29) + 1):
            data, stat = again.get("/n%d" % earlier)
            assert (data, stat.version) == (b"%d" % earlier, 1)
        assert not again.exists("/n%d" % (number + 1)) or number == 30
        assert again.create("/more-", sequence=True).startswith("/more-")
        again.stop()


def _cut(deployment: Path, copy: Path, interest: Path) -> None:
    """What is on disk now, in another place."""
    copy.mkdir(parents=True)
    copy.chmod(0o700)
    for name in ("state.db", "state.db-wal"):
        shutil.copy(deployment / name, copy / name)
    shutil.copy(interest, copy / "interest.db")


def test_sessions_that_a_power_cut_ended_expire(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    """Nobody beats for them any more; their ephemerals go, with their events."""
    client = connect("local://d", timeout=2)
    client.create("/e", ephemeral=True)
    fresh = tmp_path / "fresh.db"
    shutil.copy(home / "d" / "interest.db", fresh)
    _cut(home / "d", tmp_path / "after" / "d", fresh)
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "after"))
    events: List[Any] = []
    again = connect("local://d")
    assert again.exists("/e", watch=events.append)
    eventually(lambda: events, "the ephemeral goes")
    assert events[0].type == EventType.DELETED and not again.exists("/e")
    assert client.exists("/e")
