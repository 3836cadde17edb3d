"""Processes of large programs; the end of the log is shown of one in which something does not come about."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Sequence

PATIENCE_S = 180.0
"""A session of theirs may last for 60 s after its client was killed."""


class LoggedProcess:
    """A process that runs until it is killed, or until the block ends."""

    def __init__(self, command: Sequence[str], log: Path, environ: Dict[str, str], pipes: bool = False) -> None:
        self._log = log
        stream = subprocess.PIPE if pipes else subprocess.DEVNULL
        with open(log, "wb") as said:
            self.process = subprocess.Popen(
                command, cwd=log.parent, env=environ, stdin=stream, stdout=stream if pipes else said, stderr=said
            )

    def __enter__(self) -> "LoggedProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """As a crash does it; again is no error."""
        self.process.kill()
        self.process.communicate()

    def send_line(self, line: str) -> str:
        """Sends a line, of a process with pipes, and returns the one that it says next."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(line.encode() + b"\n")
        stdin.flush()
        return self.read_line()

    def read_line(self) -> str:
        """Its next line. AssertionError if it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "it ended:\n" + self.log()
        return str(line.decode().strip())

    def log(self) -> str:
        """The end of what it has logged."""
        return self._log.read_text(errors="replace")[-4000:]

    def until(self, what: str, holds: Callable[[], Any]) -> Any:
        """What ``holds`` returns when that is something. AssertionError if it never is, or if the process ends."""
        deadline, found, error = time.monotonic() + PATIENCE_S, None, ""
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                found = holds()
            except (OSError, ValueError, LookupError) as failed:
                error = repr(failed)
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError("%s: not within %d s: %s\n%s" % (what, PATIENCE_S, error, self.log()))


def asked(port: int, path: str, method: str = "GET", body: Optional[Any] = None) -> Any:
    """What a program answers over HTTP, as JSON. OSError, ValueError."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (port, path), data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10.0) as answer:
        text = answer.read()
    return json.loads(text) if text else {}
