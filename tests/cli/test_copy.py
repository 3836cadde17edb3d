"""Copies between ZooKeeper, deployments and dumps: everything comes along, and no sequential name is given twice."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
from kazoo.security import make_acl, make_digest_acl

from fk_kazoo.moving import apply
from fk_kazoo.moving.records import creates_of

from .conftest import Run

Clients = Callable[..., Any]
LOCAL = "local://app"
SECRET = make_digest_acl("me", "secret", all=True)


def fill(client: Any) -> Dict[str, int]:
    """Nodes of every kind, and the numbers that were given: path → how many children it ever had."""
    client.create("/app", b"root")
    client.create("/app/none", None)
    client.create("/app/secret", b"s", [SECRET])
    client.create_container("/app/jobs", b"c")
    client.create_ttl("/app/cache", 3_600_000, b"t")
    client.create("/app/jobs/mine", b"", ephemeral=True)
    client.create("/app/jobs/kept", b"")
    client.create("/app/locks", b"")
    for _ in range(3):
        client.create("/app/locks/l-", b"", sequence=True)
    for name in client.get_children("/app/locks"):
        client.delete("/app/locks/" + name)
    for number in range(60):
        client.create("/app/item-", b"%d" % number, sequence=True)
    client.delete("/app/item-%010d" % 64)
    return {"/app": 65, "/app/locks": 3, "/app/jobs": 2}


def nodes(client: Any, path: str = "/app") -> List[Tuple[str, Any, Any]]:
    """What moves of every node that is nobody's."""
    data, stat = client.get(path)
    acl = sorted((one.perms, one.id.scheme, one.id.id) for one in client.get_acls(path)[0])
    below = [each for name in sorted(client.get_children(path)) for each in nodes(client, path + "/" + name)]
    return [] if stat.ephemeralOwner else [(path, data, acl), *below]


def counters(client: Any, given: Dict[str, int]) -> Dict[str, int]:
    return {path: creates_of(client.exists(path)) for path in given}


