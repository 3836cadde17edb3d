"""The tests that other people's clients come with, through gateways, and on a real ZooKeeper where there is one.

They are large: `make gateway-clients` runs them. What fails there has to fail on ZooKeeper 3.8, too, or is named here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

import pytest

from tests.differential.zookeeper_server import unavailable

from .fetched import CLIENTS, DIRECTORY, aiozk, debian, npm, said
from .test_other_clients import Process, gateway, zookeeper  # noqa: F401 # fixtures

SUITE_S = 1200.0
"""Of one suite at one place. One test of go-zookeeper makes and removes 10,000 nodes, one after the other."""
GO_PACKAGE = "github.com/samuel/go-zookeeper/zk"
WAITS_FOR_A_SERVER = "_, ok := FLWSrvr(serverAddrs, time.Second)"
"""It knows how servers of 2018 told their version, and no later one."""
WAITS_FOR_ANY = """ok := true
		for _, server := range serverAddrs {
			said, _ := fourLetterWord(server, "srvr", time.Second)
			ok = ok && strings.Contains(string(said), "Mode: ")
		}"""
NOT_APPLICABLE: Dict[str, str] = {
    "TestNoQuorum": "two servers of three are stopped: the gateway that is left has the whole deployment",
    "test_multi_watcher": "its client is silent until its session is over, and its container is looked for by then",
}
"""Test → why it says nothing of a gateway."""
_GO = re.compile(r"^\s*--- (PASS|FAIL): (\w+)", re.MULTILINE)
_PYTEST = re.compile(r"^(?:FAILED|ERROR) \S+::(\w+)", re.MULTILINE)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * SUITE_S)]


def _run(command: List[str], **options: Any) -> str:
    """What a suite says, however it ends. Nothing that it started goes on afterwards."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, **options
    ) as running:
        try:
            return running.communicate(timeout=SUITE_S)[0]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def _judge(failed: Set[str], output: str, failed_of_zookeeper: Set[str]) -> None:
    wrong = failed - failed_of_zookeeper - set(NOT_APPLICABLE)
    assert not wrong, "%s\n%s" % (sorted(wrong), output[-20000:])


@pytest.fixture(scope="module")
def go_tests() -> Path:
    """The program of go-zookeeper's tests."""
    root = debian("golang-1.19-src", "golang-1.19-go", "golang-github-samuel-go-zookeeper-dev")
    sources = DIRECTORY / "gopath"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(root / "usr/share/gocode", sources)
    package = sources / "src" / GO_PACKAGE
    server, helper = package / "server_java.go", package / "server_help.go"
    text = server.read_text()
    text = text[: text.index("var jarSearchPaths")].replace('\t"path/filepath"\n', "")
    server.write_text(text + (CLIENTS / "server.go").read_text())
    assert helper.read_text().count(WAITS_FOR_A_SERVER) == 1
    waits = helper.read_text().replace(WAITS_FOR_A_SERVER, WAITS_FOR_ANY)
    helper.write_text(waits.replace("waitForStart(10,", "waitForStart(60,"))
    go = str(root / "usr/lib/go-1.19")
    environ = {"GOROOT": go, "GOPATH": str(sources), "GOCACHE": str(DIRECTORY / "gocache"), "GO111MODULE": "off"}
    program = DIRECTORY / "go-tests"
    said([go + "/bin/go", "test", "-c", "-o", str(program), GO_PACKAGE], env={**os.environ, **environ})
    return program


def _of_go(program: Path, place: Path, kind: str) -> Tuple[Dict[str, str], str]:
    server = place / kind
    server.write_text('#!/bin/sh\nexec "%s" -m compat_tests.gateway.as_server %s "$1"\n' % (sys.executable, kind))
    server.chmod(0o755)
    within = {**os.environ, "SERVER": str(server), "TMPDIR": str(place), "PYTHONPATH": os.getcwd()}
    output = _run([str(program), "-test.v", "-test.parallel", "2", "-test.timeout", "%ds" % (SUITE_S - 60)], env=within)
    return {test: mark for mark, test in _GO.findall(output)}, output


def test_go_zookeeper(go_tests: Path, tmp_path: Path) -> None:
    marks, output = _of_go(go_tests, tmp_path, "gateway")
    assert "panic: " not in output and len(marks) > 25, output[-20000:]
    theirs = {} if unavailable() else _of_go(go_tests, tmp_path, "zookeeper")[0]
    failed = {test for test, mark in marks.items() if mark == "FAIL"}
    _judge(failed, output, {test for test, mark in theirs.items() if mark == "FAIL"})


def test_npm_zookeeper(gateway: Process) -> None:  # noqa: F811
    """Its native part is ZooKeeper's C client, built by npm."""
    modules = npm("zookeeper")
    (modules / "ava").mkdir(exist_ok=True)
    shutil.copy(CLIENTS / "ava.js", modules / "ava/index.js")
    passed = 0
    for each in sorted((modules / "zookeeper/tests/integration").glob("*.js")):
        passed += int(re.findall(r"^# pass (\d+)", said(["node", str(each), gateway.hosts]), re.MULTILINE)[0])
    assert passed == 14


def test_aiozk(gateway: Process, zookeeper: Optional[str]) -> None:  # noqa: F811
    command, at = aiozk()
    output = _run(command, **at(gateway.hosts))
    assert int(re.findall(r"(\d+) passed", output)[0]) > 80, output[-5000:]
    theirs = "" if zookeeper is None else _run(command, **at(zookeeper))
    _judge(set(_PYTEST.findall(output)), output, set(_PYTEST.findall(theirs)))
