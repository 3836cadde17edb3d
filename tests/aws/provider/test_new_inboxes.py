"""Who polls a new inbox, and who pushes the first answer to it, try for some seconds while there is no such queue.

And nobody waits for one that was there: a client that is gone holds up no namespace.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, List

import pytest
from botocore.exceptions import ClientError

from fk_backend.ports import Pushed
from fk_backend.providers.aws import poll, queues
from fk_backend.providers.aws.poll import Poll
from fk_backend.providers.aws.queues import NEW_S, Queues

INBOX = "0" * 32


def _missing() -> ClientError:
    return ClientError({"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue"}}, "SendMessage")


class Sqs:
    """Has no queue for the first so many tries."""

    def __init__(self, missing: int) -> None:
        self.missing, self.tries = missing, 0
        self.sent: List[str] = []

    async def create_queue(self, **_: Any) -> Any:
        return {"QueueUrl": "http://inbox"}

    async def send_message(self, MessageBody: str, **_: Any) -> None:  # noqa: N803
        await self._try()
        self.sent.append(MessageBody)

    async def receive_message(self, **_: Any) -> Any:
        await self._try()
        return {"Messages": [{"Body": "", "ReceiptHandle": "1"}]}

    async def delete_message_batch(self, **_: Any) -> None:
        """Nothing."""

    async def _try(self) -> None:
        await asyncio.sleep(0)
        self.tries += 1
        if self.tries <= self.missing:
            raise _missing()


def _queues(sqs: Sqs) -> Queues:
    clients: Any = SimpleNamespace(sqs=sqs)
    return Queues(clients, "test", "http://queues/")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> "SimpleNamespace":
    """The seconds since the epoch, which go on by every pause."""
    time = SimpleNamespace(s=1000.0)
    sleep = asyncio.sleep

    async def pause(seconds: float, *_: Any) -> None:
        time.s += seconds
        await sleep(0)

    monkeypatch.setattr(queues.clients, "now_s", lambda: time.s)
    for module in (queues, poll):
        monkeypatch.setattr(module, "pause", pause)
    return time


def test_the_first_answer_waits_for_its_inbox(now: Any) -> None:
    sqs = Sqs(missing=4)
    made = _queues(sqs)
    made.expect(INBOX, now.s - 0.1)
    asyncio.run(made.push([Pushed(INBOX, b"x")]))
    assert len(sqs.sent) == 1 and sqs.tries == 5


def test_nobody_waits_for_longer_than_an_inbox_may_take(now: Any) -> None:
    sqs = Sqs(missing=1000)
    made = _queues(sqs)
    made.expect(INBOX, now.s)
    asyncio.run(made.push([Pushed(INBOX, b"x")]))
    assert not sqs.sent and NEW_S <= now.s - 1000 <= 2 * NEW_S


@pytest.mark.parametrize("made_s", [None, 1000.0 - NEW_S - 1])
def test_nobody_waits_for_an_inbox_that_was_there(now: Any, made_s: Any) -> None:
    sqs = Sqs(missing=1000)
    made = _queues(sqs)
    if made_s is not None:
        made.expect(INBOX, made_s)
    asyncio.run(made.push([Pushed(INBOX, b"x")]))
    assert sqs.tries == 1 and now.s == 1000


def test_a_sender_whose_clock_is_ahead_is_not_waited_for_longer(now: Any) -> None:
    made = _queues(Sqs(missing=1000))
    made.expect(INBOX, now.s + 3600)
    asyncio.run(made.push([Pushed(INBOX, b"x")]))
    assert now.s - 1000 <= 2 * NEW_S


def _polled(sqs: Sqs) -> "tuple[List[bytes], List[str]]":
    received: List[bytes] = []
    lost: List[str] = []

    async def polled() -> None:
        ended = asyncio.Event()

        def receive(body: bytes) -> None:
            received.append(body)
            ended.set()

        def lose(why: str) -> None:
            lost.append(why)
            ended.set()

        polling = Poll(_queues(sqs), INBOX)
        await polling.serve(INBOX, receive, lose)
        await asyncio.wait_for(ended.wait(), 30)
        await polling.stop()

    asyncio.run(polled())
    return received, lost


def test_a_poll_waits_for_its_inbox(now: Any) -> None:
    received, lost = _polled(Sqs(missing=4))
    assert received and not lost


def test_a_poll_does_not_wait_for_ever(now: Any) -> None:
    received, (why,) = _polled(Sqs(missing=1000))
    assert not received and "moved" in why and NEW_S <= now.s - 1000 <= 2 * NEW_S
