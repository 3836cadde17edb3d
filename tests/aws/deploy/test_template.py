"""The template, judged by cfn-lint and by our own checks; and each check by a fault that is planted."""

from __future__ import annotations

import copy
import json
from typing import Any, Callable, Dict, List

import pytest

from fk_backend.errors import BadUrl
from fk_backend.ports import TABLES
from fk_backend.providers.aws import names, template_functions
from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.host import functions_of
from fk_backend.providers.aws.dev.resources import Account
from fk_backend.providers.aws.stacks import BODY_LIMIT
from fk_backend.providers.aws.template import PARAMETERS, template
from fk_backend.providers.aws.template_data import WARM_WRITES
from fk_kazoo.commands import cost

from . import gates
from .conftest import NAME, Place

MANY = ["orders", "a.b_C-9", "x" * 64]


def _lint(made: Dict[str, Any]) -> List[str]:
    """Errors and warnings. (What is for information asks for prose in the template.)"""
    from cfnlint.api import ManualArgs, lint

    regions = ["us-east-1", "eu-central-1", "ap-southeast-1"]
    return [str(match) for match in lint(json.dumps(made), config=ManualArgs(regions=regions))]


@pytest.mark.parametrize("namespaces", [[], MANY])
def test_cfn_lint_has_nothing_to_say(namespaces: List[str]) -> None:
    assert _lint(template("a-b-c-d-e-f-g-h-i-jk", namespaces)) == []


def test_cfn_lint_would_say_something() -> None:
    made = template(NAME)
    made["Resources"]["WritesQueue"]["Properties"]["VisibilityTimeout"] = 43201
    made["Resources"]["WriterRole"]["Properties"]["Policy"] = []
    found = _lint(made)
    assert len(found) == 2 and "43201" in found[0] + found[1] and "Policy" in found[0] + found[1]


def test_our_own_checks_have_nothing_to_say() -> None:
    assert gates.faults(template(NAME, MANY)) == []


def _properties(made: Dict[str, Any], name: str) -> Dict[str, Any]:
    found: Dict[str, Any] = made["Resources"][name]["Properties"]
    return found


def _set(resource: str, **properties: Any) -> Callable[[Dict[str, Any]], None]:
    return lambda made: _properties(made, resource).update(properties)


def _unset(resource: str, key: str) -> Callable[[Dict[str, Any]], None]:
    return lambda made: _properties(made, resource).pop(key)


def _without_action(role: str, action: str) -> Callable[[Dict[str, Any]], None]:
    def plant(made: Dict[str, Any]) -> None:
        for statement in _properties(made, role)["Policies"][0]["PolicyDocument"]["Statement"][:-2]:
            statement["Action"] = [one for one in statement["Action"] if one != action]

    return plant


def _another_log(made: Dict[str, Any]) -> None:
    _properties(made, "WriterFunction")["LoggingConfig"] = {"LogGroup": {"Ref": "SweeperLog"}}


def _shared_role(made: Dict[str, Any]) -> None:
    _properties(made, "SweeperFunction")["Role"] = {"Fn::GetAtt": ["WriterRole", "Arn"]}


def _unkept(made: Dict[str, Any]) -> None:
    made["Resources"]["StateTable"]["DeletionPolicy"] = "Delete"


def _replaceable(made: Dict[str, Any]) -> None:
    made["Resources"]["Bucket"]["UpdateReplacePolicy"] = "Delete"


def _without_key(made: Dict[str, Any]) -> None:
    _properties(made, "ClientPolicy")["PolicyDocument"]["Statement"].pop()


def _key_for_anything(made: Dict[str, Any]) -> None:
    statement = copy.deepcopy(_properties(made, "WriterRole")["Policies"][0]["PolicyDocument"]["Statement"].pop())
    del statement["Fn::If"][1]["Condition"]
    _properties(made, "WriterRole")["Policies"][0]["PolicyDocument"]["Statement"].append(statement)


