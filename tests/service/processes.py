"""Real processes on a deployment: started, listened to, stopped, killed, and asked which of them is the host."""

from __future__ import annotations

import fcntl
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, List, Optional

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "programs"
PATIENCE_S = 30.0
"""For what happens at once on an idle machine."""
_FLOCK = "hhqqi4x"
"""struct flock of Linux: type, whence, start, length, pid."""


def eventually(condition: Callable[[], Any], what: str = "", timeout: float = PATIENCE_S) -> Any:
    """The condition's value as soon as it is true. AssertionError when the time is up."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "not within %s s: %s" % (timeout, what or condition)
        time.sleep(0.005)


def let_pass(seconds: float) -> None:
    """Time to measure something in."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= until, timeout=seconds + PATIENCE_S)


def host_of(directory: Path) -> int:
    """The process that holds the host lock of a deployment; 0 if none does.

    Not for a process that may hold it itself: closing any descriptor of the file would give the lock up.
    """
    try:
        with open(directory / "host.lock", "rb+") as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except FileNotFoundError:
        return 0
    return 0 if kind == fcntl.F_UNLCK else int(pid)


class Program:
    """One of the programs, running: what it prints can be waited for, line by line."""

    def __init__(self, name: str, *arguments: object, **options: Any) -> None:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "backend")])
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAMS / (name + ".py")), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
            **options,
        )
        self.pid = self.process.pid
        self.output: List[str] = []
        self._lines: "queue.Queue[Optional[str]]" = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line.rstrip("\n"))
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def expect(self, prefix: str, timeout: float = PATIENCE_S) -> str:
        """Waits for a line that starts so; what follows on it."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError("no %r within %s s: %s" % (prefix, timeout, self.output)) from None
            assert line is not None, "ended without %r: %s" % (prefix, self.output)
            if line.startswith(prefix):
                return line[len(prefix) :].strip()

    def say(self, line: str) -> None:
        """Gives it a line to read."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line: str) -> str:
        """Gives it a line to read; what it answers after ``ok``."""
        self.say(line)
        return self.expect("ok")

    def end(self, timeout: float = PATIENCE_S) -> int:
        """Waits until it has ended by itself; its exit code."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running after %s s; it printed %s" % (timeout, self.output)) from None
        self._reader.join(timeout)
        return code

    def kill(self) -> None:
        """Ends it whatever it does. Again: nothing more happens."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.send_signal(signal.SIGCONT)
        self.process.wait()
        self._reader.join(PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def cpu_s(self) -> float:
        """The processor time that all its threads have used."""
        spent = 0
        for task in Path("/proc/%d/task" % self.pid).iterdir():
            spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9
