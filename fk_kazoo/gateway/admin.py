"""Health and metrics over HTTP: ``/commands/ruok``, ``/commands/is_read_only``, ``/commands/monitor``, ``/metrics``.

As ZooKeeper's AdminServer and its PrometheusMetricsProvider answer them, on one port. One request a connection. Where a
gateway serves several namespaces, metrics have the label ``namespace``, and commands are about the first one unless
``?namespace=`` names another.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Dict, Optional, Tuple
from urllib.parse import parse_qs

from fk_backend.errors import BackendError
from fk_backend.functions.words import VERSION

from .words import Words

REQUEST_S = 5.0
MAX_REQUEST_BYTES = 8192
MAX_CONNECTIONS = 32
JSON, TEXT = "application/json", "text/plain; version=0.0.4; charset=utf-8"
COUNTERS = {"packets_received", "packets_sent", "connection_rejected", "large_requests_rejected", "auth_failed_count"}
_FAILED = (BackendError, OSError, asyncio.TimeoutError)
Answer = Tuple[int, str, str]
"""Status, type, body."""


class Admin:
    """Listens on a port of its own: `start` it, `close` it."""

    def __init__(self, words: Dict[str, Words], host: str, port: int) -> None:
        """``words``: of each namespace, that of the deployment's URL first."""
        self._words = words
        self._host = host
        self.port = port
        self._open = 0
        self._listening: Optional[Any] = None

    async def start(self) -> None:
        """OSError if the port is taken."""
        self._listening = await asyncio.start_server(self._serve, self._host, self.port, limit=MAX_REQUEST_BYTES)
        self.port = int(self._listening.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Takes no more."""
        if self._listening is not None:
            self._listening.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MAX_CONNECTIONS:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_S)
                writer.write(_response(head, await self._answer(head)))
                await asyncio.wait_for(writer.drain(), REQUEST_S)
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            pass  # no request, or nobody who reads the answer
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, head: bytes) -> Answer:
        method, _, rest = head.decode("latin-1").partition(" ")
        path, _, query = rest.split(" ")[0].partition("?")
        path = path.rstrip("/")
        if method not in ("GET", "HEAD"):
            return 405, TEXT, "GET or HEAD\n"
        if path == "/metrics":
            return await self._metrics()
        command = path[len("/commands/") :] if path.startswith("/commands/") else ""
        if command not in ("ruok", "is_read_only", "monitor", "mntr", "isro"):
            return 404, TEXT, "/metrics, /commands/ruok, /commands/is_read_only and /commands/monitor\n"
        (namespace,) = parse_qs(query).get("namespace", [next(iter(self._words))])[:1]
        if namespace not in self._words:
            return 404, TEXT, "the namespaces are %s\n" % ", ".join(self._words)
        return await self._command(command, self._words[namespace])

    async def _command(self, command: str, words: Words) -> Answer:
        told: Dict[str, Any] = {"command": command, "error": None}
        try:
            if command in ("monitor", "mntr"):
                told.update({"version": VERSION, "server_state": "standalone"}, **await words.metrics())
            else:
                await words.check()
                told.update({} if command == "ruok" else {"read_only": False})
        except _FAILED as error:
            told["error"] = str(error) or type(error).__name__
            if command in ("is_read_only", "isro"):
                told["read_only"] = True
        return 503 if told["error"] else 200, JSON, json.dumps(told) + "\n"

    async def _metrics(self) -> Answer:
        try:
            figures = {namespace: await words.metrics() for namespace, words in self._words.items()}
        except _FAILED as error:
            return 503, TEXT, "# %s\n" % error
        names = dict.fromkeys(name for each in figures.values() for name in each)
        lines = []
        for name in names:
            lines.append("# TYPE %s %s\n" % (name, "counter" if name in COUNTERS else "gauge"))
            for namespace, each in figures.items():
                label = '{namespace="%s"}' % namespace if len(figures) > 1 else ""
                lines += ["%s%s %s\n" % (name, label, each[name])] if name in each else []
        return 200, TEXT, "".join(lines)


_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


def _response(head: bytes, answer: Answer) -> bytes:
    status, kind, text = answer
    body = text.encode("utf-8")
    lines = [
        "HTTP/1.1 %d %s" % (status, _REASONS[status]), "Content-Type: " + kind, "Content-Length: %d" % len(body),
        "Connection: close", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode("ascii") + (b"" if head.startswith(b"HEAD ") else body)