def _untraced(made: Dict[str, Any]) -> None:
    del _properties(made, "SweeperRole")["Policies"][0]["PolicyDocument"]["Statement"][-2]


def _elsewhere(made: Dict[str, Any]) -> None:
    body = _properties(made, "Dashboard")["DashboardBody"]
    body["Fn::Sub"] = body["Fn::Sub"].replace("fk-test-writer", "fk-else-writer")


def _blind(made: Dict[str, Any]) -> None:
    body = _properties(made, "Dashboard")["DashboardBody"]
    body["Fn::Sub"] = body["Fn::Sub"].replace('"SetAside"', '"FailedBatches"')


def _another_release(made: Dict[str, Any]) -> None:
    _properties(made, "WriterFunction")["Environment"]["Variables"]["FK_RELEASE"] = "11111111"


def _unkept_version(made: Dict[str, Any]) -> None:
    made["Resources"]["WriterVersion00000000"]["DeletionPolicy"] = "Delete"


def _without_tls(made: Dict[str, Any]) -> None:
    del made["Resources"]["BucketPolicy"]


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (_set("WriterMapping", MaximumBatchingWindowInSeconds=1), "WriterMapping: FIFO queues have no batching window"),
        (_unset("WriterMapping", "FunctionResponseTypes"), "WriterMapping: one failure"),
        (_set("HeartbeatMapping", BatchSize=100), "HeartbeatMapping: a batch"),
        (_set("HeartbeatMapping", StartingPosition="LATEST"), "HeartbeatMapping: that is for streams"),
        (_without_action("WriterRole", "sqs:ReceiveMessage"), "lacks sqs:ReceiveMessage"),
        (_without_action("HeartbeatRole", "sqs:DeleteMessage"), "lacks sqs:DeleteMessage"),
        (_without_action("HeartbeatRole", "sqs:GetQueueAttributes"), "lacks sqs:GetQueueAttributes"),
        (_without_action("DeadLetterRole", "sqs:ReceiveMessage"), "WritesQueue: nobody takes its dead letters"),
        (
            _set("DeadLetterSchedule", Targets=[{"Id": "x", "Arn": {"Ref": "SweeperLive"}}]),
            "WritesQueue: nobody takes its dead letters",
        ),
        (_set("WriterFunction", Timeout=31), "WriterMapping: a message would come again"),
        (_set("WriterFunction", Handler="fk_backend.providers.aws.handlers.write"), "has no attribute 'write'"),
        (_set("WriterFunction", Handler="handlers.writer"), "No module named 'handlers'"),
        (_set("SweeperFunction", Runtime="python3.12"), "the package is for python3.13"),
        (_set("SweeperFunction", Architectures=["x86_64"]), "the package is for python3.13 on arm64"),
        (_unset("HeartbeatFunction", "RecursiveLoop"), "HeartbeatFunction: is stopped after 16"),
        (_set("WriterFunction", RecursiveLoop="Terminate"), "WriterFunction: is stopped after 16"),
        (_set("SweeperFunction", RecursiveLoop="Allow"), "SweeperFunction: may loop"),
        (_set("HeartbeatDroppedAlarm", MetricName="Errors"), "HeartbeatFunction: nobody hears of it"),
        (_shared_role, "shares WriterRole"),
        (_another_log, "WriterFunction: its role can't write its log"),
        (_unset("WriterLog", "RetentionInDays"), "WriterFunction: its log is kept for ever"),
        (_unkept, "StateTable: goes with its stack"),
        (_replaceable, "Bucket: goes with its stack"),
        (_set("SessionsTable", PointInTimeRecoverySpecification={}), "SessionsTable: can't be brought back"),
        (_set("InterestTable", AttributeDefinitions=[]), "InterestTable: defines attributes"),
        (_unset("Bucket", "PublicAccessBlockConfiguration"), "Bucket: can be made public"),
        (_unset("Bucket", "BucketEncryption"), "Bucket: is not encrypted"),
        (_without_tls, "Bucket: can be read without TLS"),
        (_unset("DeadQueue", "KmsMasterKeyId"), "DeadQueue: is not encrypted with the customer's key"),
        (
            _set("StateTable", SSESpecification={"SSEEnabled": False}),
            "StateTable: is not encrypted with",
        ),
        (_set("TimerQueue", KmsMasterKeyId={"Ref": "Key"}), "TimerQueue: needs a key that nobody has given"),
        (_without_key, "ClientPolicy: lacks kms:Decrypt"),
        (_key_for_anything, "WriterRole: may use the key for anything"),
        (_unset("WriterMapping", "ScalingConfig"), "WriterMapping: may run as many at once"),
        (_set("WriterFunction", TracingConfig={"Mode": "Active"}), "WriterFunction: is traced, or not"),
        (_untraced, "SweeperFunction: its role does not fit its tracing"),
        (_elsewhere, "Dashboard: shows fk-else-writer, which is not there"),
        (_blind, "there is an alarm on SetAside, and nobody sees it"),
        (_set("WritesQueue", QueueName="fk-test-writes"), "WritesQueue: only the name"),
        (_set("WritesQueue", ContentBasedDeduplication=True), "WritesQueue: equal writes"),
        (_set("WritesQueue", DeduplicationScope="queue"), "WritesQueue: its groups"),
        (_unset("DeadQueue", "FifoQueue"), "WritesQueue: is of another kind"),
        (_set("DeadQueue", MessageRetentionPeriod=345600), "WritesQueue: a dead letter's time"),
        (
            _set("WriterErrorsAlarm", Dimensions=[{"Name": "FunctionName", "Value": "writer"}]),
            "watches what is not there",
        ),
        (_set("DeadLettersAlarm", MetricName="NumberOfMessagesSent"), "is not counted as sent"),
        (_set("TimerAgeAlarm", MetricName="NumberOfMessagesReceived"), "nobody hears of it if its messages wait"),
        (_set("SessionsThrottledWritesAlarm", MetricName="ReadThrottleEvents"), "if it is throttled"),
        (_set("TickLagAlarm", MetricName="Lag"), "TickLagAlarm: watches what is not there"),
        (_set("TickLagAlarm", MetricName="FailedBatches"), "TickLag: nobody hears of it"),
        (_set("SetAsideAlarm", Dimensions=[]), "SetAsideAlarm: watches what is not there"),
        (_set("WriterMapping", FunctionName={"Ref": "WriterFunction"}), "WriterMapping: invokes what is not live"),
        (_set("SweeperPermission", FunctionName={"Ref": "SweeperFunction"}), "SweeperPermission: invokes what is not"),
        (_set("WriterLive", Name="newest"), "WriterFunction: no version of it is live"),
        (_set("WriterDirect", FunctionVersion="7"), "WriterDirect: clients invoke what is not live"),
        (_set("HeartbeatVersion00000000", FunctionName={"Ref": "WriterFunction"}), "HeartbeatFunction: no version"),
        (_another_release, "WriterFunction: is not what its version says"),
        (_unkept_version, "WriterVersion00000000: goes with the next deploy"),
    ],
)
def test_a_planted_fault_is_found(plant: Callable[[Dict[str, Any]], None], found: str) -> None:
    made = copy.deepcopy(template(NAME))
    plant(made)
    assert any(found in fault for fault in gates.faults(made)), gates.faults(made)


