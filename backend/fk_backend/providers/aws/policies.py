"""Who may do what: one role for each function, and a policy for clients of all namespaces or of one.

Rule upheld here: a role can do what its code does and nothing else; a client can write neither state nor sessions, and
one that has the policy of a namespace reaches no other one in DynamoDB and S3, and no other one's inboxes. SQS knows no
permission for a message group, and Lambda none for what is in an event: the writer checks who sent what.

Statements are as IAM has them; resources are `Fn::Sub` texts of CloudFormation.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from ...mac import inbox_prefix
from ...ports import INTEREST, SESSIONS, STATE, TABLES
from . import names

Statement = Dict[str, Any]
Policy = Dict[str, Any]

READ = ("GetItem", "BatchGetItem", "Query")
"""A transaction of reads needs GetItem, one of writes PutItem, UpdateItem, DeleteItem and ConditionCheckItem."""
WRITE = ("PutItem", "UpdateItem", "DeleteItem")
CONSUME = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility")
"""What an event source mapping does with its queue, in the name of the function."""
SEND = ("SendMessage", "GetQueueUrl")
"""To the writes queue. Its URL tells those of all others."""

UPLOADS, DATA, DEAD = "uploads", "data", "dead"
"""Prefixes in the bucket: what clients put, what the functions made of it, dead letters."""


def functions(name: str) -> Dict[str, Policy]:
    """What each function may do, by WRITER, HEARTBEAT, DEAD_LETTER and SWEEPER."""
    return {
        names.WRITER: _policy(*_writer(name), _log(name, names.WRITER)),
        names.HEARTBEAT: _policy(*_heartbeat(name), _log(name, names.HEARTBEAT)),
        names.DEAD_LETTER: _policy(*_dead_letter(name), _log(name, names.DEAD_LETTER)),
        names.SWEEPER: _policy(*_sweeper(name), _log(name, names.SWEEPER)),
    }


def client(name: str, namespace: Optional[str] = None) -> Policy:
    """What a client may do, in every namespace or in one."""
    reach = "*" if namespace is None else namespace + "/*"
    own = None if namespace is None else [namespace + ":*"]
    inboxes = names.inbox_prefix(name) + ("" if namespace is None else inbox_prefix(namespace)) + "*"
    return _policy(
        _keyed(_tables("ReadState", name, READ, STATE), own and [*own, names.FORMAT_KEY[0]]),
        _keyed(_tables("Watch", name, ("GetItem", "Query", *WRITE), INTEREST), own),
        _queue("Submit", SEND, names.writes_queue(name)),
        _allow("Write", "lambda", ("InvokeFunction",), _arn("lambda", "function:" + direct(name))),
        _queue("Inbox", ("CreateQueue", "TagQueue", "DeleteQueue", "ReceiveMessage", "DeleteMessage"), inboxes),
        _objects("Upload", name, ("PutObject",), "%s/%s" % (UPLOADS, reach)),
        _objects("Download", name, ("GetObject",), "%s/%s" % (DATA, reach)),
    )


def _writer(name: str) -> List[Statement]:
    return [
        _tables("Commit", name, (*READ, *WRITE, "ConditionCheckItem"), STATE, SESSIONS),
        _tables("Interest", name, (*READ, *WRITE), INTEREST),
        _queue("Consume", (*CONSUME, "GetQueueUrl"), names.writes_queue(name)),
        _queue("WakeHeartbeat", ("SendMessage",), names.timer_queue(name)),
        _queue("Answer", ("SendMessage", "DeleteQueue"), names.inbox_prefix(name) + "*"),
        _objects("Uploads", name, ("GetObject",), UPLOADS + "/*"),
        _objects("Data", name, ("GetObject", "PutObject", "DeleteObject"), DATA + "/*"),
        _objects("SetAside", name, ("PutObject",), DEAD + "/*"),
        # Without it what is missing looks forbidden.
        _allow("FindObjects", "s3", ("ListBucket",), _sub(_bucket(name))),
    ]


def _heartbeat(name: str) -> List[Statement]:
    return [
        _tables("ReadHead", name, READ, STATE),
        _tables("Sessions", name, (*READ, "PutItem", "DeleteItem"), SESSIONS),
        _tables("Beats", name, READ, INTEREST),
        _queue("Consume", CONSUME, names.timer_queue(name)),
        _queue("Expire", SEND, names.writes_queue(name)),
    ]


def _dead_letter(name: str) -> List[Statement]:
    return [
        _queue("Consume", ("ReceiveMessage", "DeleteMessage"), names.dead_queue(name)),
        _queue("Find", ("GetQueueUrl",), names.writes_queue(name)),
        _queue("Tell", ("SendMessage",), names.inbox_prefix(name) + "*"),
        _tables("Sender", name, ("GetItem",), SESSIONS),
        _objects("Keep", name, ("PutObject",), DEAD + "/*"),
    ]


def _sweeper(name: str) -> List[Statement]:
    return [
        _tables("Read", name, ("GetItem", "Scan"), *TABLES),
        _tables("Look", name, ("BatchGetItem",), SESSIONS, INTEREST),
        _tables("Sessions", name, ("Query", "PutItem", "BatchWriteItem"), SESSIONS),
        _tables("ForgetInterest", name, ("BatchWriteItem",), INTEREST),
        _queue("Inboxes", ("SendMessage", "GetQueueAttributes", "DeleteQueue"), names.inbox_prefix(name) + "*"),
        _allow("FindInboxes", "sqs", ("ListQueues",), "*"),  # it has no permission for a resource
        _queue("Expire", SEND, names.writes_queue(name)),
        _queue("WakeHeartbeat", ("SendMessage",), names.timer_queue(name)),
        _allow("FindObjects", "s3", ("ListBucket",), _sub(_bucket(name))),
        _objects("Objects", name, ("DeleteObject",), DATA + "/*"),
    ]


# --- statements -----------------------------------------------------------------------------------


def _allow(sid: str, service: str, actions: Sequence[str], *resources: Any) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": ["%s:%s" % (service, action) for action in actions],
        "Resource": list(resources),
    }


def _policy(*statements: Statement) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def with_key(policy: Policy) -> Policy:
    """A policy of the template: with the use of a customer's key, if one is given."""
    return {**policy, "Statement": [*policy["Statement"], {"Fn::If": ["HasKey", _KEY, {"Ref": "AWS::NoValue"}]}]}


