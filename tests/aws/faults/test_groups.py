"""An invocation that is handed several message groups, as AWS hands them over: each is written as if it were alone."""

from __future__ import annotations

import asyncio
import base64
from types import SimpleNamespace
from typing import Any, Dict, List, Sequence

from fk_backend.errors import Unavailable
from fk_backend.ports import Delivery
from fk_backend.providers.aws.handlers import Functions, Record


class Writer:
    """Writes "good" once "slow" has begun, never comes to an end with "slow", and fails with "bad"."""

    def __init__(self) -> None:
        self.written: List[str] = []
        self._slow_has_begun = asyncio.Event()

    async def __call__(self, ns: str, batch: Sequence[Delivery]) -> None:
        if ns == "slow":
            self._slow_has_begun.set()
            await asyncio.Event().wait()
        if ns == "bad":
            raise Unavailable("a store that is down")
        await self._slow_has_begun.wait()
        self.written.append(ns)


class Queues:
    """Notes what is put back, and after how many seconds it comes again."""

    def __init__(self) -> None:
        self.again: Dict[str, int] = {}

    async def try_again_soon(self, records: Sequence[Record], seconds: int) -> None:
        self.again.update((record["messageId"], seconds) for record in records)


def _record(group: str, number: int) -> Record:
    attributes = {"MessageGroupId": group, "ApproximateReceiveCount": "1", "SequenceNumber": str(number)}
    return {
        "messageId": "%s%d" % (group, number),
        "body": base64.b64encode(b"whatever").decode(),
        "attributes": attributes,
    }


def test_no_group_waits_for_another_or_comes_again_with_it() -> None:
    """In whatever order they are handed over: AWS may put them into one another."""

    async def check() -> None:
        for order in (["slow", "bad", "good"], ["good", "bad", "slow"], ["bad", "slow", "good"]):
            writer, queues = Writer(), Queues()
            service: Any = SimpleNamespace(writer=writer, queues=queues)
            records = [_record(group, number) for number in (1, 2) for group in order]
            failed = await Functions(service).writer(records, seconds=0.2)
            assert writer.written == ["good"]
            assert sorted(failed) == ["bad1", "bad2", "slow1", "slow2"]
            assert queues.again == {"bad1": 2, "bad2": 2}

    asyncio.run(asyncio.wait_for(check(), 30))
