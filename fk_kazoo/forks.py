"""Hears of forks that Python does not hear of: a server in C forks its workers with libc's `fork` alone.

`os.register_at_fork` is for who forks by Python. libc has handlers of its own (POSIX `pthread_atfork`), which run in
both cases. Nothing of Python's runs in the child here: it may be about to execute something else, with other threads'
locks held. The child finds out by its process id, when it needs us.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
from typing import Any, Callable, List

log = logging.getLogger(__name__)

_kept: List[Any] = []
"""What libc holds pointers to, for as long as the process lives."""


def on_libc_fork(before: Callable[[], None], in_parent: Callable[[], None]) -> bool:
    """Has both called around every `fork` of libc's, in the thread that forks. Whether the system can do that.

    Calling it again is fine; a child inherits it. A fork by a bare system call is heard of by nobody.
    """
    if _kept:
        return True
    try:
        libc = ctypes.CDLL(None)
        handlers = [ctypes.CFUNCTYPE(None)(before), ctypes.CFUNCTYPE(None)(in_parent)]
        owner = ctypes.c_int()
        _kept.extend((libc, owner, *handlers))
        if hasattr(libc, "__register_atfork"):  # glibc; its `pthread_atfork` is for the linker only
            failed = libc["__register_atfork"](*handlers, None, ctypes.byref(owner))
            # No handler is called once the interpreter is gone: this ends all that was registered with that owner.
            atexit.register(libc["__cxa_finalize"], ctypes.byref(owner))
        else:
            failed = libc["pthread_atfork"](*handlers, None)
        return not failed
    except (AttributeError, OSError):
        log.debug("forks by others than Python are not heard of", exc_info=True)
        return False
