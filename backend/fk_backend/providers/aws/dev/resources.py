"""A deployment's tables, queues and bucket, made directly in an account of the emulator: quicker than its template.

Rule upheld here: names and attributes are those of the template, as far as functions and clients can tell.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, Dict, List, NamedTuple
from urllib.parse import urlencode

from ....layout import FORMAT
from ....ports import TABLES
from .. import names

REGION = "us-east-1"
SECRET = "emulated"
"""The secret access key of every account."""
MAX_MESSAGE_BYTES = 1 << 20


class Account(NamedTuple):
    """An isolated account of the emulator, with a deployment called ``name`` in it."""

    name: str
    number: str
    endpoint_url: str
    region: str = REGION

    @property
    def url(self) -> str:
        """Of the deployment, for clients."""
        query = urlencode({"region": self.region, "endpoint_url": self.endpoint_url}, safe=":/")
        return "aws://%s?%s" % (self.name, query)

    @property
    def environment(self) -> Dict[str, str]:
        """The standard variables by which every AWS library finds this account."""
        return {
            "AWS_ACCESS_KEY_ID": self.number,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def queue_url(self, queue: str) -> str:
        """Where a queue is."""
        return "%s/%s/%s" % (self.endpoint_url, self.number, queue)

    def queue_arn(self, queue: str) -> str:
        """Its name in all of AWS."""
        return "arn:aws:sqs:%s:%s:%s" % (self.region, self.number, queue)

    def function_arn(self, function: str) -> str:
        """Of a function."""
        return "arn:aws:lambda:%s:%s:function:%s" % (self.region, self.number, function)

    def client(self, service: str) -> Any:
        """A boto3 client of this account."""
        return self.session().client(service, endpoint_url=self.endpoint_url)

    def session(self) -> Any:
        """A boto3 session of this account."""
        import boto3

        return boto3.session.Session(
            aws_access_key_id=self.number, aws_secret_access_key=SECRET, region_name=self.region
        )


def new_account(endpoint_url: str, name: str) -> Account:
    """An account that nobody else uses, empty."""
    return Account(names.checked(name), str(10**11 + secrets.randbelow(9 * 10**11)), endpoint_url)


def create(account: Account, visibility_timeout_s: int = 30, max_receives: int = 20) -> None:
    """Makes everything that functions and clients expect to find."""
    _tables(account)
    _queues(account, visibility_timeout_s, max_receives)
    account.client("s3").create_bucket(Bucket=names.bucket(account.name, account.number, account.region))


def _tables(account: Account) -> None:
    database = account.client("dynamodb")
    for which in TABLES:
        attributes = (names.PARTITION, names.SORT)
        database.create_table(
            TableName=names.table(account.name, which),
            KeySchema=_key(*attributes),
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in attributes],
            BillingMode="PAY_PER_REQUEST",
        )
    partition, sort = names.FORMAT_KEY
    item = {names.PARTITION: {"S": partition}, names.SORT: {"S": sort}, names.REV: {"N": str(FORMAT)}}
    database.put_item(TableName=names.table(account.name, TABLES[0]), Item=item)


def _key(*attributes: str) -> List[Dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": one, "KeyType": kind} for one, kind in zip(attributes, kinds)]


def _queues(account: Account, visibility_timeout_s: int, max_receives: int) -> None:
    queues = account.client("sqs")
    dead = names.dead_queue(account.name)
    fifo = {
        "FifoQueue": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        "VisibilityTimeout": str(visibility_timeout_s),
        "MaximumMessageSize": str(MAX_MESSAGE_BYTES),
    }
    redrive = {"deadLetterTargetArn": account.queue_arn(dead), "maxReceiveCount": max_receives}
    queues.create_queue(QueueName=dead, Attributes=fifo)
    writes = {**fifo, "RedrivePolicy": json.dumps(redrive)}
    queues.create_queue(QueueName=names.writes_queue(account.name), Attributes=writes)
    timer = {"VisibilityTimeout": str(visibility_timeout_s)}
    queues.create_queue(QueueName=names.timer_queue(account.name), Attributes=timer)
