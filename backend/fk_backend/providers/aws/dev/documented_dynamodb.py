"""The rules of `documented` that are about tables, before ministack. Runs in its interpreter, imports nothing of ours.

Rule upheld here: what is refused, or left undone, has no effect; all else is ministack's own answer.

An item is known by the table and the two attributes that every table of a deployment has as its key, ``p`` and ``s``.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from typing import Any, Awaitable, Callable, Dict, List, Optional, Tuple

TABLE_TIMES = 4
"""A new table on demand takes that many times what a key takes."""
ONE_BY_ONE = 16
"""So many rows of a query are read each by itself; of what comes after them so many more at a time."""
_SINGLE = ("PutItem", "UpdateItem", "DeleteItem")

Answer = Tuple[int, Dict[str, str], bytes]
Ask = Callable[[str, Any], Awaitable[Tuple[int, Dict[str, str], Any]]]
Name = Tuple[str, ...]


class Tables:
    """Before ministack's DynamoDB. Each argument is the value of a rule, None where it is off."""

    def __init__(
        self,
        dynamodb: Any,
        account: Callable[[], str],
        units: Optional[float],
        by_row: bool,
        conflict_ms: Optional[float],
        partial: Optional[float],
    ) -> None:
        self._next = dynamodb.handle_request
        self._account = account
        self._units, self._by_row, self._conflict_ms, self._partial = units, by_row, conflict_ms, partial
        self._left: Dict[Name, Tuple[float, float]] = {}
        self._held: "Counter[Name]" = Counter()
        self._batches = 0

    async def __call__(self, method: str, path: str, headers: Any, body: bytes, query: Any) -> Answer:
        """`dynamodb.handle_request`."""
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        data = json.loads(body) if body else {}

        async def ask(asked: str, what: Any) -> Tuple[int, Dict[str, str], Any]:
            target = {**headers, "x-amz-target": "DynamoDB_20120810." + asked}
            status, more, answer = await self._next(method, path, target, json.dumps(what).encode(), query)
            return status, more, json.loads(answer)

        if action in _SINGLE:
            refused = self._refused_write(data)
            if refused is not None:
                return refused
        if action in ("TransactWriteItems", "TransactGetItems"):
            return await self._transact(action, data, ask)
        if action in ("BatchGetItem", "BatchWriteItem"):
            return await self._batch(action, data, ask)
        if action == "Query" and self._by_row:
            return await self._query(data, ask)
        answer: Answer = await self._next(method, path, headers, body, query)
        return answer

    # --- write units, and transactions in each other's way ----------------------------------------

    def _name(self, table: str, item: Any) -> Name:
        return (self._account(), table, *(json.dumps(item.get(one), sort_keys=True) for one in ("p", "s")))

    def _full(self, name: Name, units: float) -> bool:
        """Whether the key or the table is out of units. They are taken if not."""
        if self._units is None:
            return False
        now = time.monotonic()
        wanted = []
        for what, most in ((name[:3], self._units), (name[:2], TABLE_TIMES * self._units)):
            left, since = self._left.get(what, (most, now))
            wanted.append((what, min(most, left + (now - since) * most)))
        if any(left < min(units, self._units) for _, left in wanted):
            return True
        self._left.update((what, (left - units, now)) for what, left in wanted)
        return False

    def _refused_write(self, data: Any) -> Optional[Answer]:
        item = data.get("Item") or data.get("Key") or {}
        name = self._name(data.get("TableName", ""), item)
        if self._held[name]:
            return _error("TransactionConflictException", "Transaction is ongoing for the item")
        if self._full(name, _units(item)):
            return _error("ProvisionedThroughputExceededException", "The level of configured throughput was exceeded.")
        return None

    async def _transact(self, action: str, data: Any, ask: Ask) -> Answer:
        parts = [next(iter(one.items())) for one in data.get("TransactItems", [])]
        items = [part.get("Item") or part.get("Key") or {} for _, part in parts]
        names = [self._name(part.get("TableName", ""), item) for (_, part), item in zip(parts, items)]
        if self._conflict_ms is not None and any(self._held[name] for name in names):
            return _cancelled(["TransactionConflict" if self._held[name] else "None" for name in names])
        if action == "TransactGetItems":
            return _whole(await ask(action, data))
        full = [self._full(name, 2 * _units(item)) for name, item in zip(names, items)]
        if any(full):
            return _cancelled(["ThrottlingError" if each else "None" for each in full])
        self._held.update(names)
        try:
            if self._conflict_ms is not None:
                await asyncio.sleep(self._conflict_ms / 1000)
            return _whole(await ask(action, data))
        finally:
            self._held.subtract(names)
            self._held += Counter()  # without those that nobody holds

    # --- what is left undone, and what is no snapshot ----------------------------------------------

    async def _batch(self, action: str, data: Any, ask: Ask) -> Answer:
        """Every so many batches are done by half. Reads go item by item, so that others come in between."""
        writing = action == "BatchWriteItem"
        wanted = data.get("RequestItems", {})
        entries = [(table, one) for table, what in wanted.items() for one in (what if writing else what["Keys"])]
        self._batches += len(entries) > 1
        left: List[Tuple[str, Any]] = []
        if self._partial is not None and len(entries) > 1 and self._batches % int(self._partial) == 0:
            entries, left = entries[: len(entries) // 2], entries[len(entries) // 2 :]
        at_once = 1 if self._by_row and not writing and len(entries) <= ONE_BY_ONE else len(entries)
        result: Any = {"UnprocessedItems": {}} if writing else {"Responses": {}, "UnprocessedKeys": {}}
        for first in range(0, len(entries), max(at_once, 1)):
            part = _request(wanted, entries[first : first + at_once], writing)
            status, more, answer = await ask(action, {**data, "RequestItems": part})
            if status != 200:
                return _whole((status, more, answer))
            for table, rows in answer.get("Responses", {}).items():
                result["Responses"].setdefault(table, []).extend(rows)
            await asyncio.sleep(0)
        result["UnprocessedItems" if writing else "UnprocessedKeys"] = _request(wanted, left, writing)
        return _whole((200, {"Content-Type": "application/x-amz-json-1.0"}, result))

    async def _query(self, data: Any, ask: Ask) -> Answer:
        most = data.get("Limit", math.inf)
        rows: List[Any] = []
        asked = dict(data)
        while True:
            asked["Limit"] = int(min(1 if len(rows) < ONE_BY_ONE else ONE_BY_ONE, most - len(rows)))
            status, more, answer = await ask("Query", asked)
            if status != 200:
                return _whole((status, more, answer))
            rows.extend(answer["Items"])
            if "LastEvaluatedKey" not in answer or len(rows) >= most:
                return _whole((200, more, {**answer, "Items": rows, "Count": len(rows), "ScannedCount": len(rows)}))
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
            await asyncio.sleep(0)


def _request(wanted: Any, entries: List[Tuple[str, Any]], writing: bool) -> Any:
    made: Dict[str, Any] = {}
    for table, one in entries:
        made.setdefault(table, []).append(one)
    return made if writing else {table: {**wanted[table], "Keys": keys} for table, keys in made.items()}


def _units(item: Any) -> int:
    """About: the sizes of names and values as JSON."""
    return math.ceil(max(1, len(json.dumps(item))) / 1024)


def _whole(answer: Tuple[int, Dict[str, str], Any]) -> Answer:
    status, headers, body = answer
    kept = {name: value for name, value in headers.items() if name.lower() not in ("x-amz-crc32", "content-length")}
    return status, kept, json.dumps(body).encode()


def _error(code: str, message: str, **more: Any) -> Answer:
    body = {"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": message, **more}
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode()


def _cancelled(reasons: List[str]) -> Answer:
    text = "Transaction cancelled, please refer cancellation reasons for specific reasons [%s]" % ", ".join(reasons)
    return _error("TransactionCanceledException", text, CancellationReasons=[{"Code": one} for one in reasons])
