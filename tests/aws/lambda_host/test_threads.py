"""Functions in threads of this process: what they share with functions in processes, and what they don't."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, List

import pytest

from fk_backend.providers.aws.dev.environment import InvocationFailed, Settings
from fk_backend.providers.aws.dev.host import Host

from .conftest import Bench, until

MODULE = """
import os, sys, threading
calls = 0
def handler(event, context):
    global calls
    calls += 1
    if event == "exit":
        sys.exit(1)
    if event == "raise":
        raise LookupError("no")
    if event == "hang":
        threading.Event().wait(600)
    left = context.get_remaining_time_in_millis()
    return [calls, threading.current_thread().name, os.environ["MORE"], context.function_name, left <= 1000]
def close():
    with open(os.environ["RECORD"], "a") as record:
        record.write('{"what": "closed", "calls": %d}' % calls)
"""


@pytest.fixture()
def host(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "threaded.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    variables = (("MORE", "more"), ("RECORD", str(bench.record)))
    settings = Settings("sample", "threaded.handler", timeout_s=1, environment=variables)
    made = Host(bench.account, [settings]).start()
    bench.hosts.append(made)
    yield made
    made.stop()
    sys.modules.pop("threaded", None)


def test_an_environment_has_globals_of_its_own_and_is_kept(host: Host) -> None:
    assert host.invoke("sample", 1) == [1, "sample", "more", "sample", True]
    assert host.invoke("sample", 2)[0] == 2
    assert sys.modules["threaded"].calls == 0


def test_an_exception_leaves_it_usable(host: Host) -> None:
    with pytest.raises(InvocationFailed, match="LookupError: no") as caught:
        host.invoke("sample", "raise")
    assert set(caught.value.answer) == {"errorType", "errorMessage", "stackTrace"}
    assert host.invoke("sample", 2)[0] == 2


@pytest.mark.parametrize(("how", "kind"), [("exit", "SystemExit"), ("hang", "Sandbox.Timedout")])
def test_what_ends_or_hangs_is_replaced(host: Host, how: str, kind: str) -> None:
    with pytest.raises(InvocationFailed) as caught:
        host.invoke("sample", how)
    assert caught.value.kind == kind
    assert host.invoke("sample", 2)[0] == 1


def test_the_variables_are_there_until_it_stops(host: Host) -> None:
    assert os.environ["MORE"] == "more"
    host.stop()
    assert "MORE" not in os.environ
    assert os.environ["AWS_ENDPOINT_URL"]


def test_a_module_that_can_close_is_closed(host: Host, bench: Bench) -> None:
    host.invoke("sample", 1)
    host.stop()
    assert bench.notes() == [{"what": "closed", "calls": 1}]


def test_over_its_time_its_messages_come_again(bench: Bench, tmp_path: Path) -> None:
    """What the thread still does has no effect on the queue: its invocation has failed."""
    bench.hurry()
    bench.send({"id": 0, "do": "wait", "file": str(tmp_path / "go"), "times": 1})
    host = bench.host("work", timeout_s=1)
    until(lambda: len(bench.notes("begin")) == 2)
    assert bench.ended() == [0]
    (tmp_path / "go").touch()
    until(lambda: bench.left() == 0)
    seen: List[Any] = [json.loads(line)["what"] for line in bench.record.read_text().splitlines()]
    assert seen[:3] == ["begin", "begin", "end"]
    host.stop()


def test_killed_in_the_middle_its_messages_come_again(bench: Bench, tmp_path: Path) -> None:
    """The thread goes on, as a zombie would: with no effect on the queue."""
    bench.hurry()
    bench.send({"id": 0, "do": "wait", "file": str(tmp_path / "go"), "times": 1})
    failures: List[Any] = []
    host = bench.host("work", timeout_s=50, observe=lambda invocation: failures.append(invocation.error))
    until(lambda: bench.notes("begin"))
    assert host.kill("sample") == 1
    until(lambda: bench.ended() == [0])
    until(lambda: bench.left() == 0)
    assert [failure and failure.kind for failure in failures] == ["Runtime.ExitError", None]
    (tmp_path / "go").touch()
    until(lambda: bench.ended() == [0, 0])
