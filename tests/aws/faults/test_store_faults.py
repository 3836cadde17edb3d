"""What the store makes of what can go wrong with a request: it is asked again where that is safe, and the error says
whether it may have happened.

Each row of the table is one call, the fates of its tries one after the other (the last one for all further tries), how
it ends, and how often it took effect.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Awaitable, Callable, List, NamedTuple, Optional, Type

import pytest
from botocore import exceptions as sdk

from fk_backend.errors import BackendError, Conflict, NotAllowed, TooLarge, Unavailable, Unknown
from fk_backend.ports import INTEREST, STATE, Item, Key, Put, Remove
from fk_backend.providers.aws.failures import translated
from fk_backend.providers.aws.store import DynamoStore

from ..conftest import DEPLOYMENT, Account
from .stage import Stage
from .wire import (
    Fate,
    Process,
    Send,
    Sent,
    answer,
    answer_lost,
    cancelled,
    carried_by,
    failed_after,
    failed_before,
    refused,
    served,
    unreachable,
)

A, B = Key(STATE, "p", "a"), Key(STATE, "p", "b")
COUNTER = Key(INTEREST, "p", "counter")
THROTTLED = refused("ThrottlingException")
FULL = refused("ProvisionedThroughputExceededException")
EXPIRED = refused("ExpiredTokenException")
DENIED = refused("AccessDeniedException")
SKEWED = refused("RequestTimeTooSkewed", status=403)
IN_THE_WAY = cancelled("None", "TransactionConflict")


class Fated(Process):
    """Gives each try its fate, and counts those that took effect."""

    def __init__(self, fates: List[Fate]) -> None:
        super().__init__()
        self.effects = 0
        self._fates = fates

    async def carry(self, sent: Sent, send: Send) -> Any:
        """As `Process.carry`, if it is to be."""
        fate = self._fates[min(len(self.sent), len(self._fates)) - 1]
        return await fate(sent, lambda: self._counted(send))

    async def _counted(self, send: Send) -> Any:
        response = await send()
        self.effects += response.status_code == 200
        return response


Ask = Callable[[DynamoStore], Awaitable[Any]]


class Row(NamedTuple):
    ask: Ask
    fates: List[Fate]
    error: Optional[Type[BackendError]]
    rev: int
    """Of what it writes, afterwards: it is 1 before."""


def _put(store: DynamoStore) -> Awaitable[Any]:
    return store.commit([Put(A, Item(2, b""))])


def _swap(store: DynamoStore) -> Awaitable[Any]:
    return store.commit([Put(A, Item(2, b""), expect=1)])


def _remove(store: DynamoStore) -> Awaitable[Any]:
    return store.commit([Remove(A, expect=1)])


def _all(store: DynamoStore) -> Awaitable[Any]:
    return store.commit([Put(A, Item(2, b""), expect=1), Put(B, Item(2, b""), expect=1)])


def _add(store: DynamoStore) -> Awaitable[Any]:
    return store.increment(COUNTER)


WRITES = [
    # Without a condition: again, whatever happened.
    Row(_put, [THROTTLED, served], None, 2),
    Row(_put, [FULL, FULL, served], None, 2),
    Row(_put, [answer_lost, served], None, 2),
    Row(_put, [failed_after, served], None, 2),
    Row(_put, [unreachable, served], None, 2),
    Row(_put, [answer_lost], Unknown, 2),
    Row(_put, [failed_before], Unknown, 1),
    Row(_put, [unreachable], Unavailable, 1),
    Row(_put, [EXPIRED], NotAllowed, 1),
    Row(_put, [SKEWED], NotAllowed, 1),
    # With one: once, or it would find itself in the way.
    Row(_swap, [served], None, 2),
    Row(_swap, [answer_lost, served], Unknown, 2),
    Row(_swap, [failed_after, served], Unknown, 2),
    Row(_swap, [failed_before, served], Unknown, 1),
    Row(_swap, [THROTTLED], Unavailable, 1),
    Row(_swap, [refused("TransactionConflictException")], Unavailable, 1),
    Row(_swap, [unreachable], Unavailable, 1),
    Row(_swap, [DENIED], NotAllowed, 1),
    Row(_remove, [answer_lost, served], Unknown, 0),
    Row(_remove, [THROTTLED], Unavailable, 1),
    # A transaction has a token: it happens once, however often it is asked for.
    Row(_all, [answer_lost, served], None, 2),
    Row(_all, [failed_after, served], None, 2),
    Row(_all, [failed_before, served], None, 2),
    Row(_all, [IN_THE_WAY, served], None, 2),
    Row(_all, [IN_THE_WAY, IN_THE_WAY, THROTTLED, served], None, 2),
    Row(_all, [IN_THE_WAY], Unavailable, 1),
    Row(_all, [answer_lost, THROTTLED, THROTTLED, THROTTLED, served], None, 2),
    Row(_all, [answer_lost, IN_THE_WAY, served], None, 2),
    Row(_all, [cancelled("ConditionalCheckFailed", "TransactionConflict")], Conflict, 1),
    Row(_all, [cancelled("ValidationError", "None")], TooLarge, 1),
    Row(_all, [refused("TransactionInProgressException")], Unknown, 1),
    Row(_all, [answer_lost], Unknown, 2),
    Row(_all, [EXPIRED], NotAllowed, 1),
    # An ADD is never asked for twice.
    Row(_add, [served], None, 2),
    Row(_add, [answer_lost, served], Unknown, 2),
    Row(_add, [failed_after, served], Unknown, 2),
    Row(_add, [failed_before, served], Unknown, 1),
    Row(_add, [THROTTLED], Unavailable, 1),
    Row(_add, [unreachable], Unavailable, 1),
]


async def _rev(store: DynamoStore, key: Key) -> int:
    (item,) = await store.get([key])
    return 0 if item is None else item.rev


async def _mismatches(store: DynamoStore) -> List[str]:
    found = []
    for number, row in enumerate(WRITES):
        await store.commit([Put(A, Item(1, b"")), Put(B, Item(1, b""))])
        await store.commit([Put(COUNTER, Item(1, b""))])
        process = Fated(row.fates)
        error: Optional[BaseException] = None
        with carried_by(process):
            try:
                await row.ask(store)
            except Exception as raised:
                error = raised
        rev = await _rev(store, COUNTER if row.ask is _add else A)
        kind = None if error is None else type(error)
        if (kind, rev) != (row.error, row.rev):
            found.append("row %d, %s: %r, rev %d, %d tries" % (number, row.ask.__name__, error, rev, len(process.sent)))
        if row.ask is _all and await _rev(store, B) != rev:
            found.append("row %d: half a transaction" % number)
    return found


def _on_a_store(work: Callable[[DynamoStore], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        stage = await Stage.open()
        try:
            return await work(DynamoStore(stage.clients, DEPLOYMENT))
        finally:
            await stage.clients.close()

    return asyncio.run(run())


def test_writes(aws_account: Account, at_once: None) -> None:
    assert _on_a_store(_mismatches) == []


READ: List[Ask] = [
    lambda store: store.get([A]),
    lambda store: store.get([A, B]),
    lambda store: store.load([A, B]),
    lambda store: store.query(STATE, "p"),
]


def test_reads(aws_account: Account, at_once: None) -> None:
    """Asked again until the library gives up; then it is certain that nothing happened."""

    async def check(store: DynamoStore) -> None:
        await store.commit([Put(A, Item(1, b"a")), Put(B, Item(1, b"b"))])
        for ask in READ:
            expected = await ask(store)
            for passing in (THROTTLED, FULL, answer_lost, failed_before, unreachable):
                with carried_by(Fated([passing, served])):
                    assert await ask(store) == expected
            for lasting in (THROTTLED, answer_lost, failed_before, unreachable, EXPIRED, DENIED, SKEWED):
                with carried_by(Fated([lasting])), pytest.raises(Unavailable):
                    await ask(store)
        with carried_by(Fated([IN_THE_WAY, IN_THE_WAY, served])):
            assert await store.get([A, B]) == [Item(1, b"a"), Item(1, b"b")]

    _on_a_store(check)


def test_a_batch_that_is_read_in_parts(aws_account: Account, at_once: None) -> None:
    """What DynamoDB leaves unread is asked for again; if it always does, the error is definite."""

    async def one_only(sent: Sent, send: Send) -> Any:
        response = json.loads(await (await send()).content)
        (name,) = response["Responses"]
        first = response["Responses"][name][0]
        keys = [key for key in json.loads(sent.body)["RequestItems"][name]["Keys"] if key["s"] != first["s"]]
        made = {"Responses": {name: [first]}, "UnprocessedKeys": {name: {"Keys": keys, "ConsistentRead": True}}}
        return answer(200, json.dumps(made).encode())

    async def none(sent: Sent, send: Send) -> Any:
        made = {"Responses": {}, "UnprocessedKeys": json.loads(sent.body)["RequestItems"]}
        return answer(200, json.dumps(made).encode())

    async def check(store: DynamoStore) -> None:
        keys = [Key(STATE, "p", "%d" % n) for n in range(4)]
        items = [Item(n + 1, b"%d" % n) for n in range(4)]
        await store.commit([Put(key, item) for key, item in zip(keys, items)])
        with carried_by(Fated([one_only, none, one_only, served])):
            assert await store.load(keys) == items
        with carried_by(Fated([none])), pytest.raises(Unavailable):
            await store.load(keys)

    _on_a_store(check)


def _error(code: str, status: int = 400, operation: str = "PutItem") -> sdk.ClientError:
    response: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return sdk.ClientError(response, operation)


@pytest.mark.parametrize(
    "error, writing, reading",
    [
        (_error("ThrottlingException"), Unavailable, Unavailable),
        (_error("SlowDown", 503), Unavailable, Unavailable),
        (_error("InternalServerError", 500), Unknown, Unavailable),
        (_error("ServiceUnavailable", 503), Unknown, Unavailable),
        (_error("InternalError", 500), Unknown, Unavailable),
        (_error("ExpiredToken", 403), NotAllowed, NotAllowed),
        (_error("ExpiredTokenException"), NotAllowed, NotAllowed),
        (_error("RequestTimeTooSkewed", 403), NotAllowed, NotAllowed),
        (_error("InvalidSignatureException"), NotAllowed, NotAllowed),
        (_error("AccessDenied", 403), NotAllowed, NotAllowed),
        (_error("ConditionalCheckFailedException"), Conflict, Conflict),
        (_error("ValidationException"), TooLarge, TooLarge),
        (sdk.ReadTimeoutError(endpoint_url="u"), Unknown, Unavailable),
        (sdk.ConnectionClosedError(endpoint_url="u"), Unknown, Unavailable),
        (sdk.ConnectTimeoutError(endpoint_url="u"), Unavailable, Unavailable),
        (sdk.EndpointConnectionError(endpoint_url="u"), Unavailable, Unavailable),
        (sdk.NoCredentialsError(), Unavailable, Unavailable),
        (sdk.ResponseStreamingError(error="cut"), Unknown, Unavailable),
        (ConnectionResetError(), Unknown, Unavailable),
        (asyncio.TimeoutError(), Unknown, Unavailable),
    ],
)
def test_what_an_error_says(error: Exception, writing: Type[BackendError], reading: Type[BackendError]) -> None:
    assert type(translated(error, writing=True)) is writing
    assert type(translated(error, writing=False)) is reading
