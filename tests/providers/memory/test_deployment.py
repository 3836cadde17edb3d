"""A deployment in a process: what its queue vouches for, and who hears what."""

from __future__ import annotations

import asyncio
from typing import Any, List

from fk_backend.core.requests import StopTicking
from fk_backend.messages import Message, encode, message_id
from fk_backend.ports import Delivery, Pushed
from fk_backend.providers.memory import MemoryDeployment


def test_the_heartbeat_is_known_by_what_it_sends() -> None:
    async def check() -> List[bool]:
        deployment = MemoryDeployment()
        handed: List[Delivery] = []

        async def writer(ns: str, batch: Any) -> None:
            handed.extend(batch)

        deployment._functions._writer = writer  # type: ignore[assignment]
        for inbox in ("heartbeat:1", "client", "heartbeat", "heartbeater"):
            message = Message(inbox, 0, 1, (StopTicking(1),))
            await deployment.send("ns", message_id(inbox, 1), encode(message))
        for _ in range(20):
            await asyncio.sleep(0)
        await deployment._functions.stop()
        return [each.internal for each in handed]

    assert asyncio.run(check()) == [True, False, False, False]


def test_an_inbox_hears_its_own_and_nothing_once_it_is_given_up() -> None:
    async def check() -> None:
        deployment = MemoryDeployment()
        heard: List[Any] = []
        await deployment.listen(
            "one", lambda body: heard.append(("one", body)), lambda why: heard.append(("lost", why))
        )
        await deployment.listen(
            "two", lambda body: heard.append(("two", body)), lambda why: heard.append(("lost", why))
        )
        await deployment.push([Pushed("one", b"1"), Pushed("none", b"x"), Pushed("two", b"2")])
        assert heard == [("one", b"1"), ("two", b"2")]
        await deployment.unsubscribe("one", keep=False)
        await deployment.push([Pushed("one", b"3")])
        assert len(heard) == 2
        await deployment.drop("two")
        await deployment.drop("two")
        await deployment.push([Pushed("two", b"4")])
        assert [kind for kind, _ in heard[2:]] == ["lost"]

    asyncio.run(check())
