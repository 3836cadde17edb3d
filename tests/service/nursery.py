"""Programs that start at once: forked from a process that has imported everything and has no threads.

What starts so is a process of its own, which can be killed like any other; only the half second of imports is saved.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from queue import Queue
from typing import Any, List, Optional

from .processes import PROGRAMS, Program

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["fk_kazoo.client", "fk_backend.providers.local.gateway", "tests.service.nursery"])


def _run(name: str, arguments: List[str], stdin: Connection, stdout: Connection) -> None:
    os.dup2(stdin.fileno(), 0)
    os.dup2(stdout.fileno(), 1)
    os.dup2(stdout.fileno(), 2)
    sys.stdin, sys.stdout = open(0), open(1, "w", buffering=1)
    sys.stderr = sys.stdout
    sys.argv = [name, *arguments]
    runpy.run_path(str(PROGRAMS / (name + ".py")), run_name="__main__")


class _Child:
    """What `Program` needs of a `subprocess.Popen`."""

    def __init__(self, name: str, arguments: List[str]) -> None:
        stdin, to_child = _context.Pipe(duplex=False)
        from_child, stdout = _context.Pipe(duplex=False)
        self._process = _context.Process(target=_run, args=(name, arguments, stdin, stdout))
        self._process.start()
        stdin.close()
        stdout.close()
        self.stdin = os.fdopen(os.dup(to_child.fileno()), "w")
        self.stdout = os.fdopen(os.dup(from_child.fileno()), "r")
        to_child.close()
        from_child.close()
        self.pid = self._process.pid

    def poll(self) -> Optional[int]:
        """Its exit code, if it has one."""
        return self._process.exitcode

    def wait(self, timeout: Optional[float] = None) -> int:
        """Its exit code."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("child", timeout or 0)
        return code

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def send_signal(self, number: int) -> None:
        """To whoever still runs."""
        if self._process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):  # the server may know of its end before this process does
                os.kill(self._process.pid or 0, number)


class Forked(Program):
    """A `Program` that starts at once. Make it in the main process only; it has the environment of the first one."""

    def __init__(self, name: str, *arguments: object) -> None:
        child: Any = _Child(name, [str(argument) for argument in arguments])
        self.process = child
        self.pid = child.pid
        self.output = []
        self._lines = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
