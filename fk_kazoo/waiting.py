"""Calls whose caller does nothing but wait for the answer, as ``set`` does, which is ``set_async(…).get()``.

What such a call asks for may be done in the caller's own thread. What is asked for without waiting goes on its way at
once, so that many of them share a message.
"""

from __future__ import annotations

import functools
import threading
from typing import Any, Callable

NAMES = ("create", "delete", "set", "set_acls")
NOBODY = 0


def _waiting(inherited: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(inherited)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._waits = threading.get_ident()
        try:
            return inherited(self, *args, **kwargs)
        finally:
            self._waits = NOBODY

    return call


def note_who_waits(client: Any) -> Any:
    """Has the methods of a client's class note the thread that calls them."""
    for name in NAMES:
        setattr(client, name, _waiting(getattr(client, name)))
    client._waits = NOBODY
    return client


def waits(client: Any) -> bool:
    """Whether this thread waits for the next thing that it asks of the client."""
    return bool(client._waits == threading.get_ident())
