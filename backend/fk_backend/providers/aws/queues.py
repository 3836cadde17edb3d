"""The queue and the inboxes on SQS.

Rule: a message is taken by SQS once, whoever sends it how often: its id is the deduplication id.

Bodies are bytes and travel as base64: SQS takes text. An inbox is a standard queue, one for a client's
connections to a session. Sources:
SQS Developer Guide, "Exactly-once processing" (5 minutes), "Message quotas" (1 MiB).
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ...errors import BackendError
from ...mac import TAG_BYTES, shared_name
from ...messages import PING, split_id
from ...ports import Pushed
from . import clients, names
from .clients import LONG_POLL_S, Clients
from .failures import code_of, read, refused_by_owner, translated, wrote

log = logging.getLogger(__name__)

_INBOX = re.compile("[0-9a-f]{32}(?:-([1-9][0-9]{0,8}))?")
_QUEUE = re.compile("[A-Za-z0-9_-]{1,80}")
NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
MAX_UNCONFIRMED = 10_000
AT_ONCE = 10
"""Messages of one receive or one delete."""
PUSHED_AT_ONCE = 200
"""Pushes side by side: signing thousands takes longer than a connection may take that waits for it."""
RETRY_S = 0.1
MAX_RETRY_S = 1.0
NEW_S = 4.0
"""So long after an inbox was made it may not be there yet.

