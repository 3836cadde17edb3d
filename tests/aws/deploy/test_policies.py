"""Who may do what: judged by parliament, by lists of what each role needs, and by the emulator enforcing it."""

from __future__ import annotations

import copy
import json
import secrets
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set

import pytest

from fk_backend import layout
from fk_backend.mac import inbox_name
from fk_backend.providers.aws import deploy as deploying
from fk_backend.providers.aws import names
from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.emulator import Emulator
from fk_backend.providers.aws.dev.resources import Account
from fk_backend.providers.aws.template import client_policy, template

from . import gates
from .conftest import NAME, made_package

NAMESPACES = ["orders", "a.b_C-9"]

NEEDED: Dict[str, Set[str]] = {
    "WriterRole": set(
        "dynamodb:BatchGetItem dynamodb:ConditionCheckItem dynamodb:DeleteItem "
        "dynamodb:GetItem dynamodb:PutItem dynamodb:Query dynamodb:UpdateItem logs:CreateLogStream logs:PutLogEvents "
        "s3:DeleteObject s3:GetObject s3:ListBucket s3:PutObject sqs:ChangeMessageVisibility sqs:DeleteMessage "
        "sqs:DeleteQueue sqs:GetQueueAttributes sqs:GetQueueUrl sqs:ReceiveMessage sqs:SendMessage".split()
    ),
    "HeartbeatRole": set(
        "dynamodb:BatchGetItem dynamodb:DeleteItem dynamodb:GetItem dynamodb:PutItem dynamodb:Query "
        "logs:CreateLogStream logs:PutLogEvents sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes "
        "sqs:GetQueueUrl sqs:ReceiveMessage sqs:SendMessage".split()
    ),
    "DeadLetterRole": set(
        "dynamodb:GetItem logs:CreateLogStream logs:PutLogEvents s3:PutObject sqs:DeleteMessage sqs:GetQueueUrl "
        "sqs:ReceiveMessage sqs:SendMessage".split()
    ),
    "SweeperRole": set(
        "dynamodb:BatchGetItem dynamodb:BatchWriteItem dynamodb:GetItem dynamodb:PutItem dynamodb:Query dynamodb:Scan "
        "logs:CreateLogStream logs:PutLogEvents s3:DeleteObject s3:ListBucket sqs:DeleteQueue sqs:GetQueueAttributes "
        "sqs:GetQueueUrl sqs:ListQueues sqs:SendMessage".split()
    ),
    "ClientPolicy": set(
        "dynamodb:BatchGetItem dynamodb:DeleteItem dynamodb:GetItem dynamodb:PutItem dynamodb:Query "
        "dynamodb:UpdateItem s3:GetObject "
        "lambda:InvokeFunction s3:PutObject sqs:CreateQueue sqs:DeleteMessage sqs:DeleteQueue sqs:GetQueueUrl "
        "sqs:ReceiveMessage sqs:SendMessage sqs:TagQueue".split()
    ),
}
"""All that each may do. A client of one namespace may do what a client may."""
WITHOUT_RESOURCE = {"sqs:ListQueues"}
"""Actions that IAM can't confine to a resource."""

Policy = Dict[str, Any]


def _policies() -> Dict[str, Policy]:
    return gates.policies(template(NAME, NAMESPACES))


def _client_of(namespace: str) -> Policy:
    return _policies()["ClientPolicy" + namespace.encode().hex()]


# --- faults, by our own rules ---------------------------------------------------------------------


def breadth_faults(name: str, policy: Policy) -> Iterator[str]:
    """Too much: actions that are not needed, resources that are not ours."""
    needed = NEEDED["ClientPolicy" if name.startswith("ClientPolicy") else name]
    for statement in policy["Statement"]:
        if statement["Effect"] != "Allow" or "NotAction" in statement or "NotResource" in statement:
            yield "%s: says what is not" % statement["Sid"]
        for action in statement["Action"]:
            if action not in needed:
                yield "%s: %s is not needed" % (statement["Sid"], action)
        for resource in statement["Resource"]:
            if resource == "*":
                if not set(statement["Action"]) <= WITHOUT_RESOURCE:
                    yield "%s: every resource of the account" % statement["Sid"]
            elif "fk-%s-" % NAME not in resource or "*" in resource.split("fk-%s-" % NAME)[0]:
                yield "%s: %s is not of this deployment" % (statement["Sid"], resource)
    for action in needed - {action for statement in policy["Statement"] for action in statement["Action"]}:
        yield "%s: lacks %s" % (name, action)


