"""The event source mapping: takes messages from a queue, invokes a function with them, deletes what it is done with.

Rule upheld here: a message is deleted only after an invocation that had it succeeded and did not name it as failed.
What failed is left alone: it comes back when the queue's visibility timeout is over, and goes to the dead-letter queue
when it came too often; both are the queue's doing.

As AWS documents it (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html):

- A batch has at most ``batch_size`` messages of a receive and 6 MB.
- On a FIFO queue at most one batch of a message group is with the function, and groups are independent: the queue
  hides a group while a message of it is in flight. A batch may hold several groups.
- With ``report_failures`` exactly the messages that the result does not name are deleted. On a FIFO queue it is the
  function that has to name everything after the first failure too. A result that can't be understood means that all
  failed.

Not imitated: batching windows (not for FIFO), filters, and that pollers slow down after errors.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any, Callable, Dict, Iterable, List, Optional, Set

from .environment import EVENT_LIMIT, InvocationFailed, Source
from .function import Function, encoded
from .lineage import longest

Message = Dict[str, Any]
Record = Dict[str, Any]

WAIT_S = 1
"""How long a receive waits for messages; an idle mapping stops within this time."""
DELETES = 3
"""So often what could not be deleted is tried."""
RETRY_S = 0.2
"""After a receive that failed."""


class Mapping:
    """Runs from `start` to `stop`. ``client`` is aiobotocore's for SQS; ``trouble`` is told what went wrong with the
    queue.
    """

    def __init__(
        self,
        client: Any,
        url: str,
        arn: str,
        source: Source,
        function: Function,
        trouble: Callable[[str], None] = print,
    ) -> None:
        self._client = client
        self._url = url
        self._arn = arn
        self._source = source
        self.function = function
        self._trouble = trouble
        self._stopping = False
        self._polling: Optional["asyncio.Task[None]"] = None
        self._batches: Set["asyncio.Task[None]"] = set()
        self._room = asyncio.Semaphore(function.settings.concurrency)

    def start(self) -> None:
        """Begins to poll."""
        self._polling = asyncio.ensure_future(self._poll())

    async def stop(self, drain: bool = True) -> None:
        """Ends it: after what is received is done, or in the middle of it.

        In the middle, what a receive was just about to answer is in flight until its visibility timeout.
        """
        self._stopping = True
        if self._polling is None:
            return
        for running in ([self._polling], self._batches):
            tasks = list(running)
            for task in tasks if not drain else ():
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self) -> None:
        while not self._stopping:
            async with self._room:
                pass  # there is some: what is received is not kept waiting
            batch = await self._receive()
            if batch:
                await self._room.acquire()
                task = asyncio.ensure_future(self._handle(batch))
                self._batches.add(task)
                task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._batches.discard(task)
        self._room.release()
        if not task.cancelled() and task.exception() is not None:
            self._trouble("%s: %r" % (self._source.queue, task.exception()))

    async def _receive(self) -> List[Message]:
        try:
            answer = await self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(self._source.batch_size, 10),
                WaitTimeSeconds=WAIT_S,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except Exception as error:  # a queue that is not reached or not there is tried again, as long as we run
            self._trouble("%s: %s" % (self._source.queue, error))
            await asyncio.sleep(RETRY_S)
            return []
        messages: List[Message] = answer.get("Messages", [])
        return messages

    async def _handle(self, batch: List[Message]) -> None:
        """Invokes the function with the batch; what is over 6 MB waits until what was before it succeeded."""
        for part in _within_limit([record(one, self._arn) for one in batch]):
            failed = await self._failed(part)
            await self._delete([one for one in part if one["messageId"] not in failed])
            if failed:
                return

    async def _failed(self, records: List[Record]) -> Set[str]:
        """The ids of what is not done."""
        ids = {one["messageId"] for one in records}
        try:
            result = await self.function.invoke({"Records": records}, longest(records))
        except InvocationFailed as failure:
            if failure.kind == "RecursiveInvocationException":
                self._trouble("%s: %s" % (self._source.queue, failure))
            return ids
        if not self._source.report_failures:
            return set()
        named = failures(result)
        return ids if named is None or named - ids else named

    async def _delete(self, records: List[Record]) -> None:
        entries = [{"Id": str(n), "ReceiptHandle": one["receiptHandle"]} for n, one in enumerate(records)]
        if not entries:
            return
        try:
            failed: Dict[str, Any] = {}
            for _ in range(DELETES):
                answer = await self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
                failed = {one["Id"]: one for one in answer.get("Failed", ())}
                entries = [one for one in entries if one["Id"] in failed and not failed[one["Id"]].get("SenderFault")]
                if not entries:
                    break
            for one in failed.values():
                self._trouble("%s: not deleted: %s" % (self._source.queue, one.get("Code")))
        except Exception as error:  # not deleted, so it comes again: at least once
            self._trouble("%s: not deleted: %s" % (self._source.queue, error))


def failures(result: Any) -> Optional[Set[str]]:
    """The message ids that a result names as failed; None if the result means that all failed.

    Nothing, ``{}``, and an empty or null list mean success. An item without an id, or with an empty one, means that
    all failed.
    """
    if result is None or result == {}:
        return set()
    if not isinstance(result, dict):
        return set() if not result else None
    items = result.get("batchItemFailures")
    if items is None:
        return set()
    if not isinstance(items, list):
        return None
    ids = [one.get("itemIdentifier") if isinstance(one, dict) else None for one in items]
    return {str(one) for one in ids} if all(isinstance(one, str) and one for one in ids) else None


def record(message: Message, arn: str) -> Record:
    """A message as functions get it."""
    made = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {name: _attribute(one) for name, one in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": arn.split(":")[3],
    }
    if "MD5OfMessageAttributes" in message:
        made["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return made


def _attribute(attribute: Dict[str, Any]) -> Dict[str, Any]:
    made: Dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": attribute["DataType"]}
    if "StringValue" in attribute:
        made["stringValue"] = attribute["StringValue"]
    if "BinaryValue" in attribute:
        made["binaryValue"] = base64.b64encode(attribute["BinaryValue"]).decode()
    return made


def _within_limit(records: Iterable[Record]) -> List[List[Record]]:
    """The records in parts that are events of at most 6 MB. One record always fits: a message is at most 1 MiB of
    text.
    """
    parts: List[List[Record]] = []
    room = 0
    for one in records:
        size = len(encoded(one)) + 2
        if size > room:
            parts.append([])
            room = EVENT_LIMIT - 64
        parts[-1].append(one)
        room -= size
    return parts
