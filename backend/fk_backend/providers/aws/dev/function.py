"""A function: as many environments as its invocations need at once, kept warm.

Rule upheld here: an environment has one invocation at a time, there are never more than the function's concurrency,
and what is broken is replaced by the next invocation, not by this one: Lambda does not try again, its callers do.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import Any, Awaitable, Callable, List, NamedTuple, Optional

from .documented import CHAINS, rules
from .environment import EVENT_LIMIT, Environment, InvocationFailed, Settings
from .lineage import Lineage, suffix

Start = Callable[[], Awaitable[Environment]]


class Invocation(NamedTuple):
    """What became of one, for those who watch."""

    function: str
    event: Any
    cold: bool
    duration_ms: float
    result: Any
    error: Optional[InvocationFailed]


Observer = Callable[[Invocation], None]


def encoded(event: Any) -> bytes:
    """JSON as Lambda makes it: what is not ASCII stays as it is."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


class Function:
    """A function of a deployment. ``start`` makes one environment; ``observe`` is called after each invocation."""

    def __init__(self, settings: Settings, start: Start, observe: Observer) -> None:
        self.settings = settings
        self._start = start
        self._observe = observe
        self._most = rules().get(CHAINS, math.inf)
        self._free = asyncio.Semaphore(settings.concurrency)
        self._warm: List[Environment] = []
        self.busy: List[Environment] = []
        """The environments that have an invocation now."""
        self.dropped = 0
        """Invocations that were none, because their chain was too long (the metric RecursiveInvocationsDropped)."""

    @property
    def is_full(self) -> bool:
        """Whether an invocation would have to wait."""
        return self._free.locked()

    async def invoke(self, event: Any, lineage: Optional[Lineage] = None, alias: str = "") -> Any:
        """The function's result. InvocationFailed. Waits while the function is as busy as it may be.

        ``lineage``: who was invoked in the chain of requests that led here. ``alias``: by which, if it has to know.
        """
        name, chain = self.settings.name, lineage or {}
        if chain.get(name, 0) >= self._most and not self.settings.recursive:
            self.dropped += 1
            raise InvocationFailed(
                "RecursiveInvocationException", "%s was invoked %d times in one chain" % (name, chain[name])
            )
        async with self._free:
            started, cold = time.monotonic(), not self._warm
            result: Any = None
            error: Optional[InvocationFailed] = None
            try:
                result = json.loads(await self._invoke(encoded(event), suffix(chain, name), alias))
                return result
            except InvocationFailed as raised:
                error = raised
                raise
            finally:
                took = (time.monotonic() - started) * 1000
                self._observe(Invocation(name, event, cold, took, result, error))

    async def _invoke(self, event: bytes, chain: str, alias: str) -> bytes:
        if len(event) > EVENT_LIMIT:
            raise InvocationFailed("RequestTooLargeException", "an event of %d bytes" % len(event))
        environment = await self._take()
        self.busy.append(environment)
        try:
            return await environment.invoke(event, chain, alias)
        except asyncio.CancelledError:
            environment.kill()  # or it would go on, and be given the next invocation
            raise
        finally:
            self.busy.remove(environment)
            if environment.broken:
                await environment.close()
            else:
                self._warm.append(environment)

    async def _take(self) -> Environment:
        while self._warm:
            environment = self._warm.pop()
            if not environment.broken:
                return environment
            await environment.close()
        return await self._start()

    async def stop_environments(self) -> None:
        """Ends every environment, each after the invocation that it has."""
        while self.busy:
            await asyncio.sleep(0.01)
        environments, self._warm = self._warm, []
        await asyncio.gather(*(one.close() for one in environments))

    async def close(self) -> None:
        """Ends all environments, also in the middle of an invocation."""
        for one in self.busy:
            one.kill()
        environments, self._warm = [*self._warm, *self.busy], []
        await asyncio.gather(*(one.close() for one in environments))
