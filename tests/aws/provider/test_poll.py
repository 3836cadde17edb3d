"""An inbox is out of reach from when it was first not reached: how long nothing came before is no matter.

A long poll of an inbox in which nothing comes takes far longer than what ends a connection; one that fails at its end
says of one moment that the inbox was not reached in it.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any, List, Tuple, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from fk_backend.providers.aws import poll as polling
from fk_backend.providers.aws.poll import Poll
from fk_backend.providers.aws.queues import Queues

DOWN = EndpointConnectionError(endpoint_url="http://down/")
MAIL = [{"Body": base64.b64encode(b"mail").decode(), "ReceiptHandle": "1"}]


class Inbox:
    """Answers one poll after the other; what is left when all is answered is silence."""

    def __init__(self, *outcomes: Any) -> None:
        self._outcomes = list(outcomes)

    async def make(self, inbox: str) -> str:
        """`Queues.make`."""
        return "url"

    async def receive(self, url: str) -> List[Any]:
        """`Queues.receive`. Takes longer than `LOST_AFTER_S`."""
        before = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() == before:
            await asyncio.sleep(0)
        if not self._outcomes:
            await asyncio.get_running_loop().create_future()
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return list(outcome)

    async def delete(self, url: str, received: Any) -> None:
        """`Queues.delete`."""


async def _polled(inbox: Inbox, until: int = 0) -> Tuple[List[bytes], List[str]]:
    """What was received, and what was said of the loss: when there is one, or so much was received."""
    received: List[bytes] = []
    lost: List[str] = []
    enough = asyncio.Event()

    def note(what: List[Any], one: Any) -> None:
        what.append(one)
        if lost or len(received) == until:
            enough.set()

    queues_ = cast(Queues, inbox)
    poll = Poll(queues_, "0" * 32)
    await poll.serve("0" * 32, lambda body: note(received, body), lambda why: note(lost, why))
    await asyncio.wait_for(enough.wait(), 30)
    await poll.stop()
    return received, lost


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "LOST_AFTER_S", 0.0)
    monkeypatch.setattr(polling, "RETRY_S", 0.0)


def test_one_poll_that_fails_after_a_long_silence_loses_nothing() -> None:
    assert asyncio.run(_polled(Inbox([], DOWN, MAIL, DOWN, [], DOWN, MAIL), 2)) == ([b"mail", b"mail"], [])


def test_an_inbox_that_stays_out_of_reach_is_told_of() -> None:
    assert asyncio.run(_polled(Inbox(MAIL, DOWN, DOWN))) == ([b"mail"], [str(DOWN)])
