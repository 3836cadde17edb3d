"""Capacity units follow from the items that a request touches, by DynamoDB's documented rules, and from nothing else.

Sources: DynamoDB Developer Guide, "Item sizes and formats" (names and values, UTF-8; a number takes one byte for two
digits and one more), "Read/write operations" (1 KB and 4 KB; a transaction twice; the larger of an item before and
after; a condition that does not hold costs the write; what is absent costs a read unit), "Query" (its items' sum).
SQS Pricing: 64 KB of payload are a request.
"""

from __future__ import annotations

import base64
import math
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

Row = Dict[str, Any]
Spot = Tuple[str, str, str]
"""Table, ``p`` and ``s`` of an item."""

KEYS = ("p", "s")
CHUNK = 64 * 1024


class Units(NamedTuple):
    """What is paid for, in DynamoDB's units and in requests of the others. They add up by :func:`total`."""

    wru: float = 0.0
    rru: float = 0.0
    fifo: float = 0.0
    standard: float = 0.0
    s3_put: float = 0.0
    s3_get: float = 0.0


def total(parts: "List[Units]") -> Units:
    """The sum."""
    return Units(*(sum(values) for values in zip(*parts))) if parts else Units()


def size_of(row: Row) -> int:
    """Bytes of an item, as in a request: attribute → {type: value}."""
    return sum(len(name.encode()) + _value(value) for name, value in row.items())


def _value(value: Row) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "B":
        return len(content if isinstance(content, bytes) else base64.b64decode(content))
    if kind == "N":
        digits = content.lstrip("-").strip("0") or "0"
        return math.ceil(len(digits) / 2) + 1 + content.startswith("-")
    raise ValueError("an attribute of type %s" % kind)


def write_units(size: int) -> int:
    """For an item of so many bytes; at least one."""
    return max(1, math.ceil(size / 1024))


def read_units(size: int) -> int:
    """For so many bytes, strongly consistent; at least one, also for nothing."""
    return max(1, math.ceil(size / 4096))


def chunks(size: int) -> int:
    """Requests that SQS bills for a payload."""
    return max(1, math.ceil(size / CHUNK))


class Tables:
    """What is in the tables, as far as it went through here: an item counts as the larger of before and after."""

    def __init__(self) -> None:
        self._rows: Dict[Spot, Row] = {}

    def note(self, table: str, row: Row) -> None:
        """An item that came there by another way."""
        self._rows[_spot(table, row)] = row

    def units(self, operation: str, asked: Row, answer: Row, refused: bool) -> Units:
        """Of one request to DynamoDB. ``refused``: it was answered with an error."""
        if operation == "PutItem":
            return Units(wru=self._put(asked, refused))
        if operation == "DeleteItem":
            return Units(wru=self._delete(asked, refused))
        if operation == "UpdateItem":
            return Units(wru=self._update(asked, answer))
        if operation == "TransactWriteItems":
            return Units(wru=sum(self._part(part, refused) for part in asked["TransactItems"]))
        if operation == "BatchWriteItem":
            return Units(wru=sum(self._batch(asked)))
        if operation == "GetItem":
            return Units(rru=_read_of(answer.get("Item")))
        if operation == "TransactGetItems":
            return Units(rru=sum(2 * _read_of(found.get("Item")) for found in answer.get("Responses", ())))
        if operation == "BatchGetItem":
            return Units(rru=_batch_read(asked, answer))
        if operation in ("Query", "Scan"):
            whole = read_units(sum(size_of(row) for row in answer.get("Items", ())))
            return Units(rru=whole if asked.get("ConsistentRead") else whole / 2)
        raise ValueError("%s: no rule for its units" % operation)

    def _replace(self, spot: Spot, row: Optional[Row], refused: bool, times: int) -> float:
        was = self._rows.get(spot)
        if refused:
            return times * write_units(size_of(was) if was else 0)
        if row is None:
            self._rows.pop(spot, None)
        else:
            self._rows[spot] = row
        larger = max(size_of(was) if was else 0, size_of(row) if row else 0)
        return float(times * write_units(larger))

    def _put(self, asked: Row, refused: bool, times: int = 1) -> float:
        return self._replace(_spot(asked["TableName"], asked["Item"]), asked["Item"], refused, times)

    def _delete(self, asked: Row, refused: bool, times: int = 1) -> float:
        return self._replace(_spot(asked["TableName"], asked["Key"]), None, refused, times)

    def _update(self, asked: Row, answer: Row) -> float:
        spot = _spot(asked["TableName"], asked["Key"])
        after = {**self._rows.get(spot, {}), **asked["Key"], **answer.get("Attributes", {})}
        return self._replace(spot, after, "Attributes" not in answer, 1)

    def _part(self, part: Row, refused: bool) -> float:
        ((kind, asked),) = part.items()
        if kind == "Put":
            return self._put(asked, refused, times=2)
        if kind == "Delete":
            return self._delete(asked, refused, times=2)
        raise ValueError("%s in a transaction: no rule for its units" % kind)

    def _batch(self, asked: Row) -> List[float]:
        costs = []
        for table, requests in asked["RequestItems"].items():
            for request in requests:
                ((kind, one),) = request.items()
                one = {"TableName": table, **one}
                costs.append(self._put(one, False) if kind == "PutRequest" else self._delete(one, False))
        return costs


def _spot(table: str, row: Row) -> Spot:
    return (table, row["p"]["S"], row["s"]["S"])


def _read_of(row: Optional[Row]) -> int:
    return read_units(size_of(row) if row else 0)


def _batch_read(asked: Row, answer: Row) -> int:
    wanted = sum(len(each["Keys"]) for each in asked["RequestItems"].values())
    found = [row for rows in answer.get("Responses", {}).values() for row in rows]
    return sum(map(_read_of, found)) + (wanted - len(found))
