"""SQS knows a message again for five minutes. What may have been taken longer ago is never sent a second time."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Awaitable, Callable

import pytest

from fk_backend.errors import BackendError, Unknown
from fk_backend.providers.aws import clients

from ..conftest import Account
from .stage import Stage
from .wire import Process, Send, Sent, answer, answer_lost, carried_by

DEDUPLICATION_S = 300


class Slow(Process):
    """The first answer is lost, and it takes long to find out. Then all is well.

    What may not be sent is refused behind this, where it would leave the process: that it was not sent shows in
    the error.
    """

    def __init__(self, pass_time: Callable[[float], None], takes_s: float) -> None:
        super().__init__()
        self._pass_time = pass_time
        self._takes_s = takes_s

    async def carry(self, sent: Sent, send: Send) -> Any:
        """As `Process.carry`."""
        if len(self.sent) > 1:
            return answer(200, b'{"MessageId": "made-up"}')
        self._pass_time(self._takes_s)
        return await answer_lost(sent, send)


@pytest.fixture()
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time passes for whoever asks when a message was sent first."""
    passed = [0.0]
    now = time.time

    def pass_time(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(clients, "now_s", lambda: now() + passed[0])
    return pass_time


def _with_queues(work: Callable[[Any], Awaitable[None]]) -> None:
    async def run() -> None:
        stage = await Stage.open()
        try:
            await work((await stage.service()).queues)
        finally:
            await stage.clients.close()

    asyncio.run(run())


def test_a_try_of_the_library_that_comes_too_late(
    aws_account: Account, at_once: None, pass_time: Callable[[float], None]
) -> None:
    """As when the machine was asleep: the connection is dead on waking, and the library would try again."""

    async def check(queues: Any) -> None:
        with carried_by(Slow(pass_time, DEDUPLICATION_S + 1)):
            with pytest.raises(BackendError, match="SQS would take it again"):
                await queues.send("ns", "message-1", b"x")
        with carried_by(Slow(pass_time, 1)):
            await queues.send("ns", "message-2", b"x")

    _with_queues(check)


def test_a_try_of_the_session_that_comes_too_late(
    aws_account: Account, at_once: None, pass_time: Callable[[float], None]
) -> None:
    """Sessions with a long timeout go on trying for long; other messages are not concerned."""

    async def lost_for_ever(sent: Sent, send: Send) -> Any:
        return await answer_lost(sent, send)

    async def check(queues: Any) -> None:
        with carried_by(lost_for_ever), pytest.raises(Unknown):
            await queues.send("ns", "message-1", b"x")
        pass_time(DEDUPLICATION_S)
        with pytest.raises(BackendError, match="SQS would take it again"):
            await queues.send("ns", "message-1", b"x")
        await queues.send("ns", "message-2", b"x")

    _with_queues(check)
