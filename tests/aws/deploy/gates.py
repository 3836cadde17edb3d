"""What the linters of templates and policies don't see: each check lists what is wrong with a template.

Rule upheld here: a check is a function of the template alone, so that a test can plant a fault and see it found.
"""

from __future__ import annotations

import importlib
import json
import re
from fnmatch import fnmatchcase
from typing import Any, Dict, Iterator, List, Set, Tuple

from fk_backend.providers.aws import metrics, names

Template = Dict[str, Any]

ACCOUNT, REGION = "123456789012", "eu-central-1"
_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT}


def of_kind(template: Template, kind: str) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """(logical name, properties) of the resources of a kind."""
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource["Properties"]


KEY = "arn:aws:kms:%s:%s:key/1234abcd-12ab-34cd-56ef-1234567890ab" % (REGION, ACCOUNT)
NOTHING = {"Ref": "AWS::NoValue"}


def rendered(value: Any, key: bool = False) -> Any:
    """With every Fn::Sub of pseudo parameters in it carried out. ``key``: as with a customer's key, and traced."""
    if isinstance(value, dict) and set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{([^}]+)\}", lambda found: _PSEUDO[found[1]], value["Fn::Sub"])
    if isinstance(value, dict) and set(value) == {"Fn::If"}:
        condition, one, other = value["Fn::If"]
        return rendered(one if key and condition in ("HasKey", "HasTracing") else other, key)
    if value == {"Ref": "Key"}:
        return KEY
    if isinstance(value, dict):
        return {name: rendered(one, key) for name, one in value.items() if rendered(one, key) != NOTHING}
    if isinstance(value, list):
        return [rendered(one, key) for one in value if rendered(one, key) != NOTHING]
    return value


def policies(template: Template, key: bool = False) -> Dict[str, Dict[str, Any]]:
    """Every policy of an identity, rendered, by the logical name of what has it."""
    found = {
        name: rendered(role["Policies"][0]["PolicyDocument"], key) for name, role in of_kind(template, "AWS::IAM::Role")
    }
    for name, policy in of_kind(template, "AWS::IAM::ManagedPolicy"):
        found[name] = rendered(policy["PolicyDocument"], key)
    return found


def allows(policy: Dict[str, Any], action: str, resource: str) -> bool:
    """Whether a policy allows it on the resource, conditions aside."""
    return any(
        action in statement["Action"] and any(fnmatchcase(resource, one) for one in statement["Resource"])
        for statement in policy["Statement"]
    )


def behind(template: Template, mapping: Dict[str, Any]) -> Tuple[str, Dict[str, Any]]:
    """The function behind the alias."""
    name = mapping["FunctionName"]["Ref"]
    if template["Resources"][name]["Type"] == "AWS::Lambda::Alias":
        name = template["Resources"][name]["Properties"]["FunctionName"]["Ref"]
    return name, template["Resources"][name]["Properties"]


def _role_of(template: Template, function: Dict[str, Any]) -> str:
    name: str = function["Role"]["Fn::GetAtt"][0]
    return name


