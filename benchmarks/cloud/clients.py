"""Clients of the simulated cloud: one call after the other, or many in flight."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List

from fk_backend.core.requests import Create, Result, SetData
from fk_backend.session.engine import CLOSED, Session

from .simulated import Cloud, SimulatedGateway

OPEN_ACL: Any = ()


def create(path: str, data: bytes) -> Create:
    """A persistent node that everybody may do everything with."""
    from fk_backend.core.model import Acl

    return Create(path, data, (Acl(31, "world", "anyone"),), 0, 0, False)


def set_data(path: str, data: bytes) -> SetData:
    """Any version."""
    return SetData(path, data, -1)


class Client:
    """A session, and what is asked of it."""

    def __init__(self, cloud: Cloud, ns: str) -> None:
        self.cloud = cloud
        self._session = Session(SimulatedGateway(cloud), ns, self)
        self._waiting: Dict[int, Any] = {}
        self._tag = 0

    async def open(self) -> "Client":
        """Connects."""
        await self._session.open(3_600_000)
        return self

    def ask(self, op: Any) -> "asyncio.Future[Result]":
        """Its answer."""
        self._tag += 1
        answer = self._waiting[self._tag] = self.cloud.loop.create_future()
        self._session.submit(self._tag, op)
        return answer

    async def timed_ms(self, op: Any) -> float:
        """How long a call takes; it has to succeed."""
        began = self.cloud.loop.now
        result = await self.ask(op)
        assert result.code == 0, result
        return (self.cloud.loop.now - began) * 1000

    def replied(self, tag: Any, result: Result) -> None:
        """`Listener.replied`."""
        answer = self._waiting.pop(tag, None)
        if answer is not None:
            answer.set_result(result)

    def fired(self, event: Any) -> None:
        """`Listener.fired`."""

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""
        assert reason == CLOSED, "%s: %s" % (reason, why)


async def in_flight(client: Client, op: Any, count: int, depth: int) -> None:
    """So many calls, so many of them unanswered at a time."""
    window: List[Any] = []
    for _ in range(count):
        window.append(client.ask(op))
        if len(window) == depth:
            await window.pop(0)
    for answer in window:
        await answer
