"""The tests that other people's clients come with, through gateways and on a real ZooKeeper, where there is one.

What fails through a gateway has to fail on ZooKeeper 3.8, too, or is named here with its reason.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

import pytest

from tests.differential.zookeeper_server import unavailable

from .conftest import Process
from .fetched import CLIENTS, DIRECTORY, aiozk, debian, npm, said

SUITE_S = 600.0
"""Of one suite at one place."""
GO_PACKAGE = "github.com/samuel/go-zookeeper/zk"
WAITS_FOR_A_SERVER = "_, ok := FLWSrvr(serverAddrs, time.Second)"
"""It knows how servers of 2018 told their version, and no later one."""
WAITS_FOR_ANY = """ok := true
		for _, server := range serverAddrs {
			said, _ := fourLetterWord(server, "srvr", time.Second)
			ok = ok && strings.Contains(string(said), "Mode: ")
		}"""
ANY_PORT = "rand.Int31n(6000) + 10000"
PORT_OF_THE_PLACE = "rand.Int31n(2000) + firstPort()"
FIRST_PORTS = {"gateway": "10000", "zookeeper": "13000"}
"""Where servers listen: the suite runs at both places at once."""
CHANGES = (
    (WAITS_FOR_A_SERVER, WAITS_FOR_ANY),
    (ANY_PORT, PORT_OF_THE_PLACE),
    ("waitForStart(10, time.Second)", "waitForStart(600, 100*time.Millisecond)"),
)
PANICS = ("TestEncodeShortBuffer", "TestDecodeShortBuffer")
"""Not run: they ask no server, and panic in Go 1.19, which ends the program and all tests after them."""
LONG = "TestChildren"
"""It makes and removes 10,000 nodes with names of 2,000 characters, one after the other: minutes, on ZooKeeper, too."""
GO_NOT_APPLICABLE: Dict[str, str] = {
    "TestNoQuorum": "two servers of three are stopped: the gateway that is left has the whole deployment",
    "TestIfAuthdataSurvivesReconnect": "it reads at once while its only server starts, and does not try again",
    "TestRecurringReAuthHang": "it skips itself: race condition in test",
}
"""Test that is not run → why it says nothing of a gateway."""
AIOZK_NOT_APPLICABLE: Dict[str, str] = {
    "test_multi_watcher": "its client is silent until its session is over, and its container is looked for by then",
}
"""Test that may fail → why it says nothing of a gateway."""
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
    wrong = failed - failed_of_zookeeper - set(AIOZK_NOT_APPLICABLE)
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
    text = helper.read_text()
    for theirs, ours in CHANGES:
        assert text.count(theirs) >= 1, theirs
        text = text.replace(theirs, ours)
    helper.write_text(text)
    go = str(root / "usr/lib/go-1.19")
    environ = {"GOROOT": go, "GOPATH": str(sources), "GOCACHE": str(DIRECTORY / "gocache"), "GO111MODULE": "off"}
    program = DIRECTORY / "go-tests"
    said([go + "/bin/go", "test", "-c", "-o", str(program), GO_PACKAGE], env={**os.environ, **environ})
    return program


def _go_marks(program: Path, kind: str, tests: Sequence[str], directory: Path) -> Tuple[Dict[str, str], str]:
    """Test → PASS or FAIL, and what was printed."""
    directory.mkdir()
    server = directory / "server"
    server.write_text('#!/bin/sh\nexec "%s" -m compat_tests.gateway.as_server %s "$1"\n' % (sys.executable, kind))
    server.chmod(0o755)
    within = {**os.environ, "SERVER": str(server), "FIRST_PORT": FIRST_PORTS[kind], "TMPDIR": str(directory)}
    within["PYTHONPATH"] = os.getcwd()
    switches = ["-test.v", "-test.parallel", "2", "-test.timeout", "%ds" % (SUITE_S - 60)]
    output = _run([str(program), *switches, "-test.run", "^(%s)$" % "|".join(tests)], env=within)
    assert "panic: " not in output, output[-20000:]
    return {test: mark for mark, test in _GO.findall(output)}, output


def _go_at_both(program: Path, tests: Sequence[str], directory: Path) -> Dict[str, str]:
    """The marks of a gateway's run, of which each FAIL is explained. At both places at once: they wait a lot."""
    kinds = ["gateway"] if unavailable() else list(FIRST_PORTS)
    with ThreadPoolExecutor(len(kinds)) as pool:
        runs = [pool.submit(_go_marks, program, kind, tests, directory / kind) for kind in kinds]
        (marks, output), *beside = [run.result() for run in runs]
    failed = {test for test, mark in marks.items() if mark == "FAIL"}
    _judge(failed, output, {test for theirs, _ in beside for test, mark in theirs.items() if mark == "FAIL"})
    assert all(theirs.keys() == marks.keys() for theirs, _ in beside), [marks, *beside]
    return marks


def test_go_zookeeper(go_tests: Path, tmp_path: Path) -> None:
    left_out = {*PANICS, LONG, *GO_NOT_APPLICABLE}
    listed = re.findall(r"^Test\w+", said([str(go_tests), "-test.list", "."]), re.MULTILINE)
    assert left_out < set(listed)
    marks = _go_at_both(go_tests, [test for test in listed if test not in left_out], tmp_path)
    assert len(marks) == len(listed) - len(left_out)


def test_go_zookeeper_with_many_nodes(go_tests: Path, tmp_path: Path) -> None:
    assert _go_at_both(go_tests, [LONG], tmp_path) == {LONG: "PASS"}


def test_npm_zookeeper(gateway: Process, zookeeper: Optional[str]) -> None:
    """Its native part is ZooKeeper's C client, built by npm."""
    modules = npm("zookeeper")
    (modules / "ava").mkdir(exist_ok=True)
    shutil.copy(CLIENTS / "ava.js", modules / "ava/index.js")
    for hosts in [gateway.hosts] if zookeeper is None else [gateway.hosts, zookeeper]:
        passed = 0
        for each in sorted((modules / "zookeeper/tests/integration").glob("*.js")):
            passed += int(re.findall(r"^# pass (\d+)", said(["node", str(each), hosts]), re.MULTILINE)[0])
        assert passed == 14


def test_aiozk(gateway: Process, zookeeper: Optional[str]) -> None:
    """At both places at once: they wait a lot."""
    command, at = aiozk()
    places = [gateway.hosts] if zookeeper is None else [gateway.hosts, zookeeper]
    with ThreadPoolExecutor(len(places)) as pool:
        output, *beside = pool.map(lambda hosts: _run(command, **at(hosts)), places)
    for each in (output, *beside):
        assert int(re.findall(r"(\d+) passed", each)[0]) > 80, each[-5000:]
    _judge(set(_PYTEST.findall(output)), output, set(_PYTEST.findall("".join(beside))))