def mapping_faults(template: Template) -> Iterator[str]:
    """Of what hands messages over."""
    roles = policies(template)
    for name, mapping in of_kind(template, "AWS::Lambda::EventSourceMapping"):
        queue = template["Resources"][mapping["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
        function_name, function = behind(template, mapping)
        arn = "arn:aws:sqs:%s:%s:%s" % (REGION, ACCOUNT, queue["QueueName"])
        if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield "%s: one failure would bring the whole batch again" % name
        if mapping.get("MaximumBatchingWindowInSeconds"):
            yield "%s: FIFO queues have no batching window, and others would wait" % name
        if not 1 <= mapping["BatchSize"] <= 10:
            yield "%s: a batch without a window has 1 to 10 messages" % name
        if "StartingPosition" in mapping:
            yield "%s: that is for streams" % name
        if queue["VisibilityTimeout"] < function["Timeout"]:
            yield "%s: a message would come again while %s works on it" % (name, function_name)
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
            if not allows(roles[_role_of(template, function)], "sqs:" + action, arn):
                yield "%s: the role of %s lacks sqs:%s on %s" % (name, function_name, action, arn)


def function_faults(template: Template) -> Iterator[str]:
    """Of what runs."""
    roles = policies(template)
    seen = set()
    for name, function in of_kind(template, "AWS::Lambda::Function"):
        module, _, entry = function["Handler"].rpartition(".")
        try:
            if not callable(getattr(importlib.import_module(module), entry)):
                yield "%s: %s is no function" % (name, function["Handler"])
        except (ImportError, AttributeError) as error:
            yield "%s: %s: %s" % (name, function["Handler"], error)
        if (function["Runtime"], function["Architectures"]) != ("python3.13", ["arm64"]):
            yield "%s: the package is for python3.13 on arm64" % name
        role = _role_of(template, function)
        if role in seen:
            yield "%s: shares %s with another function" % (name, role)
        seen.add(role)
        log = template["Resources"][function["LoggingConfig"]["LogGroup"]["Ref"]]["Properties"]
        streams = "arn:aws:logs:%s:%s:log-group:%s:log-stream:x" % (REGION, ACCOUNT, log["LogGroupName"])
        if not log.get("RetentionInDays"):
            yield "%s: its log is kept for ever" % name
        if not allows(roles[role], "logs:PutLogEvents", streams):
            yield "%s: its role can't write its log" % name


def _feeds(template: Template) -> Dict[str, Set[str]]:
    """Function → functions that a message which it may send to a queue triggers."""
    roles = policies(template)
    triggered: Dict[str, Set[str]] = {}
    for name, function in of_kind(template, "AWS::Lambda::Function"):
        role = roles[_role_of(template, function)]
        triggered[name] = set()
        for _, mapping in of_kind(template, "AWS::Lambda::EventSourceMapping"):
            queue = template["Resources"][mapping["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]["QueueName"]
            if allows(role, "sqs:SendMessage", "arn:aws:sqs:%s:%s:%s" % (REGION, ACCOUNT, queue)):
                triggered[name].add(behind(template, mapping)[0])
    return triggered


def recursion_faults(template: Template) -> Iterator[str]:
    """Of functions whose messages lead back to them: Lambda stops them unless that is allowed."""
    feeds = _feeds(template)
    for name, function in of_kind(template, "AWS::Lambda::Function"):
        reached, new = set(), set(feeds[name])
        while new:
            reached |= new
            new = {further for one in new for further in feeds[one]} - reached
        allowed = function.get("RecursiveLoop", "Terminate") == "Allow"
        if name in reached and not allowed:
            yield "%s: is stopped after 16 invocations in a chain" % name
        if allowed and name not in reached:
            yield "%s: may loop, and has no reason to" % name
        alarms = [one for _, one in of_kind(template, "AWS::CloudWatch::Alarm")]
        watched = [
            one["Dimensions"][0]["Value"] for one in alarms if one["MetricName"] == "RecursiveInvocationsDropped"
        ]
        if name in reached and function["FunctionName"] not in watched:
            yield "%s: nobody hears of it if its invocations are dropped" % name


def data_faults(template: Template) -> Iterator[str]:
    """Of what holds data."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] in ("AWS::DynamoDB::Table", "AWS::S3::Bucket"):
            kept = resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")
            if kept != ("RetainExceptOnCreate", "Retain"):
                yield "%s: goes with its stack" % name
        if resource["Type"] == "AWS::DynamoDB::Table":
            if name != "InterestTable" and not properties["PointInTimeRecoverySpecification"].get(
                "PointInTimeRecoveryEnabled"
            ):
                yield "%s: can't be brought back" % name
            keys = {one["AttributeName"] for one in properties["KeySchema"]}
            for index in properties.get("GlobalSecondaryIndexes", ()):
                keys |= {one["AttributeName"] for one in index["KeySchema"]}
            if keys != {one["AttributeName"] for one in properties["AttributeDefinitions"]}:
                yield "%s: defines attributes that are no keys, or not all that are" % name
        if resource["Type"] == "AWS::S3::Bucket":
            blocked = properties.get("PublicAccessBlockConfiguration", {})
            if len(blocked) != 4 or not all(blocked.values()):
                yield "%s: can be made public" % name
            if "BucketEncryption" not in properties:
                yield "%s: is not encrypted" % name
            secured = [
                policy for _, policy in of_kind(template, "AWS::S3::BucketPolicy") if policy["Bucket"] == {"Ref": name}
            ]
            if "aws:SecureTransport" not in json.dumps(secured):
                yield "%s: can be read without TLS" % name


def _is_asked(template: Template, queue: str) -> bool:
    """Whether a function that a schedule invokes may take from the queue."""
    roles, arn = policies(template), "arn:aws:sqs:%s:%s:%s" % (REGION, ACCOUNT, queue)
    for _, rule in of_kind(template, "AWS::Events::Rule"):
        for target in rule.get("Targets", ()):
            _, function = behind(template, {"FunctionName": target["Arn"]})
            role = roles[_role_of(template, function)]
            if allows(role, "sqs:ReceiveMessage", arn) and allows(role, "sqs:DeleteMessage", arn):
                return True
    return False


def queue_faults(template: Template) -> Iterator[str]:
    """Of the queues and what is told about them."""
    for name, queue in of_kind(template, "AWS::SQS::Queue"):
        fifo = bool(queue.get("FifoQueue"))
        if fifo != queue["QueueName"].endswith(".fifo"):
            yield "%s: only the name of a FIFO queue ends in .fifo" % name
        if fifo and queue.get("ContentBasedDeduplication"):
            yield "%s: equal writes would be taken for one" % name
        if fifo and (queue.get("DeduplicationScope"), queue.get("FifoThroughputLimit")) != (
            "messageGroup",
            "perMessageGroupId",
        ):
            yield "%s: its groups would share one limit" % name
        if "RedrivePolicy" in queue:
            dead_name = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
            dead = template["Resources"][dead_name]["Properties"]
            if bool(dead.get("FifoQueue")) != fifo:
                yield "%s: is of another kind than its dead letter queue" % name
            if not _is_asked(template, dead["QueueName"]):
                yield "%s: nobody takes its dead letters" % name
            if dead["MessageRetentionPeriod"] <= queue["MessageRetentionPeriod"]:
                yield "%s: a dead letter's time counts from when it was sent" % name


def alarm_faults(template: Template) -> Iterator[str]:
    """Of what is told, and of what nobody would be told."""
    queues = {queue["QueueName"] for _, queue in of_kind(template, "AWS::SQS::Queue")}
    functions = {function["FunctionName"] for _, function in of_kind(template, "AWS::Lambda::Function")}
    tables = {table["TableName"] for _, table in of_kind(template, "AWS::DynamoDB::Table")}
    known = {"AWS/SQS": queues, "AWS/Lambda": functions, "AWS/DynamoDB": tables}
    watched: Dict[str, Set[str]] = {}
    for name, alarm in of_kind(template, "AWS::CloudWatch::Alarm"):
        values = [one["Value"] for one in alarm["Dimensions"]]
        watched.setdefault(alarm["MetricName"], set()).update(values)
        if alarm["Namespace"] == metrics.NAMESPACE:
            named = [one["Name"] for one in alarm["Dimensions"]]
            which = "fk-%s-%s" % tuple(values) if len(values) == 2 else ""
            if named != list(metrics.DIMENSIONS) or which not in functions or alarm["MetricName"] not in metrics.UNITS:
                yield "%s: watches what is not there" % name
        elif not set(values) <= known[alarm["Namespace"]]:
            yield "%s: watches what is not there" % name
        if alarm["MetricName"] == "NumberOfMessagesSent":
            yield "%s: what a redrive policy moves is not counted as sent" % name
    for queue in sorted(queues - watched.get("ApproximateAgeOfOldestMessage", set())):
        yield "%s: nobody hears of it if its messages wait" % queue
    for table in sorted(tables - (watched["WriteThrottleEvents"] & watched["ReadThrottleEvents"])):
        yield "%s: nobody hears of it if it is throttled" % table
    for metric in sorted(metrics.UNITS.keys() - watched.keys()):
        yield "%s: nobody hears of it" % metric


def dashboard_faults(template: Template) -> Iterator[str]:
    """Of what is shown: each metric is of something that is there, and what there is an alarm on is shown."""
    names_of = {"AWS::SQS::Queue": "QueueName", "AWS::Lambda::Function": "FunctionName"}
    names_of["AWS::DynamoDB::Table"] = "TableName"
    there = {properties[name] for kind, name in names_of.items() for _, properties in of_kind(template, kind)}
    shown: Set[str] = set()
    for name, dashboard in of_kind(template, "AWS::CloudWatch::Dashboard"):
        for widget in json.loads(rendered(dashboard["DashboardBody"]))["widgets"]:
            for metric in widget["properties"]["metrics"]:
                values = [one for one in metric if isinstance(one, str)]
                which = "fk-%s-%s" % (values[3], values[5]) if values[0] == metrics.NAMESPACE else values[3]
                shown.add(values[1])
                if which not in there:
                    yield "%s: shows %s, which is not there" % (name, which)
            if widget["properties"]["region"] != REGION:
                yield "%s: shows another region" % name
    of_alarms = {alarm["MetricName"] for _, alarm in of_kind(template, "AWS::CloudWatch::Alarm")}
    for missing in sorted(of_alarms - shown - {"NumberOfMessagesReceived", "RecursiveInvocationsDropped"}):
        yield "there is an alarm on %s, and nobody sees it" % missing


def key_faults(template: Template) -> Iterator[str]:
    """Of a customer's key: whatever holds data is encrypted with it, and whoever comes to that may use it."""
    for kind in ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"):
        for name, properties in of_kind(template, kind):
            if KEY not in json.dumps(rendered(properties, key=True)):
                yield "%s: is not encrypted with the customer's key" % name
            if KEY in json.dumps(rendered(properties)) or '"kms"' in json.dumps(rendered(properties)).lower():
                yield "%s: needs a key that nobody has given" % name
    for name, policy in policies(template, key=True).items():
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            if not allows(policy, action, KEY):
                yield "%s: lacks %s" % (name, action)
        for statement in policy["Statement"]:
            if statement["Action"][0].startswith("kms:") and "kms:ViaService" not in json.dumps(statement):
                yield "%s: may use the key for anything" % name


def tracing_faults(template: Template) -> Iterator[str]:
    """Of traces: whoever asks for them gets them from every function, and nobody else pays for them."""
    asked, unasked = policies(template, key=True), policies(template)
    for name, function in of_kind(template, "AWS::Lambda::Function"):
        if (rendered(function["TracingConfig"], True), rendered(function["TracingConfig"])) != (
            {"Mode": "Active"},
            {"Mode": "PassThrough"},
        ):
            yield "%s: is traced, or not, whatever was asked for" % name
        role = _role_of(template, function)
        if not allows(asked[role], "xray:PutTraceSegments", "*") or "xray" in json.dumps(unasked[role]):
            yield "%s: its role does not fit its tracing" % name


def concurrency_faults(template: Template) -> Iterator[str]:
    """Of the limit that whoever deploys may set."""
    for name, mapping in of_kind(template, "AWS::Lambda::EventSourceMapping"):
        if "MaxConcurrency" not in json.dumps(mapping.get("ScalingConfig")):
            yield "%s: may run as many at once as the account allows" % name


def release_faults(template: Template) -> Iterator[str]:
    """Of the way back: everything invokes what is live, which is a version of now, and versions outlive it."""
    resources = template["Resources"]
    every = dict(of_kind(template, "AWS::Lambda::Alias"))
    aliases = {alias["FunctionName"]["Ref"]: name for name, alias in every.items() if alias["Name"] != names.DIRECT}
    for name, alias in every.items():
        live = resources.get(aliases.get(alias["FunctionName"]["Ref"], ""), {}).get("Properties", {})
        if alias["Name"] == names.DIRECT and alias["FunctionVersion"] != live.get("FunctionVersion"):
            yield "%s: clients invoke what is not live" % name
    versions = {name: version["FunctionName"]["Ref"] for name, version in of_kind(template, "AWS::Lambda::Version")}
    for name, function in of_kind(template, "AWS::Lambda::Function"):
        alias = resources.get(aliases.get(name, ""), {}).get("Properties", {})
        version = alias.get("FunctionVersion", {}).get("Fn::GetAtt", [""])[0]
        if alias.get("Name") != "live" or versions.get(version) != name:
            yield "%s: no version of it is live" % name
        elif function["Environment"]["Variables"].get("FK_RELEASE") != version.partition("Version")[2]:
            yield "%s: is not what its version says" % name
    for name in versions:
        if (resources[name].get("DeletionPolicy"), resources[name].get("UpdateReplacePolicy")) != ("Retain", "Retain"):
            yield "%s: goes with the next deploy" % name
    invoked = {name: one["FunctionName"] for name, one in of_kind(template, "AWS::Lambda::EventSourceMapping")}
    invoked.update({name: one["Targets"][0]["Arn"] for name, one in of_kind(template, "AWS::Events::Rule")})
    invoked.update({name: one["FunctionName"] for name, one in of_kind(template, "AWS::Lambda::Permission")})
    for name, reference in invoked.items():
        if reference.get("Ref") not in aliases.values():
            yield "%s: invokes what is not live" % name


def faults(template: Template) -> List[str]:
    """All of them."""
    checks = (mapping_faults, function_faults, recursion_faults, data_faults, queue_faults, alarm_faults)
    checks += (key_faults, concurrency_faults, dashboard_faults, tracing_faults, release_faults)
    return [fault for check in checks for fault in check(template)]
