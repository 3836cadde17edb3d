"""A network in between: a proxy that hands on all it gets half a round trip later, in order, each way.

``python -m benchmarks.delay PORT ROUND_TRIP_MS`` prints the port at which it stands for one of this machine's, and ends
with its input. Where the kernel delays packets itself (tc netem) that needs root; this needs nothing.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Optional, Tuple

HERE = "127.0.0.1"
CHUNK_BYTES = 1 << 16

Chunk = Tuple[float, bytes]
"""When it is due, by time.monotonic(), and what it is; the last one is empty."""


class DelayedPort:
    """The proxy in a process of its own, since it must not wait for those whom it serves. Use it as a context."""

    def __init__(self, port: int, round_trip_ms: float) -> None:
        """``port``: of this machine."""
        self._command = [sys.executable, "-m", "benchmarks.delay", str(port), str(round_trip_ms)]
        self._process: Optional[subprocess.Popen[str]] = None

    def __enter__(self) -> int:
        """The port to connect to."""
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
        )
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.communicate()


def _receive(source: socket.socket, delay_s: float, chunks: "queue.SimpleQueue[Chunk]") -> None:
    data = b"-"
    while data:
        data = b""
        with contextlib.suppress(OSError):
            data = source.recv(CHUNK_BYTES)
        chunks.put((time.monotonic() + delay_s, data))


def _hand_on(sink: socket.socket, chunks: "queue.SimpleQueue[Chunk]") -> None:
    with contextlib.suppress(OSError):
        while True:
            due, data = chunks.get()
            time.sleep(max(due - time.monotonic(), 0.0))
            if not data:
                return sink.shutdown(socket.SHUT_WR)
            sink.sendall(data)


def _start(work: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()


def _serve(listener: socket.socket, port: int, delay_s: float) -> None:
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((HERE, port))
        for source, sink in ((client, server), (server, client)):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            chunks: "queue.SimpleQueue[Chunk]" = queue.SimpleQueue()
            _start(_receive, source, delay_s, chunks)
            _start(_hand_on, sink, chunks)


def main(port: int, round_trip_ms: float) -> None:
    """Until the input ends."""
    listener = socket.create_server((HERE, 0))
    print(listener.getsockname()[1], flush=True)
    _start(_serve, listener, port, round_trip_ms / 2000.0)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
