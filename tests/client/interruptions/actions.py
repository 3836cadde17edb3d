"""What happens in the middle of a call: a signal's handler raises or stops the client, or another thread stops it."""

from __future__ import annotations

import signal
import time
from typing import Any, Callable, Dict, List, Optional, Tuple, Type

STOP_S = 4.0
"""What stop() and the like may take at most, on a loaded machine; it takes milliseconds."""
HOLD_S = 0.25
"""How long the interrupted thread stands still, so that the other one gets as far as it can without it."""
CONDITION = ("kazoo/handlers/utils.py",)
"""Where kazoo's own `AsyncResult` holds its condition: the connection's thread, which sets the result, waits until the
caller leaves it. A handler that stops the client in there waits for ever, with kazoo on a ZooKeeper too."""


HANDING_OVER = ("_do_callbacks",)
"""Where kazoo's `AsyncResult` has seen its handler run, and hands a callback to it. If another thread stops the handler
in between, nobody calls that any more, and what waits for it does so for ever, with kazoo on a ZooKeeper too; see
`tests.client.test_interruptions.test_kazoo_itself_loses_what_it_hands_over_to_a_handler_that_is_stopped`."""


class Interruption(Exception):
    """Raised by a signal's handler."""


class Quit(BaseException):
    """The same, as KeyboardInterrupt and SystemExit are."""


class Action:
    """One interruption of one call. ``trouble`` is what went wrong with it itself."""

    ends_session = False
    raises: Optional[Type[BaseException]] = None
    skip: Tuple[str, ...] = ()

    def __init__(self, client: Any) -> None:
        self.client = client
        self.trouble: List[str] = []

    def fire(self) -> None:
        """In the middle of the call."""
        previous = signal.signal(signal.SIGUSR1, lambda *_: self.handle())
        try:
            signal.raise_signal(signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, previous)

    def handle(self) -> None:
        """The signal's handler."""

    def settle(self) -> None:
        """After the call."""

    def timed(self, function: Callable[[], Any]) -> None:
        """Calls it; in time, and without an error."""
        began = time.monotonic()
        try:
            function()
        except Exception as error:
            self.trouble.append("%s() raised %r" % (function.__name__, error))
        took = time.monotonic() - began
        if took > STOP_S:
            self.trouble.append("%s() took %.1f s" % (function.__name__, took))


class Raise(Action):
    """A signal's handler raises: a time limit."""

    raises: Optional[Type[BaseException]] = Interruption

    def handle(self) -> None:
        assert self.raises is not None
        raise self.raises


class RaiseQuit(Raise):
    """A signal's handler raises what no `except Exception` catches: Ctrl-C."""

    raises = Quit


class Stop(Action):
    """A signal's handler calls stop()."""

    ends_session = True
    skip = CONDITION

    def handle(self) -> None:
        self.timed(self.client.stop)


class Ask(Action):
    """A signal's handler calls the client: it writes, and reads what it wrote."""

    skip = CONDITION

    def handle(self) -> None:
        self.timed(self.ask)

    def ask(self) -> None:
        """Whatever it interrupted waits for this."""
        mark = b"%d" % time.monotonic_ns()
        self.client.set("/w", mark)
        if self.client.get("/w")[0] != mark:
            self.trouble.append("the handler does not read what it wrote")


class Elsewhere(Action):
    """Another thread, or greenlet, does something with the client. The caller is held for a moment where it is."""

    ends_session = True
    skip = HANDING_OVER

    def fire(self) -> None:
        handler = self.client.handler
        self.done = handler.event_object()
        handler.spawn(self._work)
        if "threading" in handler.name:  # greenlets give way by themselves, and only where they wait
            self.done.wait(HOLD_S)

    def _work(self) -> None:
        try:
            self.work()
        finally:
            self.done.set()

    def work(self) -> None:
        """In the other thread."""

    def settle(self) -> None:
        self.done.wait(2 * STOP_S)
        if not self.done.is_set():
            self.trouble.append("the other thread hangs in it")


class ThreadStop(Elsewhere):
    """stop()."""

    def work(self) -> None:
        self.timed(self.client.stop)


class ThreadRestart(Elsewhere):
    """restart()."""

    def work(self) -> None:
        self.timed(self.client.restart)


class ThreadClose(Elsewhere):
    """stop() and close()."""

    def work(self) -> None:
        self.timed(self.client.stop)
        self.timed(self.client.close)


ACTIONS: Dict[str, Type[Action]] = {
    "raise": Raise,
    "quit": RaiseQuit,
    "stop": Stop,
    "ask": Ask,
    "thread-stop": ThreadStop,
    "thread-restart": ThreadRestart,
    "thread-close": ThreadClose,
}
