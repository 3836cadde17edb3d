"""How long a request to AWS takes is drawn from percentiles that were measured there, and from nowhere else.

Between two percentiles it is a straight line; beyond the first and the last (p1, p99) nothing is made up, so no figure
here says anything about the slowest request in a hundred. Of the sizes that were measured the nearest one counts.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from random import Random
from typing import Dict, List, NamedTuple, Tuple

from .data import load

TRANSACT_WRITE_MS = 12.0
"""Median of TransactWriteItems: assumed, with the spread of PutItem. Nobody published one for this region."""
TRANSACT_GET_TIMES = 2.0
"""TransactGetItems takes that many times a GetItem: assumed, it makes two passes."""

PUT, GET, INCREMENT = "dynamodb_put_item", "dynamodb_get_item_consistent", "primitive_atomic_counter"
SEND, S3_PUT, S3_GET = "sqs_fifo_send_message", "s3_put_object", "s3_get_object"
FIFO_TRIGGER, STANDARD_TRIGGER = "queue_sqs_fifo_to_lambda", "queue_sqs_standard_to_lambda"

OF_OPERATION = {
    "PutItem": PUT,
    "DeleteItem": PUT,
    "BatchWriteItem": PUT,
    "UpdateItem": INCREMENT,
    "GetItem": GET,
    "BatchGetItem": GET,
    "Query": GET,
    "SendMessage": SEND,
    "GetQueueUrl": SEND,
    "CreateQueue": SEND,
    "ChangeMessageVisibilityBatch": SEND,
    "PutObject": S3_PUT,
    "CopyObject": S3_PUT,
    "DeleteObjects": S3_PUT,
    "GetObject": S3_GET,
}
"""Operation of AWS → what was measured. A query and a batch are taken for a get, a delete and a copy for a
put, and what else is asked of a queue for a send."""


class Curve(NamedTuple):
    """A distribution by percentiles, in ms."""

    shares: List[float]
    values: List[float]

    def at(self, share: float) -> float:
        """The value that this share of all does not exceed."""
        place = bisect_right(self.shares, share)
        if place == 0 or place == len(self.shares):
            return self.values[0 if place == 0 else -1]
        low, high = self.shares[place - 1], self.shares[place]
        part = (share - low) / (high - low)
        return self.values[place - 1] * (1 - part) + self.values[place] * part


_curves: Dict[Tuple[str, int], Curve] = {}


def curve(what: str, size: int) -> Curve:
    """Of something measured, for the nearest size."""
    sizes = load("aws_latency_ms")["ops"][what]["by_size"]
    fitting = min(map(int, sizes), key=lambda each: abs(math.log(max(size, 1) / each)))
    key = (what, fitting)
    if key not in _curves:
        points = sorted((int(p[1:]) / 100, v) for p, v in sizes[str(fitting)].items() if p != "n")
        _curves[key] = Curve([p for p, _ in points], [v for _, v in points])
    return _curves[key]


def of_operation(operation: str, size: int, share: float) -> float:
    """ms of a request to AWS, or of something measured, at a share of its distribution."""
    if operation == "TransactWriteItems":
        puts = curve(PUT, size)
        return puts.at(share) * TRANSACT_WRITE_MS / curve(PUT, 1024).at(0.5)
    if operation == "TransactGetItems":
        return curve(GET, size).at(share) * TRANSACT_GET_TIMES
    return curve(OF_OPERATION.get(operation, operation), size).at(share)


class Chance:
    """Draws, by a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def ms(self, what: str, size: int) -> float:
        """Of something measured."""
        return curve(what, size).at(self._random.random())

    def operation_ms(self, operation: str, size: int) -> float:
        """Of a request to AWS."""
        return of_operation(operation, size, self._random.random())
