"""`top` on an emulated AWS, on a terminal: what CloudWatch has counted, and what a client may not see."""

from __future__ import annotations

import datetime
import os
import time
from typing import Callable, Dict, Iterator

import boto3
import pytest

from tests.cli.test_terminal import ended, on_terminal

Shown = Callable[..., str]


@pytest.fixture
def shown(emulated_url: str) -> Iterator[Shown]:
    """``shown(variables)``: what one look prints."""
    begun = []

    def call(**variables: str) -> str:
        child = on_terminal(["top", "-n", "1", "--interval", "0.5"], 100, {"FK_KAZOO_URL": emulated_url, **variables})
        begun.append(child)
        assert ended(child) == 0, child.before
        return str(child.before)

    yield call
    for one in begun:
        one.close(force=True)


@pytest.fixture
def operator(emulated_url: str) -> Dict[str, str]:
    """The variables of whoever operates the deployment."""
    key, _, secret = os.environ["FK_KAZOO_OPERATOR"].partition(":")
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}


def test_reads_and_latency(shown: Shown, operator: Dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in operator.items():
        monkeypatch.setenv(name, value)
    minute_s = time.time() // 60 * 60 - 60
    when = datetime.datetime.fromtimestamp(minute_s + 5, datetime.timezone.utc)
    of_writer = [{"Name": "FunctionName", "Value": "fk-dev-writer"}]
    data = [{"MetricName": "Duration", "Dimensions": of_writer, "Timestamp": when, "Value": 7.0} for _ in range(20)]
    data.append({"MetricName": "Invocations", "Dimensions": of_writer, "Timestamp": when, "Value": 120.0})
    # AWS's own names of metrics nobody else may tell; the emulator lets its own account.
    boto3.client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=data)
    said = shown(**operator)
    assert "the writer works, ms, median" in said and "7.0" in said and "invocations of the writer a second" in said
    assert "reads a second" in said and "sessions" in said and "a write from here" not in said


def test_what_a_client_may_not_see(shown: Shown) -> None:
    said = shown()
    assert "reads a second: needs cloudwatch:GetMetricData" in said and "a read from here, ms" in said
    assert "sessions: needs" in said
