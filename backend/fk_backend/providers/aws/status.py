"""How a deployment is: what CloudFormation, Lambda, the queues, the tables and the alarms say.

Rule upheld here: it changes nothing; what can't be read is said to be unknown, and hides nothing else.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ...errors import DeploymentError, NoDeployment
from ...layout import FORMAT
from ...ports import TABLES
from . import names
from .cloud import Cloud, explained
from .deploy import url_of
from .destroy import inbox_urls
from .formats import stored_format
from .releases import releases
from .stacks import Stack
from .template_functions import FUNCTIONS

GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
UNKNOWN = "unknown"


class Row(NamedTuple):
    """One line of the report. ``good``: nobody has to do anything about it."""

    section: str
    what: str
    value: str
    good: bool = True


class Status(NamedTuple):
    """A deployment's state, and the URL to use it by."""

    name: str
    url: str
    rows: List[Row]

    @property
    def good(self) -> bool:
        """Whether nothing needs attention."""
        return all(row.good for row in self.rows)


def status(
    name: str, session: Any = None, *, region: Optional[str] = None, endpoint_url: Optional[str] = None
) -> Status:
    """Asks AWS about everything. NoDeployment: there is no stack of that name. DeploymentError."""
    cloud = Cloud(session, region, endpoint_url)
    stack = Stack(cloud, name, lambda line: None)
    state = stack.status()
    if not state or state == "REVIEW_IN_PROGRESS":
        raise NoDeployment(
            "there is no deployment %s in %s of account %s; fk-kazoo deploy %s makes one"
            % (name, cloud.region, cloud.account, name)
        )
    rows = [Row("stack", stack.name, state, state in GOOD)]
    for part in (_format, _release, _functions, _mappings, _queues, _tables, _alarms):
        rows.extend(_told(part, cloud, name))
    return Status(name, url_of(cloud, name), rows)


def _told(part: Callable[[Cloud, str], List[Row]], cloud: Cloud, name: str) -> List[Row]:
    try:
        return part(cloud, name)
    except DeploymentError as error:
        return [Row(part.__name__.strip("_"), UNKNOWN, str(error), False)]


def _format(cloud: Cloud, name: str) -> List[Row]:
    found = stored_format(cloud, name)
    return [Row("format", "of the tables", UNKNOWN if found is None else str(found), found == FORMAT)]


def _release(cloud: Cloud, name: str) -> List[Row]:
    known = releases(cloud, name)
    for one in known:
        if one.is_live:
            text = "%s of %s" % (one.name, one.made.replace("T", " "))
            older = len(known) - known.index(one) - 1
            return [Row("release", "live", text + (", %d to go back to" % older if older else ""))]
    return [Row("release", "live", "none, with all of its functions: fk-kazoo deploy %s" % name, False)]


def _functions(cloud: Cloud, name: str) -> List[Row]:
    rows = []
    for which in FUNCTIONS:
        function = names.function(name, which)
        with explained():
            one = cloud.client("lambda").get_function_configuration(FunctionName=function)
        state, update = one.get("State", "Active"), one.get("LastUpdateStatus", "Successful")
        text = "%s, %s, last changed %s" % (state, update, one.get("LastModified", UNKNOWN)[:19].replace("T", " "))
        rows.append(Row("functions", function, text, state in ("Active", "Inactive") and update != "Failed"))
    return rows


def _mappings(cloud: Cloud, name: str) -> List[Row]:
    """Only those that do not hand over."""
    rows = []
    with explained():
        for which in FUNCTIONS:
            pages = cloud.client("lambda").get_paginator("list_event_source_mappings")
            for page in pages.paginate(FunctionName=names.function(name, which)):
                for one in page["EventSourceMappings"]:
                    if one.get("State") in ("Disabled", "Disabling"):
                        queue = one["EventSourceArn"].rpartition(":")[2]
                        rows.append(Row("functions", queue, "hands nothing over: its mapping is disabled", False))
    return rows


def _queues(cloud: Cloud, name: str) -> List[Row]:
    rows = []
    queues = cloud.client("sqs")
    for queue in (names.writes_queue(name), names.timer_queue(name), names.dead_queue(name)):
        with explained():
            url = queues.get_queue_url(QueueName=queue)["QueueUrl"]
            counts = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        waiting, taken, delayed = (
            int(counts.get("ApproximateNumberOfMessages" + kind, 0)) for kind in ("", "NotVisible", "Delayed")
        )
        text = "%d waiting, %d being worked on" % (waiting, taken) + (", %d delayed" % delayed if delayed else "")
        rows.append(Row("queues", queue, text, queue != names.dead_queue(name) or waiting + taken == 0))
    inboxes = sum(1 for _ in inbox_urls(cloud, name))
    rows.append(Row("queues", names.inbox_prefix(name) + "…", "%d inboxes" % inboxes))
    return rows


def _tables(cloud: Cloud, name: str) -> List[Row]:
    rows = []
    for which in TABLES:
        table = names.table(name, which)
        with explained():
            one = cloud.client("dynamodb").describe_table(TableName=table)["Table"]
        # AWS counts every six hours or so.
        text = "%s, about %d items, %d bytes" % (one["TableStatus"], one["ItemCount"], one["TableSizeBytes"])
        safe = bool(one.get("DeletionProtectionEnabled"))
        text += "" if safe else "; anybody may delete it: fk-kazoo deploy %s protects it" % name
        rows.append(Row("tables", table, text, safe and one["TableStatus"] in ("ACTIVE", "UPDATING")))
    return rows


def _alarms(cloud: Cloud, name: str) -> List[Row]:
    prefix = names.stack(name) + "-"
    found: List[Dict[str, Any]] = []
    with explained():
        for page in cloud.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix):
            found.extend(page["MetricAlarms"])
    # Another deployment's name may begin with this one's.
    ours = [one for one in found if _concerns(one, name)]
    return [Row("alarms", one["AlarmName"], one["StateValue"], one["StateValue"] != "ALARM") for one in ours]


def _concerns(alarm: Dict[str, Any], name: str) -> bool:
    functions = {names.function(name, which) for which in FUNCTIONS}
    ours = {*functions, names.writes_queue(name), names.dead_queue(name), names.timer_queue(name)}
    return all(one["Value"] in ours for one in alarm["Dimensions"])
