"""Functions in processes, as on AWS: awslambdaric in a bare interpreter, Lambda's variables, deadlines, and deaths."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

from fk_backend.providers.aws.dev.environment import InvocationFailed
from fk_backend.providers.aws.dev.function import Invocation

from .conftest import Bench, until

HOST = """
import sys, time
from pathlib import Path
from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.environment import Settings
from fk_backend.providers.aws.dev.host import Host
host = Host(resources.new_account(sys.argv[1], "t"), [Settings("sample", "samples.show")], Path(sys.argv[2])).start()
print(host.invoke("sample", {})["pid"], flush=True)
time.sleep(600)
"""


def _state(pid: int) -> str:
    """T: stands still; empty: gone."""
    try:
        return Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_the_function_sees_what_it_sees_on_aws(bench: Bench) -> None:
    host = bench.alone("samples.show", timeout_s=9, memory_mb=256, environment=(("FK_DEPLOYMENT", "test"),))
    shown = host.invoke("sample", {"as": ["sent", 1, "é"]})
    assert shown["event"] == {"as": ["sent", 1, "é"]}
    assert shown["name"] == "sample" and shown["memory"] == "256"
    assert shown["arn"] == "arn:aws:lambda:us-east-1:%s:function:sample" % bench.account.number
    assert 0 < shown["remaining_ms"] <= 9000
    variables = shown["variables"]
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "sample"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert variables["_HANDLER"] == "samples.show"
    assert variables["LAMBDA_TASK_ROOT"] == shown["directory"]
    assert variables["FK_DEPLOYMENT"] == "test"
    assert variables["AWS_ENDPOINT_URL"] == bench.account.endpoint_url
    assert "PYTHONPATH" not in variables and "HOME" not in variables


def test_the_interpreter_has_nothing_of_ours_and_no_cloud_library(bench: Bench) -> None:
    """awslambdaric and what it needs: a package that forgets something fails here, not on AWS."""
    host = bench.alone("samples.importable")
    wanted = ["json", "awslambdaric", "boto3", "botocore", "aiobotocore", "fk_backend", "fk_kazoo", "kazoo", "pytest"]
    assert host.invoke("sample", wanted) == ["json", "awslambdaric"]


def test_an_environment_is_kept_warm(bench: Bench) -> None:
    seen: List[Invocation] = []
    host = bench.alone("samples.show", observe=seen.append)
    first, second = host.invoke("sample", 1), host.invoke("sample", 2)
    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid"] == second["pid"]
    assert first["request_id"] != second["request_id"]
    assert [one.cold for one in seen] == [True, False]


def test_nothing_goes_on_between_invocations(bench: Bench) -> None:
    """A thread counts the milliseconds; the process stands still while it has nothing to do."""
    host = bench.alone("samples.tick")
    counted = host.invoke("sample", {})
    (pid,) = {one.pid for one in host.functions["sample"]._warm}  # type: ignore[attr-defined]
    until(lambda: _state(pid) == "T")
    until(lambda: host.invoke("sample", {}) > counted)  # on a busy machine its turn comes later


def test_an_exception_is_told_as_aws_tells_it_and_the_environment_stays(bench: Bench) -> None:
    host = bench.alone("samples.obeying")
    with pytest.raises(InvocationFailed, match="as told") as caught:
        host.invoke("sample", {"do": "raise"})
    assert caught.value.kind == "ValueError"
    assert set(caught.value.answer) == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert host.invoke("sample", {"do": "nothing"}) == {"do": "nothing"}


def test_a_function_over_its_time_is_killed(bench: Bench) -> None:
    host = bench.alone("samples.obeying", timeout_s=1)
    warm = host.invoke("sample", {})
    assert warm == {}
    (pid,) = {one.pid for one in host.functions["sample"]._warm}  # type: ignore[attr-defined]
    with pytest.raises(InvocationFailed, match=r"timed out after 1\.00 seconds") as caught:
        host.invoke("sample", {"do": "hang"})
    assert caught.value.kind == "Sandbox.Timedout"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert host.invoke("sample", {"next": "one"}) == {"next": "one"}


def test_a_process_that_ends_fails_its_invocation_and_the_next_has_another(bench: Bench) -> None:
    seen: List[Invocation] = []
    host = bench.alone("samples.obeying", observe=seen.append)
    host.invoke("sample", {})
    with pytest.raises(InvocationFailed, match="exit status 3") as caught:
        host.invoke("sample", {"do": "exit"})
    assert caught.value.kind == "Runtime.ExitError"
    assert host.invoke("sample", {"next": "one"}) == {"next": "one"}
    assert [one.cold for one in seen] == [True, False, True]


def test_a_process_that_died_while_it_was_idle_is_not_used(bench: Bench) -> None:
    host = bench.alone("samples.show")
    first = host.invoke("sample", {})
    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: all(one.broken for one in host.functions["sample"]._warm))
    assert host.invoke("sample", {})["pid"] != first["pid"]


def test_a_function_that_cannot_be_imported(bench: Bench) -> None:
    host = bench.alone("broken.handler")
    for _ in range(2):
        with pytest.raises(InvocationFailed, match="no good") as caught:
            host.invoke("sample", {})
        assert caught.value.kind == "RuntimeError"


def test_a_handler_that_is_not_there(bench: Bench) -> None:
    host = bench.alone("samples.missing")
    with pytest.raises(InvocationFailed, match="missing") as caught:
        host.invoke("sample", {})
    assert caught.value.kind == "Runtime.HandlerNotFound"


def test_an_event_over_the_limit_is_refused(bench: Bench) -> None:
    host = bench.alone("samples.show")
    with pytest.raises(InvocationFailed, match="RequestTooLargeException"):
        host.invoke("sample", "x" * (6 << 20))


def test_a_large_event_and_a_large_result(bench: Bench) -> None:
    host = bench.alone("samples.obeying")
    event = {"text": "é" * (2 << 20)}
    assert host.invoke("sample", event) == event


def test_what_a_function_prints_is_told_by_line(bench: Bench) -> None:
    lines: List[Tuple[str, str]] = []
    host = bench.alone("samples.talk", log=lambda function, line: lines.append((function, line)))
    host.invoke("sample", {"text": "hello"})
    until(lambda: ("sample", "said hello") in lines)


def test_messages_of_a_killed_process_come_again(bench: Bench, tmp_path: Path) -> None:
    bench.hurry()
    host = bench.host("work", processes=True, timeout_s=50)
    host.invoke("sample", {"Records": []})
    bench.send({"id": 0}, {"id": 1, "do": "wait", "file": str(tmp_path / "never"), "times": 1}, {"id": 2})
    until(lambda: any(note["id"] == 1 for note in bench.notes("begin")))
    assert host.kill("sample") == 1
    until(lambda: bench.left() == 0)
    assert bench.ended() == [0, 0, 1, 2]
    assert len({note["pid"] for note in bench.notes()}) == 2


def test_environments_are_bounded_and_reused(bench: Bench) -> None:
    """Six groups, two environments: two meet, and never more than two have begun and not ended."""
    for group in "abcdef":
        bench.send({"id": group + "0", "do": "meet", "others": 2}, {"id": group + "1"}, group=group)
    bench.host("work", processes=True, concurrency=2, batch_size=1, timeout_s=50)
    until(lambda: len(bench.ended()) == 12)
    busy, most = 0, 0
    for note in bench.notes():
        busy += 1 if note["what"] == "begin" else -1
        most = max(most, busy)
    assert most == 2
    assert len({note["pid"] for note in bench.notes()}) == 2


def test_everything_has_ended_when_the_host_has(bench: Bench) -> None:
    host = bench.alone("samples.show")
    shown = host.invoke("sample", {})
    host.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(shown["pid"], 0)
    assert not Path(shown["directory"]).exists()


def test_functions_end_with_a_host_that_is_killed(bench: Bench) -> None:
    """Also one that stands still, as warm functions do."""
    command = [sys.executable, "-c", HOST, bench.account.endpoint_url, str(bench.package)]
    host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    pid = int(host.stdout.readline())
    until(lambda: _state(pid) == "T")
    host.kill()
    host.wait()
    host.stdout.close()
    until(lambda: _state(pid) in ("", "Z"))
