"""A handler's workers end in bounded time, whatever their callbacks do, and the handler can be started again.

kazoo waits for them without bound: in `stop()`, for itself if that is called from a callback, and when the interpreter
exits.
"""

from __future__ import annotations

import atexit
import copy
import logging
import sys
import threading
import time
from typing import Any, List

from . import loop_thread

log = logging.getLogger(__name__)

PATIENCE_S = 3.0
"""How long to wait for callbacks that are still running."""

_QUEUES = ("callback_queue", "completion_queue")


def stop(handler: Any, patience_s: float = PATIENCE_S) -> None:
    """Ends the workers after what is queued, or leaves them behind with it."""
    if not getattr(handler, "running", True):
        return
    atexit.unregister(handler.stop)
    workers: List[Any] = list(getattr(handler, "_workers", ()))
    green = any(isinstance(worker, tuple) for worker in workers)
    own = is_one_of(workers)
    stopping, stopped = handler, handler.event_object()
    if workers and not green:  # eventlet's look their queue up again each time, so there they keep their handler
        stopping = copy.copy(handler)
        renew(handler)

    def work() -> None:
        try:
            stopping.stop()
            if green:
                _complete(handler)
        except BaseException:  # a killed worker ends it with GreenletExit
            log.debug("stopping the handler", exc_info=True)
        finally:
            stopped.set()

    handler.spawn(work)
    stopped.wait(0.01 if own else patience_s)
    if green and not own and not stopped.is_set():
        for worker, _ in workers:
            worker.kill()
        renew(handler)


def _complete(handler: Any) -> None:
    """Calls what was queued while the workers ended: kazoo's eventlet handler takes completions until they have.

    Nobody else would call them, and a call that is made of several (``ensure_path``) would wait for them for ever.
    """
    while not handler.completion_queue.empty():
        completion = handler.completion_queue.get_nowait()
        try:
            if callable(completion):
                completion()
        except Exception:
            log.warning("a completion failed", exc_info=True)


def renew(handler: Any) -> None:
    """Makes a handler as if it had never been started. What runs and what is queued is no longer its own."""
    for queue in _QUEUES:
        if hasattr(handler, queue):
            setattr(handler, queue, handler.queue_impl())
    for flag in ("_running", "_started"):
        if hasattr(handler, flag):
            setattr(handler, flag, False)
    if hasattr(handler, "_state_change"):
        handler._state_change = handler.lock_object()
    handler._workers = []


def is_one_of(workers: List[Any]) -> bool:
    """Whether one of these threads or greenlets is the caller."""
    plain = [worker[0] if isinstance(worker, tuple) else worker for worker in workers]
    greenlet = sys.modules.get("greenlet")
    return threading.current_thread() in plain or (greenlet is not None and greenlet.getcurrent() in plain)


@atexit.register
def _at_exit() -> None:
    """Callbacks that are queued run before the interpreter exits, as with kazoo, if they return."""
    loop_thread.ensure_own_process()
    deadline = time.monotonic() + PATIENCE_S
    handlers = {id(client.handler): client.handler for client in list(loop_thread.clients)}
    for handler in handlers.values():
        if getattr(handler, "running", False):
            for queue in _QUEUES:
                if hasattr(handler, queue):
                    done = handler.event_object()
                    getattr(handler, queue).put(done.set)
                    done.wait(max(0.0, deadline - time.monotonic()))
