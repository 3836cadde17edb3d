"""The examples do what they say, started as their readers start them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from fk_kazoo.client import KazooClient
from tests.checkout import ROOT

EXAMPLES = ROOT / "examples"
URL = "local://examples"
PATIENCE_S = 40.0
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "backend")]))
    monkeypatch.setenv("FK_KAZOO_URL", URL)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes, which end with the test, with all that they forked."""
    running: List["subprocess.Popen[str]"] = []

    def process(*words: str) -> "subprocess.Popen[str]":
        command = [sys.executable, *words]
        options: Dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
        running.append(subprocess.Popen(command, cwd=EXAMPLES, stdin=subprocess.DEVNULL, **options))
        return running[-1]

    yield process
    for each in running:
        if each.poll() is None:
            os.killpg(each.pid, signal.SIGKILL)
        each.wait()
        assert each.stdout is not None
        each.stdout.close()


@pytest.fixture
def zk() -> Iterator[Any]:
    client = KazooClient(URL)
    client.start(20)
    yield client
    client.stop()
    client.close()


def _until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def _lines(process: "subprocess.Popen[str]", last: str) -> List[str]:
    """What it prints, up to a line with these words."""
    lines: List[str] = []
    assert process.stdout is not None
    while not lines or last not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], lines
    return lines


def test_a_script_with_a_lock(start: Start) -> None:
    """Short enough to be read at once, and each run counts once."""
    code = [line for line in (EXAMPLES / "lock.py").read_text("utf-8").splitlines() if line.strip()]
    assert len(code) <= 15
    runs = [start("lock.py", URL) for _ in range(3)]
    told = sorted(run.communicate(timeout=PATIENCE_S)[0].split() for run in runs)
    assert [words[:2] for words in told] == [["run", "1,"], ["run", "2,"], ["run", "3,"]]
    fences = [int(words[3]) for words in told]
    assert fences == sorted(set(fences))


def test_a_config_watcher(start: Start, zk: Any) -> None:
    watcher = start("config_watcher.py", URL, "a")
    assert _lines(watcher, "version") == ['version 0: {"workers": 1}\n']
    zk.set("/config", b'{"workers": 8}')
    _lines(watcher, '"workers": 8')
    _until(lambda: zk.get("/config/applied/a")[0] == b"1", "it says which one it has")
    zk.set("/config", b"{broken")
    _lines(watcher, "refused: ")
    zk.set("/config", b'{"workers": 9}')
    assert "version 3" in _lines(watcher, '"workers": 9')[-1]
    watcher.send_signal(signal.SIGTERM)
    _lines(watcher, "stopped")
    assert watcher.wait(PATIENCE_S) == 0 and zk.exists("/config/applied/a") is None


@pytest.mark.slow
def test_a_pool_whose_worker_is_killed(start: Start, zk: Any) -> None:
    pool = start("worker_pool.py", URL, "--workers", "2", "--jobs", "6", "--seconds", "0.3")
    begun = _lines(pool, "begins")[-1].split()
    os.kill(int(begun[0]), signal.SIGKILL)
    told = [line.split(None, 1) for line in _lines(pool, "all 6 done")]
    assert ["lost worker %s\n" % begun[0]] == [text for _, text in told if text.startswith("lost")]
    did = sorted(text.split()[1] for _, text in told if text.startswith("did"))
    assert did == ["job-%d" % number for number in range(6)]  # the killed one's, too, and each once
    assert pool.wait(PATIENCE_S) == 0
    assert zk.get_children("/pool/jobs/entries") == []


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _ask(port: int) -> Any:
    try:
        with urllib.request.urlopen("http://127.0.0.1:%d/" % port, timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


@pytest.mark.slow
def test_a_service_with_a_leader(start: Start) -> None:
    """The leader is killed; the other one leads, with a greater fence, and ends in good order."""
    pytest.importorskip("fastapi", reason="FastAPI is not installed")
    ports = [_port() for _ in range(2)]
    served = {port: start("-m", "uvicorn", "leader_api:app", "--port", str(port)) for port in ports}
    _until(lambda: all(_ask(port) for port in ports), "both answer")

    def leads(port: int) -> Any:
        """What it answers, if it leads and has done something."""
        answer = _ask(port)
        return answer if answer and answer["leads"] and answer["done"].get("by") == answer["me"] else None

    port = _until(lambda: [each for each in ports if leads(each)], "one leads")[0]
    first = _until(lambda: leads(port), "it says what it has done")
    (other,) = set(ports) - {port}
    assert not _ask(other)["leads"]
    served[port].kill()
    then = _until(lambda: leads(other), "the other one leads")
    assert then["done"]["fence"] > first["done"]["fence"] and then["done"]["count"] > first["done"]["count"]
    assert then["state"] == "connected"
    served[other].send_signal(signal.SIGTERM)
    assert served[other].wait(PATIENCE_S) in (0, -signal.SIGTERM)  # which of them is uvicorn's to say
    client = KazooClient(URL)
    client.start(20)
    assert client.get_children("/leader-api/election") == []
    client.stop()
    client.close()


@pytest.mark.parametrize("command", [["examples/demo.py"], ["-m", "compat_tests.kazoo_suite"]])
def test_who_has_nothing_installed_is_told_what_to_do(command: List[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH")
    done = subprocess.run(
        [sys.executable, "-S", *command], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
    )
    assert done.returncode and "pip install" in done.stderr and "Traceback" not in done.stderr