# --- it agrees with everything else that knows names -------------------------------------------------


def test_the_functions_are_those_that_are_run_here() -> None:
    made = template(NAME)
    queues = {name: queue["QueueName"] for name, queue in gates.of_kind(made, "AWS::SQS::Queue")}
    functions = dict(gates.of_kind(made, "AWS::Lambda::Function"))
    sources: Dict[str, Any] = {name: [] for name in functions}
    for _, mapping in gates.of_kind(made, "AWS::Lambda::EventSourceMapping"):
        queue = queues[mapping["EventSourceArn"]["Fn::GetAtt"][0]]
        sources[gates.behind(made, mapping)[0]].append((queue, mapping["BatchSize"]))
    deployed = {one["FunctionName"]: (one["Handler"], one["Timeout"], sources[name]) for name, one in functions.items()}
    account = Account(NAME, gates.ACCOUNT, "http://127.0.0.1:1", gates.REGION)
    run = {
        one.name: (one.handler, one.timeout_s, [(source.queue, source.batch_size) for source in one.sources])
        for one in functions_of(account)
    }
    assert deployed == run
    assert set(template_functions.FUNCTIONS) == {names.WRITER, names.HEARTBEAT, names.DEAD_LETTER, names.SWEEPER}


def test_dead_letters_are_asked_for_here_as_often_as_there() -> None:
    """And no queue is polled for them all the time."""
    account = Account(NAME, gates.ACCOUNT, "http://127.0.0.1:1", gates.REGION)
    (found,) = [one for one in functions_of(account) if one.name == names.function(NAME, names.DEAD_LETTER)]
    assert (found.sources, found.every_s, found.event) == ((), cost.DEAD_LETTERS_S, '{"Records": []}')


