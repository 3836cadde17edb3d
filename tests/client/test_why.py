"""`client.why`, and what is logged under ``fk_kazoo``."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any, Callable, List

import pytest

from fk_kazoo import logs
from fk_kazoo.client import KazooClient
from fk_kazoo.why import Reason
from tests.checkout import ROOT
from tests.client.programs.support import eventually

Make = Callable[..., Any]


def test_every_reason(zk_url: str, zk_faults: Any, zk_client: Make) -> None:
    zk = KazooClient(zk_url, timeout=3.0)
    assert zk.why.reason == Reason.NOT_STARTED and "start()" in zk.why.detail
    told: List[Any] = []
    zk.add_listener(lambda state: told.append((str(state), zk.why.reason)))
    zk.start(10)
    assert zk.why.reason == Reason.CONNECTED and zk_url in zk.why.detail and "0x" in str(zk.why)
    zk_faults.disconnect(zk)
    zk_faults.expire(zk)
    eventually(lambda: told[-1:] == [("CONNECTED", "connected")])
    zk.stop()
    assert zk.why.reason == Reason.CLOSED
    zk.close()
    assert told == [
        ("CONNECTED", "connected"),
        ("SUSPENDED", "disconnected"),
        ("CONNECTED", "connected"),
        ("LOST", "expired"),
        ("CONNECTED", "connected"),
        ("LOST", "closed"),
    ]


def test_unreachable() -> None:
    client = KazooClient("memory://why")
    client._tried(OSError("no route"))
    assert client.why == (Reason.UNREACHABLE, "can't connect to memory://why: no route")
    client._session_callback("CONNECTING")
    assert client.why.reason == Reason.UNREACHABLE


PAUSED = """
import sys, threading
from fk_kazoo.client import KazooClient
client = KazooClient("local://why", timeout=1.5)
done = threading.Event()
def told(state):
    print(state, client.why, flush=True)
    if state == "LOST":
        done.set()
client.add_listener(told)
client.start()
lock = client.Lock("/lock")
lock.acquire()
print("ready", lock.fence, flush=True)
done.wait(30)
print("lost", lock.lost.is_set(), flush=True)
client.stop()
"""


def test_a_process_that_stood_still_says_so(local_url: str) -> None:
    """Really stopped, until its session is over."""
    host = KazooClient("local://why")
    host.start(10)
    with subprocess.Popen([sys.executable, "-c", PAUSED], cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            lines = [program.stdout.readline() for _ in range(2)]
            assert lines[1].startswith("ready"), lines
            os.kill(program.pid, signal.SIGSTOP)
            assert host.Lock("/lock").acquire(timeout=20)
            os.kill(program.pid, signal.SIGCONT)
            rest = program.stdout.read().splitlines()
        finally:
            program.kill()
    host.stop()
    host.close()
    assert any(line.startswith("SUSPENDED paused: this process stood still for") for line in rest), rest
    assert any(line.startswith("LOST expired: ") and "stood still" in line for line in rest), rest
    assert "lost True" in rest


# --- what is logged ---


def _lose_a_lock(zk: Any, zk_faults: Any) -> None:
    zk.Lock("/lock/of-mine").acquire()
    zk_faults.expire(zk)


def test_a_line_names_deployment_session_and_path(zk: Any, zk_faults: Any, caplog: pytest.LogCaptureFixture) -> None:
    session = "session 0x%x" % zk.client_id[0]
    with caplog.at_level(logging.INFO):
        _lose_a_lock(zk, zk_faults)
    (line,) = [each for each in caplog.records if each.name == "fk_kazoo.client" and each.levelno == logging.WARNING]
    told = line.getMessage()
    assert str(zk.deployment) in told and session in told and "/lock/of-mine" in told and "expired" in told
    assert any(each.name == "kazoo.client" for each in caplog.records)  # kazoo's own lines stay
    assert "LOST, expired: " in caplog.text


@pytest.mark.parametrize("how", ["level", "handler", "disabled"])
def test_who_silenced_kazoo_hears_nothing(
    zk: Any, zk_faults: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    theirs = logging.getLogger("kazoo")
    if how == "level":
        monkeypatch.setattr(theirs, "level", logging.CRITICAL)
    elif how == "handler":
        monkeypatch.setattr(theirs, "propagate", False)
        monkeypatch.setattr(theirs, "handlers", [logging.NullHandler()])
    else:
        monkeypatch.setattr(theirs, "disabled", True)
    _lose_a_lock(zk, zk_faults)
    assert not [each for each in caplog.records if each.name.startswith("fk_kazoo")]


def test_who_silenced_ours_hears_kazoos(
    zk: Any, zk_faults: Any, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    ours = logging.getLogger("fk_kazoo")
    request.addfinalizer(partial(ours.setLevel, ours.level))
    ours.setLevel(logging.CRITICAL)
    _lose_a_lock(zk, zk_faults)
    assert {each.name for each in caplog.records} == {"kazoo.client"}


def test_every_logger_of_ours_goes_by_kazoos() -> None:
    files = (ROOT / "fk_kazoo").glob("*.py")
    found = {path.stem for path in files if "getLogger(__name__)" in path.read_text("utf-8")}
    assert found and found <= set(logs._OURS)


def test_what_is_said_again_and_again_is_counted(
    zk: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("fk_kazoo.logs.time.monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO, "fk_kazoo"):
        for number in range(100):
            logs.log_limited(zk, logging.INFO, "is %s", "/a", number)
        logs.log_limited(zk, logging.INFO, "is %s", "/b", "another one")
        now[0] += logs.EVERY_S
        logs.log_limited(zk, logging.INFO, "is %s", "/a", "later")
    told = [each.getMessage().rpartition(", ")[2] for each in caplog.records]
    assert told == ["/a: is 0", "/b: is another one", "/a: is later (and 99 more like this)"]
    with caplog.at_level(logging.INFO, "fk_kazoo"):
        for number in range(3 * logs.MAX_KNOWN):
            logs.log_limited(zk, logging.INFO, "is", "/%d" % number)
    assert len(logs._last) <= logs.MAX_KNOWN
