"""Looking and changing, the same on a deployment and on a real ZooKeeper; and what a user's mistakes end in."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, List

import pytest

from fk_kazoo.cli import doctor
from fk_kazoo.cli.main import MODULES

from .conftest import Run


@pytest.fixture(params=["local", "zookeeper"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    found: str = "local://app" if request.param == "local" else request.getfixturevalue("zookeeper")
    monkeypatch.setenv("FK_KAZOO_URL", found)
    return found


def test_a_session(run: Run, url: str) -> None:
    assert run("create", "-p", "/app/config", '{"a": 1}').out == "/app/config\n"
    assert run("create", "/app/bin", "-", stdin=b"\xff\x00").code == 0
    assert run("get", "/app/config").out == '{"a": 1}', "byte for byte"
    assert run("get", "--json", "/app/bin").json["base64"] == "/wA="
    assert [run("create", "-s", "/app/item-", "x").out for _ in range(2)] == [
        "/app/item-0000000002\n",
        "/app/item-0000000003\n",
    ]
    assert run("ls", "/app").out == "bin\nconfig\nitem-0000000002\nitem-0000000003\n"
    assert run("ls", "-R", "--json", "/app").json[0] == "/app/bin"
    assert run("ls", "-l", "--json", "/app").json[1]["bytes"] == 8
    assert run("tree", "/app").out.splitlines()[:2] == ["/app", "├── bin"]
    assert run("find", "/app", "--name", "item-*", "--larger", "0k").out.count("\n") == 2
    assert run("find", "/app", "--data", "a.: 1").out == "/app/config\n"
    assert run("set", "/app/config", "2", "--version", "0").code == 0
    assert run("set", "/app/config", "3", "--version", "0").code == 4
    assert run("stat", "/app/config", "--json").json["version"] == 1
    assert run("acl", "/app/bin", "--set", "world:anyone:rcda").out == "world:anyone:cdra\n"
    assert run("set", "/app/bin", "x").code == 4
    assert run("cp", "-r", "/app", "/copy").code == 0
    assert run("create", "-s", "/copy/item-").out == "/copy/item-0000000004\n", "the counter came along"
    assert run("rm", "/copy").code == 4
    assert run("rm", "-r", "--json", "/copy", "/app").json == {"removed": 11}
    assert run("ls").out == "zookeeper\n"


def test_kinds(run: Run, url: str, client: Callable[..., Any]) -> None:
    assert run("create", "-c", "/c").code == run("create", "--ttl", "1h", "/t").code == 0
    assert run("create", "-c", "--ttl", "1h", "/x").code == 2
    assert sorted(client(url).get_children("/")) == ["c", "t", "zookeeper"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["get", "/none"], 3, "no such node: /none"),
        (["stat", "/none"], 3, "/none"),
        (["rm", "/none"], 3, "/none"),
        (["rm", "-f", "/none"], 0, ""),
        (["rm", "/none/below", "/there"], 3, "/none/below"),
        (["rm", "/", "/there"], 4, "the root can't be removed"),
        (["rm", "/there", "-v", "9"], 4, "somebody changed it: /there"),
        (["cp", "/there", "/none/below"], 3, "no such node: /none"),
        (["create", "/there"], 4, "a node already: /there"),
        (["create", "/none/below"], 3, "/none/below"),
        (["get", "there/../there/./"], 0, ""),
        (["get", "/a//b"], 2, "can't be a node's path"),
        (["set", "/there"], 2, "which data"),
        (["find", "/there", "--larger", "many"], 2, "write 500, 100k, 5m or 1g"),
        (["create", "/x", "--acl", "all"], 2, "SCHEME:ID:PERMISSIONS"),
        (["ls", "--url", "ftp://x"], 2, "'ftp' is unknown"),
        (["ls", "--url", "local:/x"], 2, "write local://x"),
        (["ls", "--url", "zk://"], 2, "zk://HOST:PORT"),
        (["ls", "--url", "zk://host:99999"], 2, "zk://HOST:PORT"),
        (["ls", "--url", "memory://x"], 2, "gone with its process"),
        (["ls", "--url", "local://none"], 3, "there is no local://none"),
        (["ls", "--auth", "nonsense"], 2, "SCHEME:CREDENTIAL"),
        (["nonsense"], 2, "No such command"),
        (["ls", "--nonsense"], 2, "No such option"),
        (["destroy", "local://none", "--yes"], 3, "there is no deployment"),
        (["destroy", "zk://zk1", "--yes"], 2, "local://NAME"),
        (["backup", "zk://zk1", "/none/x"], 2, "that is a ZooKeeper"),
        (["create", "/x", "--url", "local://Upper"], 2, "create: local://Upper: a deployment's name"),
        (["set", "/there", "x", "--version", "2147483648"], 2, "not in the range"),
        (["rm", "/there", "--version", "-2"], 2, "not in the range"),
        (["acl", "/there", "--set", "world:anyone:r", "--version", "2147483648"], 2, "not in the range"),
        (["bench", "--size", "2m"], 2, "at most"),
        (["find", "--larger", "9" * 400], 2, "more than can be"),
        (["create", "/x", "--ttl", "9" * 400], 2, "longer than can be"),
        (["sessions", "--url", "local://none"], 3, "there is no local://none"),
    ],
)
def test_mistakes(run: Run, monkeypatch: pytest.MonkeyPatch, words: List[str], code: int, says: str) -> None:
    """One line, and a code that says which kind it was; never a traceback."""
    monkeypatch.setenv("FK_KAZOO_URL", "local://app")
    assert run("create", "/there").code == 0
    done = run(*words)
    assert (done.code, says in done.err) == (code, True), done
    assert "Traceback" not in done.err and (code == 2 or done.err.count("\n") <= 1)


def test_too_much_is_refused(run: Run) -> None:
    """In words that do not say that its outcome is unknown."""
    done = run("create", "/big", "-", "--url", "local://app", stdin=b"x" * (2 << 20))
    assert done.code == 4 and "over the size limit" in done.err and "not known" not in done.err


def test_closed_and_full_outputs(run: Run) -> None:
    """One line or nothing, and no traceback, whatever standard output is."""
    run("create", "/a", "x" * 100_000, "--url", "local://app")
    outputs = (("tree", "&-", 0), ("get /a", "/dev/full", 1), ("ls", "/dev/full", 1))
    for (command, output, code), unbuffered in itertools.product(outputs, ("", "1")):
        given = "PYTHONUNBUFFERED=%s %s" % (unbuffered, sys.executable)
        words = "%s -m fk_kazoo %s --url local://app >%s" % (given, command, output)
        done = subprocess.run(words, shell=True, stderr=subprocess.PIPE, text=True)
        assert done.returncode == code and "Traceback" not in done.stderr and done.stderr.count("\n") == code, done


def test_a_zookeeper_that_is_not_there(run: Run) -> None:
    done = run("ls", "--url", "zk://127.0.0.1:1", "--timeout", "1")
    assert done.code == 1 and "no connection" in done.err


def test_an_editor(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who changed it meanwhile is not overwritten, and what was written is kept."""
    monkeypatch.setenv("FK_KAZOO_URL", "local://app")
    run("create", "/a", "old")
    editor = tmp_path / "editor"
    monkeypatch.setenv("VISUAL", str(editor))
    editor.write_text("#!/bin/sh\nprintf new > $1\n")
    editor.chmod(0o755)
    assert run("edit", "/a").code == 0 and run("get", "/a").out == "new"
    editor.write_text("#!/bin/sh\nprintf newer > $1\n%s -m fk_kazoo set /a theirs\n" % sys.executable)
    done = run("edit", "/a")
    assert done.code == 4 and run("get", "/a").out == "theirs"
    kept = Path(done.err.split()[-1])
    assert kept.read_text() == "newer"
    kept.unlink()


