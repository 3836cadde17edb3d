"""What is left of a deployment in an account, kind by kind, whoever made it.

Rule upheld here: what can't be looked at is not taken for gone.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

from fk_backend.errors import DeploymentError
from fk_backend.providers.aws.cloud import Cloud, explained

GONE_TIMEOUT_S = 90.0
"""So long a list may show what is gone: SQS's a minute after DeleteQueue (SQS API Reference)."""
PAUSE_S = 3.0


class Leftovers(NamedTuple):
    """``left``: what there is, as ``kind name``. ``unknown``: kind → why it can't be looked at."""

    left: List[str]
    unknown: Dict[str, str]


def _pages(cloud: Cloud, service: str, call: str, key: str, **request: Any) -> Iterator[Any]:
    for page in cloud.client(service).get_paginator(call).paginate(**request):
        yield from page.get(key, ())


def _stacks(cloud: Cloud, prefix: str) -> Iterable[str]:
    for one in _pages(cloud, "cloudformation", "describe_stacks", "Stacks"):
        if one["StackStatus"] != "DELETE_COMPLETE":
            yield one["StackName"]


def _queues(cloud: Cloud, prefix: str) -> Iterable[str]:
    found = _pages(cloud, "sqs", "list_queues", "QueueUrls", QueueNamePrefix=prefix, PaginationConfig={"PageSize": 999})
    return (url.rpartition("/")[2] for url in found)


def _logs(cloud: Cloud, prefix: str) -> Iterable[str]:
    before = "/aws/lambda/"
    found = _pages(cloud, "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=before + prefix)
    return (one["logGroupName"][len(before) :] for one in found)


def _mappings(cloud: Cloud, prefix: str) -> Iterable[str]:
    for one in _pages(cloud, "lambda", "list_event_source_mappings", "EventSourceMappings"):
        yield one.get("EventSourceArn", "").rpartition(":")[2]


def _buckets(cloud: Cloud, prefix: str) -> Iterable[str]:
    return (one["Name"] for one in cloud.client("s3").list_buckets()["Buckets"])


def _rules(cloud: Cloud, prefix: str) -> Iterable[str]:
    return (one["Name"] for one in cloud.client("events").list_rules(NamePrefix=prefix)["Rules"])


def _listed(service: str, call: str, key: str, name: Optional[str], **request: Any) -> "Callable[..., Iterable[str]]":
    def listed(cloud: Cloud, prefix: str) -> Iterable[str]:
        return (one[name] if name else one for one in _pages(cloud, service, call, key, **request))

    return listed


KINDS: "Dict[str, Callable[[Cloud, str], Iterable[str]]]" = {
    "stack": _stacks,
    "table": _listed("dynamodb", "list_tables", "TableNames", None),
    "queue": _queues,
    "function": _listed("lambda", "list_functions", "Functions", "FunctionName"),
    "event source mapping of": _mappings,
    "role": _listed("iam", "list_roles", "Roles", "RoleName"),
    "policy": _listed("iam", "list_policies", "Policies", "PolicyName", Scope="Local"),
    "log group of": _logs,
    "bucket": _buckets,
    "alarm": _listed("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "dashboard": _listed("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "rule": _rules,
}
"""What a deployment consists of → the names of all of its kind that may be the deployment's."""


def find(cloud: Cloud, prefixes: Sequence[str]) -> Leftovers:
    """Everything whose name begins with one of these."""
    left: List[str] = []
    unknown: Dict[str, str] = {}
    for kind, names in KINDS.items():
        for prefix in prefixes:
            try:
                with explained():
                    left.extend("%s %s" % (kind, one) for one in names(cloud, prefix) if one.startswith(prefix))
            except DeploymentError as error:
                unknown[kind] = str(error)
    return Leftovers(sorted(set(left)), unknown)


def wait_until_gone(cloud: Cloud, prefixes: Sequence[str], within_s: float = GONE_TIMEOUT_S) -> Leftovers:
    """The same once nothing is left, or the time is up."""
    until = time.monotonic() + within_s
    while True:
        left_over = find(cloud, prefixes)
        if not left_over.left or time.monotonic() > until:
            return left_over
        time.sleep(PAUSE_S)
