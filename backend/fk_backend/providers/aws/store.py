"""The store on DynamoDB.

Rule: one commit is one transaction, and a commit of one write is one conditional request; every read is strong.

Sources: DynamoDB Developer Guide, "Transactions: how it works" (100 items, 4 MB, serializable against single items),
"Read consistency", "Query" (1 MB pages), "Constraints" (an item: 400 KB with its names; keys: 2,048 and 1,024 bytes).
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import Any, AsyncIterator, Dict, List, Mapping, Optional, Sequence, Tuple

from ...errors import Unavailable
from ...layout import head_key
from ...ports import INTEREST, SESSIONS, STATE, Capabilities, Item, Key, Listing, Page, Put, after
from ..writes import Write, checked_writes
from .clients import Clients
from .failures import read, wrote
from .names import BODY, PARTITION, REV, SORT, table

Row = Dict[str, Any]

AT_ONCE = 100
"""Items of one TransactGetItems or BatchGetItem."""
WRITTEN_AT_ONCE = 25
"""Of one BatchWriteItem."""
REQUESTS_AT_ONCE = 64
"""Where there are any number of them: as many as there are connections."""
TRIES = 6
PAUSE_S = 0.03
"""What is refused because of others is asked again that often, after pauses that double."""


class DynamoStore:
    """`ports.Store` on three tables. Raises Conflict, TooLarge, Unavailable and Unknown."""

    capabilities = Capabilities(
        writes=100,
        commit_bytes=3_900_000,
        item_bytes=400_000,
        partition_bytes=2048,
        sort_bytes=1024,
        recent_bytes=400,
        message_bytes=(1 << 20) // 4 * 3,
        answer_bytes=700_000,
        atomic_queries=False,
        indexes_owners=False,
        transactions_cost_double=True,
        has_latency=True,
        charges_for_beats=True,
    )

    def __init__(self, clients: Clients, deployment: str) -> None:
        self._clients = clients
        self._tables = {which: table(deployment, which) for which in (STATE, SESSIONS, INTEREST)}

    @asynccontextmanager
    async def for_operator(self, key: str, secret: str) -> AsyncIterator["DynamoStore"]:
        """The same tables with somebody else's credentials. For test kits that have to break something."""
        clients = self._clients.with_credentials(key, secret)
        try:
            await clients.open()
            other = DynamoStore(clients, "")
            other._tables = self._tables
            yield other
        finally:
            await clients.close()

    # --- reading --------------------------------------------------------------------------------

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`: one GetItem, or TransactGetItems."""
        if not all(map(self._can_be, keys)):
            kept = [key for key in keys if self._can_be(key)]
            known = dict(zip(kept, await self.get(kept)))
            return [known.get(key) for key in keys]
        if len(keys) <= 1:
            return [await self._one(key) for key in keys]
        if len(set(keys)) < len(keys):
            found_of = dict(zip(dict.fromkeys(keys), await self.get(list(dict.fromkeys(keys)))))
            return [found_of[key] for key in keys]
        seen: Optional[List[Optional[Item]]] = None
        while True:
            found: List[Optional[Item]] = []
            for first in range(0, len(keys), AT_ONCE):
                found.extend(await self._together(keys[first : first + AT_ONCE]))
            if len(keys) <= AT_ONCE or found == seen:
                return found
            seen = found  # more than one transaction: a snapshot if it is the same twice

    def _can_be(self, key: Key) -> bool:
        """Whether there can be such an item: DynamoDB refuses to look for longer keys."""
        limits = self.capabilities
        return len(key.partition.encode()) <= limits.partition_bytes and len(key.sort.encode()) <= limits.sort_bytes

    async def _one(self, key: Key) -> Optional[Item]:
        request = self._clients.dynamodb.get_item(TableName=self._tables[key.table], Key=_key(key), ConsistentRead=True)
        return _item((await read(request)).get("Item"))

    async def _together(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        gets = [{"Get": {"TableName": self._tables[key.table], "Key": _key(key)}} for key in keys]
        for attempt in range(TRIES):
            try:
                answer = await read(self._clients.dynamodb.transact_get_items(TransactItems=gets))
                return [_item(response.get("Item")) for response in answer["Responses"]]
            except Unavailable:  # a writer's transaction was in the way
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(PAUSE_S * 2**attempt)
        raise AssertionError

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.load`: one GetItem, or a BatchGetItem for every 100 keys."""
        if len(keys) == 1:
            return await self.get(keys)
        found: Dict[Key, Optional[Item]] = {}
        wanted = [key for key in keys if self._can_be(key)]
        parts = [wanted[first : first + AT_ONCE] for first in range(0, len(wanted), AT_ONCE)]
        for rows in await asyncio.gather(*(self._batch(part) for part in parts)):
            found.update(rows)
        return [found.get(key) for key in keys]

    async def _batch(self, keys: Sequence[Key]) -> Dict[Key, Optional[Item]]:
        names = {name: which for which, name in self._tables.items()}
        wanted: Dict[str, Any] = {}
        for key in keys:
            entry = wanted.setdefault(self._tables[key.table], {"Keys": [], "ConsistentRead": True})
            entry["Keys"].append(_key(key))
        found: Dict[Key, Optional[Item]] = {}
        for attempt in range(TRIES):
            answer = await read(self._clients.dynamodb.batch_get_item(RequestItems=wanted))
            for name, rows in answer["Responses"].items():
                found.update((Key(names[name], row[PARTITION]["S"], row[SORT]["S"]), _item(row)) for row in rows)
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return found
            await asyncio.sleep(PAUSE_S * 2**attempt)
        raise Unavailable("DynamoDB left keys unread %d times" % TRIES)

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """`ports.Store.query`: one Query. ``more`` is exact, but where a page ends because it is full (1 MB)."""
        if (end is not None and start >= end) or not self._can_be(Key(table, partition, start)):
            return Page([], False)
        condition, values = _stretch(partition, start, end)
        answer = await read(
            self._clients.dynamodb.query(
                TableName=self._tables[table],
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
                Limit=limit + 1,
            )
        )
        rows = [(row[SORT]["S"], _item(row)) for row in answer["Items"] if row[SORT]["S"] != end]
        more = len(rows) > limit or ("LastEvaluatedKey" in answer and len(answer["Items"]) == len(rows) <= limit)
        return Page([(sort, item) for sort, item in rows[:limit] if item is not None], more)

    async def listing(self, table: str, partition: str, start: str, prefix: str, limit: int) -> Listing:
        """`ports.Store.listing`: a Query takes the same units whatever is asked of its rows."""
        return Listing.of(await self.query(table, partition, start, after(prefix), limit), prefix)

    async def scan(
        self, table: str, prefix: str = "", after: Optional[Tuple[str, str]] = None, limit: int = 1000
    ) -> List[Tuple[Key, Item]]:
        """`ports.Store.scan`. Reads the whole table each time: for upkeep, with a large ``limit``."""
        found = [entry async for page in self.pages(table, prefix) for entry in page]
        found.sort(key=lambda entry: entry[0])
        return [entry for entry in found if after is None or entry[0][1:] > after][:limit]

    async def pages(self, table: str, prefix: str = "") -> AsyncIterator[List[Tuple[Key, Item]]]:
        """What is in a table, in no order, by pages of at most 1 MB: for upkeep."""
        request: Row = {"TableName": self._tables[table], "ConsistentRead": True}
        if prefix:
            request["FilterExpression"] = "begins_with(%s, :p)" % PARTITION
            request["ExpressionAttributeValues"] = {":p": {"S": prefix}}
        while True:
            answer = await read(self._clients.dynamodb.scan(**request))
            rows = [(Key(table, row[PARTITION]["S"], row[SORT]["S"]), _item(row)) for row in answer["Items"]]
            yield [(key, item) for key, item in rows if item is not None]
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def namespaces(self) -> List[str]:
        """Those that anybody has written to. Reads the whole table of nodes: for upkeep."""
        request: Row = {"TableName": self._tables[STATE], "ConsistentRead": True}
        heads = {":h": {"S": head_key("").sort}}
        request.update(FilterExpression="%s = :h" % SORT, ExpressionAttributeValues=heads)
        found: List[str] = []
        while True:
            answer = await read(self._clients.dynamodb.scan(**request))
            found.extend(row[PARTITION]["S"][:-1] for row in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return found
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    # --- writing --------------------------------------------------------------------------------

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`: PutItem or DeleteItem, or one TransactWriteItems."""
        checked = checked_writes(writes)
        if len(checked) == 1:
            return await self._write_one(checked[0])
        if checked:
            await self._write_all(checked)

    async def _write_one(self, write: Write) -> None:
        """Without retries if it has a condition: a second try would find it violated by the first one."""
        client = self._clients.dynamodb if write.expect is None else self._clients.once
        call = client.put_item if isinstance(write, Put) else client.delete_item
        await wrote(call(**self._request(write)))

    async def _write_all(self, writes: Sequence[Write]) -> None:
        """All tries carry one token: it happens once, and a try never meets what an earlier one has done."""
        items = [{"Put" if isinstance(write, Put) else "Delete": self._request(write)} for write in writes]
        token = uuid.uuid4().hex
        for attempt in range(TRIES):
            request = self._clients.dynamodb.transact_write_items(TransactItems=items, ClientRequestToken=token)
            try:
                await wrote(request)
                return
            except Unavailable:  # another transaction or too little capacity was in the way
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(PAUSE_S * 2**attempt)

    def _request(self, write: Write) -> Row:
        request: Row = {"TableName": self._tables[write.key.table]}
        if isinstance(write, Put):
            request["Item"] = _row(write)
        else:
            request["Key"] = _key(write.key)
        if write.expect == 0:
            request["ConditionExpression"] = "attribute_not_exists(%s)" % PARTITION
        elif write.expect is not None:
            request["ConditionExpression"] = "%s = :r" % REV
            request["ExpressionAttributeValues"] = {":r": {"N": str(write.expect)}}
        return request

    async def increment(self, key: Key, by: int = 1) -> int:
        """`ports.Store.increment`: one UpdateItem, never retried."""
        answer = await wrote(
            self._clients.once.update_item(
                TableName=self._tables[key.table],
                Key=_key(key),
                UpdateExpression="ADD %s :by" % REV,
                ExpressionAttributeValues={":by": {"N": str(by)}},
                ReturnValues="UPDATED_NEW",
            )
        )
        return int(answer["Attributes"][REV]["N"])

    async def purge(self, table: str, owner: str) -> int:
        """`ports.Store.purge`: nothing. An index of owners would be a second write with every registration."""
        return 0

    async def discard(self, keys: Sequence[Key]) -> None:
        """Removes items. Not atomic."""
        await self._unconditionally([(key.table, {"DeleteRequest": {"Key": _key(key)}}) for key in keys])

    async def put(self, items: Sequence[Tuple[Key, Item]]) -> None:
        """Puts items in the place of whatever was there. Not atomic."""
        puts = [(key.table, {"PutRequest": {"Item": _row(Put(key, item))}}) for key, item in items]
        await self._unconditionally(puts)

    async def _unconditionally(self, requests: Sequence[Tuple[str, Row]]) -> None:
        parts = [requests[first : first + WRITTEN_AT_ONCE] for first in range(0, len(requests), WRITTEN_AT_ONCE)]
        for first in range(0, len(parts), REQUESTS_AT_ONCE):
            await asyncio.gather(*map(self._write_batch, parts[first : first + REQUESTS_AT_ONCE]))

    async def _write_batch(self, requests: Sequence[Tuple[str, Row]]) -> None:
        wanted: Row = {}
        for which, request in requests:
            wanted.setdefault(self._tables[which], []).append(request)
        for attempt in range(TRIES):
            answer = await wrote(self._clients.dynamodb.batch_write_item(RequestItems=wanted))
            wanted = answer.get("UnprocessedItems")
            if not wanted:
                return
            await asyncio.sleep(PAUSE_S * 2**attempt)
        raise Unavailable("DynamoDB left items unwritten %d times" % TRIES)


