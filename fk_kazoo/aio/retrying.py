"""kazoo's retries, where waiting is awaiting: the policy is a KazooRetry's, whose own call would block the loop."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Awaitable, Callable, Dict, Optional, TypeVar, Union

from kazoo.exceptions import ConnectionClosedError
from kazoo.retry import KazooRetry, RetryFailedError

from ..exceptions import PayloadTooLargeError

T = TypeVar("T")
Policy = Union[KazooRetry, Dict[str, Any], None]
FOR_EVER = KazooRetry(max_tries=None, max_delay=10.0)


def policy(given: Policy) -> KazooRetry:
    """What a client is given, as a policy; for ever if it is given none, as kazoo's client."""
    if given is None:
        return FOR_EVER
    return given if isinstance(given, KazooRetry) else KazooRetry(**given)


class Pauses:
    """How long to wait between tries. RetryFailedError when there is to be no other one."""

    def __init__(self, by: KazooRetry, deadline_s: Optional[float] = None) -> None:
        self._by = by
        self._tries, self._delay = 0, by.delay
        self._time = asyncio.get_running_loop().time
        deadline_s = by.deadline if deadline_s is None else deadline_s
        self._until = None if deadline_s is None else self._time() + deadline_s

    async def pause(self) -> None:
        """After a try that failed."""
        self._tries += 1
        if self._tries == self._by.max_tries:
            raise RetryFailedError("Too many retry attempts")
        seconds = self._delay * random.uniform(1.0 - self._by.max_jitter, 1.0 + self._by.max_jitter)
        if self._until is not None and self._time() + seconds >= self._until:
            raise RetryFailedError("Exceeded retry deadline")
        await asyncio.sleep(seconds)
        self._delay = min(self._delay * self._by.backoff, self._by.max_delay)


async def retry(by: KazooRetry, call: Callable[[], Awaitable[T]], deadline_s: Optional[float] = None) -> T:
    """What it returns at last: again after ConnectionLoss, an expired session (as the policy says), ForceRetryError."""
    pauses = Pauses(by, deadline_s)
    while True:
        try:
            return await call()
        except (ConnectionClosedError, PayloadTooLargeError):  # the next try would come to the same
            raise
        except by.retry_exceptions:
            await pauses.pause()
