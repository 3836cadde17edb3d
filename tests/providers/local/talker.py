"""A session by hand: messages to a gateway and the answers to them, without an engine that would ask again."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List

from fk_backend.core.requests import Open, Request
from fk_backend.messages import Answers, Fired, Message, decode_note, encode, message_id
from fk_backend.ports import Gateway
from tests.functions.doubles import KEY

NS = "ns"
PATIENCE_S = 20.0


class Talker:
    """One connection. Every answer that comes is kept; one that says something else than before is an error."""

    def __init__(self, gateway: Gateway, inbox: str) -> None:
        self._gateway = gateway
        self._inbox = inbox
        self._next = 0
        self._heard = asyncio.Event()
        self.session = 0
        self.answers: Dict[int, Any] = {}
        self.fired = False
        """Whether a watch of this connection was told."""

    async def open(self, timeout_ms: int = 60_000) -> None:
        """Listens, and opens a session."""
        await self._gateway.listen(self._inbox, self._receive, lambda why: None)
        ((code, value, _),) = await self.ask(Open(KEY, timeout_ms, self._inbox, None))
        assert code == 0
        self.session = value[0]

    def _receive(self, body: bytes) -> None:
        note = decode_note(body)
        if isinstance(note, Answers):
            for number, result in enumerate(note.results, note.first):
                assert self.answers.setdefault(number, result) == result, "answered twice, differently"
            self._heard.set()
        self.fired = self.fired or isinstance(note, Fired)

    async def send(self, *requests: Request) -> List[int]:
        """Sends requests; their numbers."""
        first, self._next = self._next, self._next + len(requests)
        message = Message(self._inbox, self.session, first, requests)
        await self._gateway.send(NS, message_id(self._inbox, first), encode(message, KEY))
        return list(range(first, self._next))

    async def results(self, numbers: List[int]) -> List[Any]:
        """The answers, when they are all there."""

        async def wait() -> None:
            while not self.answers.keys() >= set(numbers):
                self._heard.clear()
                await self._heard.wait()

        await asyncio.wait_for(wait(), PATIENCE_S)
        return [self.answers[number] for number in numbers]

    async def ask(self, *requests: Request) -> List[Any]:
        """Sends requests; their answers."""
        return await self.results(await self.send(*requests))
