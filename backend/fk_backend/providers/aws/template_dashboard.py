"""The part of the template that shows how it goes: one CloudWatch dashboard, in the order in which one looks.

Rule upheld here: it shows what an alarm may be about, and what a bill is about. Source: CloudWatch User Guide,
"Dashboard body structure and syntax".
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Sequence

from ...ports import TABLES
from . import metrics, names
from .template_functions import FUNCTIONS

WIDTH, HEIGHT = 12, 6
Metric = List[Any]


def dashboard(name: str) -> Dict[str, Dict[str, Any]]:
    """By its logical name."""
    widgets = [
        _widget("Writes: how long the function works, ms", _of_function(name, "Duration", names.WRITER), "p99"),
        _widget("Age of the oldest message, s", _of_queues(name, "ApproximateAgeOfOldestMessage"), "Maximum"),
        _widget("Messages that wait, about", _of_queues(name, "ApproximateNumberOfMessagesVisible"), "Maximum"),
        _widget("Invocations", _of_functions(name, "Invocations")),
        _widget("Errors and throttles", [*_of_functions(name, "Errors"), *_of_functions(name, "Throttles")]),
        _widget("At once", _of_functions(name, "ConcurrentExecutions"), "Maximum"),
        _widget("What had to be tried again, was set aside, came late (s)", _ours(name)),
        _widget("Write units", _of_tables(name, "ConsumedWriteCapacityUnits")),
        _widget("Read units", _of_tables(name, "ConsumedReadCapacityUnits")),
        _widget(
            "Refused by DynamoDB", [*_of_tables(name, "WriteThrottleEvents"), *_of_tables(name, "ReadThrottleEvents")]
        ),
    ]
    for place, widget in enumerate(widgets):
        widget.update(x=WIDTH * (place % 2), y=HEIGHT * (place // 2), width=WIDTH, height=HEIGHT)
    # Fn::Sub knows names in ${}: there are none in ours.
    body = json.dumps({"widgets": widgets}, separators=(",", ":"))
    properties = {
        "DashboardName": {"Fn::Sub": "%s-${AWS::Region}" % names.stack(name)},  # dashboards are of all regions
        "DashboardBody": {"Fn::Sub": body},
    }
    return {"Dashboard": {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}}


def _widget(title: str, shown: Sequence[Metric], statistic: str = "Sum") -> Dict[str, Any]:
    properties = {
        "title": title,
        "metrics": list(shown),
        "stat": statistic,
        "period": 60,
        "region": "${AWS::Region}",
        "view": "timeSeries",
    }
    return {"type": "metric", "properties": properties}


def _of_function(name: str, metric: str, which: str) -> List[Metric]:
    return [["AWS/Lambda", metric, "FunctionName", names.function(name, which)]]


def _of_functions(name: str, metric: str) -> List[Metric]:
    return [one for which in FUNCTIONS for one in _of_function(name, metric, which)]


def _of_queues(name: str, metric: str) -> List[Metric]:
    queues = (names.writes_queue(name), names.timer_queue(name), names.dead_queue(name))
    return [["AWS/SQS", metric, "QueueName", queue] for queue in queues]


def _of_tables(name: str, metric: str) -> List[Metric]:
    return [["AWS/DynamoDB", metric, "TableName", names.table(name, which)] for which in TABLES]


def _ours(name: str) -> List[Metric]:
    deployment, function = metrics.DIMENSIONS
    return [
        [metrics.NAMESPACE, metric, deployment, name, function, which, {"stat": "Maximum" if seconds else "Sum"}]
        for metric, seconds in ((metrics.FAILED, False), (metrics.ASIDE, False), (metrics.LATE_S, True))
        for which in ((names.HEARTBEAT,) if seconds else (names.WRITER, names.HEARTBEAT))
    ]
