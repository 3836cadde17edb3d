"""Beats: the counter by which a heartbeat judges a session."""

from __future__ import annotations

from .. import layout
from ..errors import TooLarge
from ..ports import Gateway, Item, Put

BEAT = 2
"""What a beat adds to its counter: 1 alone is what an attach adds, and takes back where nothing was before."""


async def beat(gateway: Gateway, ns: str, session: int) -> int:
    """Moves the session's counter; to what. BackendError."""
    key = layout.beat_key(ns, session)
    try:
        count = await gateway.store.increment(key, BEAT)
    except TooLarge:  # somebody wrote what can't be added to
        await gateway.store.commit([Put(key, Item(BEAT, b""))])
        count = BEAT
    await gateway.check()
    return count