WRITES = {"dynamodb:" + one for one in ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "ConditionCheckItem")}


def client_faults(policy: Policy) -> Iterator[str]:
    """What no client may do."""
    for statement in policy["Statement"]:
        actions, where = set(statement["Action"]), " ".join(statement["Resource"])
        if "-sessions" in where:
            yield "%s: reaches sessions" % statement["Sid"]
        if "-state" in where and actions & WRITES:
            yield "%s: writes state" % statement["Sid"]
        if "s3:PutObject" in actions and "/data/" in where:
            yield "%s: writes what functions keep" % statement["Sid"]
        if "lambda:InvokeFunction" in actions and not where.endswith(":function:fk-%s-writer:direct" % NAME):
            yield "%s: invokes a function that takes it for a queue" % statement["Sid"]
        if "dynamodb:Scan" in actions:
            yield "%s: a scan names no key" % statement["Sid"]


def namespace_faults(policy: Policy, namespace: str) -> Iterator[str]:
    """What reaches beyond a namespace, in DynamoDB and S3."""
    for statement in policy["Statement"]:
        service = statement["Action"][0].partition(":")[0]
        if service == "dynamodb":
            condition = statement.get("Condition", {})
            keys = condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", ["*"])
            if condition.get("Null", {}).get("dynamodb:LeadingKeys") != "false":
                yield "%s: also allows what names no key" % statement["Sid"]
            if not set(keys) <= {namespace + ":*", names.FORMAT_KEY[0]}:
                yield "%s: reaches %s" % (statement["Sid"], keys)
            if names.FORMAT_KEY[0] in keys and set(statement["Action"]) & WRITES:
                yield "%s: writes the format" % statement["Sid"]
        if service == "s3":
            for resource in statement["Resource"]:
                if not resource.endswith("/%s/*" % namespace):
                    yield "%s: reaches %s" % (statement["Sid"], resource)


def _all_faults(found: Dict[str, Policy]) -> List[str]:
    faults = [fault for name, policy in found.items() for fault in breadth_faults(name, policy)]
    for namespace in (None, *NAMESPACES):
        policy = found["ClientPolicy" + ("" if namespace is None else namespace.encode().hex())]
        faults.extend(client_faults(policy))
        faults.extend(namespace_faults(policy, namespace) if namespace else ())
    return faults


def test_nobody_may_do_more_than_is_needed() -> None:
    assert _all_faults(_policies()) == []


ORDERS = "ClientPolicy" + b"orders".hex()


def _statement(found: Dict[str, Policy], name: str, sid: str) -> Dict[str, Any]:
    return next(one for one in found[name]["Statement"] if one["Sid"] == sid)


def _adds(name: str, sid: str, *actions: str) -> Callable[[Dict[str, Policy]], None]:
    return lambda found: _statement(found, name, sid)["Action"].extend(actions)


def _puts(name: str, sid: str, **values: Any) -> Callable[[Dict[str, Policy]], None]:
    return lambda found: _statement(found, name, sid).update(values)


def _invokes(function: str) -> Callable[[Dict[str, Policy]], None]:
    return _puts(ORDERS, "Write", Resource=["arn:aws:lambda:eu-central-1:123456789012:function:fk-test-" + function])


