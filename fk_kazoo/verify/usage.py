"""What CloudWatch says was used in a window of minutes, beside what `fk-kazoo cost` says of the same load.

Sources: CloudWatch metrics of Lambda (Invocations, Duration), DynamoDB (ConsumedReadCapacityUnits,
ConsumedWriteCapacityUnits) and SQS (NumberOfMessagesSent, NumberOfMessagesReceived, NumberOfEmptyReceives), sums over
minutes.
"""

from __future__ import annotations

import collections
import datetime
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from fk_backend.ports import TABLES
from fk_backend.providers.aws import names
from fk_backend.providers.aws.cloud import Cloud, explained

from ..commands.cost import DAY_S, Load, daily
from ..commands.cost_figures import FIGURES, PRICES
from .context import CheckContext, Window
from .outcome import NotRun, NotShown

MINUTE_S = 60.0
Query = Tuple[str, str, str, Dict[str, str]]
"""What it is called here, and the namespace, metric and dimensions of CloudWatch."""
LATE_S = 300.0
"""So long after a minute its figures may come."""
PAUSE_S = 15.0
MEMORY_GB = 0.5
"""What the template gives a function that nobody asked more for."""
AT_MOST, AT_LEAST = 2.0, 0.3
"""Times what the model says: beyond these the model is wrong."""


def used(context: CheckContext) -> Dict[str, Any]:
    """What CloudWatch counted, in USD, and the model's figure."""
    window = context.window
    if window is None:
        raise NotRun("the calls whose cost is compared were not made")
    queries = _queries(context.name)
    until = time.monotonic() + (0.0 if context.account.emulator else LATE_S)
    while True:
        found = _asked(context, window, queries)
        missing = sorted(name for name in NEEDED if name not in found)
        if not missing or time.monotonic() > until:
            break
        context.wait(PAUSE_S)
    if missing and context.account.emulator:
        raise NotShown("its CloudWatch has no figures of %s" % ", ".join(missing))
    if missing:
        raise NotRun("CloudWatch had no figures of %s after %.0f s" % (", ".join(missing), LATE_S))
    figures = compared(found, window)
    assert AT_LEAST <= figures["ratio"] <= AT_MOST, "%(measured_usd)s USD, where the model says %(model_usd)s" % figures
    return figures


NEEDED = ("wru", "rru", "invocations", "duration_ms", "writes_sent")


def _queries(name: str) -> List[Query]:
    """(what it adds to, CloudWatch's namespace, metric, dimension)."""
    found: List[Query] = []
    for which in TABLES:
        table = {"TableName": names.table(name, which)}
        found.append(("wru", "AWS/DynamoDB", "ConsumedWriteCapacityUnits", table))
        found.append(("rru", "AWS/DynamoDB", "ConsumedReadCapacityUnits", table))
    for which in (names.WRITER, names.HEARTBEAT, names.DEAD_LETTER):
        function = {"FunctionName": names.function(name, which)}
        found.append(("invocations", "AWS/Lambda", "Invocations", function))
        found.append(("duration_ms", "AWS/Lambda", "Duration", function))
    found.append(("writes_sent", "AWS/SQS", "NumberOfMessagesSent", {"QueueName": names.writes_queue(name)}))
    for queue in (names.writes_queue(name), names.timer_queue(name), names.dead_queue(name)):
        for metric in ("NumberOfMessagesReceived", "NumberOfMessagesDeleted", "NumberOfEmptyReceives"):
            found.append(("event_source", "AWS/SQS", metric, {"QueueName": queue}))
    return found


def _asked(context: CheckContext, window: Window, queries: List[Query]) -> Dict[str, float]:
    """Sums over the window, of what there are figures of."""
    context.ledger.add(asked=len(queries))
    return _sums(context.account.cloud, window.started_s, window.ended_s, queries, int(MINUTE_S))


def this_month(name: str, region: Optional[str], endpoint_url: Optional[str]) -> Dict[str, Any]:
    """What a deployment has used since the month began (UTC), at today's prices. BackendError.

    Inboxes, storage and traffic are not in it; asking CloudWatch costs 0.0002 USD.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    began = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    with explained():
        found = _sums(Cloud(None, region, endpoint_url), began.timestamp(), now.timestamp(), _queries(name), DAY_S)
    by_item = _priced(collections.defaultdict(float, found))
    return {"since_ms": int(began.timestamp() * 1000), "usd": round(sum(by_item.values()), 4), "by_item_usd": by_item}


def _sums(cloud: Cloud, started_s: float, ended_s: float, queries: List[Query], period_s: int) -> Dict[str, float]:
    asked = [
        {
            "Id": "m%d" % number,
            "MetricStat": {
                "Metric": {
                    "Namespace": space,
                    "MetricName": metric,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in of.items()],
                },
                "Period": period_s,
                "Stat": "Sum",
            },
        }
        for number, (_, space, metric, of) in enumerate(queries)
    ]
    answer = cloud.client("cloudwatch").get_metric_data(
        MetricDataQueries=asked, StartTime=_at(started_s), EndTime=_at(ended_s)
    )
    found: Dict[str, float] = {}
    for one in answer["MetricDataResults"]:
        what = queries[int(one["Id"][1:])][0]
        if one["Values"]:
            found[what] = found.get(what, 0.0) + sum(one["Values"])
    return found


def _at(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def _priced(found: Mapping[str, float]) -> Dict[str, float]:
    price = PRICES["current"]
    return {
        "wru": found["wru"] * price["wru"],
        "rru": found["rru"] * price["rru"],
        "invocations": found["invocations"] * price["invocations"],
        "gb_s": found["duration_ms"] / 1000 * MEMORY_GB * price["gb_s"],
        "queue_sends": found["writes_sent"] * price["queue_sends"],
    }


def compared(found: Mapping[str, float], window: Window) -> Dict[str, Any]:
    """What was used, at the model's prices, beside what the model says. Pushes to inboxes are in neither."""
    price, measured = PRICES["current"], _priced(found)
    load = Load(window.reads, window.writes, 0, 0)
    model = daily(load, FIGURES, price)
    for what in ("writes: receives, deletes, logs", "idle queues of the functions", "looks for dead letters"):
        model.pop(what)  # SQS counts messages, and charges requests
    model["writes: queue and answers"] -= window.writes * price["inbox_pushes"] * FIGURES["write"]["inbox_pushes"]
    total, said = sum(measured.values()), sum(model.values())
    return {
        "seconds": round(window.ended_s - window.started_s),
        "reads": window.reads,
        "writes": window.writes,
        "counted": {what: round(value, 3) for what, value in sorted(found.items())},
        "measured_usd": round(total, 6),
        "model_usd": round(said, 6),
        "ratio": round(total / said, 3) if said else 0.0,
        "by_item_usd": {what: round(usd, 7) for what, usd in measured.items()},
        "idle_model_usd_a_day": round(sum(daily(Load(0, 0, 1, 0), FIGURES, price).values()), 4),
    }
