"""The shape of every request to AWS: strong reads, conditions, who retries, and where it goes.

A read that is not strong, a condition that is missing or a retry too many is seen by an emulator once in many thousand
runs, if at all: it is never behind, and loses no answer.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any, Awaitable, Callable, Dict, List, NamedTuple, Tuple
from unittest import mock

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from fk_backend.core.model import Blob
from fk_backend.errors import Conflict, NotAllowed, Refused, TooLarge, Unavailable, Unknown
from fk_backend.ports import INTEREST, SESSIONS, STATE, Item, Key, Pushed, Put, Remove
from fk_backend.providers.aws import gateway, store
from fk_backend.providers.aws.blobs import S3Blobs
from fk_backend.providers.aws.clients import Clients
from fk_backend.providers.aws.queues import Queues
from fk_backend.providers.aws.store import DynamoStore

from .calls import Stub, refused

URL = "http://sqs/123/"
INBOX = "0123456789abcdef" * 2
A, B, S, W = Key(STATE, "ns:/a", "#"), Key(STATE, "ns:/a", "!"), Key(SESSIONS, "ns:s", "1"), Key(INTEREST, "ns:/a", "x")
ITEM = Item(7, b"body")


class Ends(NamedTuple):
    """Everything that asks AWS for something, over one stub."""

    stub: Stub
    store: DynamoStore
    queues: Queues
    blobs: S3Blobs

    @classmethod
    def over(cls, stub: Any) -> "Ends":
        """Those of the deployment ``d``."""
        return cls(stub, DynamoStore(stub, "d"), Queues(stub, "d", URL), S3Blobs(stub, "bucket"))


def _key(key: Key) -> Dict[str, Any]:
    return {"p": {"S": key.partition}, "s": {"S": key.sort}}


def _of(key: Key, **more: Any) -> Dict[str, Any]:
    return {"TableName": "fk-d-" + key.table, "Key": _key(key), **more}


def _put(key: Key, **more: Any) -> Dict[str, Any]:
    item = {**_key(key), "r": {"N": "7"}, "b": {"B": b"body"}}
    return {"TableName": "fk-d-" + key.table, "Item": item, **more}


def _at(rev: int) -> Dict[str, Any]:
    return {"ConditionExpression": "r = :r", "ExpressionAttributeValues": {":r": {"N": str(rev)}}}


NEW = {"ConditionExpression": "attribute_not_exists(p)"}
ROWS: Dict[str, Any] = {"Items": []}
STRETCH = "fk-d-state", "p = :p"


def _query(condition: str, limit: int = 1001, **values: str) -> Dict[str, Any]:
    named = {":" + name: {"S": value} for name, value in values.items()}
    return {
        "TableName": "fk-d-state",
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": named,
        "ConsistentRead": True,
        "Limit": limit,
    }


def _batch(*deletions: Key) -> Dict[str, Any]:
    return {"RequestItems": {"fk-d-interest": [{"DeleteRequest": {"Key": _key(key)}} for key in deletions]}}


Ask = Callable[[Ends], Awaitable[Any]]
SHAPES: Dict[str, Tuple[Ask, List[Any], List[Tuple[str, str, Any]]]] = {
    # --- reads of tables: each is strong
    "get": (lambda e: e.store.get([A]), [], [("dynamodb", "get_item", _of(A, ConsistentRead=True))]),
    "get nothing": (lambda e: e.store.get([]), [], []),
    "get together": (
        lambda e: e.store.get([A, B]),
        [{"Responses": [{}, {}]}],
        [("dynamodb", "transact_get_items", {"TransactItems": [{"Get": _of(A)}, {"Get": _of(B)}]})],
    ),
    "load": (
        lambda e: e.store.load([A, B, S]),
        [{"Responses": {}}],
        [
            (
                "dynamodb",
                "batch_get_item",
                {
                    "RequestItems": {
                        "fk-d-state": {"Keys": [_key(A), _key(B)], "ConsistentRead": True},
                        "fk-d-sessions": {"Keys": [_key(S)], "ConsistentRead": True},
                    }
                },
            )
        ],
    ),
    "load one": (lambda e: e.store.load([S]), [], [("dynamodb", "get_item", _of(S, ConsistentRead=True))]),
    "query": (lambda e: e.store.query(STATE, "ns:/a"), [ROWS], [("dynamodb", "query", _query("p = :p", p="ns:/a"))]),
    "query from": (
        lambda e: e.store.query(STATE, "ns:/a", "/b", limit=5),
        [ROWS],
        [("dynamodb", "query", _query("p = :p AND s >= :a", 6, p="ns:/a", a="/b"))],
    ),
    "query up to": (
        lambda e: e.store.query(STATE, "ns:/a", "", "$"),
        [ROWS],
        [("dynamodb", "query", _query("p = :p AND s < :z", p="ns:/a", z="$"))],
    ),
    "query between": (
        lambda e: e.store.query(STATE, "ns:/a", "/", "0"),
        [ROWS],
        [("dynamodb", "query", _query("p = :p AND s BETWEEN :a AND :z", p="ns:/a", a="/", z="0"))],
    ),
    "listing": (
        lambda e: e.store.listing(STATE, "ns:/a", "", "/", 10),
        [ROWS],
        [("dynamodb", "query", _query("p = :p AND s < :z", 11, p="ns:/a", z="0"))],
    ),
    "scan": (
        lambda e: e.store.scan(STATE, "ns:"),
        [{**ROWS, "LastEvaluatedKey": "k"}, ROWS],
        [
            ("dynamodb", "scan", None),
            (
                "dynamodb",
                "scan",
                {
                    "TableName": "fk-d-state",
                    "ConsistentRead": True,
                    "FilterExpression": "begins_with(p, :p)",
                    "ExpressionAttributeValues": {":p": {"S": "ns:"}},
                    "ExclusiveStartKey": "k",
                },
            ),
        ],
    ),
    "format": (
        lambda e: gateway._check_format(e.stub, "d"),  # type: ignore[arg-type]
        [{"Item": {"r": {"N": "2"}}}],
        [("once", "get_item", _of(Key(STATE, "deployment", "format"), ConsistentRead=True))],
    ),
    # --- writes: a condition is asked once
    "put": (lambda e: e.store.commit([Put(A, ITEM)]), [], [("dynamodb", "put_item", _put(A))]),
    "put new": (lambda e: e.store.commit([Put(A, ITEM, 0)]), [], [("once", "put_item", _put(A, **NEW))]),
    "put at": (lambda e: e.store.commit([Put(A, ITEM, 3)]), [], [("once", "put_item", _put(A, **_at(3)))]),
    "remove": (lambda e: e.store.commit([Remove(W)]), [], [("dynamodb", "delete_item", _of(W))]),
    "remove at": (lambda e: e.store.commit([Remove(W, 3)]), [], [("once", "delete_item", _of(W, **_at(3)))]),
    "remove none": (lambda e: e.store.commit([Remove(W, 0)]), [], [("once", "delete_item", _of(W, **NEW))]),
    "commit nothing": (lambda e: e.store.commit([]), [], []),
    "commit": (
        lambda e: e.store.commit([Put(A, ITEM, 3), Put(B, ITEM, 0), Remove(S), Remove(Key(SESSIONS, "ns:s", "2"), 4)]),
        [],
        [
            (
                "dynamodb",
                "transact_write_items",
                {
                    "TransactItems": [
                        {"Put": _put(A, **_at(3))},
                        {"Put": _put(B, **NEW)},
                        {"Delete": _of(S)},
                        {"Delete": _of(Key(SESSIONS, "ns:s", "2"), **_at(4))},
                    ],
                    "ClientRequestToken": mock.ANY,
                },
            )
        ],
    ),
    "increment": (
        lambda e: e.store.increment(W, 2),
        [{"Attributes": {"r": {"N": "2"}}}],
        [
            (
                "once",
                "update_item",
                _of(
                    W,
                    UpdateExpression="ADD r :by",
                    ExpressionAttributeValues={":by": {"N": "2"}},
                    ReturnValues="UPDATED_NEW",
                ),
            )
        ],
    ),
    "discard": (lambda e: e.store.discard([W]), [], [("dynamodb", "batch_write_item", _batch(W))]),
    # --- queues
    "send": (
        lambda e: e.queues.send("ns", "client-1", b"\0"),
        [],
        [
            (
                "sqs",
                "send_message",
                {
                    "QueueUrl": URL + "fk-d-writes.fifo",
                    "MessageBody": "AA==",
                    "MessageGroupId": "ns",
                    "MessageDeduplicationId": "client-1-00",
                },
            )
        ],
    ),
    "push": (
        lambda e: e.queues.push([Pushed(INBOX, b"\0"), Pushed("heartbeat:1", b"x"), Pushed("../" + INBOX, b"x")]),
        [],
        [("sqs", "send_message", {"QueueUrl": URL + "fk-d-inbox-" + INBOX, "MessageBody": "AA=="})],
    ),
    "wake": (
        lambda e: e.queues.wake("ns"),
        [],
        [("sqs", "send_message", {"QueueUrl": URL + "fk-d-timer", "MessageBody": "ns"})],
    ),
    "drop": (lambda e: e.queues.drop(INBOX), [], [("sqs", "delete_queue", {"QueueUrl": URL + "fk-d-inbox-" + INBOX})]),
    "drop what is none": (lambda e: e.queues.drop("../writes.fifo"), [], []),
    "make": (
        lambda e: e.queues.make(INBOX),
        [{"QueueUrl": "url"}],
        [
            (
                "sqs",
                "create_queue",
                {
                    "QueueName": "fk-d-inbox-" + INBOX,
                    "Attributes": {"VisibilityTimeout": "5", "MessageRetentionPeriod": "345600"},
                    "tags": {"fk-kazoo": "fk-d"},
                },
            )
        ],
    ),
    "receive": (
        lambda e: e.queues.receive("url"),
        [],
        [("sqs", "receive_message", {"QueueUrl": "url", "MaxNumberOfMessages": 10, "WaitTimeSeconds": 20})],
    ),
    "dead letters": (
        lambda e: e.queues.dead_letters(),
        [{"Messages": []}],
        [
            (
                "sqs",
                "receive_message",
                {
                    "QueueUrl": "http://sqs/123/fk-d-dead.fifo",
                    "MaxNumberOfMessages": 10,
                    "AttributeNames": ["MessageGroupId"],
                },
            )
        ],
    ),
    "delete": (
        lambda e: e.queues.delete("url", [{"ReceiptHandle": "r"}]),
        [],
        [("sqs", "delete_message_batch", {"QueueUrl": "url", "Entries": [{"Id": "0", "ReceiptHandle": "r"}]})],
    ),
    "again": (
        lambda e: e.queues.try_again_soon([{"receiptHandle": "r"}], 4),
        [],
        [
            (
                "sqs",
                "change_message_visibility_batch",
                {
                    "QueueUrl": URL + "fk-d-writes.fifo",
                    "Entries": [{"Id": "0", "ReceiptHandle": "r", "VisibilityTimeout": 4}],
                },
            )
        ],
    ),
    "inboxes": (
        lambda e: e.queues.inboxes(),
        [],
        [("sqs", "list_queues", {"QueueNamePrefix": "fk-d-inbox-", "MaxResults": 1000})],
    ),
    # --- objects
    "upload": (
        lambda e: e.blobs.upload("ns", "n", b"x"),
        [],
        [("s3", "put_object", {"Bucket": "bucket", "Key": "uploads/ns/n", "Body": b"x"})],
    ),
    "keep bytes": (
        lambda e: e.blobs.keep("ns", "n", b"x"),
        [],
        [("s3", "put_object", {"Bucket": "bucket", "Key": "data/ns/n", "Body": b"x"})],
    ),
    "keep a blob": (
        lambda e: e.blobs.keep("ns", "n", Blob("uploads/ns/u", 3)),
        [],
        [
            (
                "s3",
                "copy_object",
                {"Bucket": "bucket", "Key": "data/ns/n", "CopySource": {"Bucket": "bucket", "Key": "uploads/ns/u"}},
            )
        ],
    ),
    "remove objects": (
        lambda e: e.blobs.remove(["k"]),
        [],
        [("s3", "delete_objects", {"Bucket": "bucket", "Delete": {"Objects": [{"Key": "k"}], "Quiet": True}})],
    ),
    "old objects": (
        lambda e: e.blobs.older_than(1),
        [],
        [("s3", "list_objects_v2", {"Bucket": "bucket", "Prefix": "data/"})],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_request_has_its_shape(name: str) -> None:
    ask, answers, expected = SHAPES[name]
    stub = Stub()
    for (_, operation, _), answer in zip(expected, answers):
        stub.answers.setdefault(operation, []).append(answer)
    asyncio.run(ask(Ends.over(stub)))  # type: ignore[arg-type]
    assert [call[:2] for call in stub.calls] == [shape[:2] for shape in expected]
    for call, (_, _, request) in zip(stub.calls, expected):
        assert request is None or call.request == request


def test_who_retries() -> None:
    """What may be asked twice is, by the library; what may not is sent once."""

    async def check() -> Dict[str, Tuple[int, float]]:
        clients = await Clients("eu-test-1", "http://127.0.0.1:1").open()
        try:
            ends = {name: getattr(clients, name).meta.config for name in ("dynamodb", "once", "sqs", "s3")}
            return {name: (end.retries["total_max_attempts"], end.read_timeout) for name, end in ends.items()}
        finally:
            await clients.close()

    assert asyncio.run(check()) == {"dynamodb": (4, 10), "once": (1, 10), "sqs": (4, 30), "s3": (4, 10)}


# --- what is refused, and what is lost ------------------------------------------------------------

BROKEN = refused("ConditionalCheckFailedException")
IN_THE_WAY = refused("TransactionCanceledException", CancellationReasons=[{"Code": "TransactionConflict"}])
VOID = refused(
    "TransactionCanceledException",
    CancellationReasons=[{"Code": "TransactionConflict"}, {"Code": "ConditionalCheckFailed"}],
)
LOST = ReadTimeoutError(endpoint_url="http://x")
UNREACHED = EndpointConnectionError(endpoint_url="http://x")
BUSY = refused("ProvisionedThroughputExceededException")


def _commit(e: Ends) -> Awaitable[Any]:
    return e.store.commit([Put(A, ITEM, 3), Put(B, ITEM)])


def _put_at(e: Ends) -> Awaitable[Any]:
    return e.store.commit([Put(A, ITEM, 3)])


@pytest.mark.parametrize(
    ("ask", "operation", "answers", "error", "tries"),
    [
        (_put_at, "put_item", [BROKEN], Conflict, 1),
        (_put_at, "put_item", [LOST], Unknown, 1),
        (_put_at, "put_item", [UNREACHED], Unavailable, 1),
        (_put_at, "put_item", [BUSY], Unavailable, 1),
        (_put_at, "put_item", [refused("InternalServerError", 500)], Unknown, 1),
        (_put_at, "put_item", [refused("ValidationException")], TooLarge, 1),
        (_commit, "transact_write_items", [VOID], Conflict, 1),
        (_commit, "transact_write_items", [LOST], Unknown, 1),
        (_commit, "transact_write_items", [IN_THE_WAY, IN_THE_WAY], None, 3),
        (_commit, "transact_write_items", [IN_THE_WAY] * 9, Unavailable, store.TRIES),
        (lambda e: e.store.increment(W), "update_item", [LOST], Unknown, 1),
        (lambda e: e.store.get([A]), "get_item", [LOST], Unavailable, 1),
        (lambda e: e.store.get([A, B]), "transact_get_items", [IN_THE_WAY, {"Responses": [{}, {}]}], None, 2),
        (lambda e: e.queues.send("ns", "m-1", b""), "send_message", [LOST], Unknown, 1),
        (lambda e: e.queues.push([Pushed(INBOX, b"")]), "send_message", [LOST], Unknown, 1),
        (lambda e: e.queues.push([Pushed(INBOX, b"")]), "send_message", [refused("QueueDoesNotExist")], None, 1),
        (lambda e: e.queues.push([Pushed(INBOX, b"")]), "send_message", [refused("KMS.DisabledException")], None, 1),
        (lambda e: e.queues.push([Pushed(INBOX, b"")]), "send_message", [refused("ExpiredToken")], NotAllowed, 1),
        (lambda e: e.queues.drop(INBOX), "delete_queue", [refused("KMS.DisabledException")], None, 1),
        (lambda e: e.blobs.keep("ns", "n", Blob("uploads/ns/u", 3)), "copy_object", [refused("NoSuchKey")], Refused, 1),
        (lambda e: e.blobs.keep("ns", "n", Blob("uploads/ns/u", 3)), "copy_object", [LOST], Unknown, 1),
    ],
)
def test_what_goes_wrong_is_told_apart(ask: Ask, operation: str, answers: List[Any], error: Any, tries: int) -> None:
    """And a transaction that is tried again is the same one: it carries the token of the first try."""
    stub = Stub(**{operation: list(answers)})

    async def check() -> None:
        with mock.patch.object(store, "PAUSE_S", 0.0):
            if error is None:
                await ask(Ends.over(stub))
            else:
                with pytest.raises(error) as raised:
                    await ask(Ends.over(stub))
                assert raised.type is error

    asyncio.run(check())
    assert len(stub.calls) == tries
    assert len({call.request.get("ClientRequestToken") for call in stub.calls}) == 1


def test_two_commits_are_two() -> None:
    """Each with a token of its own: with the same one the second would not happen."""
    stub = Stub()

    async def check() -> None:
        for _ in range(2):
            await _commit(Ends.over(stub))

    asyncio.run(check())
    assert len({call.request["ClientRequestToken"] for call in stub.calls}) == 2


def test_what_a_batch_leaves_over_is_asked_again() -> None:
    left = {"fk-d-state": {"Keys": [_key(B)], "ConsistentRead": True}}
    row = {**_key(A), "r": {"N": "1"}}
    last = {"Responses": {"fk-d-state": [{**_key(B), "r": {"N": "2"}}]}}
    stub = Stub(batch_get_item=[{"Responses": {"fk-d-state": [row]}, "UnprocessedKeys": left}, last])
    with mock.patch.object(store, "PAUSE_S", 0.0):
        found = asyncio.run(Ends.over(stub).store.load([A, B]))
    assert found == [Item(1, b""), Item(2, b"")] and stub.calls[1].request == {"RequestItems": left}
    unprocessed = {"fk-d-interest": [{"DeleteRequest": {"Key": _key(W)}}]}
    stub = Stub(batch_write_item=[{"UnprocessedItems": unprocessed}])
    with mock.patch.object(store, "PAUSE_S", 0.0):
        asyncio.run(Ends.over(stub).store.discard([W]))
    assert stub.asked == ["batch_write_item"] * 2


def test_a_snapshot_of_more_than_a_transaction_takes_is_read_until_it_stands_still() -> None:
    keys = [Key(STATE, "ns:/a", "/%03d" % number) for number in range(101)]

    def answers(rev: int) -> List[Any]:
        rows = [{"Item": {**_key(key), "r": {"N": str(rev)}}} for key in keys]
        return [{"Responses": rows[:100]}, {"Responses": rows[100:]}]

    stub = Stub(transact_get_items=[*answers(1), *answers(2), *answers(2)])
    found = asyncio.run(Ends.over(stub).store.get(keys))
    assert {item.rev for item in found if item is not None} == {2} and len(stub.calls) == 6


def test_pages_end_where_they_end() -> None:
    rows = [{**_key(Key(STATE, "ns:/a", sort)), "r": {"N": "1"}} for sort in ("/a", "/b", "0")]
    stub = Stub(query=[{"Items": rows}, {"Items": rows[:2], "LastEvaluatedKey": "k"}, {"Items": rows[:2]}])

    async def check() -> None:
        table = Ends.over(stub).store
        page = await table.query(STATE, "ns:/a", "/", "0", 2)
        assert [sort for sort, _ in page.rows] == ["/a", "/b"] and not page.more, "the end is not in it"
        assert (await table.query(STATE, "ns:/a", "/", "0", 5)).more, "a page that is full"
        page = await table.query(STATE, "ns:/a", "/", "0", 1)
        assert [sort for sort, _ in page.rows] == ["/a"] and page.more

    asyncio.run(check())


def test_only_what_is_old_is_swept() -> None:
    old, new = datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2100, 1, 1, tzinfo=timezone.utc)
    contents = [{"Key": "data/old", "LastModified": old}, {"Key": "data/new", "LastModified": new}]
    pages = [{"Contents": contents[:1], "IsTruncated": True, "NextContinuationToken": "t"}, {"Contents": contents[1:]}]
    stub = Stub(list_objects_v2=pages)
    assert asyncio.run(Ends.over(stub).blobs.older_than(3600)) == ["data/old"]
    assert stub.calls[1].request["ContinuationToken"] == "t"