def with_tracing(policy: Policy) -> Policy:
    """A function's policy of the template: it may send traces, if that is asked for."""
    return {**policy, "Statement": [*policy["Statement"], {"Fn::If": ["HasTracing", _TRACE, {"Ref": "AWS::NoValue"}]}]}


_TRACE = {
    "Sid": "Trace",
    "Effect": "Allow",
    "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
    "Resource": ["*"],
}
"""Lambda Developer Guide, "Visualize Lambda function invocations using AWS X-Ray". They have no resources."""
_KEY = {
    "Sid": "Key",
    "Effect": "Allow",
    "Action": ["kms:" + action for action in ("Decrypt", "Encrypt", "GenerateDataKey", "DescribeKey")],
    "Resource": [{"Ref": "Key"}],
    "Condition": {
        "StringLike": {"kms:ViaService": ["%s.*.amazonaws.com*" % service for service in ("dynamodb", "s3", "sqs")]}
    },
}
"""A customer's key, by way of what is encrypted with it: AWS asks for it in the name of who asks.

DynamoDB Developer Guide, "DynamoDB encryption at rest usage notes"; S3 User Guide, "Using server-side encryption with
AWS KMS keys": kms:GenerateDataKey and kms:Decrypt; SQS Developer Guide, "Key management".
"""


def _tables(sid: str, name: str, actions: Sequence[str], *which: str) -> Statement:
    resources = [_arn("dynamodb", "table/" + names.table(name, one)) for one in which]
    return _allow(sid, "dynamodb", actions, *resources)


def _keyed(statement: Statement, partitions: Optional[Sequence[str]]) -> Statement:
    """Only these partitions. What names no partition (a scan) satisfies every ForAllValues, so that is refused too."""
    if partitions:
        statement["Condition"] = {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(partitions)},
            "Null": {"dynamodb:LeadingKeys": "false"},
        }
    return statement


def _queue(sid: str, actions: Sequence[str], queue: str) -> Statement:
    return _allow(sid, "sqs", actions, _arn("sqs", queue))


def _objects(sid: str, name: str, actions: Sequence[str], *patterns: str) -> Statement:
    return _allow(sid, "s3", actions, *(_sub("%s/%s" % (_bucket(name), pattern)) for pattern in patterns))


def _log(name: str, which: str) -> Statement:
    streams = "log-group:%s:*" % log_group(name, which)
    return _allow("Log", "logs", ("CreateLogStream", "PutLogEvents"), _arn("logs", streams))


def direct(name: str) -> str:
    """What clients may invoke: the writer, by the alias that tells it so. By another one, it would take a batch."""
    return "%s:%s" % (names.function(name, names.WRITER), names.DIRECT)


def log_group(name: str, which: str) -> str:
    """Where a function's log goes."""
    return "/aws/lambda/" + names.function(name, which)


def _arn(service: str, resource: str) -> Dict[str, str]:
    return _sub("arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:%s" % (service, resource))


def _bucket(name: str) -> str:
    return "arn:${AWS::Partition}:s3:::" + names.bucket(name, "${AWS::AccountId}", "${AWS::Region}")


def _sub(text: str) -> Dict[str, str]:
    return {"Fn::Sub": text}