# --- the forms of DynamoDB ------------------------------------------------------------------------


def _key(key: Key) -> Row:
    return {PARTITION: {"S": key.partition}, SORT: {"S": key.sort}}


def _row(write: Put) -> Row:
    row: Row = {**_key(write.key), REV: {"N": str(write.item.rev)}}
    if write.item.body:
        row[BODY] = {"B": write.item.body}
    return row


def _item(row: Optional[Mapping[str, Any]]) -> Optional[Item]:
    """Of any row: clients write those of INTEREST, and may leave out what we expect, or give it another type."""
    if not row:
        return None
    body = row.get(BODY, {}).get("B", b"")
    return Item(_rev(row.get(REV, {})), bytes(body))


def _rev(value: Mapping[str, Any]) -> int:
    """0, which nothing of ours has, for what is no integer."""
    try:
        return int(value["N"])
    except (KeyError, ValueError):
        return 0


def _stretch(partition: str, start: str, end: Optional[str]) -> Tuple[str, Row]:
    """start <= sort <= end: DynamoDB takes one condition on it, so a row at the end itself comes along."""
    condition, values = "%s = :p" % PARTITION, {":p": {"S": partition}}
    if start:
        values[":a"] = {"S": start}
    if end is not None:
        values[":z"] = {"S": end}
    if start and end is not None:
        condition += " AND %s BETWEEN :a AND :z" % SORT
    elif start:
        condition += " AND %s >= :a" % SORT
    elif end is not None:
        condition += " AND %s < :z" % SORT
    return condition, values
