"""``fk-kazoo backup`` and ``restore`` on ``local://``: the commands, as processes, beside clients that write."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest
from kazoo.security import make_digest_acl

from fk_backend.backup.archive import MAGIC
from fk_kazoo.__main__ import main
from fk_kazoo.client import KazooClient
from fk_kazoo.commands import operation
from fk_kazoo.exceptions import DeploymentConfigurationError
from fk_kazoo.files import atomic_file


def command(*arguments: object, code: int = 0) -> Tuple[str, str]:
    """What ``fk-kazoo`` prints; and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "fk_kazoo", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ``local://`` is."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture()
def connect() -> Iterator[Any]:
    """Connected clients, which end with the test."""
    made = []

    def client(url: str) -> Any:
        one = KazooClient(url)
        made.append(one)
        one.start(timeout=30)
        return one

    yield client
    for one in made:
        one.stop()
        one.close()


def everything(client: Any, path: str = "/") -> Dict[str, Tuple[Any, Any, Any]]:
    """Path → (data, Stat, ACL) of every node that is nobody's."""
    data, stat = client.get(path)
    found = {path: (data, stat, client.get_acls(path)[0])}
    for name in client.get_children(path):
        found.update(everything(client, path.rstrip("/") + "/" + name))
    return {path: one for path, one in found.items() if not one[1].ephemeralOwner}


def fill(client: Any) -> None:
    """Nodes of every kind."""
    client.create("/app/config", b"x" * 200_000, makepath=True)
    client.create("/app/config/none", None)
    for _ in range(5):
        client.create("/app/item-", b"i", sequence=True)
    client.delete("/app/item-0000000002")
    client.set("/app", b"1")
    client.set_acls("/app/config", [make_digest_acl("me", "secret", all=True), *client.get_acls("/app")[0]])
    client.create("/locks", b"")
    client.create("/locks/mine", b"", ephemeral=True)


def test_every_node_is_as_it_was(connect: Any, tmp_path: Path) -> None:
    """In each namespace. What sessions own does not come along: its parent shows that it was deleted."""
    urls = "local://one%s", "local://two%s"
    for option in ("", "?namespace=other"):
        fill(connect(urls[0] % option))
    told, _ = command("backup", "local://one", tmp_path / "file")
    assert "namespace default: zxid" in told and "namespace other: zxid" in told
    assert os.stat(tmp_path / "file").st_mode & 0o777 == 0o600
    assert command("restore", tmp_path / "file", "local://two")[0].count("1 nodes of sessions were left out") == 2
    for option in ("", "?namespace=other"):
        was, now = connect(urls[0] % option), connect(urls[1] % option)
        old, new = everything(was), everything(now)
        locks_was, locks_now = old.pop("/locks")[1], new.pop("/locks")[1]
        assert new == old
        assert (locks_now.numChildren, locks_now.cversion) == (0, locks_was.cversion + 1)
        assert locks_now.pzxid > was.set("/app", b"2").mzxid, "no client sees a zxid go back"
        assert now.set("/app", b"2").mzxid > locks_now.pzxid
        assert now.create("/app/item-", b"", sequence=True) == "/app/item-%010d" % (old["/app"][1].cversion - 1)


def test_while_clients_write(connect: Any, tmp_path: Path) -> None:
    """Two nodes are always set together, and one is always either here or there: so it is in the backup."""
    client = connect("local://busy")
    client.create("/here/it", b"", makepath=True)
    for path in ("/a", "/z", "/there", *("/fill%03d" % n for n in range(200))):
        client.create(path, b"0")
    done, count = threading.Event(), [0]

    def write() -> None:
        while not done.is_set():
            count[0] += 1
            both = client.transaction()
            both.set_data("/a", b"%d" % count[0])
            both.set_data("/z", b"%d" % count[0])
            both.commit()
            move = client.transaction()
            one, other = ("/here", "/there") if count[0] % 2 else ("/there", "/here")
            move.delete(one + "/it")
            move.create(other + "/it", b"")
            move.commit()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(2):
            before = count[0]
            command("backup", "local://busy", tmp_path / str(number))
            assert count[0] > before, "clients went on"
    finally:
        done.set()
        writing.join()
    for number in range(2):
        command("restore", tmp_path / str(number), "local://of%d" % number)
        restored = connect("local://of%d" % number)
        assert restored.get("/a")[0] == restored.get("/z")[0] != b"0"
        assert len(restored.get_children("/here") + restored.get_children("/there")) == 1


