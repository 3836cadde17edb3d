"""Removes a deployment and everything in it.

Rule upheld here: what somebody still uses is not removed by accident, and what was begun can be ended: called again, it
goes on with whatever is left.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

from ...core.initial import initial_nodes
from ...errors import DeploymentError, NoDeployment, Protected
from ...layout import NODE
from ...ports import STATE, TABLES
from . import names
from .cloud import Cloud, absent, explained
from .deploy import table_exists
from .stacks import Progress, Stack
from .template import client_policy

DELETED_AT_ONCE = 1000
QUEUES_AT_ONCE = 1000


class NotEmpty(Protected):
    """There are nodes in it; ``namespaces`` are some that have them."""


class Remains(NamedTuple):
    """What there is of a deployment."""

    stack: bool
    tables: List[str]
    bucket: str
    """``""``: there is none."""
    inboxes: List[str]
    """Their URLs."""

    def __bool__(self) -> bool:
        return bool(self.stack or self.tables or self.bucket or self.inboxes)


def destroy(
    name: str,
    session: Any = None,
    *,
    region: Optional[str] = None,
    endpoint_url: Optional[str] = None,
    force: bool = False,
    confirm: Callable[[Remains], bool] = lambda remains: True,
    progress: Progress = lambda line: None,
) -> bool:
    """Removes the deployment; whether ``confirm`` allowed it.

    NotEmpty: it has nodes beyond those that every namespace has, and ``force`` was not given. NoDeployment: there is
    nothing of that name. DeploymentError: the message says what to do.
    """
    cloud = Cloud(session, region, endpoint_url)
    stack = Stack(cloud, name, progress)
    remains = find(cloud, name, stack)
    if not remains:
        raise NoDeployment("there is no deployment %s in %s of account %s" % (name, cloud.region, cloud.account))
    if not force and names.table(name, STATE) in remains.tables:
        used = next(used_namespaces(cloud, name), None)
        if used is not None:
            raise NotEmpty(
                "aws://%s is in use: namespace %s has nodes, and its tables are protected. fk-kazoo backup keeps "
                "them in a file; --force takes the protection off and removes everything all the same" % (name, used)
            )
    if not confirm(remains):
        return False
    _detach_policies(cloud, name, stack, progress)
    stack.delete()  # first: what runs could make new inboxes and objects
    _delete_inboxes(cloud, name, progress)
    if remains.bucket:
        _delete_bucket(cloud, remains.bucket, progress)
    for table in remains.tables:
        _delete_table(cloud, table, progress)
    return True


def find(cloud: Cloud, name: str, stack: Stack) -> Remains:
    """What there is of it."""
    tables = [names.table(name, which) for which in TABLES]
    bucket = names.bucket(name, cloud.account, cloud.region)
    return Remains(
        stack.description() is not None,
        [table for table in tables if table_exists(cloud, table)],
        bucket if _bucket_exists(cloud, bucket) else "",
        list(inbox_urls(cloud, name)),
    )


def used_namespaces(cloud: Cloud, name: str) -> Iterator[str]:
    """Namespaces with nodes of their own, as they are found: one is named as often as it has any."""
    first = set(initial_nodes())
    request: Dict[str, Any] = {
        "TableName": names.table(name, STATE),
        "FilterExpression": "#s = :node",
        "ProjectionExpression": "#p",
        "ExpressionAttributeNames": {"#p": names.PARTITION, "#s": names.SORT},
        "ExpressionAttributeValues": {":node": {"S": NODE}},
        "ConsistentRead": True,
    }
    with explained():
        for page in cloud.client("dynamodb").get_paginator("scan").paginate(**request):
            for row in page["Items"]:
                namespace, _, path = row[names.PARTITION]["S"].partition(":")
                if path not in first:
                    yield namespace


def inbox_urls(cloud: Cloud, name: str) -> Iterator[str]:
    """Of all queues that clients have made."""
    pages = cloud.client("sqs").get_paginator("list_queues")
    with explained():
        for page in pages.paginate(
            QueueNamePrefix=names.inbox_prefix(name), PaginationConfig={"PageSize": QUEUES_AT_ONCE}
        ):
            for url in page.get("QueueUrls", ()):
                if names.inbox_of(name, url.rpartition("/")[2]):
                    yield url


def _bucket_exists(cloud: Cloud, bucket: str) -> bool:
    storage = cloud.client("s3")
    with explained():
        try:
            storage.head_bucket(Bucket=bucket, ExpectedBucketOwner=cloud.account)
        except storage.exceptions.ClientError as error:
            if absent(error):
                return False
            raise
    return True


# --- removing -------------------------------------------------------------------------------------


def _detach_policies(cloud: Cloud, name: str, stack: Stack, progress: Progress) -> None:
    """IAM keeps a policy that somebody has."""
    identity = cloud.client("iam")
    namespaces = stack.template().get("Metadata", {}).get("fk-kazoo", {}).get("namespaces", [])
    partition = cloud.client("s3").meta.partition
    for namespace in [None, *namespaces]:
        policy = client_policy(name, cloud.region, namespace)
        arn = "arn:%s:iam::%s:policy/%s" % (partition, cloud.account, policy)
        with explained():
            try:
                holders = list(identity.get_paginator("list_entities_for_policy").paginate(PolicyArn=arn))
            except identity.exceptions.NoSuchEntityException:
                continue
            for page in holders:
                for kind in ("User", "Role", "Group"):
                    for one in page["Policy%ss" % kind]:
                        progress("detaching %s from the %s %s" % (policy, kind.lower(), one[kind + "Name"]))
                        detach = getattr(identity, "detach_%s_policy" % kind.lower())
                        detach(PolicyArn=arn, **{kind + "Name": one[kind + "Name"]})


def _delete_inboxes(cloud: Cloud, name: str, progress: Progress) -> None:
    queues = cloud.client("sqs")
    for url in list(inbox_urls(cloud, name)):
        progress("deleting the queue %s" % url.rpartition("/")[2])
        with explained():
            try:
                queues.delete_queue(QueueUrl=url)
            except queues.exceptions.ClientError as error:
                if not absent(error):
                    raise


def _delete_bucket(cloud: Cloud, bucket: str, progress: Progress) -> None:
    storage = cloud.client("s3")
    count = 0
    with explained():
        while True:
            page = storage.list_objects_v2(Bucket=bucket, MaxKeys=DELETED_AT_ONCE, ExpectedBucketOwner=cloud.account)
            keys = [{"Key": one["Key"]} for one in page.get("Contents", ())]
            if not keys:
                break
            answer = storage.delete_objects(
                Bucket=bucket, Delete={"Objects": keys, "Quiet": True}, ExpectedBucketOwner=cloud.account
            )
            if answer.get("Errors"):
                first = answer["Errors"][0]
                raise DeploymentError("%s in %s can't be deleted: %s" % (first["Key"], bucket, first["Message"]))
            count += len(keys)
        progress("deleting the bucket %s, which had %d objects" % (bucket, count))
        storage.delete_bucket(Bucket=bucket, ExpectedBucketOwner=cloud.account)


def _delete_table(cloud: Cloud, table: str, progress: Progress) -> None:
    database = cloud.client("dynamodb")
    progress("deleting the table %s" % table)
    with explained():
        try:
            if database.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
                database.update_table(TableName=table, DeletionProtectionEnabled=False)
                database.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
            database.delete_table(TableName=table)
        except database.exceptions.ResourceNotFoundException:
            return
        database.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 2, "MaxAttempts": 300})
