"""Fires at the n-th line that a call executes in fk_kazoo, fk_backend and kazoo, in the thread or greenlet that calls.

Lines of the standard library are left out: a condition that is interrupted inside its own `wait` stays locked, with
kazoo on a ZooKeeper too. So is the end of a ``with`` block (the trace names its first line again): between the body
and ``__exit__`` the interpreter runs no signal handler from Python 3.11 on, and before that no code could help.
And so is the line of a ``try``: no handler runs there in any version, and what is raised there skips the blocks around.
"""

from __future__ import annotations

import dis
import os
import sys
import threading
from functools import cache
from types import CodeType, FrameType
from typing import Any, Callable, Optional, Tuple

import kazoo

import fk_backend
import fk_kazoo

_PLACES = tuple(os.path.dirname(str(module.__file__)) + os.sep for module in (fk_kazoo, fk_backend, kazoo))
_BEFORE_EXIT = ("NOP", "POP_BLOCK", "SWAP", "ROT_TWO", "LOAD_FAST", "PUSH_EXC_INFO", "COPY", "RESUME")
_TRY = ("NOP", "SETUP_FINALLY")


def _current() -> Any:
    """The greenlet that runs, where there are any, else the thread."""
    greenlet = sys.modules.get("greenlet")
    return threading.get_ident() if greenlet is None else greenlet.getcurrent()


@cache
def _is_ours(file: str) -> bool:
    return os.path.abspath(file).startswith(_PLACES)


@cache
def _begins_try(code: CodeType, offset: int) -> bool:
    return any(each.offset == offset and each.opname in _TRY for each in dis.get_instructions(code))


@cache
def _leaves_with(code: CodeType, offset: int) -> bool:
    """Whether what comes next is the call of an ``__exit__``."""
    following = [each for each in dis.get_instructions(code) if each.offset >= offset][:8]
    while following and following[0].opname in _BEFORE_EXIT:
        following.pop(0)
    names = [each.opname for each in following]
    if names[:1] == ["WITH_EXCEPT_START"]:
        return True
    nothing = [each.opname == "DUP_TOP" or (each.opname == "LOAD_CONST" and each.argval is None) for each in following]
    return len(nothing) >= 3 and all(nothing[:3])


class Tripwire:
    """Calls ``action`` at the n-th line, once, with where that is. What it raises comes out of that line.

    ``skip``: parts of the names of places to leave out.
    """

    def __init__(self, number: int, action: Callable[[str], None], skip: Tuple[str, ...] = ()) -> None:
        self.fired = ""
        """Where, as ``file:line function``; empty if the call was over before."""
        self._left = number
        self._action = action
        self._skip = skip
        self._caller: Any = None

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """What the function returns or raises."""
        self._caller = _current()
        sys.settrace(self._enter)
        try:
            return function(*args)
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Optional[Callable[..., Any]]:
        code = frame.f_code
        if self.fired or not _is_ours(code.co_filename) or _current() != self._caller:
            return None
        if self._skip and any(part in _where(frame) for part in self._skip):
            return None
        return self._line

    def _line(self, frame: FrameType, event: str, arg: Any) -> Optional[Callable[..., Any]]:
        if self.fired:
            return None
        here = (frame.f_code, frame.f_lasti)
        if event == "line" and not _begins_try(*here) and not _leaves_with(*here):
            self._left -= 1
            if self._left == 0:
                self.fired = _where(frame)
                sys.settrace(None)
                self._action(self.fired)
        return self._line


def _where(frame: FrameType) -> str:
    code = frame.f_code
    place = next(place for place in _PLACES if os.path.abspath(code.co_filename).startswith(place))
    root = os.path.dirname(os.path.dirname(place))
    name = getattr(code, "co_qualname", code.co_name)
    return "%s:%d %s" % (os.path.relpath(code.co_filename, root), frame.f_lineno, name)
