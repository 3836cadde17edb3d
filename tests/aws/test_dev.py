"""``fk-kazoo dev aws`` as a user starts it: what it prints can be used, and nothing is left of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from fk_backend.providers.aws import names
from fk_backend.providers.aws.dev.emulator import Emulator
from fk_backend.providers.aws.dev.environment import InvocationFailed
from fk_backend.providers.aws.dev.function import Invocation
from fk_kazoo.commands.dev_aws import line

COMMAND = [sys.executable, "-m", "fk_kazoo", "dev", "aws"]


def _children(pid: int) -> List[int]:
    tasks = Path("/proc/%d/task" % pid)
    return [int(one) for task in tasks.iterdir() for one in (task / "children").read_text().split()]


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_what_it_prints_can_be_used_and_nothing_is_left(emulator: Emulator, number: signal.Signals, code: int) -> None:
    """``emulator`` only for its skip: this one starts its own."""
    with subprocess.Popen([*COMMAND, "--name", "mine"], stdout=subprocess.PIPE, text=True) as dev:
        try:
            _use(dev, number, code)
        finally:
            dev.kill()


def _use(dev: "subprocess.Popen[str]", number: signal.Signals, code: int) -> None:
    assert dev.stdout is not None
    exports: Dict[str, str] = {}
    for text in dev.stdout:
        found = re.match(r" *export (\w+)='?([^']*?)'?$", text.rstrip())
        if found:
            exports[found[1]] = found[2]
        if "as they are invoked" in text:
            break
    assert re.fullmatch(r"aws://mine\?region=us-east-1&endpoint_url=http://127\.0\.0\.1:\d+", exports["FK_KAZOO_URL"])
    script = "import boto3, sys; print(*boto3.client('sqs', endpoint_url=sys.argv[1]).list_queues()['QueueUrls'])"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    url = exports["FK_KAZOO_URL"].split("endpoint_url=")[1]
    queues = subprocess.check_output([sys.executable, "-c", script, url], env={**clean, **exports}, text=True)
    assert "/%s/%s" % (exports["AWS_ACCESS_KEY_ID"], names.writes_queue("mine")) in queues
    children = _children(dev.pid)
    assert children
    dev.send_signal(number)
    assert dev.stdout.read().splitlines()[-1] == "ending"
    assert dev.wait() == code
    assert all(map(_gone, children))


@pytest.mark.parametrize(
    ("more", "says", "code"),
    [
        (["--name", "not_a_name"], "letters, digits", 2),
        (["--package", "missing.zip"], "missing.zip", 3),
        (["--package", __file__], "is no zip file; fk-kazoo package makes one", 2),
    ],
)
def test_what_cannot_be_is_said(emulator: Emulator, more: List[str], says: str, code: int) -> None:
    done = subprocess.run([*COMMAND, *more], capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.startswith("fk-kazoo dev: ") and says in done.stderr and "Traceback" not in done.stderr


def test_a_port_that_is_none() -> None:
    done = subprocess.run([*COMMAND, "--port", "99999"], capture_output=True, text=True)
    assert done.returncode == 2 and "a port is 0 (any free one) to 65535" in done.stderr


def test_a_port_that_is_taken(emulator: Emulator) -> None:
    done = subprocess.run([*COMMAND, "--port", str(emulator.port)], capture_output=True)
    assert done.returncode == 1
    assert b"already in use" in done.stderr


def _records(*groups: str) -> Dict[str, Any]:
    return {"Records": [{"attributes": {"MessageGroupId": group} if group else {}} for group in groups]}


@pytest.mark.parametrize(
    ("invocation", "text"),
    [
        (
            Invocation("fk-dev-writer", _records("b", "a", "a"), False, 4.25, {"batchItemFailures": []}, None),
            "writer        3 messages of a, b             4.2 ms",
        ),
        (
            Invocation("fk-dev-heartbeat", _records(""), True, 240.0, {"batchItemFailures": [{}]}, None),
            "heartbeat     1 message                    240.0 ms  cold  1 failed",
        ),
        (
            Invocation("fk-dev-sweeper", {}, False, 1.0, None, InvocationFailed("ValueError", "no")),
            "sweeper       called                         1.0 ms  FAILED ValueError: no",
        ),
    ],
)
def test_an_invocation_is_a_line(invocation: Invocation, text: str) -> None:
    assert line(invocation, "dev") == text
