"""Latencies, in the form of ``benchmarks/data/aws_latency_ms.json``: percentiles in ms, by operation and size in bytes.

Rule upheld here: how often something was measured is always said: ``n`` may be 1.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Tuple

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)


class Samples:
    """Any thread may add some."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Dict[Tuple[str, int], List[float]] = {}

    def add(self, operation: str, size: int, ms: float) -> None:
        """One."""
        with self._lock:
            self._found.setdefault((operation, size), []).append(ms)

    @contextmanager
    def timed(self, operation: str, size: int) -> Iterator[None]:
        """What is done meanwhile, if it succeeds."""
        began = time.perf_counter()
        yield
        self.add(operation, size, (time.perf_counter() - began) * 1000)

    def operations(self, source: str) -> Dict[str, Any]:
        """The ``ops`` of the form."""
        made: Dict[str, Any] = {}
        with self._lock:
            for (operation, size), found in sorted(self._found.items()):
                entry = made.setdefault(operation, {"source": source, "by_size": {}, "note": NOTES.get(operation, "")})
                entry["by_size"][str(size)] = summary(found)
        return made


def summary(samples: List[float]) -> Dict[str, float]:
    """n, and the percentiles, each the nearest sample that is not below it."""
    ordered = sorted(samples)
    count = len(ordered)
    made: Dict[str, float] = {"n": count}
    for p in PERCENTILES:
        made["p%d" % p] = round(ordered[max(0, -(-count * p // 100) - 1)], 3)
    return made


NOTES = {
    "dynamodb_put_item": "boto3, from where the command runs",
    "dynamodb_get_item_consistent": "boto3, from where the command runs",
    "dynamodb_query_consistent": "of one item; boto3, from where the command runs",
    "dynamodb_transact_write_items": "of two items; boto3, from where the command runs",
    "s3_put_object": "boto3, from where the command runs",
    "s3_get_object": "boto3, from where the command runs",
    "sqs_fifo_send_message": "the SendMessage call as the sender saw it; size is the length of the body",
    "sqs_standard_send_to_poll": "from before the SendMessage to the return of a long poll that was open",
    "fk_kazoo_connect": "start() of a new client",
    "fk_kazoo_connect_after_idleness": "the same, with one idle client in the deployment",
    "fk_kazoo_watch_event": "from before the set to the call of the watcher of another client",
    "fk_kazoo_set_cold": "the first set after every environment of the writer was made to go",
    "fk_kazoo_set_after_idleness": "the first set of a client, with nobody else in the deployment meanwhile",
    "fk_kazoo_lock_after_death": "from the death of the holder to the grant of who waits; its session had 10 s",
}
"""By operation; the others are whole calls of the client, as the client saw them."""


def document(samples: Samples, source: str) -> Dict[str, Any]:
    """The whole form."""
    about = (
        "Latency measured by fk-kazoo verify. All values in milliseconds; keys under each operation are payload sizes "
        "in bytes; pN are percentiles of n samples."
    )
    return {"about": about, "ops": samples.operations(source), "source": source}