def test_a_shell(run: Run, zookeeper: str) -> None:
    """One line after the other, with places between them; the last one's code is its own."""
    lines = "create /a 1\ncd /a\ncreate b 2\nls\nuse %s\nls\nuse local://app\nget a/b\nget /none\n" % zookeeper
    run("create", "/x", "--url", "local://app")
    done = run("shell", "--url", "local://app", stdin=lines.encode())
    assert done.out.split() == ["/a", "/a/b", "b", "zookeeper", "2"] and done.code == 3


def test_each_line_of_a_shell_speaks_for_itself(run: Run) -> None:
    """With its own credentials, and not with those of a line before."""
    lines = ["create /a 1 --acl password:me:secret:cdrwa", "get /a", "get /a --auth digest:me:secret", "get /a"]
    done = run("shell", "--url", "local://app", stdin="\n".join(lines).encode())
    assert (done.code, done.out, done.err.count("not allowed")) == (4, "/a\n1", 2), done


@pytest.mark.parametrize("last", ["exit", "quit", "# nothing"])
def test_a_shell_is_left(run: Run, last: str) -> None:
    """In a pipe, too; with the code of the command before."""
    run("create", "/x", "--url", "local://app")
    done = run("shell", "--url", "local://app", stdin=("get /none\n%s\n" % last).encode())
    assert done.code == (0 if last[0] == "#" else 3) and "Traceback" not in done.err


