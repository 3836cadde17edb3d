"""Where writers are invoked beside the queue, a message is taken when it is committed, and not when it is sent.

What fails is taken when the head was looked at by which it fails. So the order of what is asked is the order of the
commits: this is what writes it down.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Optional, Sequence

from ... import layout
from ...core.requests import Sweep
from ...messages import Message
from ...ports import Put
from ...writer.step import Step
from .world import Process


def witnessed(next_step: Any) -> Any:
    """What works out a step, with a note in its process of whose requests it takes."""

    async def wrapped(ports: Any, ns: str, cache: Any, *asked: Any) -> Step:
        step: Step = await next_step(ports, ns, cache, *asked)
        if not getattr(ports.store, "notes_itself", False):
            remember(ports.store._process, step, cache.head.zxid)
        return step

    return wrapped


def recording(recorded: Any) -> Any:
    """The same of a step that is committed although it changes nothing."""

    def wrapped(ports: Any, ns: str, cache: Any, *asked: Any) -> Step:
        made: Step = recorded(ports, ns, cache, *asked)
        remember(ports.store._process, made, cache.head.zxid)
        return made

    return wrapped


def remember(process: Process, step: Step, zxid: int) -> None:
    """Until its commit, or until it has seen that the head is still at ``zxid``."""
    process.asking = [_message(process, entry) for entry in step.entries if not isinstance(entry.call.request, Sweep)]
    process.looks_at = None if step.writes else zxid


def _message(process: Process, entry: Any) -> Message:
    if entry.inbox:
        return Message(entry.inbox, entry.call.session, entry.number, (entry.call.request,))
    assert isinstance(process.direct, Message)
    return process.direct


def is_kept(write: Any) -> bool:
    """Whether it is a node as it was promised, and not what voids a promise."""
    if not isinstance(write, Put) or write.key.sort != layout.NODE:
        return False
    return layout.node_of(write.item).mzxid == write.item.rev


_head_of = lru_cache(maxsize=256)(layout.head_of)
"""What a commit makes of the head is asked for by whoever writes down the order, and by several checks."""


def head_in(writes: Sequence[object], ns: str) -> Optional[layout.Head]:
    """The head that a commit puts, if it does."""
    key = layout.head_key(ns)
    item = next((write.item for write in writes if isinstance(write, Put) and write.key == key), None)
    return None if item is None else _head_of(item)


def promises(writes: Any, ns: str) -> bool:
    """Whether the head goes before its node."""
    head = head_in(writes, ns)
    return head is not None and head.reserved is not None
