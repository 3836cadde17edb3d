"""A coroutine that is begun at once comes to what it comes to as a task of its own."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from typing import Any, Callable, Coroutine, List

import pytest

from fk_backend.eager import begin, together


async def _never_waits(value: int) -> int:
    return value


async def _waits(value: int) -> int:
    for _ in range(value):
        await asyncio.sleep(0)
    return value


async def _fails(value: int) -> int:
    await asyncio.sleep(0) if value else None
    raise ValueError(value)


def test_what_never_waits_is_done_at_once_and_what_waits_is_not() -> None:
    async def check() -> None:
        assert begin(_never_waits(1)).result() == 1
        waiting = begin(_waits(3))
        assert not waiting.done() and await waiting == 3

    asyncio.run(check())


@pytest.mark.parametrize("wait", [0, 1])
def test_a_failure_is_the_future_s(wait: int) -> None:
    async def check() -> None:
        begun = begin(_fails(wait))
        with pytest.raises(ValueError):
            await begun
        with pytest.raises(ValueError):
            await together([_never_waits(1), _fails(wait)])

    asyncio.run(check())


@pytest.mark.parametrize("make", [_never_waits, _waits])
def test_results_come_in_order(make: Callable[[int], Coroutine[Any, Any, int]]) -> None:
    for count in range(4):
        assert asyncio.run(together([make(number) for number in range(count)])) == list(range(count))


def test_they_wait_side_by_side() -> None:
    seen: List[str] = []

    async def one(name: str) -> None:
        for _ in range(2):
            seen.append(name)
            await asyncio.sleep(0)

    async def check() -> None:
        await together([one("a"), one("b")])

    asyncio.run(check())
    assert seen == ["a", "b", "a", "b"]


def test_a_cancellation_reaches_what_waits_and_it_may_clean_up() -> None:
    seen: List[str] = []

    async def one() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("cleaned")
            raise

    async def check() -> None:
        begun = begin(one())
        await asyncio.sleep(0)
        begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun

    asyncio.run(check())
    assert seen == ["cleaned"]


NAME: "contextvars.ContextVar[str]" = contextvars.ContextVar("NAME", default="outside")


async def _as_libraries_do(name: str) -> str:
    """What is set before a wait is reset after it, and the task that began is the one that goes on."""
    token, task = NAME.set(name), asyncio.current_task()
    await asyncio.sleep(0)
    assert asyncio.current_task() is task
    found = NAME.get()
    NAME.reset(token)
    return found


def test_what_goes_over_a_network_has_a_task_and_a_context_of_its_own() -> None:
    async def check() -> None:
        assert await together([_as_libraries_do("a"), _as_libraries_do("b")], remote=True) == ["a", "b"]
        assert NAME.get() == "outside"

    asyncio.run(check())


def test_what_is_cancelled_leaves_nothing_to_the_garbage_collector() -> None:
    """That runs in any thread, and what a signal's handler raises within it is lost (`sys.unraisablehook`)."""

    async def check() -> None:
        waiting = begin(_waits(10))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        task = weakref.ref(waiting)
        del waiting
        assert task() is None

    gc.disable()
    try:
        asyncio.run(check())
    finally:
        gc.enable()
