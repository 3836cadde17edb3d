"""Runs a test's coroutine as an app would, and has a session expire."""

from __future__ import annotations

import asyncio
from typing import Any, Coroutine

from fk_backend.core.requests import Expire
from fk_backend.layout import beat_key
from fk_backend.messages import Message, encode
from fk_backend.providers import memory
from fk_kazoo.aio import KazooClient


def run(main: Coroutine[Any, Any, None]) -> None:
    """In an event loop of its own. A task that it leaves behind fails, and so does what a task raised unheard."""
    failures = []

    async def outer() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        await asyncio.wait_for(main, 60)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left

    asyncio.run(outer())
    assert not failures, failures


async def expire(other: KazooClient, session: Any) -> None:
    """Takes the session over, and closes it, as kazoo's own tests expire one; but for its owner it has expired."""
    deployment = memory.deployment(other.deployment.deployment)
    (beats,) = await deployment.store.get([beat_key("default", session[0])])
    expiry = Expire(session[0], 0 if beats is None else beats.rev)
    await deployment.send("default", "heartbeat:test:0", encode(Message("", 0, 0, (expiry,), 0)))
