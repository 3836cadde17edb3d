"""zk-shell 1.3.4, unmodified and in a terminal, does on ``local://`` what it does on a ZooKeeper."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pexpect  # type: ignore[import-untyped]
import pytest

from compat_tests.zk_shell.terminal import ROOT, Terminal, environ, on_deployment
from compat_tests.zk_shell.tour import DIRECTORY, SECTIONS, SERVER, SESSION_TIMEOUT_S, play
from tests.differential.zookeeper_server import ZookeeperServer, unavailable

SYNC = "--sync-connect"
"""Connecting in the background, zk-shell interrupts itself with a signal, at a moment that it does not choose."""

Shell = Callable[..., Terminal]


@pytest.fixture
def server() -> Iterator[str]:
    """An address at which nothing answers: reserved, and not listening."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield "127.0.0.1:%d" % reserved.getsockname()[1]


@pytest.fixture
def shell(tmp_path: Path, server: str) -> Iterator[Shell]:
    """Opens terminals, all on one deployment unless a URL is given."""
    with ExitStack() as terminals:

        def opened(*options: str, url: str = "local://shell", hosts: str = server) -> Terminal:
            return terminals.enter_context(Terminal(on_deployment(url, SYNC, *options, hosts), tmp_path))

        yield opened


def once(directory: Path, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    command = on_deployment("local://shell", *arguments)
    return subprocess.run(
        command, cwd=directory, env=environ(directory), input=given, capture_output=True, text=True, timeout=30
    )


# --- nodes --------------------------------------------------------------------------------------


def test_it_creates_every_kind_of_node(shell: Shell) -> None:
    zk = shell()
    assert zk.run("ls /") == "zookeeper"
    assert zk.run("create /plain 'one'") == ""
    assert zk.run("create /plain 'two'") == "Path /plain already exists"
    assert zk.run("create /a/b 'x'") == "Missing path in /a/b (try recursive?)"
    assert zk.run("create /a/b 'deep' false false true") == ""
    assert zk.run("create /e 'x' true") == ""
    assert zk.run("create /s- 'x' false true") == ""
    assert zk.run("create /s- 'x' true true") == ""
    assert zk.run("create /a/ 'x' false true") == ""
    assert zk.run("create /late 'x' false false false true") == ""
    assert zk.run("sync /") == ""
    assert zk.lines("ls /") == sorted("a e late plain s-0000000003 s-0000000004 zookeeper".split())
    assert zk.lines("ls /a") == ["0000000001", "b"]
    assert zk.run("get /a/b") == "deep"
    assert zk.run("exists /plain").split("\n")[8] == "  ephemeralOwner=0x0"
    owner = zk.run("session_info sessionid").partition("=")[2]
    assert zk.run("exists /e").split("\n")[8] == "  ephemeralOwner=" + owner
    assert zk.run("exists /s-0000000004").split("\n")[8] == "  ephemeralOwner=" + owner
    assert zk.run("create /e/child 'x'") == "Unknown ZooKeeper error: "  # children of ephemerals: as on ZooKeeper


def test_it_reads_writes_and_removes(shell: Shell) -> None:
    zk = shell()
    zk.run("create /n 'one'")
    assert zk.run("set /n 'two'") == ""
    assert zk.run("set /n 'three' 0") == "Bad version."
    assert zk.run("get /n") == "two"
    assert re.fullmatch(STAT, zk.run("stat /n"))
    assert "\n  version=1\n" in zk.run("exists /n") and "\n  dataLength=3\n" in zk.run("exists /n")
    assert zk.run("zero /n") == ""
    assert zk.run("get /n") == "None"
    assert zk.run("fill /n X 5") == ""
    assert zk.run("get /n") == "XXXXX"
    zk.run("create /n/kid/kid 'x' false false true")
    assert zk.run("tree /n") == ".\n├── kid\n│   ├── kid"
    assert zk.run("rm /n") == "/n is not empty."
    assert zk.run("rm /n/kid/kid /nope") == "Path /nope doesn't exist"  # and then removes none of them
    assert zk.run("rm /n/kid/kid /n/kid") == ""
    zk.run("create /n/kid/kid 'x' false false true")
    assert zk.run("rmr /n") == ""
    assert zk.run("exists /n") == "Path /n doesn't exist"
    assert zk.run("get /n") == "Path /n doesn't exist"


STAT = (
    r"Stat\(\n  czxid=0x[0-9a-f]+\n  mzxid=0x[0-9a-f]+\n  ctime=\d{13}\n  mtime=\d{13}\n  version=1\n  cversion=0\n"
    r"  aversion=0\n  ephemeralOwner=0x0\n  dataLength=3\n  numChildren=0\n  pzxid=0x[0-9a-f]+\n\)"
)


def test_it_looks_around(shell: Shell) -> None:
    zk = shell()
    for command in ("create /d 'some text'", "create /d/one 'Text'", "create /d/Two 'x' true", "create /d/one/k '12'"):
        assert zk.run(command) == ""
    assert zk.lines("find /d ne") == ["/d/one", "/d/one/k"]
    assert zk.lines("ifind /d t") == ["/d/Two"]
    assert zk.lines("grep / text") == ["/d"]
    assert zk.lines("igrep / text true") == ["/d/one:", "/d:", "Text", "some text"]
    assert zk.lines("child_count /d") == ["/d/Two: 0", "/d/one: 1"]
    assert zk.run("du /d") == "16"
    assert zk.run("child_matches /d k") == "/d/one"
    header, *rows = zk.run("summary /d").split("\n")
    assert header.split() == ["Created", "Last", "modified", "Owner", "Name"]
    assert [row.split()[-1] for row in rows] == ["Two", "one"]
    assert zk.run("cd /d/one") == "" and zk.run("pwd") == "/d/one"
    assert zk.run("ls") == "k" and zk.run("get k") == "12"
    assert zk.run("cd ..") == "" and zk.run("ls . false ,") == "Two,one"
    zk.type("get /d/on\t")
    zk.see("/d/one")
    zk.type("\r")
    assert zk.prompted() == "/d"
    assert zk.screen.split("\n")[-2] == "Text"


def test_it_edits_json_and_compares(shell: Shell) -> None:
    zk = shell()
    zk.run('create /j \'{"a": {"b": 4}}\'')
    assert zk.run("json_set /j a.b 5 int") == "" and zk.run("json_get /j a.b") == "5"
    assert zk.run("json_set_many /j a.c 1 int a.d x str") == ""
    assert zk.run("json_cat /j").split() == '{ "a": { "b": 5, "c": 1, "d": "x" } }'.split()
    assert zk.run("json_valid /j") == "yes."
    assert zk.run("mirror /j /k false false true").startswith("Mirroring took ")
    assert zk.run("diff /j /k") == "Branches are equal."
    zk.run("set /k other")
    assert zk.run("diff /j /k") == "-+ /"


def test_it_runs_commands_in_loops_and_pipes(shell: Shell) -> None:
    zk = shell()
    zk.run("create /n 'x'")
    assert zk.run("loop 3 0 'get /n' 'ls /n'") == "\n".join(["x", ""] * 3).rstrip("\n")
    assert zk.run("loop 4 0 'create /n/s- x false true'") == ""
    assert len(zk.lines("ls /n")) == 4
    assert zk.run("pipe 'find /n s-' 'get'") == "\n".join("xxxx")
    assert zk.run("echo 'it is %s' 'get /n'") == "it is x"
    assert re.fullmatch(r"x\nTook 0\.\d{5} seconds", zk.run("time 'get /n'"))
    assert "create" in zk.run("help") and "session_info" in zk.run("help")


# --- watches, transactions, permissions -------------------------------------------------------------


def test_it_watches_what_another_process_changes(shell: Shell) -> None:
    zk, other = shell(), shell()
    zk.run("create /w/kid 'x' false false true")
    assert other.run("watch start /w true") == ""
    assert other.run("watch start /w") == "/w is already being watched"
    zk.run("create /w/new 'x'")
    other.see("WatchedEvent(type='CHILD', state='CONNECTED', path='/w')")
    zk.run("create /w/kid/new 'x'")
    other.see("WatchedEvent(type='CHILD', state='CONNECTED', path='/w/kid')")
    zk.run("rm /w/new")
    other.see("WatchedEvent(type='CHILD', state='CONNECTED', path='/w')")
    assert other.run("watch stats /w") == "\nWatches Stats\n\n/w: 2\n/w/kid: 1"
    assert other.run("watch stop /w") == ""
    assert other.run("watch stats /w") == "/w is not being watched"


def test_it_shows_single_watches(shell: Shell) -> None:
    zk, other = shell(), shell()
    zk.run("create /w 'x'")
    assert other.run("get /w true") == "x"
    assert other.run("exists /later true") == "Path /later doesn't exist"
    assert other.run("ls /w true") == ""
    assert other.run("session_info watches").split("\n") == ["data_watches=/w,/later", "child_watches=/w"]
    zk.run("set /w 'y'")
    other.see("WatchedEvent(type='CHANGED', state='CONNECTED', path='/w')")
    zk.run("create /w/kid ''")
    other.see("WatchedEvent(type='CHILD', state='CONNECTED', path='/w')")
    zk.run("create /later ''")
    other.see("WatchedEvent(type='CREATED', state='CONNECTED', path='/later')")
    other.run("child_watch /w true")
    zk.run("create /w/sister ''")
    other.see("+ sister")


def test_its_transactions_happen_completely_or_not_at_all(shell: Shell) -> None:
    zk = shell()
    assert zk.run("txn 'create /t \"a\"' 'check /t 0' 'set /t \"b\"'") == ""
    assert zk.run("get /t") == "b"
    assert zk.run("txn 'set /t \"c\"' 'create /u \"x\"' 'check /t 7'") == ""  # zk-shell does not look at the results
    assert zk.run("get /t") == "b"
    assert zk.run("exists /u") == "Path /u doesn't exist"
    assert zk.run("txn 'create /u \"x\"' 'rm /t'") == ""
    assert zk.run("ls / false ,") == "u,zookeeper"


def test_a_node_is_readable_only_after_authentication(shell: Shell, server: str) -> None:
    zk, other = shell(), shell()
    zk.run("create /secret 'classified'")
    assert zk.run("get_acls /secret") == "/secret: ['WORLD_ALL']"
    assert zk.run("set_acls /secret 'username_password:ann:s3cr3t:cdrwa'") == ""
    for command in ("get /secret", "set /secret 'x'", "get_acls /secret"):
        assert zk.run(command) == "Not authenticated."
    assert other.run("add_auth digest ann:wrong") == ""
    assert other.run("get /secret") == "Not authenticated."
    assert other.run("add_auth digest ann:s3cr3t") == ""
    assert other.run("get /secret") == "classified"
    acl = "ACL(perms=31, acl_list=['ALL'], id=Id(scheme='digest', id='ann:%s'))" % DIGEST
    assert other.run("get_acls /secret") == "/secret: [%s]" % acl
    assert other.run("set_acls /secret 'world:anyone:r digest:ann:%s:cdrwa'" % DIGEST) == ""
    assert other.run("get_acls /secret") == "/secret: ['WORLD_READ', %s]" % acl
    assert zk.run("get /secret") == "classified"
    assert zk.run("set /secret 'x'") == "Not authenticated."
    assert zk.run("set_acls /secret nonsense") == "Failed to set ACLs: Bad ACL: nonsense. Format is scheme:id:perms."
    named = shell(hosts="digest:ann:s3cr3t@" + server)
    assert named.run("set /secret 'y'") == ""


DIGEST = "J/OH1VdEKEnl2f+/1JhDvIu6HYc="


# --- copies -----------------------------------------------------------------------------------------


def test_it_copies_from_files_within_and_through_json(shell: Shell, server: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("from a file", encoding="utf-8")
    zk = shell()
    copied = r"Copying took \d\.\d\d secs"
    assert re.fullmatch(copied, zk.run("cp file://%s/in.txt /n" % tmp_path))
    assert zk.run("get /n") == "from a file"
    zk.run("create /n/kid 'x'")
    assert re.fullmatch(copied, zk.run("cp /n /m true"))
    assert zk.run("diff /n /m") == "Branches are equal."
    assert zk.run("cp /n /m").endswith("znode /m in %s exists" % server)
    assert re.fullmatch(copied, zk.run("cp zk://%s/n zk://%s/o" % (server, server)))
    assert zk.run("get /o") == "from a file"
    assert re.fullmatch(copied, zk.run("cp /n json://backup.json/n true true"))
    far = shell(url="local://far")
    assert re.fullmatch(copied, far.run("cp json://backup.json/n /n true"))
    assert far.run("get /n") == "from a file" and far.run("get /n/kid") == "x"


def test_two_copies_that_zk_shell_itself_can_not_make(tmp_path: Path, server: str) -> None:
    (tmp_path / "in.txt").write_text("from a file", encoding="utf-8")
    for command in ("cp / file://%s/out.txt" % tmp_path, "cp file://%s/in.txt zk://%s/n" % (tmp_path, server)):
        done = once(tmp_path, "--run-once", command, server)
        assert done.returncode == 1
        assert done.stderr.rstrip().split("\n")[-1].startswith("TypeError: ")


def test_it_copies_between_two_deployments(shell: Shell, server: str) -> None:
    zk = shell()
    zk.run("create /near 'n'")
    assert zk.run("connect local://far") == ""
    zk.run("create /there 'f'")
    assert zk.run("cp zk://%s/near /copy" % server).startswith("Copying took ")
    assert zk.run("cp /there zk://%s/copy" % server).startswith("Copying took ")
    assert zk.run("cp /there /local").startswith("Copying took ")
    assert zk.run("get /copy") == "n" and zk.run("get /local") == "f"
    assert zk.run("connect %s" % server) == ""
    assert zk.run("ls / false ,") == "copy,near,zookeeper"
    assert zk.run("get /copy") == "f"


def test_it_edits_with_an_editor(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf edited > "$1"\n', encoding="utf-8")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("EDITOR", str(editor))
    zk = shell()
    zk.run("create /n 'x'")
    refused = os.getuid() == 0  # by zk-shell itself
    assert zk.run("edit /n") == ("edit cannot be run as root." if refused else "")
    assert zk.run("get /n") == ("x" if refused else "edited")


# --- sessions ---------------------------------------------------------------------------------------


def test_quitting_ends_its_ephemeral_nodes(shell: Shell) -> None:
    zk, other = shell("--connect-timeout", str(SESSION_TIMEOUT_S)), shell()
    zk.run("create /e 'x' true")
    zk.run("create /stays 'x'")
    assert "ephemeralOwner=0x0" not in other.run("exists /e true")
    assert zk.leave() == 0
    other.see("WatchedEvent(type='DELETED', state='CONNECTED', path='/e')")
    assert other.run("ls / false ,").strip() == "stays,zookeeper"  # the event ends with a line of its own
    assert other.leave("exit") == 0


def test_disconnecting_ends_them_at_once(shell: Shell) -> None:
    zk, other = shell("--connect-timeout", "600"), shell()
    zk.run("create /e 'x' true")
    other.run("exists /e true")
    zk.type("disconnect\r")
    other.see("WatchedEvent(type='DELETED', state='CONNECTED', path='/e')")
    zk.see("(DISCONNECTED) /> ")


def test_reconnecting_keeps_the_session(shell: Shell) -> None:
    zk, other = shell(), shell()
    zk.run("create /e 'x' true")
    owner = zk.run("session_info sessionid")
    assert zk.run("reconnect") == ""
    assert zk.run("session_info sessionid") == owner
    assert other.run("exists /e").split("\n")[8] == "  ephemeralOwner=" + owner.partition("=")[2]
    other.run("set /e 'y'")
    assert zk.run("get /e") == "y"


def test_it_says_what_session_it_has(shell: Shell, server: str) -> None:
    lines = dict(line.split("=", 1) for line in shell().run("session_info").split("\n"))
    assert (lines["state"], lines["timeout"]) == ("CONNECTED", "10000")
    assert lines["server"] == str(("127.0.0.1", int(server.partition(":")[2])))
    assert re.fullmatch("0x[0-9a-f]+", lines["sessionid"])


def test_it_connects_in_the_background(tmp_path: Path, server: str) -> None:
    for _ in range(3):  # see SYNC
        with suppress(pexpect.ExceptionPexpect), Terminal(on_deployment("local://shell", server), tmp_path, 5.0) as zk:
            assert "Welcome to zk-shell (1.3.4)\n" in zk.screen
            assert zk.run("ls /") == "zookeeper"
            assert zk.leave() == 0
            return
    pytest.fail("it never showed that it is connected")


def test_without_a_terminal(tmp_path: Path, server: str) -> None:
    script = "create /n 'x'\nset /n 'y'\nget /n\n"
    done = once(tmp_path, "--run-from-stdin", server, given=script)
    assert (done.returncode, done.stdout) == (0, "y\n")
    assert once(tmp_path, "--run-once", "get /n", server).stdout == "y\n"
    assert once(tmp_path, "--run-once", "get /nope", server).returncode == 1


# --- what needs a server -----------------------------------------------------------------------------


def test_four_letter_words_find_no_server(shell: Shell, server: str) -> None:
    zk = shell()
    for word in ("mntr", "cons", "dump"):
        for command in (word, word + " " + server):
            assert zk.run(command) == "Error(127.0.0.1): [Errno %d] Connection refused" % errno.ECONNREFUSED


def test_commands_made_of_four_letter_words_find_nothing(shell: Shell, server: str) -> None:
    zk = shell()
    zk.run("create /e 'x' true")
    assert zk.run("ephemeral_endpoint /e " + server) == "No session info for /e."
    assert zk.run("session_endpoint 0x1 " + server) == "No session info for 0x1."
    assert re.search(r"state \| +- \|", zk.run("chkzk %s true" % server))
    assert zk.run("reconfig remove 1") == "Not authenticated."
    assert zk.run("ls / false ,") == "e,zookeeper"


# --- against a ZooKeeper ------------------------------------------------------------------------------


def toured(commands: Dict[int, List[str]], server: str, directory: Path) -> List[str]:
    """What the tour prints, line by line, without what is different each time."""
    (directory / "notes.txt").write_text("from a file\n", encoding="utf-8")
    names = {SERVER: server, DIRECTORY: str(directory)}
    told = []
    with Terminal(commands[1], directory) as one, Terminal(commands[2], directory) as two:
        for section in SECTIONS:
            for step, printed in play(section, {1: one, 2: two}, names):
                told += ["> " + step.command, *sorted(masked(printed).split("\n"))]
    return told


def masked(text: str) -> str:
    text = re.sub(r"127\.0\.0\.1:\d+", SERVER, text)
    text = re.sub(r"(zxid=|Owner=|\b)0x[0-9a-f]{2,}\b|(?<=zxid=)0x[0-9a-f]+", r"\1HEX", text)
    text = re.sub(r"\b\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} +", "DATE ", text)
    return re.sub(r"\d{13}|\d+\.\d+ secs|HEX +", "VALUE ", text)


@pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))
def test_a_whole_session_prints_what_it_prints_on_a_zookeeper(tmp_path: Path, server: str) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    short = [SYNC, "--connect-timeout", str(SESSION_TIMEOUT_S)]
    with ZookeeperServer(theirs) as zookeeper:
        hosts = zookeeper.hosts
        expected = toured({1: ["zk-shell", *short, hosts], 2: ["zk-shell", SYNC, hosts]}, hosts, theirs)
    url = "local://shell"
    printed = toured({1: on_deployment(url, *short, server), 2: on_deployment(url, SYNC, server)}, server, ours)
    assert printed == expected


def test_the_page_shows_this_tour() -> None:
    page = (ROOT / "compat_tests" / "zk_shell" / "transcript.md").read_text(encoding="utf-8")
    for section in SECTIONS:
        assert "\n### %s\n" % section.title in page
        for step in section.steps:
            command = step.command.replace(SERVER, "127.0.0.1:2181").partition(DIRECTORY)[0]
            assert "> %s" % command in page
    assert "Traceback" not in page