def test_the_whole_tree_is_not_removed_by_a_slip(run: Run, client: Callable[..., Any]) -> None:
    one = client("local://app")
    one.create("/a/b", b"", makepath=True)
    for words in (["/"], ["-r", "/"], ["-f", "/"]):
        done = run("rm", *words, "--url", "local://app")
        assert done.code == 4 and "rm -r -f / removes everything" in done.err and one.exists("/a/b"), words
    assert run("rm", "-r", "-f", "/", "--url", "local://app").code == 0 and not one.exists("/a")


def test_a_parent_that_is_not_there_is_named(run: Run, zookeeper: str) -> None:
    for url in ("local://app", zookeeper):
        for words in (["/none/b"], ["/none/b-", "-s"], ["/none/b", "--container"]):
            done = run("create", *words, "--url", url)
            assert done.code == 3 and "there is no /none to create it in: give --parents" in done.err, done


def test_a_chroot_that_is_not_there_is_made(run: Run, zookeeper: str) -> None:
    """Of any depth."""
    for url in ("local://app", zookeeper):
        assert run("create", "/x", "--url", url + "/one/two").code == 3
        assert run("create", "-p", "/x", "--url", url + "/one/two").code == 0
        done = run("copy", "local://app/one", url + "/three/four", "/two")
        assert (done.code, run("ls", "/three/four/two", "--url", url).out) == (0, "x\n"), done


@pytest.mark.parametrize("target", ["local", "zookeeper"])
def test_an_ephemeral_goes_when_its_command_is_ended(
    run: Run, target: str, request: pytest.FixtureRequest, client: Callable[..., Any]
) -> None:
    """By SIGTERM, as services are: it would stay for a session timeout."""
    url = "local://app" if target == "local" else request.getfixturevalue("zookeeper")
    words = [sys.executable, "-m", "fk_kazoo", "create", "-e", "/mine", "--timeout", "60", "--url", url]
    one = client(url)
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"/mine\n"
        assert one.exists("/mine")
        process.terminate()
        assert process.wait(30) == 0
    assert not one.exists("/mine")


def test_nothing_is_said_to_be_nothing(run: Run) -> None:
    """Who has just begun is told, and a pipe gets nothing."""
    assert "fk-kazoo create makes it" in run("ls").err
    run("create", "/x")
    locks, sessions = run("locks"), run("sessions")
    assert "no locks or elections at or below /" in locks.err and locks.out == ""
    assert "nobody is connected" in sessions.err and sessions.out == ""
    assert run("locks", "--quiet").err == ""