SQS API Reference, CreateQueue: "you must wait at least one second after the queue is created to be able to use the
queue".
"""
MAX_EXPECTED = 10_000
NEW = {"new": {"DataType": "String", "StringValue": "inbox"}}
"""Of a message whose sender has made its inbox just now: an answer waits for it."""
SEEN_S = 5
"""So long after it was taken from an inbox a message comes again, unless it is deleted."""
HIDES = 3
"""So often a message is told when to come again, where SQS fails to take that."""
SEEN_ATTRIBUTES = {"VisibilityTimeout": str(SEEN_S), "MessageRetentionPeriod": str(4 * 86_400)}


pause = asyncio.sleep


def encoded(inbox: str, body: bytes) -> str:
    """What travels to an inbox: how often its client had connected again, if it had, a colon, and the body."""
    text, found = base64.b64encode(body).decode(), _INBOX.fullmatch(inbox)
    return "%s:%s" % (found[1], text) if found and found[1] else text


def decoded(inbox: str, text: str) -> Optional[bytes]:
    """What was pushed: nothing, which is no note, if that is no base64; None if it is for another connection."""
    found = _INBOX.fullmatch(inbox)
    reconnects, _, body = text.rpartition(":")
    if found and reconnects != (found[1] or ""):
        return None
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        return b""


def _deduplication_id(message_id: str, body: bytes) -> str:
    """Of a client's message, one that only its sender can guess: what SQS was sent with it before keeps it out.

    Those of functions, which have a colon, are ordered by their name.
    """
    return message_id if ":" in message_id else "%s-%s" % (message_id, body[-TAG_BYTES:].hex())


class Queues:
    """The queues of a deployment: to send writes to, to push to inboxes, to wake the heartbeat."""

    def __init__(self, clients: Clients, deployment: str, base_url: str) -> None:
        """``base_url``: what every queue's URL begins with, up to its name."""
        self._sqs = clients.sqs
        self._deployment = deployment
        self._base_url = base_url
        self._unconfirmed: Dict[str, float] = {}
        """When messages were sent first that are not known to be taken, by id."""
        self._expected: Dict[str, float] = {}
        """Until when inboxes may not be there yet."""
        self._made: Dict[str, float] = {}
        """When this client made queues of which nothing was received yet, in seconds since the epoch."""

    @classmethod
    async def find(cls, clients: Clients, deployment: str) -> "Queues":
        """One GetQueueUrl: the others differ by their names alone."""
        name = names.writes_queue(deployment)
        answer = await clients.sqs.get_queue_url(QueueName=name)
        return cls(clients, deployment, answer["QueueUrl"][: -len(name)])

    @property
    def account(self) -> str:
        """The number of the account that they are in."""
        return self._base_url.rstrip("/").rpartition("/")[2]

    def url(self, name: str) -> str:
        """Of one of the deployment's queues."""
        return self._base_url + name

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`. BackendError if it may have been taken so long ago that it would be taken again."""
        while len(self._unconfirmed) > MAX_UNCONFIRMED:
            del self._unconfirmed[next(iter(self._unconfirmed))]
        token = clients.sent_first_s.set(self._unconfirmed.setdefault(message_id, clients.now_s()))
        request = self._sqs.send_message(
            QueueUrl=self.url(names.writes_queue(self._deployment)),
            MessageBody=base64.b64encode(body).decode(),
            MessageGroupId=group,
            MessageDeduplicationId=_deduplication_id(message_id, body),
            **({"MessageAttributes": NEW} if self._is_new(split_id(message_id)[0]) else {}),
        )
        try:
            await wrote(request)
            self._unconfirmed.pop(message_id, None)
        finally:
            clients.sent_first_s.reset(token)

    def _is_new(self, inbox: str) -> bool:
        """Whether an answer there may come before the queue does."""
        name = names.inbox_queue(self._deployment, shared_name(inbox))
        if self._made.get(name, 0.0) + NEW_S < clients.now_s():
            self._made.pop(name, None)
        return name in self._made

    def expect(self, inbox: str, made_s: float) -> None:
        """An inbox was made at that time at the latest, in seconds since the epoch. Pushes to a new one wait for it."""
        now = clients.now_s()
        if made_s + NEW_S > now:
            while len(self._expected) > MAX_EXPECTED:
                del self._expected[next(iter(self._expected))]
            self._expected[inbox] = min(made_s, now) + NEW_S

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`: one request for each message, as many as make sense at the same time."""
        sent = [message for message in messages if _INBOX.fullmatch(message.inbox)]
        for first in range(0, len(sent), PUSHED_AT_ONCE):
            await asyncio.gather(*(self._push(message) for message in sent[first : first + PUSHED_AT_ONCE]))

    async def _push(self, message: Pushed) -> bool:
        """A client makes its inbox, and can make one that takes nothing: that is its own loss, and nobody else's.

        Whether it did not refuse: there may be none.
        """
        url = self.url(names.inbox_queue(self._deployment, shared_name(message.inbox)))
        retry_s = RETRY_S
        while True:
            try:
                await self._sqs.send_message(QueueUrl=url, MessageBody=encoded(message.inbox, message.body))
                return True
            except Exception as error:
                if refused_by_owner(error):
                    log.error("inbox %s takes nothing: %s", message.inbox, error)
                    return False
                if code_of(error) not in NO_QUEUE:
                    raise translated(error, writing=True) from error
                if clients.now_s() > self._expected.get(message.inbox, 0.0):
                    self._expected.pop(message.inbox, None)
                    return True
            await pause(retry_s)
            retry_s = min(2 * retry_s, MAX_RETRY_S)

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        if _INBOX.fullmatch(inbox):
            await self.remove_inbox(shared_name(inbox))

    async def remove_inbox(self, inbox: str) -> None:
        """Removes it whatever it is called: clients make them."""
        await self.remove(names.inbox_queue(self._deployment, inbox))

    async def remove(self, name: str) -> None:
        """Deletes a queue, if it is there."""
        try:
            await self._sqs.delete_queue(QueueUrl=self.url(name))
        except Exception as error:
            if refused_by_owner(error):
                log.error("queue %s can't be removed: %s", name, error)
            elif code_of(error) not in NO_QUEUE:
                raise translated(error, writing=True) from error

    async def make(self, inbox: str) -> str:
        """Makes an inbox; its URL."""
        name, tags = names.inbox_queue(self._deployment, shared_name(inbox)), names.tags(self._deployment)
        answer = await read(self._sqs.create_queue(QueueName=name, Attributes=SEEN_ATTRIBUTES, tags=tags))
        while len(self._made) >= MAX_EXPECTED:
            del self._made[next(iter(self._made))]
        self._made[name] = clients.now_s()
        return str(answer["QueueUrl"])

    async def try_again_soon(self, records: Sequence[Any], after_s: int) -> None:
        """Has the writes queue hand these out again, all at the same time, instead of when their time is up."""
        await self._hide(names.writes_queue(self._deployment), [(record, after_s) for record in records])

    async def tick_again(self, records: Sequence[Tuple[Any, int]]) -> None:
        """Has the timer queue hand these out again, each after so many seconds."""
        await self._hide(names.timer_queue(self._deployment), records)

    async def _hide(self, queue: str, records: Sequence[Tuple[Any, int]]) -> None:
        url = self.url(queue)
        entries = [
            {"Id": str(n), "ReceiptHandle": record["receiptHandle"], "VisibilityTimeout": after_s}
            for n, (record, after_s) in enumerate(records)
        ]
        try:
            for _ in range(HIDES):  # some of a batch may fail
                answer = await self._sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
                failed = {one["Id"] for one in answer.get("Failed", ()) if not one.get("SenderFault")}
                entries = [entry for entry in entries if entry["Id"] in failed]
                if not entries:
                    return
            log.warning("%d messages come again when their time is up", len(entries))
        except Exception as error:
            log.debug("%d messages come again when their time is up: %s", len(entries), error)

    async def wake(self, ns: str) -> None:
        """`ports.Timer.wake`: a message to the heartbeat, see `ticks`."""
        url = self.url(names.timer_queue(self._deployment))
        await wrote(self._sqs.send_message(QueueUrl=url, MessageBody=ns))

    async def inboxes(self) -> List[str]:
        """Every inbox there is."""
        prefix = names.inbox_prefix(self._deployment)
        found: List[str] = []
        request: Dict[str, Any] = {"QueueNamePrefix": prefix, "MaxResults": 1000}
        while True:
            answer = await self._sqs.list_queues(**request)
            inboxes = (names.inbox_of(self._deployment, url.rpartition("/")[2]) for url in answer.get("QueueUrls", ()))
            found.extend(inbox for inbox in inboxes if inbox)
            if "NextToken" not in answer:
                return found
            request["NextToken"] = answer["NextToken"]

    async def ping(self, inbox: str) -> bool:
        """Asks the session of an inbox for a sign of life. False if that could not be asked, for now or for good."""
        try:
            return _INBOX.fullmatch(inbox) is None or await self._push(Pushed(inbox, PING))  # else there is nobody
        except BackendError as error:
            log.warning("inbox %s: %s", inbox, error)
            return False

    async def made_s(self, inbox: str) -> Optional[int]:
        """When an inbox was made, in seconds since the epoch; None if it is gone, or can't be one."""
        if not _QUEUE.fullmatch(names.inbox_queue(self._deployment, inbox)):
            return None
        url = self.url(names.inbox_queue(self._deployment, inbox))
        try:
            answer = await self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["CreatedTimestamp"])
        except Exception as error:
            if code_of(error) in NO_QUEUE:
                return None
            if refused_by_owner(error):  # or we lack a permission: it is left alone, as what is young
                log.error("nothing is told of inbox %s: %s", inbox, error)
                return int(time.time())
            raise translated(error, writing=False) from error
        return int(float(answer["Attributes"].get("CreatedTimestamp", 0)))  # some have a fraction

    async def dead_letters(self) -> List[Any]:
        """Up to ten of them, which hide until their time is up; none of those behind one that is hidden."""
        request = self._sqs.receive_message(
            QueueUrl=self.url(names.dead_queue(self._deployment)),
            MaxNumberOfMessages=AT_ONCE,
            AttributeNames=["MessageGroupId"],
        )
        return list((await read(request)).get("Messages", ()))

    async def forget_dead_letters(self, received: Sequence[Any]) -> None:
        """They are done with."""
        await self.delete(self.url(names.dead_queue(self._deployment)), received)

    async def receive(self, url: str) -> List[Any]:
        """A long poll."""
        answer = await self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=LONG_POLL_S)
        messages = list(answer.get("Messages", ()))
        if messages:  # it is there
            self._made.pop(url.rpartition("/")[2], None)
        return messages

    async def delete(self, url: str, received: Sequence[Any]) -> None:
        """What was received will not come again. If this fails it will, which does no harm."""
        entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(received)]
        try:
            await self._sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        except Exception as error:
            log.debug("%d messages stay in %s: %s", len(received), url, error)
