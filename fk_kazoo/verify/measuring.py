"""Latencies and usage, while nothing else runs: what the cost model and the simulations take from somebody else.

Rule upheld here: in the window that is compared with what CloudWatch counts there is nothing but the load that is said.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any, Dict

from fk_backend.ports import INTEREST
from fk_backend.providers.aws import names

from .context import CheckContext, Window
from .usage import MINUTE_S

SIZES = (1024, 65536)
COLD = 5
"""How often the writer's environments are made to go."""
QUICK_COLD = 2
PAID = 3
"""Times the samples: sets and gets whose cost is compared."""


def client_calls(context: CheckContext) -> Dict[str, Any]:
    """Each kind of call of one client that waits for each answer."""
    with context.client("calls") as client, context.client("calls") as watcher:
        client.create("/verify", b"")
        for size in SIZES:
            data = b"x" * size
            for number in range(context.scale.samples if size == SIZES[0] else context.scale.samples // 5):
                context.go_on()
                _calls(context, client, "/verify/%d-%d" % (size, number), data)
        for _ in range(context.scale.samples // 5):
            context.go_on()
            _event(context, client, watcher)
    return {"samples": context.scale.samples}


def paid_calls(context: CheckContext) -> Dict[str, Any]:
    """The load that `fk-kazoo cost` speaks of, in whole minutes that have nothing else in them."""
    if not context.scale.quick:
        context.wait(MINUTE_S - time.time() % MINUTE_S)
    began, reads, writes = time.time(), context.ledger.reads, context.ledger.writes
    data = b"x" * SIZES[0]
    with context.client("paid") as client:
        client.create("/verify", data)
        for _ in range(PAID * context.scale.samples):
            context.go_on()
            with context.samples.timed("fk_kazoo_set", len(data)):
                client.set("/verify", data)
            with context.samples.timed("fk_kazoo_get", len(data)):
                client.get("/verify")
    made = (context.ledger.reads - reads, context.ledger.writes - writes)
    if not context.scale.quick:
        context.wait(MINUTE_S - time.time() % MINUTE_S)
    context.window = Window(began, time.time(), *made)
    return {"reads": made[0], "writes": made[1], "seconds": round(time.time() - began)}


def _calls(context: CheckContext, client: Any, path: str, data: bytes) -> None:
    size, timed = len(data), context.samples.timed
    with timed("fk_kazoo_create", size):
        client.create(path, data)
    with timed("fk_kazoo_set", size):
        client.set(path, data)
    with timed("fk_kazoo_get", size):
        client.get(path)
    with timed("fk_kazoo_exists", size):
        client.exists(path)
    with timed("fk_kazoo_get_children", 0):
        client.get_children(path)
    with timed("fk_kazoo_delete", size):
        client.delete(path)


def _event(context: CheckContext, client: Any, watcher: Any) -> None:
    notified = threading.Event()
    watcher.exists("/verify", watch=lambda event: notified.set())
    with context.samples.timed("fk_kazoo_watch_event", 0):
        client.set("/verify", b"")
        context.eventually(notified.is_set, "the watcher is told")


def cold_starts(context: CheckContext) -> Dict[str, Any]:
    """The writer's environments are made to go, and the next write finds none."""
    count = QUICK_COLD if context.scale.quick else COLD
    with context.client("cold") as client:
        client.create("/verify", b"")
        for number in range(count):
            context.go_on()
            context.account.stop_environments(context.name, names.WRITER)
            with context.samples.timed("fk_kazoo_set_cold", 1024):
                client.set("/verify", b"x" * 1024)
            assert client.exists("/verify").version == number + 1
    return {"cold_starts": count}


def services(context: CheckContext) -> Dict[str, Any]:
    """The requests that all of it is made of, one at a time, on items and queues that nobody else looks at."""
    cloud, count = context.account.cloud, context.scale.samples
    database, storage = cloud.client("dynamodb"), cloud.client("s3")
    table = names.table(context.name, INTEREST)
    bucket = names.bucket(context.name, cloud.account, cloud.region)
    timed = context.samples.timed

    def item(number: int, size: int) -> Dict[str, Any]:
        return {names.PARTITION: {"S": "verify:%d" % number}, names.SORT: {"S": "s"}, names.BODY: {"B": b"x" * size}}

    for number in range(count):
        context.go_on()
        key = {name: value for name, value in item(number, 0).items() if name != names.BODY}
        with timed("dynamodb_put_item", 1024):
            database.put_item(TableName=table, Item=item(number, 1024))
        with timed("dynamodb_get_item_consistent", 1024):
            database.get_item(TableName=table, Key=key, ConsistentRead=True)
        with timed("dynamodb_query_consistent", 1024):
            database.query(
                TableName=table,
                KeyConditionExpression="#p = :p",
                ExpressionAttributeNames={"#p": names.PARTITION},
                ExpressionAttributeValues={":p": key[names.PARTITION]},
                ConsistentRead=True,
            )
        puts = [{"Put": {"TableName": table, "Item": item(number + more, 1024)}} for more in (0, count)]
        with timed("dynamodb_transact_write_items", 1024):
            database.transact_write_items(TransactItems=puts)
        if number % 5 == 0:
            with timed("s3_put_object", 65536):
                storage.put_object(Bucket=bucket, Key="uploads/verify/%d" % number, Body=b"x" * 65536)
            with timed("s3_get_object", 65536):
                storage.get_object(Bucket=bucket, Key="uploads/verify/%d" % number)["Body"].read()
    context.ledger.add(reads=2 * count, writes=3 * count)
    _queues(context, count)
    return {"samples": count}


def _queues(context: CheckContext, count: int) -> None:
    """Queues that are called inboxes: they go with them, whatever happens."""
    queues = context.account.cloud.client("sqs")
    body = "x" * 1024
    prefix = names.inbox_prefix(context.name) + "verify-" + uuid.uuid4().hex[:8]
    fifo = queues.create_queue(QueueName=prefix + ".fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    inbox = queues.create_queue(QueueName=prefix)["QueueUrl"]
    context.wait(1.0)  # SQS API Reference, CreateQueue: it may not be there for a second
    for _ in range(count):
        context.go_on()
        with context.samples.timed("sqs_fifo_send_message", len(body)):
            queues.send_message(
                QueueUrl=fifo, MessageBody=body, MessageGroupId="g", MessageDeduplicationId=uuid.uuid4().hex
            )
    for _ in range(count // 4):
        _through(context, queues, inbox, body)


def _through(context: CheckContext, queues: Any, inbox: str, body: str) -> None:
    got, polling = threading.Event(), threading.Event()
    received = [0.0]

    def poll() -> None:
        polling.set()
        while not got.is_set() and not context.ending:
            answer = queues.receive_message(QueueUrl=inbox, WaitTimeSeconds=20)
            received[0] = time.perf_counter()
            for one in answer.get("Messages", ()):
                queues.delete_message(QueueUrl=inbox, ReceiptHandle=one["ReceiptHandle"])
                got.set()

    threading.Thread(target=poll, daemon=True).start()
    polling.wait()
    context.wait(0.05)  # until the poll is open
    began = time.perf_counter()
    queues.send_message(QueueUrl=inbox, MessageBody=body)
    if not got.wait(30.0):
        raise AssertionError("a message did not come through a standard queue within 30 s")
    context.samples.add("sqs_standard_send_to_poll", len(body), (received[0] - began) * 1000)