def test_destroy_and_deployments(run: Run, client: Callable[..., Any]) -> None:
    run("create", "/a", "--url", "local://one")
    (found,) = run("deployments", "--json").json
    assert found["url"] == "local://one" and found["bytes"] > 0 and not found["in_use"]
    assert run("destroy", "local://one", "--yes").code == 4, "it holds nodes"
    other = subprocess.Popen(
        [sys.executable, "-m", "fk_kazoo", "create", "-e", "/e", "--url", "local://one"],
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # who runs tests in the background ignores it
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == b"/e\n"
        assert "in use" in run("destroy", "local://one", "--yes", "--force").err
        (session,) = [one for one in run("sessions", "--url", "local://one", "--json").json if one["ephemerals"]]
        assert session["ephemerals"] == ["/e"]
        other.send_signal(signal.SIGINT)
        assert other.wait(30) == 130
    finally:
        other.kill()
        other.wait()
        other.stdout.close()  # type: ignore[union-attr]
    assert run("destroy", "local://one", "--yes", "--force").code == 0
    assert run("deployments", "--json").json == []


def test_locks_sessions_doctor_and_bench(run: Run, url: str, client: Callable[..., Any]) -> None:
    holder, waiter = client(url), client(url)
    assert holder.Lock("/locks/a", "first").acquire()
    waiting = waiter.Lock("/locks/a", "second")
    acquired = waiting.acquire(blocking=False)
    assert not acquired
    waiter.create("/locks/a/" + "0" * 32 + "__lock__9999999999", b"second", ephemeral=True)
    (lock,) = run("locks", "/locks", "--json").json
    assert [(one["data"], one["holds"]) for one in lock["contenders"]] == [("first", True), ("second", False)]
    assert "holds" in run("locks").out
    owned = [one["ephemerals"] for one in run("sessions", "--json").json]
    assert sorted(map(len, owned))[-2:] == [1, 1], owned
    assert all(path.startswith("/locks/a/") for paths in owned for path in paths), "and nothing else is taken for one"
    done = run("doctor")
    assert done.code == 0 and done.out.count("ok ") == 10, done
    assert set(run("bench", "--seconds", "0.1", "--json").json) == {
        "get",
        "set",
        "create, delete",
        "set, pipelined",
    }
    assert run("ls").out == "locks\nzookeeper\n", "nothing is left"


def test_doctor_says_what_to_do(
    run: Run, url: str, client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the check that does not hold, and it goes no further; what it made is gone."""
    assert run("create", "/closed", "--acl", "world:anyone:r").code == 0
    monkeypatch.setattr(doctor, "EXPIRY_S", 0.05)
    for target, check, says in ((url, "lease", "still there after"), (url + "/closed", "permissions", "not allowed")):
        done = run("doctor", "--url", target, "--json")
        *before, last = done.json
        assert done.code == 1 and all(one["good"] and one["do"] is None for one in before)
        assert (last["check"], last["good"], says in last["says"]) == (check, False, True), last
        assert last["do"] == doctor.DO[check]
    assert "--auth SCHEME:CREDENTIAL" in run("doctor", "--url", url + "/closed").out.splitlines()[-1]
    assert run("ls").out == "closed\nzookeeper\n"
    monkeypatch.setattr(doctor, "MADE", ("clo",))
    client(url).create("/close", b"")
    monkeypatch.setattr("time.time", lambda: 4e9)  # what is an hour old was left by somebody
    monkeypatch.setattr(doctor, "EXPIRY_S", 60.0)
    assert "left by a command that was killed: /close" in run("doctor").out


def test_watch_prints_what_happens(home: Path, run: Run) -> None:
    """As it happens, line by line, into a pipe too; a reader that goes ends it."""
    run("create", "/a", "--url", "local://app")
    environ = {**os.environ, "FK_KAZOO_URL": "local://app"}
    command = [sys.executable, "-m", "fk_kazoo", "watch", "/", "-r", "-n", "2"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stderr is not None and watch.stdout is not None
        assert watch.stderr.readline() == "watching /\n"
        run("create", "/a/b", "--url", "local://app")
        assert watch.stdout.readline().split()[1:] == ["created", "/a/b"]
        run("set", "/a", "1", "--url", "local://app")
        assert watch.stdout.readline().split()[1:] == ["changed", "/a"]
        assert watch.wait(30) == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Run, shell: str) -> None:
    assert "_FK_KAZOO_COMPLETE" in run("completion", shell).out


def test_paths_complete(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FK_KAZOO_URL", "local://app")
    run("create", "-p", "/app/config")
    run("create", "/app/count")
    monkeypatch.setenv("_FK_KAZOO_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "fk-kazoo get /app/co")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        run()
    # what was printed is still there for the next look
    monkeypatch.delenv("_FK_KAZOO_COMPLETE")
    assert run("--version").out.splitlines()[:2] == ["plain,/app/config", "plain,/app/count"]


def test_help_needs_no_deployment_and_shows_examples(run: Run, home: Path) -> None:
    for name in MODULES:
        if name != "run":
            done = run(name, "--help")
            assert done.code == 0 and ("fk-kazoo " + name) in done.out.replace("Usage: fk-kazoo", ""), name
    assert not home.exists()
