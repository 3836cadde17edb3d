"""Runs a coroutine at once: it becomes a task of the event loop only where it first has to wait.

Most of what the functions and the sessions do never waits where the store is on the same machine. A task for it costs
a turn of the loop, and a turn costs more than the work. Where requests go over a network (`Capabilities.has_latency`),
the libraries that send them need a task, and a context, of their own from the start.
"""

from __future__ import annotations

import asyncio
import types
from typing import Any, Coroutine, Generator, List, Optional, Sequence, TypeVar

T = TypeVar("T")


def begin(coroutine: Coroutine[Any, Any, T]) -> "asyncio.Future[T]":
    """Runs it until it first waits; the future of its result, done already if it never waits.

    Until then `asyncio.current_task` is the caller's: what asks for its own task must not come before the first wait.
    """
    loop = asyncio.get_running_loop()
    try:
        awaited = coroutine.send(None)
    except StopIteration as done:
        finished = loop.create_future()
        finished.set_result(done.value)
        return finished
    except Exception as error:
        failed: "asyncio.Future[T]" = loop.create_future()
        failed.set_exception(error)
        return failed
    rest = loop.create_task(_rest(coroutine, awaited))
    rest.add_done_callback(lambda _: coroutine.close())  # if it is cancelled before it runs, nobody else ends it
    return rest


async def _rest(coroutine: Coroutine[Any, Any, T], awaited: Any) -> T:
    result: T = await _resumed(coroutine, awaited)
    return result


@types.coroutine
def _resumed(coroutine: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """A coroutine from its first wait on."""
    while True:
        failure: Optional[BaseException] = None
        try:
            yield awaited
        except GeneratorExit:  # nobody waits for it any more
            coroutine.close()
            raise
        except BaseException as error:  # a cancellation, above all: the coroutine decides what comes of it
            failure = error
        try:
            awaited = coroutine.send(None) if failure is None else coroutine.throw(failure)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            failure = None  # its traceback leads here: a cycle would keep all that the coroutine has for the collector


class Waits(Exception):
    """It would have to wait."""


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits, in any thread. Waits, and the coroutine is closed, if it does."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise Waits


async def together(coroutines: Sequence[Coroutine[Any, Any, T]], remote: bool = False) -> List[T]:
    """Their results, in order; they wait side by side, where they wait at all. Raises as the first one that fails."""
    if len(coroutines) == 1:
        return [await coroutines[0]]
    if remote:
        return list(await asyncio.gather(*coroutines))
    if asyncio._get_running_loop() is None:
        return await _in_order(coroutines)
    begun: "List[asyncio.Future[T]]" = []
    try:
        for each in coroutines:
            begun.append(begin(each))
    finally:
        for each in coroutines[len(begun) :]:
            each.close()
    if all(each.done() for each in begun):
        return [each.result() for each in begun]
    return list(await asyncio.gather(*begun))


async def _in_order(coroutines: Sequence[Coroutine[Any, Any, T]]) -> List[T]:
    """In a caller's own thread, where nothing may wait: see `at_once`."""
    results: List[T] = []
    try:
        for each in coroutines:
            results.append(await each)
        return results
    finally:
        for each in coroutines[len(results) :]:
            each.close()


def current_task() -> Optional["asyncio.Task[Any]"]:
    """The task that runs; None outside of one."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