def test_what_is_made_without_a_template_is_the_same(place: Place) -> None:
    """The short cut of the tests and of development: tables, and every attribute of a queue."""
    place.deploy()
    direct = Account(NAME + "-2", place.account.number, place.account.endpoint_url)
    resources.create(direct)
    database, queues = place.client("dynamodb"), place.client("sqs")
    for which in TABLES:
        one, two = (
            database.describe_table(TableName=names.table(name, which))["Table"] for name in (NAME, direct.name)
        )
        assert one["KeySchema"] == two["KeySchema"]
        assert not any(table.get("GlobalSecondaryIndexes") for table in (one, two)), "each would be paid for"
    wanted = [
        "VisibilityTimeout",
        "FifoQueue",
        "DeduplicationScope",
        "FifoThroughputLimit",
        "ContentBasedDeduplication",
    ]
    for queue in (names.writes_queue, names.dead_queue, names.timer_queue):
        attributes = [
            queues.get_queue_attributes(QueueUrl=place.account.queue_url(queue(name)), AttributeNames=["All"])[
                "Attributes"
            ]
            for name in (NAME, direct.name)
        ]
        one, two = ({key: found.get(key) for key in wanted} for found in attributes)
        assert one == two, queue(NAME)


# --- its form -------------------------------------------------------------------------------------


def test_it_fits_in_a_request() -> None:
    assert len(json.dumps(template(NAME, ["one"]), separators=(",", ":"))) < BODY_LIMIT


def test_equal_arguments_make_equal_templates() -> None:
    assert json.dumps(template(NAME, ["b", "a", "a"])) == json.dumps(template(NAME, ["a", "b"]))


def test_only_the_table_that_every_write_goes_to_is_warmed() -> None:
    """Where a name of the template's is an argument of `Fn::If`, it is a condition's: cfn-lint looks at that."""
    made = template(NAME)["Resources"]
    warm = {name: one["Properties"].get("WarmThroughput") for name, one in made.items() if name.endswith("Table")}
    assert warm == {"StateTable": WARM_WRITES, "SessionsTable": None, "InterestTable": None}


def test_every_parameter_is_used() -> None:
    made = template(NAME)
    text = json.dumps([made["Resources"], made["Conditions"]])
    assert [name for name in PARAMETERS if '{"Ref": "%s"}' % name not in text] == []


@pytest.mark.parametrize("namespaces", [["a/b"], [""], ["x" * 65], ["a:b"], ["*"], ["${x}"], ["A", "a"]])
def test_namespaces_that_can_have_no_policy(namespaces: List[str]) -> None:
    with pytest.raises(BadUrl):
        template(NAME, namespaces)
