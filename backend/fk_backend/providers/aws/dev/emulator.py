"""The emulator of AWS: one ministack process.

Rule upheld here: `Emulator.start` returns when our own process answers, never another one that took the port; and the
process ends with the one that started it, however that ends.

An access key of 12 digits is an account of its own in it, so that tests don't see each other.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, Optional, Type

from . import venvs

REQUIREMENT = "ministack==1.5.33"
START_TIMEOUT_S = 60.0
ATTEMPTS = 5

_PROGRAM = Path(__file__).with_name("emulator_main.py")


class EmulatorFailed(Exception):
    """It did not start; the text has the end of what it printed."""


class Emulator:
    """One ministack process on 127.0.0.1. A context manager: ``with Emulator() as emulator: emulator.url``."""

    def __init__(self, port: int = 0, environment: Optional[Dict[str, str]] = None, program: Path = _PROGRAM) -> None:
        """``port`` 0: any free one. ``environment``: more variables for ministack, such as AUTH=true.

        ``program``: what its interpreter runs, where that is more than `emulator_main`.
        """
        self.port = port
        self._wanted = port
        self._program = program
        self._environment = dict(environment or {})
        self._process: Optional["subprocess.Popen[bytes]"] = None
        self._printed = ""

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL has to be."""
        return "http://127.0.0.1:%d" % self.port

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "the emulator is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> "Emulator":
        """Returns when it answers. EmulatorFailed if it does not."""
        if sys.version_info < (3, 10):
            raise EmulatorFailed("the emulator needs Python 3.10 or later")
        try:
            for _ in range(ATTEMPTS):
                self.port = self._wanted or _free_port()
                if self._start():
                    return self
                if self._wanted:
                    break
        except BaseException:  # Ctrl-C, too
            self.stop()
            raise
        raise EmulatorFailed(
            "ministack on port %d did not start: %s" % (self.port, self._printed or "it printed nothing")
        )

    def stop(self) -> None:
        """Ends the process and waits for it. Nothing happens if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with self._output as output:
            output.seek(0)
            self._printed = output.read().decode(errors="replace")[-2000:].strip()

    def _start(self) -> bool:
        token = secrets.token_hex(8)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "MINISTACK_"))}
        environment.update(GATEWAY_PORT=str(self.port), BIND_HOST="127.0.0.1", LOG_LEVEL="ERROR", EDGE_PORT="")
        # What it is called in its answers: proof that it is ours that answers.
        environment.update(MINISTACK_EDITION=token, MINISTACK_HOST="127.0.0.1", **self._environment)
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [str(venvs.interpreter("ministack", REQUIREMENT)), "-I", str(self._program)],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=self._output,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C is for us; we end it when its clients are gone
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._health().get("edition") == token:
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _health(self) -> Dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()
        return answer if isinstance(answer, dict) else {}

    def __enter__(self) -> "Emulator":
        return self.start()

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
