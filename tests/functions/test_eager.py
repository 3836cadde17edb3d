"""What is begun at once and goes on in a task is in one context all the time: cloud libraries reset what they set."""

from __future__ import annotations

import asyncio
import contextvars

from fk_backend.eager import begin, together

NAME: "contextvars.ContextVar[str]" = contextvars.ContextVar("NAME", default="outside")


async def _inside(name: str, waits: int) -> str:
    token = NAME.set(name)
    for _ in range(waits):
        await asyncio.sleep(0)
    seen = NAME.get()
    NAME.reset(token)
    return seen


def test_a_context_variable_can_be_reset_after_a_wait() -> None:
    async def check() -> None:
        assert [await begin(_inside("one", waits)) for waits in range(4)] == ["one"] * 4
        assert list(await together([_inside(str(n), n) for n in range(4)])) == ["0", "1", "2", "3"]
        assert NAME.get() == "outside"

    asyncio.run(check())
