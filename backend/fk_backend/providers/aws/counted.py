"""What AWS counts by itself of a deployment: reads, which go past the functions, and how long those and tables take.

Rule upheld here: CloudWatch is asked at most once a minute, as it knows no more often and charges for each metric that
is asked for. What it does not know is not there, and never a guess.

Source: CloudWatch API Reference, GetMetricData; DynamoDB Developer Guide, "DynamoDB Metrics and dimensions"; Lambda
Developer Guide, "Types of metrics for Lambda functions".
"""

from __future__ import annotations

import datetime
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ...errors import DeploymentError, NoPermission
from ...ports import STATE, TABLES
from . import names
from .cloud import Cloud, explained

PERIOD_S = 60
BACK_S = 300
"""How far back the last whole minute may be that is known: metrics come a minute or two late."""
NEEDS = "cloudwatch:GetMetricData"
"""The permission; it has no resources."""
READS = ("GetItem", "BatchGetItem", "TransactGetItems", "Query")


class Metric(NamedTuple):
    """One that is asked for. Of several for a field the sum is taken; ``each_s``: it is of a minute, shown a second."""

    field: str
    namespace: str
    metric: str
    dimensions: Tuple[Tuple[str, str], ...]
    statistic: str
    each_s: bool


def metrics_of(name: str) -> List[Metric]:
    """All of a deployment."""
    state, latency = names.table(name, STATE), "SuccessfulRequestLatency"
    writer = (("FunctionName", names.function(name, names.WRITER)),)

    def table(field: str, metric: str, statistic: str, each_s: bool, *dimensions: Tuple[str, str]) -> Metric:
        return Metric(field, "AWS/DynamoDB", metric, dimensions, statistic, each_s)

    return [
        *(
            table("reads_per_s", latency, "SampleCount", True, ("TableName", state), ("Operation", one))
            for one in READS
        ),
        *(
            table("read_units_per_s", "ConsumedReadCapacityUnits", "Sum", True, ("TableName", names.table(name, one)))
            for one in TABLES
        ),
        table("store_ms", latency, "Average", False, ("TableName", state), ("Operation", "Query")),
        Metric("invocations_per_s", "AWS/Lambda", "Invocations", writer, "Sum", True),
        Metric("function_ms", "AWS/Lambda", "Duration", writer, "p50", False),
        Metric("function_p99_ms", "AWS/Lambda", "Duration", writer, "p99", False),
    ]


FIELDS = tuple(dict.fromkeys(metric.field for metric in metrics_of("")))


class Counted:
    """The last minute of a deployment. ``why``: why nothing is known, for people; "" if that is not so."""

    def __init__(self, cloud: Cloud, name: str, now_s: Callable[[], float] = time.time) -> None:
        self.why = ""
        self._cloud = cloud
        self._metrics = metrics_of(name)
        self._now_s = now_s
        self._asked_s = float("-inf")
        self._known: Dict[str, float] = {}

    def look(self) -> Dict[str, float]:
        """What is known, by field. Nothing raises: what can't be had is told by `why`."""
        now_s = self._now_s()
        if now_s - self._asked_s >= PERIOD_S:
            self._asked_s = now_s
            try:
                self._known, self.why = self._asked(now_s), ""
            except NoPermission:
                self._known, self.why = {}, "needs " + NEEDS
            except DeploymentError as error:
                self._known, self.why = {}, str(error)
        return self._known

    def _asked(self, now_s: float) -> Dict[str, float]:
        end_s = now_s // PERIOD_S * PERIOD_S
        with explained():
            answer = self._cloud.client("cloudwatch").get_metric_data(
                MetricDataQueries=[_query(at, metric) for at, metric in enumerate(self._metrics)],
                StartTime=_moment(end_s - BACK_S),
                EndTime=_moment(end_s),
                ScanBy="TimestampDescending",
            )
        found = {one["Id"]: one for one in answer["MetricDataResults"]}
        known: Dict[str, float] = {}
        for at, metric in enumerate(self._metrics):
            value = _newest(found.get("m%d" % at, {}))
            if metric.each_s:  # no request at all is no value
                known[metric.field] = known.get(metric.field, 0.0) + (value or 0.0) / PERIOD_S
            elif value is not None:
                known[metric.field] = value
        return known


def _query(at: int, metric: Metric) -> Dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in metric.dimensions]
    one = {"Namespace": metric.namespace, "MetricName": metric.metric, "Dimensions": dimensions}
    return {"Id": "m%d" % at, "MetricStat": {"Metric": one, "Period": PERIOD_S, "Stat": metric.statistic}}


def _newest(found: Dict[str, Any]) -> Optional[float]:
    points = zip(found.get("Timestamps", ()), found.get("Values", ()))
    known = [(moment, value) for moment, value in points if value is not None]
    return float(max(known)[1]) if known else None


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
