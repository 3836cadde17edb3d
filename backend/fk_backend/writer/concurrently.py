"""Runs coroutines beside each other: none outlives the failure of another."""

from __future__ import annotations

import asyncio
import contextlib
from typing import AsyncIterator, Awaitable, TypeVar

T = TypeVar("T")


@contextlib.asynccontextmanager
async def concurrently(beginning: Awaitable[T]) -> "AsyncIterator[asyncio.Future[T]]":
    """Under way while the block runs, and ended with it if that raises. Else it is still to be awaited."""
    under_way = asyncio.ensure_future(beginning)
    try:
        yield under_way
    except BaseException:  # a cancellation too: a function whose time is up leaves nothing running
        under_way.cancel()
        raise
