"""Every command with what can't be: a clear line, the exit code of its kind, and nothing half written.

One table: what a command is, and what becomes of it in each situation.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import pytest

from fk_kazoo.cli.main import MODULES

from .conftest import Done, Run

APP = "local://app"

# `{url}`, `{path}`: what the situation is about; else local://app and /there. Where a command takes no URL of its own,
# it is given --url.
COMMANDS: Dict[str, str] = {
    "ls": "{path}", "tree": "{path}", "get": "{path}", "stat": "{path}", "find": "{path}", "set": "{path} x",
    "create": "{path}/new", "rm": "{path}", "acl": "{path}", "cp": "{path} /copied", "edit": "{path}",
    "watch": "{path} -n 1", "sessions": "", "locks": "{path}", "doctor": "", "top": "-n 1", "console": "", "bench": "",
    "serve": "{url} --listen 127.0.0.1:0", "backup": "{url} {tmp}/new", "restore": "{tmp}/backup {url}",
    "copy": "{url} {tmp}/new {path}", "compare": "{url} {tmp}/dump {path}", "destroy": "{url} --yes",
    "init": "{url} --group root",
}  # fmt: skip
WITHOUT_PLACE = {
    "shell", "run", "deployments", "deploy", "status", "rollback", "package", "verify", "cost", "dev", "completion",
}  # fmt: skip
"""Those that are about AWS are in `test_exit_codes`; a shell's lines are commands; the others look at no place."""

Expected = Tuple[int, str]
SITUATIONS: Dict[str, Tuple[Dict[str, str], Expected]] = {
    "another scheme": ({"url": "gopher://app"}, (2, "'gopher' is unknown")),
    "a newer format": ({"url": "local://newer"}, (1, "upgrade fk_kazoo")),
    "no such deployment": ({"url": "local://none"}, (3, "local://none")),
    "no such node": ({"path": "/none"}, (3, "/none")),
    "no permission": ({"path": "/closed/secret"}, (4, "not allowed: give --auth SCHEME:CREDENTIAL")),
}
OTHERWISE: Dict[Tuple[str, str], Expected] = {
    ("destroy", "another scheme"): (2, "name one on AWS, or local://NAME"),
    ("backup", "no such deployment"): (3, "there is no deployment"),
    ("init", "another scheme"): (2, "'gopher' is unknown"),
}
DOES_NOT_APPLY = {
    ("serve", "no such deployment"), ("init", "no such deployment"), ("restore", "no such deployment"),
    ("create", "no such deployment"), ("bench", "no such deployment"),  # they make it
    ("stat", "no permission"), ("watch", "no permission"),  # which need none, as with ZooKeeper
    ("watch", "no such node"),  # it waits for it
}  # fmt: skip


