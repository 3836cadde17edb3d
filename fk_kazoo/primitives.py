"""What a handler's results, events and queues are made of at this moment: threads' primitives, or greenlets'.

A handler's class does not tell. gevent and eventlet replace what `threading` and `queue` make, before or after kazoo is
imported and before or after a handler is made; kazoo's threading handler then makes what greenlets wait for. A result
that greenlets wait for is to be set in their hub's thread: no hub hears of what another thread does.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from typing import Any, Dict, Iterator, Tuple

from kazoo.handlers.threading import SequentialThreadingHandler

_GREEN = frozenset(("gevent", "eventlet", "greenlet"))
"""Packages whose classes belong to greenlets."""

_known: Dict[Tuple[Any, ...], bool] = {}


def of_threads(handler: Any) -> bool:
    """Whether any thread may set this handler's results and fill its queues. It is to be asked anew at each use."""
    if not isinstance(handler, SequentialThreadingHandler):
        return False
    key = (type(handler), type(handler.callback_queue), type(handler.completion_queue), *_factories())
    known = _known.get(key)
    if known is None:
        if len(_known) > 64:  # classes made again and again
            _known.clear()
        known = _known[key] = not any(map(_green, _made(handler)))
    return known


def _factories() -> Tuple[Any, ...]:
    """What makes primitives, and what is patched. `threading` makes a lock by the first for whoever starts to wait."""
    module = vars(threading)
    return module.get("_allocate_lock"), module.get("Lock"), module.get("Event"), queue.Queue, queue.SimpleQueue


def _made(handler: Any) -> Iterator[Any]:
    """One of everything that a handler makes, and what these consist of."""
    makers = (handler.async_result, handler.event_object, handler.lock_object, handler.rlock_object, threading.Lock)
    for thing in (*(maker() for maker in makers), handler.callback_queue, handler.completion_queue):
        yield thing
        for part in list(getattr(thing, "__dict__", {}).values()):
            if part is not handler:
                yield part
                yield from list(getattr(part, "__dict__", {}).values())
    if hasattr(threading, "_allocate_lock"):
        yield vars(threading)["_allocate_lock"]()


def _green(thing: Any) -> bool:
    return any(kind.__module__.partition(".")[0] in _GREEN for kind in type(thing).__mro__)


class _DedupedHandler:
    """A handler under eventlet, whose `select` may wake a greenlet twice where two descriptors are ready at once.

    The second time, whatever the greenlet waits for next would be answered, and wrongly. That is waited for here.
    """

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def select(self, *args: Any, **kwargs: Any) -> Any:
        """As the handler's."""
        ready = self._handler.select(*args, **kwargs)
        time.sleep(0)
        return ready

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)


def selecting(handler: Any) -> Any:
    """The handler, as the thread or greenlet that selects on several descriptors should have it now."""
    patcher = sys.modules.get("eventlet.patcher")
    if (
        patcher is None
        or not patcher.is_monkey_patched("select")
        or not isinstance(handler, SequentialThreadingHandler)
    ):
        return handler
    return _DedupedHandler(handler)