def test_round_trip(run: Run, client: Clients, zookeeper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ZooKeeper → deployment → dump → ZooKeeper below a chroot → deployment, every node and counter equal each time."""
    monkeypatch.setenv("FK_KAZOO_AUTH", "digest:me:secret")
    source = client(zookeeper, "me:secret")
    given = fill(source)
    rules = ("--container", "/app/jobs", "--ttl", "/app/cache=1h")
    dump = tmp_path / "dump.gz"
    done = run("copy", zookeeper, LOCAL, "--verify", "--json", *rules)
    assert done.code == 0 and done.json["created"] == 66 and done.json["equal_sides"], done
    assert "left out, ephemeral: /app/jobs/mine" in done.err and done.json["ephemerals"] == 1
    for from_, to in ((LOCAL, dump), (dump, zookeeper + "/moved"), (zookeeper + "/moved", "local://again")):
        assert run("copy", from_, to, "--verify", *rules).code == 0
    for url in (LOCAL, "local://again", zookeeper + "/moved"):
        one = client(url, "me:secret")
        assert nodes(one) == nodes(source)
        assert counters(one, given) == given
        assert one.create("/app/locks/l-", b"", sequence=True) == "/app/locks/l-0000000003"
    assert os.stat(dump).st_mode & 0o777 == 0o600
    kinds = {value["path"]: value["kind"] for value in map(json.loads, gzip.open(dump)) if "path" in value}
    assert kinds["/app/jobs"] == "container" and kinds["/app/cache"] == "ttl" and kinds["/app"] == "persistent"
    differs = run("compare", zookeeper, LOCAL, "/app")
    assert differs.code == 1 and "/app/locks/l-0000000003: only in the destination" in differs.out


def test_what_may_not_be_administered_does_not_move(run: Run, client: Clients, zookeeper: str) -> None:
    """Its ACL is shown without the hash then: a copy would let nobody in for ever."""
    fill(client(zookeeper, "me:secret"))
    done = run("copy", zookeeper, LOCAL)
    assert done.code == 4 and "/app/secret" in done.err
    readable = [SECRET, make_acl("world", "anyone", read=True)]
    client(zookeeper, "me:secret").set_acls("/app/secret", readable)
    done = run("copy", zookeeper, LOCAL)
    assert done.code == 4 and "/app/secret: its ACL is hidden" in done.err


@pytest.mark.parametrize("to", [LOCAL, "zookeeper"])
def test_conflicts(run: Run, client: Clients, to: str, request: pytest.FixtureRequest) -> None:
    to = request.getfixturevalue("zookeeper") if to == "zookeeper" else to
    source, destination = client("local://source"), client(to)
    for number in range(100):
        source.create("/n%02d" % number, b"theirs")
    destination.create("/n50", b"mine")
    destination.create("/other", b"")
    assert run("copy", "local://source", to, "--dry-run", "--on-conflict", "skip").code == 0
    assert len(destination.get_children("/")) == 3, "nothing was changed"
    done = run("copy", "local://source", to)
    assert done.code == 4 and "/n50 is in the destination and differs: data" in done.err
    assert run("copy", "local://source", to, "--on-conflict", "skip", "--json").json["skipped"] == 1
    assert destination.get("/n50")[0] == b"mine"
    assert run("copy", "local://source", to, "--verify", "--on-conflict", "skip").out.count("/n50: data") == 1
    assert run("copy", "local://source", to, "/n50", "--on-conflict", "overwrite", "--json").json["overwritten"] == 1
    done = run("copy", "local://source", to, "--json", "--verify")
    assert done.code == 0 and done.json["equal"] == 101 and destination.exists("/other")


def test_bad_input(run: Run, client: Clients, tmp_path: Path, home: Path) -> None:
    client(LOCAL).create("/a/b", b"x" * 1000, makepath=True)
    dump = tmp_path / "dump"
    assert run("copy", LOCAL, dump, "/a/b").code == 0
    whole = dump.read_bytes()
    short, foreign, later = tmp_path / "short", tmp_path / "foreign", tmp_path / "later"
    short.write_bytes(whole[:-10])
    foreign.write_bytes(b"\0" * 100)
    later.write_bytes(gzip.compress(gzip.decompress(whole).replace(b'"version": 1', b'"version": 9')))
    for words, code, says in (
        ((short, "local://new"), 1, "cut short"),
        ((foreign, "local://new"), 1, "no dump"),
        ((later, "local://new"), 1, "upgrade this one"),
        ((tmp_path / "none", "local://new"), 3, "No such file"),
        ((LOCAL, dump), 4, "is there already"),
        ((LOCAL, LOCAL), 4, "the same place"),
        ((LOCAL, tmp_path / "x", "/none"), 3, "there is no node /none"),
        ((LOCAL, "ftp://x"), 2, "'ftp' is unknown"),
        ((LOCAL, "local:/x"), 2, "write local://x"),
        ((LOCAL, tmp_path / "no" / "x"), 3, "No such file"),
        ((LOCAL, "/dev/full/x"), 1, "Not a directory"),
        ((LOCAL, tmp_path / "x", "--mirror"), 2, "between two URLs"),
        ((LOCAL, "local://new", "--cut-over"), 2, "belong to --mirror"),
    ):
        done = run("copy", *words)
        assert (done.code, says in done.err) == (code, True), (words, done)
    assert sorted(os.listdir(home)) == ["app"], "nothing was made for what could not be copied"
    assert run("copy", dump, "local://new").code == 0 and client("local://new").exists("/a/b")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["dump", "foreign", "home", "later", "short"]


def test_nothing_but_a_file_is_replaced(run: Run, client: Clients, tmp_path: Path) -> None:
    """Who is root could put a dump in the place of a device. A link stays one."""
    client(LOCAL).create("/a", b"x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    for name in ("pipe", "nowhere", "home"):
        done = run("copy", LOCAL, tmp_path / name, "--on-conflict", "overwrite")
        assert done.code == 4 and "nothing else is replaced" in done.err, done
    (tmp_path / "dump").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "dump")
    assert run("copy", LOCAL, tmp_path / "link", "--on-conflict", "overwrite").code == 0
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()
    assert run("compare", tmp_path / "dump", LOCAL).code == 0


@pytest.mark.parametrize(
    ("field", "value", "code", "says"),
    [
        ("creates", 10**12, 1, "it is damaged"),
        ("ttl_ms", -1, 1, "it is damaged"),
        ("kind", "ttl", 1, "it is damaged"),
        ("acl", [], 1, "it is damaged"),
        ("acl", [[32, "world", "anyone"]], 1, "it is damaged"),
        ("path", "/none/b", 1, "copy: /none/b: its parent is not there"),
        ("data", "AAAA" * 500_000, 4, "copy: the request is over the size limit of 1 MB; nothing was changed: /a"),
    ],
)
def test_a_dump_that_somebody_wrote(
    run: Run, client: Clients, tmp_path: Path, field: str, value: object, code: int, says: str
) -> None:
    client(LOCAL).create("/a", b"x")
    dump = tmp_path / "dump"
    assert run("copy", LOCAL, dump, "/a").code == 0
    first, node, last = map(json.loads, gzip.decompress(dump.read_bytes()).splitlines())
    first["paths"] = ["/"]
    lines = [first, {**node, "path": "/"}, {**node, field: value}, {**last, "nodes": 2}]
    dump.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    done = run("copy", dump, "local://new")
    assert done.code == code and says in done.err and done.err.count("\n") == 1, done


def test_what_is_only_there_is_found_once(run: Run, client: Clients) -> None:
    """A cut-over that may not delete it does not compare again and again."""
    client("local://source").create("/a", b"")
    client(LOCAL).create("/extra", b"")
    done = run("copy", "local://source", LOCAL, "--mirror", "--cut-over")
    assert done.code == 1 and "/extra: only in the destination" in done.out, done
    assert done.err.count("comparing every node") == 1


def test_a_full_disk_leaves_nothing(run: Run, client: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client(LOCAL).create("/a", b"x")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "dump"))

    monkeypatch.setattr("os.fsync", full)
    done = run("copy", LOCAL, tmp_path / "dump")
    assert done.code == 1 and "No space left on device" in done.err
    assert [one.name for one in tmp_path.iterdir()] == ["home"]


def test_killed_and_resumed(client: Clients, zookeeper: str, home: Path, run: Run) -> None:
    """At any point, again and again: the same command goes on, and what comes out is the whole."""
    source = client(zookeeper)
    source.create("/app", b"")
    for number in range(400):
        source.create_async("/app/n%04d" % number, b"x" * 100)
    for _ in range(150):
        source.create_async("/app/n0000/x", b"")
        source.delete_async("/app/n0000/x")
    source.sync("/app")
    command = [sys.executable, "-m", "fk_kazoo", "copy", zookeeper, LOCAL]
    seen = client(LOCAL)
    for wanted in (1, 200):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as copying:
            deadline = time.monotonic() + 60
            while (seen.exists("/app") is None or len(seen.get_children("/app")) < wanted) and copying.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.01)  # it is looked at again and again, and others need the processor
            copying.kill()
    assert run("copy", zookeeper, LOCAL, "--verify", "--json").json["equal_sides"]
    assert creates_of(seen.exists("/app/n0000")) == 150


def test_what_is_there_costs_no_commits(run: Run, client: Clients) -> None:
    """A copy that goes on looks first; and it notices where what is there ends."""
    source, destination = client("local://source"), client(LOCAL)
    source.create("/app", b"")
    for number in range(2000):
        source.create_async("/app/n%04d" % number, b"x")
    source.sync("/app")
    assert run("copy", "local://source", LOCAL).code == 0
    for number in (700, 701, *range(1500, 2000)):
        destination.delete("/app/n%04d" % number)
    for created in (502, 0):
        before = destination.set("/app", b"").mzxid
        assert run("copy", "local://source", LOCAL, "--json").json["created"] == created
        assert destination.set("/app", b"").mzxid - before < 60, "requests in vain, or one for each node"
    assert destination.get_children("/app") == source.get_children("/app")


def test_counters_are_raised_wherever_a_copy_begins_again(run: Run, client: Clients) -> None:
    """A destination that has used numbers itself keeps them: the next one is above both."""
    source, destination = client("local://source"), client(LOCAL)
    for one, count in ((source, 110), (destination, 10)):
        one.create("/q", b"")
        for _ in range(count):
            one.delete(one.create("/q/i-", b"", sequence=True))
    for _ in range(2):
        assert run("copy", "local://source", LOCAL).code == 0
        assert creates_of(destination.exists("/q")) == 110
    assert destination.get_children("/q") == []
    assert apply.FILLS < 100, "more than one transaction"


@pytest.mark.parametrize("watches", ["tree", "node"])
def test_mirror_and_cut_over(run: Run, client: Clients, zookeeper: str, watches: str) -> None:
    """While the source goes on being changed, in every way there is."""
    source = client(zookeeper)
    source.create("/app", b"0")
    for number in range(60):
        source.create("/app/n%03d" % number, b"0")
    begun = threading.Event()

    def change() -> None:
        begun.wait()
        for number in range(0, 60, 2):
            source.delete("/app/n%03d" % number)
            source.set("/app/n%03d" % (number + 1), b"1")
            source.create("/app/new%03d/below" % number, b"2", makepath=True)
            source.create("/app/s-", b"", sequence=True)
            source.delete(source.create("/app/s-", b"", sequence=True))
        source.set_acls("/app/n001", [make_digest_acl("a", "b", all=True), *source.get_acls("/app")[0]])

    changing = threading.Thread(target=change)
    changing.start()
    begun.set()
    done = run("copy", zookeeper, LOCAL, "/app", "--mirror", "--cut-over", "--watches", watches, "--delete")
    changing.join()
    if done.code:  # the changes went on for longer than the mirror was quiet
        done = run("copy", zookeeper, LOCAL, "/app", "--mirror", "--cut-over", "--delete")
    assert done.code == 0 and "every node is equal" in done.out, done
    assert nodes(client(LOCAL)) == nodes(source)
    assert creates_of(client(LOCAL).exists("/app")) >= creates_of(source.exists("/app"))
