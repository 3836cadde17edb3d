"""Code that waits by standing still, in a world in which only coroutines wait: it runs in a thread of its own.

One of the two runs at a time, so a run is the same each time: the simulated loop stands still while the thread goes on,
and the thread stands still until a coroutine that it waits for is done, in the loop.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Coroutine, List, Optional, TypeVar

T = TypeVar("T")


class Ended(BaseException):
    """The run is over, and with it whatever waits."""


class InThread:
    """Whoever runs such code. For one piece of it at a time."""

    def __init__(self) -> None:
        self._threads: List[threading.Thread] = []
        self._goes_on = threading.Semaphore(0)
        self._stands = threading.Semaphore(0)
        self._awaited: Optional[Coroutine[Any, Any, Any]] = None
        self._outcome: Any = None
        self._failure: Optional[BaseException] = None
        self._is_over = False

    async def run(self, work: Callable[[], T]) -> T:
        """What it returns, or raises."""
        thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._threads.append(thread)
        thread.start()
        self._stands.acquire()
        while self._awaited is not None:
            awaited, self._outcome, self._failure = self._awaited, None, None
            try:
                self._outcome = await awaited
            except Exception as error:
                self._failure = error
            self._go_on()
        self._threads.remove(thread)
        thread.join()
        if self._failure is not None:
            raise self._failure
        found: T = self._outcome
        return found

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """In the thread: what the coroutine returns, or raises."""
        if self._is_over:
            coroutine.close()
            raise Ended
        self._awaited = coroutine
        self._stands.release()
        self._goes_on.acquire()
        if self._is_over:
            raise Ended
        if self._failure is not None:
            raise self._failure
        found: T = self._outcome
        return found

    def end(self) -> None:
        """After the run: whoever still waits does so no longer, and changes nothing any more."""
        self._is_over = True
        for thread in self._threads:
            if thread.is_alive():
                self._goes_on.release()
                thread.join()

    def _run(self, work: Callable[[], Any]) -> None:
        outcome, failure = None, None
        try:
            outcome = work()
        except BaseException as error:
            failure = error
        self._awaited, self._outcome, self._failure = None, outcome, failure
        self._stands.release()

    def _go_on(self) -> None:
        self._goes_on.release()
        self._stands.acquire()
