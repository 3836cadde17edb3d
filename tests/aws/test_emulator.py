"""The emulator: it is ours that answers, accounts don't see each other, and it ends with whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fk_backend.providers.aws import names
from fk_backend.providers.aws.dev import emulator as emulated
from fk_backend.providers.aws.dev import resources, venvs
from fk_backend.providers.aws.dev.emulator import Emulator, EmulatorFailed
from fk_backend.providers.aws.dev.resources import Account

PROGRAM = """
import sys, time
from fk_backend.providers.aws.dev.emulator import Emulator
emulator = Emulator().start()
print(emulator.pid, flush=True)
time.sleep(600)
"""

RECEIVED_TOO_OFTEN = """
import itertools, json, runpy, sys, types
from ministack.services import sqs
changes = runpy.run_path(sys.argv[1])
seconds = itertools.count()
sqs.time = types.SimpleNamespace(time=lambda: next(seconds))  # every look at the clock is a second later
if sys.argv[2] == "changed":
    changes["_one_moment_for_a_receive"]()
dead = {"is_fifo": False, "messages": []}
sqs._queue_by_arn = lambda arn: dead
policy = json.dumps({"maxReceiveCount": 3, "deadLetterTargetArn": "dead"})
received = 0
for visible_at in range(6):
    message = {"visible_at": visible_at, "receive_count": 3, "group_id": None}
    queue = {"is_fifo": False, "messages": [message], "attributes": {"RedrivePolicy": policy}}
    seconds = itertools.count()
    sqs._dlq_sweep(queue)
    received += len(sqs._collect_msgs(queue, 10, 30))
print(received)
"""


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 30
    while not _gone(pid):
        assert time.monotonic() < deadline, "it is still running"
        time.sleep(0.01)


def test_a_port_that_is_taken_is_refused_also_if_an_emulator_answers_there(emulator: Emulator) -> None:
    with pytest.raises(EmulatorFailed, match="already in use"):
        Emulator(port=emulator.port).start()


def test_it_ends_when_stopped() -> None:
    with Emulator() as emulator:
        pid = emulator.pid
    assert _gone(pid)


def test_it_ends_when_its_starter_is_killed() -> None:
    starter = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    _wait_until_gone(pid)


def test_accounts_do_not_see_each_other(aws_account: Account) -> None:
    other = resources.new_account(aws_account.endpoint_url, aws_account.name)
    assert aws_account.client("dynamodb").list_tables()["TableNames"] != []
    assert other.client("dynamodb").list_tables()["TableNames"] == []
    assert not other.client("sqs").list_queues().get("QueueUrls")


def test_everything_of_a_deployment_is_there(aws_account: Account) -> None:
    queues = aws_account.client("sqs")
    found = {url.rsplit("/", 1)[1]: url for url in queues.list_queues()["QueueUrls"]}
    name = aws_account.name
    assert sorted(found) == sorted([names.dead_queue(name), names.timer_queue(name), names.writes_queue(name)])
    assert found[names.writes_queue(name)] == aws_account.queue_url(names.writes_queue(name))
    attributes = queues.get_queue_attributes(QueueUrl=found[names.dead_queue(name)], AttributeNames=["QueueArn"])
    assert attributes["Attributes"]["QueueArn"] == aws_account.queue_arn(names.dead_queue(name))
    bucket = names.bucket(name, aws_account.number, aws_account.region)
    assert [one["Name"] for one in aws_account.client("s3").list_buckets()["Buckets"]] == [bucket]


@pytest.mark.parametrize("as_it_is, too_often", [("unchanged", 1), ("changed", 0)])
def test_what_was_received_too_often_is_never_received_once_more(as_it_is: str, too_often: int) -> None:
    """Also if it becomes visible between two looks at the clock."""
    python = venvs.interpreter("ministack", emulated.REQUIREMENT)
    program = Path(emulated.__file__).with_name("emulator_main.py")
    done = subprocess.run(
        [str(python), "-c", RECEIVED_TOO_OFTEN, str(program), as_it_is], stdout=subprocess.PIPE, text=True, check=True
    )
    assert int(done.stdout) == too_often
