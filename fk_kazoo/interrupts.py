"""Ctrl-C at any moment of a command: exit code 130, one line, no traceback, and nothing half done.

Rule upheld here: importing this module imports nothing that an app may want to patch.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
import warnings
from _thread import get_ident, start_new_thread
from time import sleep
from typing import TYPE_CHECKING, Callable, Iterator

from .files import remove_unfinished

if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Optional

INTERRUPTED = 130
AGAIN_S = 0.01


def run_command(command: Callable[[], int]) -> int:
    """The exit code of a command that is all that this process does: it ends after it."""
    try:
        try:
            sys.unraisablehook = functools.partial(_on_unraisable, get_ident())
            # Interrupted before it began.
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            return command()
        finally:
            _end()
    except KeyboardInterrupt:
        _end()
        print("fk-kazoo: interrupted", file=sys.stderr)
        return INTERRUPTED


def _end() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left is to end, which is what was asked for
    remove_unfinished()


def _on_unraisable(main: int, found: "sys.UnraisableHookArgs") -> None:
    """Where nothing can be raised, as while an object is removed, an interrupt would be lost: it comes again.

    From another thread and a little later, since in here it would be lost once more; as a signal, which ends a wait.
    """
    if found.exc_type is KeyboardInterrupt:
        start_new_thread(_interrupt_again, (main,))
    else:
        sys.__unraisablehook__(found)


def _interrupt_again(main: int) -> None:
    sleep(AGAIN_S)
    signal.pthread_kill(main, signal.SIGINT)


@contextlib.contextmanager
def defer_interrupts() -> Iterator[None]:
    """What is short, and must not be done by half: Ctrl-C is heard when it is over."""
    come = []

    def later(number: int, frame: "Optional[FrameType]") -> "Any":
        come.append(number)

    before = signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if come:
            signal.raise_signal(signal.SIGINT)