def _arn(table: str) -> List[str]:
    return ["arn:aws:dynamodb:eu-central-1:123456789012:table/fk-test-" + table]


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (_adds("WriterRole", "Commit", "dynamodb:DeleteTable"), "Commit: dynamodb:DeleteTable is not needed"),
        (_adds("HeartbeatRole", "Beats", "dynamodb:*"), "Beats: dynamodb:* is not needed"),
        (_puts("SweeperRole", "Objects", Resource=["*"]), "Objects: every resource"),
        (_puts("DeadLetterRole", "Tell", Resource=["arn:aws:sqs:*:*:*"]), "Tell: arn:aws:sqs:*:*:* is not of this"),
        (_puts("WriterRole", "Commit", Effect="Deny"), "Commit: says what is not"),
        (_puts("ClientPolicy", "Submit", Action=["sqs:GetQueueUrl"]), "ClientPolicy: lacks sqs:SendMessage"),
        (_puts("ClientPolicy", "Watch", Resource=_arn("sessions")), "Watch: reaches sessions"),
        (_adds("ClientPolicy", "ReadState", "dynamodb:PutItem"), "ReadState: writes state"),
        (_invokes("writer:live"), "Write: invokes a function that takes it for a queue"),
        (_invokes("writer"), "Write: invokes a function that takes it for a queue"),
        (_invokes("*"), "Write: invokes a function that takes it for a queue"),
        (_adds(ORDERS, "Download", "s3:PutObject"), "Download: writes what functions keep"),
        (_adds(ORDERS, "Watch", "dynamodb:Scan"), "Watch: a scan names no key"),
        (_puts(ORDERS, "ReadState", Condition={}), "ReadState: reaches ['*']"),
        (_puts(ORDERS, "Watch", Condition={}), "Watch: also allows what names no key"),
        (_puts(ORDERS, "Upload", Resource=["arn:aws:s3:::fk-test-1-x/uploads/*"]), "Upload: reaches"),
        (_puts(ORDERS, "Download", Resource=["arn:aws:s3:::fk-test-1-x/data/stock/*"]), "Download: reaches"),
    ],
)
def test_a_planted_permission_is_found(plant: Callable[[Dict[str, Policy]], None], found: str) -> None:
    made = copy.deepcopy(_policies())
    plant(made)
    faults = _all_faults(made)
    assert any(found in fault for fault in faults), faults


# --- parliament -----------------------------------------------------------------------------------


def _parliament(policy: Policy) -> List[str]:
    from parliament import analyze_policy_string

    return [str(finding) for finding in analyze_policy_string(json.dumps(policy)).findings]


@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("name", sorted(_policies()))
def test_parliament_has_nothing_to_say(name: str, key: bool) -> None:
    assert _parliament(gates.policies(template(NAME, NAMESPACES), key)[name]) == []


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (_adds("WriterRole", "Commit", "dynamodb:Commit"), "UNKNOWN_ACTION"),
        (_puts("WriterRole", "Consume", Resource=["arn:aws:s3:::fk-test-x"]), "RESOURCE_MISMATCH"),
        (_puts("WriterRole", "Commit", Condition={"StringLike": {"sqs:LeadingKeys": ["a"]}}), "UNKNOWN_CONDITION"),
    ],
)
def test_parliament_would_say_something(plant: Callable[[Dict[str, Policy]], None], found: str) -> None:
    made = copy.deepcopy(_policies())
    plant(made)
    assert any(found in one for one in _parliament(made["WriterRole"])), _parliament(made["WriterRole"])


def test_they_fit() -> None:
    """IAM's limits, white space apart: 10,240 characters for a role's policies, 6,144 for a managed one."""
    longest = gates.policies(template("n" * 20, ["x" * 64]), key=True)
    for name, policy in longest.items():
        assert len(json.dumps(policy, separators=(",", ":"))) < (10_240 if name.endswith("Role") else 6_144), name


# --- enforced -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def enforced() -> Iterator[Account]:
    """A deployment where the emulator enforces policies; the keys of its account itself may do everything."""
    with pytest.MonkeyPatch.context() as patched, Emulator(environment={"AUTH": "true"}) as emulator:
        account = resources.new_account(emulator.url, NAME)
        for key, value in account.environment.items():
            patched.setenv(key, value)
        with tempfile.TemporaryDirectory() as scratch:
            package = made_package(Path(scratch) / "package.zip")
            deploying.deploy(NAME, package=package, namespaces=["orders"], parameters={"Mappings": "Disabled"})
        yield account


def _as(account: Account, policy: str) -> Callable[[str], Any]:
    """boto3 clients of somebody who has a managed policy and nothing else."""
    import boto3

    identity = account.client("iam")
    user = "user-%s" % secrets.token_hex(4)
    identity.create_user(UserName=user)
    identity.attach_user_policy(UserName=user, PolicyArn="arn:aws:iam::%s:policy/%s" % (account.number, policy))
    key = identity.create_access_key(UserName=user)["AccessKey"]
    session = boto3.session.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=account.region)
    return lambda service: session.client(service, endpoint_url=account.endpoint_url)


def _allowed(call: Callable[..., Any], **arguments: Any) -> bool:
    from botocore.exceptions import ClientError

    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), error
        return False
    return True