def test_what_is_refused(connect: Any, home: Path, tmp_path: Path) -> None:
    """The commands run in this process where they end before they open what this process has open."""
    connect("local://one").create("/a", b"")
    file, damaged = tmp_path / "file", tmp_path / "damaged"
    command("backup", "local://one", file)
    damaged.write_bytes(file.read_bytes()[:-1])
    for code, arguments, says in (
        (3, ("backup", "local://one", tmp_path / "x", "--namespace", "no"), "no namespace no; there are: default"),
        (4, ("restore", file, "local://one"), "not empty"),
    ):
        _says(command(*arguments, code=code), says)
    assert sorted(os.listdir(home)) == ["one"]


def test_what_is_refused_at_once(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, damaged = tmp_path / "there", tmp_path / "damaged"
    there.write_bytes(b"")
    damaged.write_bytes(MAGIC)
    for code, arguments, says in (
        (4, ("backup", "local://one", there), "is there already"),
        (3, ("backup", "local://none", tmp_path / "x"), "there is no deployment"),
        (1, ("backup", "memory://one", tmp_path / "x"), "gone with its process"),
        (3, ("restore", tmp_path / "x", "local://two"), "x: No such file"),
        (1, ("restore", damaged, "local://two"), "damaged: it is cut short"),
        (1, ("restore", there, "local://two"), "there: it is no backup"),
    ):
        assert main([str(argument) for argument in arguments]) == code
        _says(capsys.readouterr(), says)
    for arguments, says in (
        (("backup", "local://one/app", tmp_path / "x"), "without a path"),
        (("backup", "zk://one", tmp_path / "x"), "that is a ZooKeeper, and here a deployment is needed"),
        (("restore", there, "local:/two"), "write local://two"),
    ):
        assert main([str(argument) for argument in arguments]) == 2
        _says(capsys.readouterr(), says)
    assert not home.exists(), "nothing was made for what could not be restored"
    assert sorted(os.listdir(tmp_path)) == ["damaged", "there"]


def test_a_restore_that_was_killed_refuses_clients(
    connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it wrote until then is half a tree; once it is removed, and restored to the end, they come in."""
    connect("local://one").create("/a/b", b"", makepath=True)
    assert main(["backup", "local://one", str(tmp_path / "file")]) == 0

    async def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("fk_backend.backup.restore._open", killed)
        assert main(["restore", str(tmp_path / "file"), "local://two"]) == 130
    with pytest.raises(DeploymentConfigurationError, match="is being restored"):
        connect("local://two")
    assert main(["destroy", "local://two", "--yes", "--force"]) == 0
    assert main(["restore", str(tmp_path / "file"), "local://two"]) == 0
    assert connect("local://two").exists("/a/b")
    capsys.readouterr()


def _says(told: Tuple[str, str], says: str) -> None:
    out, said = told
    assert says in said and not out and said.count("\n") == 1


def test_two_at_once_to_one_file_do_not_mix(connect: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever is whole first has the name; a file of somebody else's beside it stays."""
    for name in ("one", "other"):
        connect("local://" + name).create("/" + name)
    file, beside = tmp_path / "x.bak", tmp_path / "x.bak.part"
    beside.write_text("mine")
    with pytest.raises(FileExistsError) as raised, atomic_file(str(file), over=False) as first:
        assert main(["backup", "local://other", str(file)]) == 0
        first.write(b"of another one")
        whole = file.read_bytes()
    assert str(raised.value.filename) == str(file) and file.read_bytes() == whole
    assert beside.read_text() == "mine" and sorted(tmp_path.glob("x.bak*")) == [file, beside]
    assert main(["restore", str(file), "local://third"]) == 0 and connect("local://third").exists("/other")
    assert "damaged" not in capsys.readouterr().err


def test_what_is_said(
    connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, which names what it is about."""
    connect("local://d")
    absent = tmp_path / "absent" / "x.bak"
    assert main(["backup", "local://d", str(absent)]) == 3
    assert capsys.readouterr().err == "fk-kazoo backup: %s: No such file or directory\n" % absent
    pipe, end = os.pipe()
    os.close(end)
    assert main(["restore", "/dev/fd/%d" % pipe, "local://e"]) == 1
    os.close(pipe)
    assert "write it to a file first" in capsys.readouterr().err

    def lacking(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'aiobotocore'", name="aiobotocore")

    monkeypatch.setattr(operation, "administered", lacking)
    assert main(["backup", "aws://d?region=eu-central-1", str(tmp_path / "y.bak")]) == 1
    assert capsys.readouterr().err == "fk-kazoo backup: aiobotocore is missing: pip install 'fk_kazoo[aws]'\n"


def test_sigterm_tidies_up(capsys: pytest.CaptureFixture[str]) -> None:
    """As Ctrl-C does: cron and service managers end programs so."""
    tidied = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(30)
        finally:
            tidied.append(True)

    def wait() -> int:
        operation.waited_for(work())
        return 0

    assert operation.run("backup", "local://d", wait) == 143 and tidied
    assert capsys.readouterr().err == "fk-kazoo backup: ended by SIGTERM\n"
