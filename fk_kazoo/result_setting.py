"""Sets kazoo's results, from threads that may not wait.

Rule: whoever sets results of others waits for nobody: somebody may keep the lock of a result for long, or for ever.

kazoo's AsyncResult has a condition. A signal's handler that raises at the moment at which ``Condition.__enter__`` has
taken its lock leaves it taken, since the ``with`` was not entered yet; and one that runs while a caller has it keeps it
as long as it runs. What is set then is set in a thread of its own, as soon as that may be; others get their answers.
"""

from __future__ import annotations

from typing import Any, Callable

from . import loop_thread

PATIENCE_S = 0.05
"""Who has the lock in the ordinary way gives it back in microseconds."""

SetResult = Callable[[Callable[[Any], object], Any], None]
"""Calls ``set`` or ``set_exception`` of a result with a value."""


def set_now(setter: Callable[[Any], object], value: Any) -> None:
    """For the one who waits for the result: nobody else has its lock."""
    setter(value)


def set_later(setter: Callable[[Any], object], value: Any) -> None:
    """For everybody else."""
    condition = getattr(getattr(setter, "__self__", None), "_condition", None)
    if condition is None:
        setter(value)
    elif condition.acquire(True, PATIENCE_S):
        try:
            setter(value)
        finally:
            condition.release()
    else:
        loop_thread.start_thread(setter, value)
