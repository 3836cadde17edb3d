"""The emulator: it is ours that answers, accounts don't see each other, and it ends with whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from fk_backend.providers.aws import names
from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.emulator import Emulator, EmulatorFailed
from fk_backend.providers.aws.dev.resources import Account

PROGRAM = """
import sys, time
from fk_backend.providers.aws.dev.emulator import Emulator
emulator = Emulator().start()
print(emulator.pid, flush=True)
time.sleep(600)
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
