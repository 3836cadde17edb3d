"""Runs a test's coroutine as an app would."""

from __future__ import annotations

import asyncio
from typing import Any, Coroutine


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
