"""What an instance loads when another one may have committed since.

Rule: an instance that did not go on from its own commit asks only what it can't know, and all of that at the same time.

What a message says of its sender is a hint: one that is wrong costs a read, or its sender's own answers, nothing else.
"""

from __future__ import annotations

from typing import Awaitable, Iterable, List

from ..core.needs import lacking
from ..core.requests import Call
from ..layout import Head
from ..messages import Message
from ..ports import Ports
from .cache import Cache
from .concurrently import concurrently
from .loading import load


def is_behind(cache: Cache, messages: Iterable[Message]) -> bool:
    """Whether somebody was answered by a later commit: another instance made it, and one from here would fail."""
    return any(message.answered > cache.head.zxid for message in messages)


def undelivered(head: Head, messages: Iterable[Message]) -> Head:
    """To be fanned out again: without the answers of those who say that they have theirs."""
    heard = {message.inbox for message in messages if message.answered >= head.zxid}
    return head._replace(answers=tuple(answers for answers in head.answers if answers[0] not in heard))


async def prefetch_meanwhile(
    telling: Awaitable[None], ports: Ports, ns: str, cache: Cache, messages: Iterable[Message]
) -> None:
    """Loads what the messages will need while the last commit is told. Nothing is left under way if that fails."""
    async with concurrently(prefetch(ports, ns, cache, calls_of(messages))) as looking:
        await telling
    await looking


def calls_of(messages: Iterable[Message]) -> List[Call]:
    """What the messages ask for."""
    return [Call(message.session, message.inbox, request) for message in messages for request in message.requests]


async def prefetch(ports: Ports, ns: str, cache: Cache, calls: List[Call]) -> None:
    """Loads what the calls will need, all at the same time."""
    wanted = lacking(cache.snapshot, calls)
    wanted.beats.clear()  # they move without a commit: those that count are read last
    await load(ports, ns, cache, wanted)
