"""Lambda's Runtime API, the HTTP interface between Lambda and a language's runtime (version 2018-06-01).

Rule upheld here: the runtime is given one invocation at a time, and each is answered once: what is answered under
another request id is refused.

One server per execution environment, as on AWS. A response is one write, and Nagle's algorithm is off: the runtime's
client would otherwise wait 40 ms and more for the second half.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Callable, Dict, NamedTuple, Optional, Set, Tuple

from .environment import InvocationFailed

VERSION = "/2018-06-01/runtime"
BODY_LIMIT = 64 * 1024 * 1024

Headers = Dict[str, str]


class Pending(NamedTuple):
    """An invocation that the runtime has to take or to answer."""

    request_id: str
    event: bytes
    deadline_ms: int
    result: "asyncio.Future[bytes]"
    chain: str
    """What the tracing header ends with."""
    alias: str = ""


class RuntimeApi:
    """The server. ``arn`` is the function's."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self.on_idle: Callable[[], None] = lambda: None
        """Called when the runtime asks for an invocation and there is none."""
        self._pending: Optional[Pending] = None
        self._taken = False
        self._arrived = asyncio.Event()
        self._connections: Set["asyncio.Task[None]"] = set()
        self._server: Optional[asyncio.AbstractServer] = None
        self.initialised: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        """Done when the runtime first asks for an invocation; InvocationFailed if it reports that it can't."""

    async def start(self) -> str:
        """Listens; what AWS_LAMBDA_RUNTIME_API has to be."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return "%s:%d" % (host, port)

    async def close(self) -> None:
        """Stops listening and hangs up."""
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if not self.initialised.done():
            self.initialised.cancel()

    def offer(
        self, request_id: str, event: bytes, timeout_s: float, chain: str = "", alias: str = ""
    ) -> "asyncio.Future[bytes]":
        """Gives the runtime an invocation; its result is InvocationFailed where the handler raised."""
        assert self._pending is None, "one at a time"
        result: "asyncio.Future[bytes]" = asyncio.get_running_loop().create_future()
        self._pending = Pending(request_id, event, int((time.time() + timeout_s) * 1000), result, chain, alias)
        self._taken = False
        self._arrived.set()
        return result

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._serve(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether another one may follow on this connection."""
        request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = request[0].split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in request[1:])
        }
        if "100-continue" in headers.get("expect", "").lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(min(int(headers.get("content-length") or 0), BODY_LIMIT))
        status, more, answer = await self._answer(method, path, body)
        head = {"Content-Type": "application/json", "Content-Length": str(len(answer)), **more}
        lines = ["HTTP/1.1 %s" % status, *("%s: %s" % pair for pair in head.items()), "", ""]
        writer.write("\r\n".join(lines).encode("latin-1") + answer)
        await writer.drain()
        return headers.get("connection", "").lower() != "close"

    async def _answer(self, method: str, path: str, body: bytes) -> Tuple[str, Headers, bytes]:
        parts = path[len(VERSION) :].strip("/").split("/") if path.startswith(VERSION) else []
        if (method, parts) == ("GET", ["invocation", "next"]):
            return await self._next()
        if (method, parts) == ("POST", ["init", "error"]):
            if not self.initialised.done():
                self.initialised.set_exception(InvocationFailed.reported(body))
            return _accepted()
        if method == "POST" and len(parts) == 3 and parts[0] == "invocation" and parts[2] in ("response", "error"):
            return self._answered(parts[1], parts[2], body)
        return _refused("404 Not Found", "UnknownPath", "%s %s is not part of the Runtime API" % (method, path))

    async def _next(self) -> Tuple[str, Headers, bytes]:
        if not self.initialised.done():
            self.initialised.set_result(None)
        if not self._arrived.is_set():
            self.on_idle()
        await self._arrived.wait()
        self._arrived.clear()
        pending = self._pending
        assert pending is not None
        self._taken = True
        headers = {
            "Lambda-Runtime-Aws-Request-Id": pending.request_id,
            "Lambda-Runtime-Deadline-Ms": str(pending.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self._arn + (pending.alias and ":" + pending.alias),
            "Lambda-Runtime-Trace-Id": "Root=1-%08x-%s;Sampled=0%s"
            % (int(time.time()), pending.request_id[-12:] * 2, pending.chain),
        }
        return "200 OK", headers, pending.event

    def _answered(self, request_id: str, what: str, body: bytes) -> Tuple[str, Headers, bytes]:
        pending = self._pending
        if pending is None or not self._taken or pending.request_id != request_id:
            return _refused("400 Bad Request", "InvalidRequestID", "Invalid request ID")
        self._pending = None
        if not pending.result.done():
            if what == "response":
                pending.result.set_result(body)
            else:
                pending.result.set_exception(InvocationFailed.reported(body))
        return _accepted()


def _accepted() -> Tuple[str, Headers, bytes]:
    return "202 Accepted", {}, b'{"status":"OK"}\n'


def _refused(status: str, kind: str, message: str) -> Tuple[str, Headers, bytes]:
    return status, {}, json.dumps({"errorMessage": message, "errorType": kind}).encode()
