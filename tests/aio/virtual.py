"""A deployment and clients in virtual time, and a coroutine that is cancelled at any of its awaits."""

from __future__ import annotations

import asyncio
import itertools
import random
import types
from functools import partial
from typing import Any, Awaitable, Callable, Coroutine, Dict, Generator, List, Optional
from unittest import mock

from fk_backend.ports import INTEREST
from fk_backend.providers import memory
from fk_backend.providers.clock import SystemClock
from fk_backend.testing.simulation.loop import SimulatedLoop
from fk_kazoo.aio import KazooClient

_numbers = itertools.count()


class VirtualClock(SystemClock):
    """The loop's."""

    def monotonic(self) -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()


class Slow:
    """A store none of whose answers is there at once, as seen by clients: every call is an await."""

    def __init__(self, store: Any) -> None:
        self.of = store

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.of, name)
        return partial(self._later, found) if callable(found) else found

    async def _later(self, method: Any, *args: Any) -> Any:
        await asyncio.sleep(0.001)
        return await method(*args)


class World:
    """A deployment in memory and in virtual time; ``zk`` is the client that is looked at, ``other`` another one."""

    def __init__(self) -> None:
        self.name = "virtual%d" % next(_numbers)
        self.clients: Dict[str, KazooClient] = {}

    async def client(self, name: str, **options: Any) -> KazooClient:
        """A started client."""
        self.clients[name] = KazooClient("memory://" + self.name, **options)
        await self.clients[name].start()
        return self.clients[name]

    def interests(self) -> List[str]:
        """The registrations of watches that are left in the store."""
        store: Any = memory.deployment(self.name).store
        tables = store.of
        rows = tables._tables[INTEREST].partitions.items()
        return ["%s %s" % (part, sort) for part, found in rows for sort in found.sorts if not part.endswith("beats")]


def run(play: Callable[[World], Awaitable[None]], seed: int = 0) -> None:
    """Runs it to its end. Whatever a task raised that nobody asked about fails; so does a task that is left."""
    loop = SimulatedLoop(random.Random(seed))
    world = World()

    async def main() -> None:
        made: Any = memory.make(world.name, VirtualClock())
        made.store, made.direct = Slow(made.store), None  # a write that takes no await can't be cancelled in the middle
        made.send = partial(made.store._later, made.send)
        before = asyncio.all_tasks()
        try:
            await play(world)
        finally:
            for client in world.clients.values():
                await client.stop()
            await made.stop()
        left = asyncio.all_tasks() - before
        assert not left, left

    try:
        with mock.patch("fk_kazoo.aio.session.monotonic", lambda: 0.0):  # how long a turn takes is no matter here
            loop.run(main())
    finally:
        memory._deployments.pop(world.name, None)
    assert not loop.failures, loop.failures


async def told_apart(world: World, path: str) -> List[str]:
    """Everything below a path, as ``other`` sees it."""
    other = world.clients["other"]
    found: List[str] = []
    level = [path]
    while level:
        names = [(above, await other.get_children(above)) for above in level if await other.exists(above)]
        level = ["%s/%s" % (above, name) for above, each in names for name in each]
        found += level
    return sorted(found)


class Stepped:
    """A coroutine whose awaits are counted, and which may be cancelled at one of them.

    ``how``: "early", as soon as it waits; "late", when what it waits for is there and it was not told yet; "dropped",
    early, while its connection is lost as well.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], at: Optional[int], how: str, client: KazooClient) -> None:
        self.awaits = 0
        self._coroutine, self._at, self._how, self._client = coroutine, at, how, client
        self._task: "Optional[asyncio.Task[Any]]" = None

    async def run(self) -> bool:
        """Whether it was cancelled."""
        self._task = asyncio.ensure_future(self._main())
        try:
            await self._task
        except asyncio.CancelledError:
            return True
        return False

    async def _main(self) -> None:
        await self._stepped()

    @types.coroutine
    def _stepped(self) -> Generator[Any, Any, Any]:
        failure: Optional[BaseException] = None
        while True:
            try:
                awaited = self._coroutine.send(None) if failure is None else self._coroutine.throw(failure)
            except StopIteration:
                return
            self.awaits += 1
            if self.awaits == self._at:
                self._cancel(awaited)
            try:
                failure = None
                yield awaited
            except BaseException as error:
                failure = error

    def _cancel(self, awaited: Any) -> None:
        assert self._task is not None
        if self._how == "late" and awaited is not None:
            awaited.add_done_callback(lambda _: self._task and self._task.cancel())
            return
        if self._how == "dropped" and self._client._connection is not None:
            self._client._connection.hang_up()
        asyncio.get_running_loop().call_soon(self._task.cancel)
