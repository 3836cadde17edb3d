"""`top` on AWS: what CloudWatch has counted, as two others understand the requests: moto, and botocore's own model."""

from __future__ import annotations

import datetime
from typing import Any, Dict, Iterator, List

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from fk_backend.providers.aws.cloud import Cloud
from fk_backend.providers.aws.counted import FIELDS, NEEDS, PERIOD_S, Counted, metrics_of

REGION = "eu-central-1"
NOW_S = 1_800_000_030.0
MINUTE_S = 1_799_999_940.0
"""The last whole minute before NOW_S begins here."""


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """moto's, with nothing counted."""
    for variable in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "123456789012")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with mock_aws():
        yield Cloud(boto3.Session(region_name=REGION), REGION)


def told(cloud: Cloud, namespace: str, metric: str, value: float, at_s: float, **dimensions: str) -> None:
    datum = {
        "MetricName": metric,
        "Dimensions": [{"Name": key, "Value": one} for key, one in dimensions.items()],
        "Timestamp": datetime.datetime.fromtimestamp(at_s, datetime.timezone.utc),
        "Value": value,
    }
    cloud.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])


def test_the_last_minute(cloud: Cloud) -> None:
    for operation, count in (("Query", 90), ("GetItem", 30), ("PutItem", 600)):
        for _ in range(count):
            told(
                cloud,
                "AWS/DynamoDB",
                "SuccessfulRequestLatency",
                4.0,
                MINUTE_S + 5,
                TableName="fk-app-state",
                Operation=operation,
            )
    for table, units in (("state", 60), ("sessions", 30), ("interest", 30)):
        told(cloud, "AWS/DynamoDB", "ConsumedReadCapacityUnits", units, MINUTE_S + 5, TableName="fk-app-" + table)
    told(cloud, "AWS/DynamoDB", "ConsumedReadCapacityUnits", 9e9, MINUTE_S + 5, TableName="fk-other-state")
    told(cloud, "AWS/Lambda", "Invocations", 6, MINUTE_S - 60, FunctionName="fk-app-writer")
    told(cloud, "AWS/Lambda", "Invocations", 120, MINUTE_S + 5, FunctionName="fk-app-writer")
    told(cloud, "AWS/Lambda", "Invocations", 9e9, MINUTE_S + PERIOD_S + 5, FunctionName="fk-app-writer")
    counted = Counted(cloud, "app", lambda: NOW_S)
    known = counted.look()
    assert known.pop("reads_per_s") == 2.0 and known.pop("read_units_per_s") == 2.0 and known.pop("store_ms") == 4.0
    assert known.pop("invocations_per_s") == 2.0, "the newest minute that is over"
    assert known == {} and not counted.why, "moto knows no percentiles: they are not known"


def test_nothing_counted_is_no_reads_and_no_latency(cloud: Cloud) -> None:
    known = Counted(cloud, "app", lambda: NOW_S).look()
    assert known == {"reads_per_s": 0.0, "read_units_per_s": 0.0, "invocations_per_s": 0.0}


def _answer(values: Dict[str, float]) -> Dict[str, Any]:
    when = datetime.datetime.fromtimestamp(MINUTE_S, datetime.timezone.utc)
    results: List[Dict[str, Any]] = []
    for at, metric in enumerate(metrics_of("app")):
        found = metric.field in values
        results.append(
            {"Id": "m%d" % at, "Timestamps": [when] * found, "Values": [values[metric.field]] * found if found else []}
        )
    return {"MetricDataResults": results}


def test_percentiles_and_once_a_minute(cloud: Cloud) -> None:
    """botocore checks the request against AWS's own description of it."""
    now = [NOW_S]
    counted = Counted(cloud, "app", lambda: now[0])
    with Stubber(cloud.client("cloudwatch")) as stub:
        for value in (7.5, 8.5):
            stub.add_response("get_metric_data", _answer({"function_ms": value, "function_p99_ms": 90.0}))
        assert [counted.look()["function_ms"] for _ in range(5)] == [7.5] * 5
        now[0] += PERIOD_S
        assert counted.look()["function_ms"] == 8.5 and counted.look()["function_p99_ms"] == 90.0
        stub.assert_no_pending_responses()


def test_without_permission_it_says_which(cloud: Cloud) -> None:
    counted = Counted(cloud, "app", lambda: NOW_S)
    with Stubber(cloud.client("cloudwatch")) as stub:
        stub.add_client_error("get_metric_data", "AccessDenied", "User is not authorized", 403)
        assert counted.look() == {} and NEEDS in counted.why
    assert set(FIELDS) == {
        "reads_per_s", "read_units_per_s", "store_ms", "invocations_per_s", "function_ms", "function_p99_ms"
    }  # fmt: skip
