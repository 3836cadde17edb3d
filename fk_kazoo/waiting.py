"""Calls whose caller does nothing but wait for the answer, as ``set`` does, which is ``set_async(…).get()``.

What such a call asks for may be done in the caller's own thread, and what kazoo links to its answer runs there, too.
What is asked for without waiting goes on its way at once, so that many of them share a message.
"""

from __future__ import annotations

import functools
import threading
from typing import Any, Callable

NAMES = ("create", "delete", "set", "set_acls")
NOBODY = 0


def _waiting(inherited: Callable[..., Any], of: str = "") -> Callable[..., Any]:
    """``of``: the attribute that is the client; nothing: it is a client's own method."""

    @functools.wraps(inherited)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        client = getattr(self, of) if of else self
        client._waits = threading.get_ident()
        try:
            return inherited(self, *args, **kwargs)
        finally:
            client._waits = NOBODY

    return call


def link_at_once(result: Any) -> None:
    """What is linked to a result that is there runs at once: else kazoo's thread for that would have to be waited for.

    For kazoo's own links, in the thread of who waits for what they come to.
    """
    result.rawlink = lambda callback: callback(result)


def _handing_out(inherited: Callable[..., Any], kind: Any) -> Callable[..., Any]:
    """Of a method that makes transactions of that kind: ones whose `commit` notes who calls it. An app's stay."""
    noting = type(kind.__name__, (kind,), {"__doc__": kind.__doc__, "commit": _waiting(kind.commit, "client")})

    @functools.wraps(inherited)
    def transaction(self: Any) -> Any:
        made = inherited(self)
        if type(made) is kind:
            made.__class__ = noting
        return made

    return transaction


def note_who_waits(client: Any, transaction: Any) -> Any:
    """Has the methods of a client's class, and ``commit`` of kazoo's transactions, note the thread that calls them."""
    for name in NAMES:
        setattr(client, name, _waiting(getattr(client, name)))
    client.transaction = _handing_out(client.transaction, transaction)
    client._waits = NOBODY
    return client


def waits(client: Any) -> bool:
    """Whether this thread waits for the next thing that it asks of the client."""
    return bool(client._waits == threading.get_ident())
