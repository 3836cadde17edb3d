"""The part of the template that tells somebody: an alarm for whatever would otherwise be noticed by users first.

Handled failures are no errors to Lambda, since an invocation that names what has to come again has succeeded: they are
in our own metrics (see `metrics`).
"""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ...ports import TABLES
from . import metrics, names
from .template_functions import RECURSIVE, title_of

Resource = Dict[str, Any]
Dimensions = Mapping[str, str]


def alarms(name: str) -> Dict[str, Resource]:
    """By their logical names."""
    return {**_of_functions(name), **_of_queues(name), **_of_tables(name), **_of_ours(name)}


def _alarm(name: str, what: str, why: str, metric: str, of: Dimensions, **more: Any) -> Dict[str, Resource]:
    """``more``: what differs from one or more in five minutes."""
    namespaces = {"QueueName": "AWS/SQS", "TableName": "AWS/DynamoDB", "FunctionName": "AWS/Lambda"}
    namespace = next((namespaces[key] for key in of if key in namespaces), metrics.NAMESPACE)
    properties = {
        "AlarmName": "%s-%s" % (names.stack(name), what),
        "AlarmDescription": why,
        "Namespace": namespace,
        "MetricName": metric,
        "Dimensions": [{"Name": key, "Value": value} for key, value in of.items()],
        "Statistic": "Sum",
        "Period": 300,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]},
        **more,
    }
    return {title_of(what) + "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}}


def _of_functions(name: str) -> Dict[str, Resource]:
    found: Dict[str, Resource] = {}
    whys = {
        names.WRITER: "The writer failed: see its log",
        names.HEARTBEAT: "The heartbeat failed: sessions of dead clients may not expire",
    }
    for which, why in whys.items():
        of = {"FunctionName": names.function(name, which)}
        room = "Lambda had no room for the %s: raise the account's concurrency" % which
        found.update(_alarm(name, which + "-errors", why, "Errors", of))
        found.update(_alarm(name, which + "-throttles", room, "Throttles", of))
        if which in RECURSIVE:
            loop = "Lambda took the %s for a recursive loop and stopped it: its RecursiveLoop has to be Allow" % which
            found.update(_alarm(name, which + "-dropped", loop, "RecursiveInvocationsDropped", of))
    return found


def _of_queues(name: str) -> Dict[str, Resource]:
    """Ticks, which stay, are not the oldest: SQS leaves out what was received more than three times."""
    # What a queue's redrive policy moves is in no count of messages sent; what the function receives is counted.
    dead = {"QueueName": names.dead_queue(name)}
    arrived = "The writer failed on a message again and again. It is kept in the bucket under dead/"
    found = _alarm(name, "dead-letters", arrived, "NumberOfMessagesReceived", dead)
    ages = (
        ("writes-age", names.writes_queue(name), 60, "A write has waited for more than a minute"),
        ("timer-age", names.timer_queue(name), 300, "Nobody takes what wakes the heartbeat: dead clients keep locks"),
        (
            "dead-age",
            names.dead_queue(name),
            900,
            "Dead letters are not worked off: see the dead letter function's log",
        ),
    )
    for what, queue, threshold_s, why in ages:
        more = {"Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 2, "Threshold": threshold_s}
        found.update(_alarm(name, what, why, "ApproximateAgeOfOldestMessage", {"QueueName": queue}, **more))
    return found


def _of_tables(name: str) -> Dict[str, Resource]:
    found: Dict[str, Resource] = {}
    for which in TABLES:
        of = {"TableName": names.table(name, which)}
        for metric, kind in (("WriteThrottleEvents", "writes"), ("ReadThrottleEvents", "reads")):
            why = "DynamoDB refused %s of the table %s: more than it can take at once" % (kind, which)
            found.update(_alarm(name, "%s-throttled-%s" % (which, kind), why, metric, of))
    return found


def _of_ours(name: str) -> Dict[str, Resource]:
    """Each under the function that tells it."""

    def ours(what: str, why: str, metric: str, which: str, **more: Any) -> Dict[str, Resource]:
        return _alarm(name, what, why, metric, dict(zip(metrics.DIMENSIONS, (name, which))), **more)

    late = "Ticks of the heartbeat come late: locks of dead clients are released late"
    bug = "The writer met a bug with a message, or never got done with it. It is kept in the bucket under dead/"
    return {
        **ours("tick-lag", late, metrics.LATE_S, names.HEARTBEAT, Statistic="Maximum", Threshold=30),
        **ours("failed-writes", "Batches had to be tried again", metrics.FAILED, names.WRITER, Threshold=10),
        **ours("failed-ticks", "Ticks had to be tried again", metrics.FAILED, names.HEARTBEAT, Threshold=10),
        **ours("set-aside", bug, metrics.ASIDE, names.WRITER),
    }
