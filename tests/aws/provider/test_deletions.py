"""What a client took from its inbox is deleted, ten at a time, and soon: it would come again.

Without an emulator: the queue is a list.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any, Dict, List, Sequence
from unittest import mock

from fk_backend.providers.aws import poll as polling
from fk_backend.providers.aws import queues
from fk_backend.providers.aws.poll import Poll


class Inbox:
    """As much of `Queues` as a poll needs."""

    def __init__(self, *batches: int) -> None:
        self.batches = list(batches)
        self.deleted: List[int] = []
        self.emptied = asyncio.Event()

    async def make(self, inbox: str) -> str:
        """`Queues.make`."""
        return "url"

    async def receive(self, url: str) -> List[Dict[str, Any]]:
        """A batch of each size, then nothing any more."""
        if not self.batches:
            self.emptied.set()
            await asyncio.Event().wait()
        count = self.batches.pop(0)
        return [{"Body": base64.b64encode(b"x").decode(), "ReceiptHandle": str(n)} for n in range(count)]

    async def delete(self, url: str, received: Sequence[Any]) -> None:
        """Remembers how many."""
        self.deleted.append(len(received))


async def _poll(inbox: Inbox) -> "tuple[Poll, List[bytes]]":
    heard: List[bytes] = []
    poll = Poll(inbox, "0" * 32)  # type: ignore[arg-type]
    await poll.serve("0" * 32, heard.append, lambda why: None)
    await inbox.emptied.wait()
    await asyncio.sleep(0)
    return poll, heard


def test_ten_share_a_request() -> None:
    async def check() -> None:
        inbox = Inbox(*[1] * 25, 10)
        poll, heard = await _poll(inbox)
        assert len(heard) == 35 and inbox.deleted == [10, 10, 10, 5]
        await poll.stop()

    asyncio.run(check())


def test_a_few_are_deleted_before_they_come_again() -> None:
    async def check() -> None:
        inbox = Inbox(1, 2)
        with mock.patch.object(polling, "DELETE_S", 0.0):
            poll, heard = await _poll(inbox)
            while not inbox.deleted:
                await asyncio.sleep(0)
        assert len(heard) == sum(inbox.deleted) == 3
        await poll.stop()

    asyncio.run(check())
    assert polling.DELETE_S * 2 < queues.SEEN_S, "with time for the request"