@pytest.fixture
def prepared(run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/there and what nobody may see in local://app; a deployment of a version to come; a backup and a dump."""
    monkeypatch.setenv("FK_KAZOO_URL", APP)
    run("create", "/there")
    run("create", "/closed")
    run("create", "/closed/secret", "--acl", "password:me:secret:cdrwa")
    run("acl", "/closed", "--set", "world:anyone:r")
    assert run("backup", APP, tmp_path / "backup").code == run("copy", APP, tmp_path / "dump", "/there").code == 0
    shutil.copytree(home / "app", home / "newer", ignore=shutil.ignore_patterns("*.sock"))
    for file in ("state.db", "interest.db"):
        with contextlib.closing(sqlite3.connect(home / "newer" / file)) as database:
            database.execute("PRAGMA user_version=99")
    return tmp_path


def _said(run: Run, command: str, given: Dict[str, str], tmp: Path) -> Done:
    template = COMMANDS[command]
    values = {"url": APP, "path": "/there", "tmp": str(tmp), **given}
    words = template.format(**values).split()
    return run(command, *words, *([] if "{url}" in template else ["--url", values["url"]]))


def _cells() -> Iterator[Tuple[str, str]]:
    for command, template in COMMANDS.items():
        for situation, (given, _) in SITUATIONS.items():
            if (command, situation) not in DOES_NOT_APPLY and ("url" in given or "{path}" in template):
                yield command, situation


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_command(run: Run, prepared: Path, home: Path, situation: str) -> None:
    given, usual = SITUATIONS[situation]
    wrong: List[object] = []
    for command, asked in _cells():
        if asked == situation:
            code, says = OTHERWISE.get((command, situation), usual)
            done = _said(run, command, given, prepared)
            lines = done.err.strip().count("\n") + 1
            if (
                done.code != code
                or says not in done.err + done.out
                or "Traceback" in done.err
                or (code != 2 and lines > 1)
            ):
                wrong.append((command, done))
    assert not wrong
    assert sorted(one.name for one in prepared.iterdir()) == ["backup", "dump", "home"]
    assert sorted(os.listdir(home)) == ["app", "newer"]


def test_no_command_was_forgotten() -> None:
    assert set(COMMANDS) | WITHOUT_PLACE == set(MODULES) and not set(COMMANDS) & WITHOUT_PLACE


FILES: Dict[str, Tuple[Callable[[Path], bytes], str]] = {
    "a dump cut short": (lambda tmp: (tmp / "dump").read_bytes()[:-10], "cut short"),
    "a backup cut short": (lambda tmp: (tmp / "backup").read_bytes()[:-10], "cut short"),
    "something else": (lambda tmp: b"\0" * 1000, "it is no "),
    "nothing": (lambda tmp: b"", ""),
    "something else in gzip": (lambda tmp: gzip.compress(b'["a"]\n' * 100), "it is "),
}


@pytest.mark.parametrize("how", FILES)
def test_files_that_are_not_what_they_should_be(run: Run, prepared: Path, home: Path, how: str) -> None:
    """A dump that is a backup or the other way round included."""
    make, says = FILES[how]
    bad = prepared / "bad"
    bad.write_bytes(make(prepared))
    for words in (["copy", bad, "local://new"], ["compare", bad, APP], ["restore", bad, "local://new"]):
        wanted = says
        if ("backup" in how) != (words[0] == "restore") and "cut short" in how:
            wanted = "it is no "
        done = run(*words)
        assert done.code == 1 and wanted in done.err and str(bad) in done.err, (words, done)
        assert done.err.count("\n") == 1
    assert sorted(os.listdir(home)) == ["app", "newer"]


def test_a_destination_that_is_the_source(run: Run, prepared: Path) -> None:
    dump = prepared / "dump"
    before = run("ls", "-R").out
    for words, says in (
        (["copy", APP, APP], "the same place"),
        (["copy", APP, "local://app/"], "the same place"),
        (["copy", APP, "local://app/there"], "in what is to be copied"),
        (["copy", "local://app/there", "local://app/there/below"], "in what is to be copied"),
        (["copy", APP, "local://app/there/below", "/there"], "in what is to be copied"),
        (["copy", "zk://a,b/x", "zk://b:2181,a/x"], "the same place"),
        (["copy", "zk://a/x", "zk://a:2181/x/y"], "in what is to be copied"),
        (["copy", "zk://localhost/x", "zk://127.0.0.1/x"], "the same place"),
        (["copy", "zk://localhost,b/x", "zk://127.0.0.1/x/y"], "in what is to be copied"),
        (["copy", dump, prepared / "home" / ".." / "dump"], "the same place"),
        (["compare", APP, APP], "the same place"),
        (["cp", "/there", "/there"], "/there is /there"),
        (["cp", "-r", "/there", "/there/below"], "/there/below is in /there"),
    ):
        done = run(*words)
        assert (done.code, says in done.err) == (4, True), (words, done)
    assert run("ls", "-R").out == before


# --- full disks -----------------------------------------------------------------------------------

LIMIT_BYTES = 200_000


@pytest.fixture
def large(run: Run, prepared: Path) -> Path:
    """More than fits: 300 kB of what can't be made smaller, and a file of each kind with it."""
    for number in range(3):
        assert run("create", "/there/large%d" % number, "-", stdin=os.urandom(100_000)).code == 0
    (prepared / "backup").unlink()
    (prepared / "dump").unlink()
    assert run("backup", APP, prepared / "backup").code == run("copy", APP, prepared / "dump", "/there").code == 0
    return prepared


@pytest.mark.parametrize(
    "words",
    ["backup {app} {tmp}/new", "copy {app} {tmp}/new /there", "copy {app} {tmp}/dump /there --on-conflict overwrite",
     "copy {tmp}/dump local://new", "restore {tmp}/backup local://new", "get /there/large0 -o {tmp}/new"],
)  # fmt: skip
def test_a_full_disk(run: Run, large: Path, words: str, client: Callable[..., object]) -> None:
    """No file grows beyond a limit, which the system says as it says that a disk is full; then there is room again."""
    client(APP)  # its host is not the process whose files can't grow
    dump = (large / "dump").read_bytes()
    limit = 50_000 if "get" in words else LIMIT_BYTES
    before = sorted(one.name for one in large.iterdir())
    command = [sys.executable, "-m", "fk_kazoo", *words.format(app=APP, tmp=large).split()]
    done = subprocess.run(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done
    assert sorted(one.name for one in large.iterdir()) == before, "nothing half written"
    assert (large / "dump").read_bytes() == dump
    if "local://new" not in words:
        return
    again = run(*words.format(tmp=large).split())
    if again.code and words.startswith("restore"):  # what there is of it lets nobody in, and is taken away
        assert "not empty" in again.err or "restore" in again.err
        assert run("ls", "--url", "local://new").code != 0
        assert run("destroy", "local://new", "--yes", "--force").code == 0
        again = run(*words.format(tmp=large).split())
    assert again.code == 0, again
    assert run("compare", APP, "local://new", "/there").code == 0
