"""Whose a message is.

Rule: a client speaks for its own session alone, and is told at its own inbox.
"""

from __future__ import annotations

from typing import Optional

from ..core.model import Session
from ..core.requests import Attach, Open
from ..mac import is_inbox_of, is_tagged, key_of
from ..messages import Message

COMBINED = "combined:"
"""How the names begin under which a head keeps answers to processes for which another one has committed."""


def begins(message: Message) -> bool:
    """Whether it begins with asking for a session: what proves its sender is in that then."""
    return isinstance(next(iter(message.requests), None), (Open, Attach))


def is_functions(inbox: str) -> bool:
    """Whether it is no client's, so that nobody is told anything there."""
    return ":" in inbox


def is_sender(message: Message, body: bytes, session: Optional[Session]) -> bool:
    """Whether the session that a message names sent it, from an inbox that can be its own. ``session``: as stored."""
    request = next(iter(message.requests), None)
    if isinstance(request, Open):
        return is_inbox_of(message.inbox, request.password_hash)
    if isinstance(request, Attach):
        return is_inbox_of(message.inbox, key_of(request.password))
    if session is None:
        return False
    return is_tagged(body, session.password_hash) and is_inbox_of(message.inbox, session.password_hash)