@pytest.mark.parametrize("namespace", [None, "orders"])
def test_a_client_can_do_what_it_must_and_nothing_else(enforced: Account, namespace: Any) -> None:
    client = _as(enforced, client_policy(NAME, enforced.region, namespace))
    database, queues, storage = client("dynamodb"), client("sqs"), client("s3")
    ns = namespace or "default"
    bucket = names.bucket(NAME, enforced.number, enforced.region)
    item = {"p": {"S": layout.node_partition(ns, "/a")}, "s": {"S": "x"}, "r": {"N": "1"}}
    key = {name: item[name] for name in ("p", "s")}
    state, sessions, interest = (names.table(NAME, which) for which in ("state", "sessions", "interest"))
    enforced.client("s3").put_object(Bucket=bucket, Key="data/%s/1" % ns, Body=b"x")

    # The emulator does not know dynamodb:LeadingKeys: whoever needs it is refused all of DynamoDB.
    if namespace is None:
        assert _allowed(database.get_item, TableName=state, Key=key, ConsistentRead=True)
        assert _allowed(database.transact_get_items, TransactItems=[{"Get": {"TableName": state, "Key": key}}])
        assert _allowed(database.put_item, TableName=interest, Item=item)
        assert _allowed(database.delete_item, TableName=interest, Key=key)
    assert _allowed(storage.put_object, Bucket=bucket, Key="uploads/%s/1" % ns, Body=b"x")
    assert _allowed(storage.get_object, Bucket=bucket, Key="data/%s/1" % ns)
    writes = queues.get_queue_url(QueueName=names.writes_queue(NAME))["QueueUrl"]
    assert _allowed(queues.send_message, QueueUrl=writes, MessageBody="x", MessageGroupId=ns, MessageDeduplicationId=ns)
    inbox = queues.create_queue(QueueName=names.inbox_queue(NAME, inbox_name(ns, b"key", bytes(4))))["QueueUrl"]
    assert _allowed(queues.receive_message, QueueUrl=inbox)
    assert _allowed(queues.delete_queue, QueueUrl=inbox)

    assert not _allowed(database.put_item, TableName=state, Item=item)
    assert not _allowed(database.delete_item, TableName=state, Key=key)
    put = {"Put": {"TableName": state, "Item": item}}
    assert not _allowed(database.transact_write_items, TransactItems=[put])
    assert not _allowed(database.get_item, TableName=sessions, Key=key)
    assert not _allowed(database.scan, TableName=state)
    assert not _allowed(storage.put_object, Bucket=bucket, Key="data/%s/1" % ns, Body=b"x")
    assert not _allowed(storage.get_object, Bucket=bucket, Key="uploads/%s/1" % ns)
    assert not _allowed(storage.list_objects_v2, Bucket=bucket)
    assert not _allowed(queues.receive_message, QueueUrl=writes)
    assert not _allowed(queues.create_queue, QueueName="anything")
    timer = enforced.queue_url(names.timer_queue(NAME))
    assert not _allowed(queues.send_message, QueueUrl=timer, MessageBody=ns)


def test_a_client_of_a_namespace_reaches_no_other_one(enforced: Account) -> None:
    """In S3, and its inboxes.

    (The emulator does not know dynamodb:LeadingKeys, nor does SQS know groups: see the checks above.)
    """
    client = _as(enforced, client_policy(NAME, enforced.region, "orders"))
    bucket = names.bucket(NAME, enforced.number, enforced.region)
    for other in ("stock", "orders2", "order"):
        enforced.client("s3").put_object(Bucket=bucket, Key="data/%s/1" % other, Body=b"x")
        assert not _allowed(client("s3").put_object, Bucket=bucket, Key="uploads/%s/1" % other, Body=b"x")
        assert not _allowed(client("s3").get_object, Bucket=bucket, Key="data/%s/1" % other)
        inbox = names.inbox_queue(NAME, inbox_name(other, b"key", bytes(4)))
        url = enforced.client("sqs").create_queue(QueueName=inbox)["QueueUrl"]
        assert not _allowed(client("sqs").receive_message, QueueUrl=url)
        assert not _allowed(client("sqs").delete_queue, QueueUrl=url)
        assert not _allowed(client("sqs").create_queue, QueueName=inbox)
