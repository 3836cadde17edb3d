"""Calls whose caller does nothing but wait for the answer, as ``set`` does, which is ``set_async(…).get()``.

What such a call asks for may be done in the caller's own thread, and what kazoo links to its answer runs there, too.
What is asked for without waiting goes on its way at once, so that many of them share a message.
"""

from __future__ import annotations

import functools
import threading
from operator import attrgetter
from typing import Any, Callable

NAMES = ("create", "create_container", "create_ttl", "delete", "set", "set_acls")
NO_CALLER = 0


def _waiting(inherited: Callable[..., Any], client_of: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(inherited)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        client = client_of(self)
        client._waits = threading.get_ident()
        try:
            return inherited(self, *args, **kwargs)
        finally:
            client._waits = NO_CALLER

    return call


def _transaction(inherited: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(inherited)
    def transaction(self: Any) -> Any:
        made = inherited(self)
        kind: Any = type(made)
        made.__class__ = _whose_commit_waits(kind)
        return made

    return transaction


@functools.lru_cache(maxsize=64)
def _whose_commit_waits(kind: Any) -> Any:
    """A class of transactions, kazoo's as a rule, whose ``commit`` is such a call."""
    commit = _waiting(kind.commit, attrgetter("client"))
    return type(kind.__name__, (kind,), {"commit": commit, "__module__": kind.__module__, "__doc__": kind.__doc__})


def link_at_once(result: Any) -> None:
    """What is linked to a result that is there runs at once: else kazoo's thread for that would have to be waited for.

    For kazoo's own links, in the thread of who waits for what they come to.
    """
    result.rawlink = lambda callback: callback(result)


def note_who_waits(client: Any) -> Any:
    """Has the methods of a client's class note the thread that calls them."""
    for name in NAMES:
        setattr(client, name, _waiting(getattr(client, name), lambda self: self))
    client.transaction = _transaction(client.transaction)
    client._waits = NO_CALLER
    return client


def waits(client: Any) -> bool:
    """Whether this thread waits for the next thing that it asks of the client."""
    return bool(client._waits == threading.get_ident())
