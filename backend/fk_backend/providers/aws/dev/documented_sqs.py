"""The rules of `documented` that are about queues, before ministack. Runs in its interpreter, imports nothing of ours.

Rule upheld here: what is refused, or left undone, has no effect; all else is ministack's own answer.
"""

from __future__ import annotations

import math
import time
from typing import Any, Dict, Optional

_BATCHES = ("DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch")


class Queues:
    """Before ministack's SQS. Each argument is the value of a rule, None where it is off."""

    def __init__(
        self,
        sqs: Any,
        late_s: Optional[float],
        lag_s: Optional[float],
        known_s: Optional[float],
        anew: bool,
        partial: Optional[float],
    ) -> None:
        self._sqs = sqs
        self._next = sqs._dispatch
        self._late_s, self._lag_s, self._anew, self._partial = late_s or 0.0, lag_s, anew, partial
        self._known_s = math.inf if known_s is None else known_s
        self._made: Dict[str, float] = {}
        self._seen: Dict[str, Any] = {}
        self._batches = 0

    async def __call__(self, action: str, data: Any, url: str) -> Any:
        """`sqs._dispatch`."""
        used = str(data.get("QueueUrl") or url)
        if action != "CreateQueue" and time.monotonic() - self._made.get(used, -math.inf) < self._late_s:
            raise self._sqs._Err("QueueDoesNotExist", "The specified queue does not exist for this wsdl version.")
        undone = self._undone(data) if action in _BATCHES else []
        result = await self._next(action, data, url)
        if undone:
            result.setdefault("Failed", []).extend(undone)
        if action == "CreateQueue":
            self._made.setdefault(result["QueueUrl"], time.monotonic())
            self._number(result["QueueUrl"])
        elif action == "DeleteQueue":
            self._made.pop(used, None)
            self._seen.pop(used, None)
        elif action == "SendMessage" and "SequenceNumber" in result:
            self._remember(used)
        elif action == "GetQueueAttributes" and self._lag_s is not None:
            self._lag(used, result["Attributes"])
        return result

    def _undone(self, data: Any) -> Any:
        """The last entry of every so many batches fails."""
        entries = data.get("Entries", [])
        self._batches += len(entries) > 1
        if self._partial is None or len(entries) < 2 or self._batches % int(self._partial):
            return []
        data["Entries"], left = entries[:-1], entries[-1]
        return [{"Id": left["Id"], "Code": "InternalError", "Message": "We can't do that now.", "SenderFault": False}]

    def _number(self, url: str) -> None:
        queue = self._sqs._queues.get(url)
        if queue is not None and not self._anew and queue["fifo_seq"] == 0:
            queue["fifo_seq"] = int(time.time() * 1e6)

    def _remember(self, url: str) -> None:
        queue = self._sqs._queues.get(url)
        for entry in queue["dedup_cache"].values() if queue is not None else ():
            if "until" not in entry:
                entry["until"] = entry["expire"] = time.time() + self._known_s

    def _lag(self, url: str, attributes: Any) -> None:
        """What they were when somebody asked first in this period."""
        counted = {name: value for name, value in attributes.items() if name.startswith("ApproximateNumberOf")}
        when, before = self._seen.get(url, (-math.inf, {}))
        if (
            url.endswith(".fifo")
            or time.monotonic() - when > (self._lag_s or 0.0)
            or not counted.keys() <= before.keys()
        ):
            self._seen[url] = time.monotonic(), counted
        else:
            attributes.update((name, before[name]) for name in counted)


def one_group_in_a_batch(sqs: Any) -> None:
    """Where the rule of mixed batches is off."""
    collect = sqs._collect_fifo

    def _collect_fifo(queue: Any, most: int, *more: Any) -> Any:
        first = collect(queue, 1, *more)
        if not first or most == 1:
            return first
        group, others = first[0]["group_id"], []
        for message in queue["messages"]:
            if message["group_id"] != group:
                others.append((message, message["visible_at"]))
                message["visible_at"] = math.inf
        first[0]["receive_count"] -= 1
        first[0]["visible_at"] = 0.0
        found = collect(queue, most, *more)
        for message, visible_at in others:
            message["visible_at"] = visible_at
        return found

    sqs._collect_fifo = _collect_fifo
