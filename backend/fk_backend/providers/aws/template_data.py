"""The part of the template that holds data: tables, bucket, queues.

Rule upheld here: tables and bucket stay when their stack goes; a queue's messages are answered for elsewhere.
"""

from __future__ import annotations

from typing import Any, Dict, List

from ...ports import SESSIONS, STATE
from . import names, policies

Resource = Dict[str, Any]

VISIBILITY_S = 30
"""A message comes again after that long; more than a function may take."""
RECEIVES = 20
"""So often the writer may end before a message is done before it is a dead letter: ten minutes."""
MESSAGE_BYTES = 1 << 20
DAY_S = 86400
WRITES_DAYS, DEAD_DAYS = 4, 14
"""How long a queue keeps a message. A tick of the timer must never be lost: it is kept as long as AWS can."""
EXPIRES_DAYS = {policies.UPLOADS: 1, policies.DEAD: 30}
"""How long objects are kept, by prefix."""
WARM_WRITES = {
    "Fn::If": ["HasWarmWriteUnits", {"WriteUnitsPerSecond": {"Ref": "WarmWriteUnits"}}, {"Ref": "AWS::NoValue"}]
}
"""A new table on demand takes 4,000 write units a second, and doubles that after half an hour of it.

DynamoDB Developer Guide, "On-demand capacity mode": initial throughput; "Understanding warm throughput".
"""
NOT_PUBLIC = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
"""A bucket's settings."""


def _kept(resource: Resource) -> Resource:
    """Stays when the stack goes, except one that never came to be."""
    return {**resource, "DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}


def _with_key(ours: Any, theirs: Any) -> Dict[str, Any]:
    """One or the other: with a customer's key, or with the service's own."""
    return {"Fn::If": ["HasKey", ours, theirs]}


def _key(*attributes: str) -> List[Dict[str, str]]:
    return [{"AttributeName": one, "KeyType": kind} for one, kind in zip(attributes, ("HASH", "RANGE"))]


def table(name: str, which: str) -> Resource:
    """One of the three tables."""
    attributes = (names.PARTITION, names.SORT)
    properties: Dict[str, Any] = {
        "TableName": names.table(name, which),
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key(*attributes),
        "AttributeDefinitions": [{"AttributeName": one, "AttributeType": "S"} for one in attributes],
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": which in (STATE, SESSIONS)},
        # Without a key it is encrypted all the same: with DynamoDB's own, at no charge.
        "SSESpecification": _with_key(
            {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "Key"}}, {"SSEEnabled": False}
        ),
    }
    if which == STATE:
        properties["WarmThroughput"] = WARM_WRITES
    return _kept({"Type": "AWS::DynamoDB::Table", "Properties": properties})


def bucket(name: str) -> Dict[str, Resource]:
    """The bucket, and its policy: TLS only."""
    rules = [
        {"Id": prefix, "Prefix": prefix + "/", "Status": "Enabled", "ExpirationInDays": days}
        for prefix, days in EXPIRES_DAYS.items()
    ]
    unfinished = {
        "Id": "unfinished",
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    properties = {
        "BucketName": {"Fn::Sub": names.bucket(name, "${AWS::AccountId}", "${AWS::Region}")},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                _with_key(
                    # A bucket key asks KMS once for many objects, and not for each.
                    {
                        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Ref": "Key"}},
                        "BucketKeyEnabled": True,
                    },
                    {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}},
                )
            ]
        },
        "PublicAccessBlockConfiguration": NOT_PUBLIC,
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "LifecycleConfiguration": {"Rules": [*rules, unfinished]},
    }
    arn = {"Fn::GetAtt": ["Bucket", "Arn"]}
    policy = {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": tls_only(arn, {"Fn::Sub": "${Bucket.Arn}/*"})}
    return {
        "Bucket": _kept({"Type": "AWS::S3::Bucket", "Properties": properties}),
        "BucketPolicy": {"Type": "AWS::S3::BucketPolicy", "Properties": policy},
    }


def tls_only(*resources: Any) -> Dict[str, Any]:
    """A bucket's policy: nobody comes without TLS."""
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": list(resources),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def queues(name: str) -> Dict[str, Resource]:
    """Writes, dead letters, and the timer."""

    def queue(called: str, days: int, **more: Any) -> Resource:
        return {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": called,
                "VisibilityTimeout": VISIBILITY_S,
                "MessageRetentionPeriod": days * DAY_S,
                "SqsManagedSseEnabled": _with_key({"Ref": "AWS::NoValue"}, True),
                "KmsMasterKeyId": _with_key({"Ref": "Key"}, {"Ref": "AWS::NoValue"}),
                **more,
            },
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
        }

    fifo = {
        "FifoQueue": True,
        "ContentBasedDeduplication": False,
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        "MaximumMessageSize": MESSAGE_BYTES,
    }
    redrive = {"deadLetterTargetArn": {"Fn::GetAtt": ["DeadQueue", "Arn"]}, "maxReceiveCount": RECEIVES}
    return {
        "WritesQueue": queue(names.writes_queue(name), WRITES_DAYS, RedrivePolicy=redrive, **fifo),
        "DeadQueue": queue(names.dead_queue(name), DEAD_DAYS, **fifo),
        "TimerQueue": queue(names.timer_queue(name), DEAD_DAYS),
    }
