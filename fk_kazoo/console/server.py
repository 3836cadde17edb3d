"""The server: which questions there are, what goes wrong in words, and its beginning and end."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from pathlib import Path
from typing import Any, AsyncIterator, Callable, Dict

import uvicorn
from kazoo.exceptions import BadVersionError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from fk_backend.core import paths
from fk_kazoo.cli.failures import NOT_FOUND, REFUSED, USAGE, explained
from fk_kazoo.cli.formats import MOST_VERSION
from fk_kazoo.cli.target import Target

from .answers import Answers
from .gate import Gate
from .live import Live

FILES = Path(__file__).with_name("page")
ADDRESS = "127.0.0.1"
MOST_BYTES = 2 << 20
"""Of what is sent to us: a node's data in base64 are less."""
STATUS = {USAGE: 400, NOT_FOUND: 404, REFUSED: 403}


class Console:
    """A server on the loopback interface, until SIGINT or SIGTERM. ``port`` 0: any free one."""

    def __init__(self, target: Target, client: Any, port: int, write: bool) -> None:
        self._live = Live(client)
        self._answers = Answers(target, client, self._live, write)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((ADDRESS, port))
            self._socket.listen(64)  # who has the link may use it at once
        except OSError:
            self._socket.close()
            raise
        self._port = int(self._socket.getsockname()[1])
        self._token = secrets.token_urlsafe(24)
        self._server = uvicorn.Server(
            uvicorn.Config(
                Gate(self._app(), self._token, self._port),
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
            )
        )

    @property
    def link(self) -> str:
        """The only way in."""
        return "http://%s:%d/%s/" % (ADDRESS, self._port, self._token)

    def serve(self) -> None:
        """Until it is ended. KeyboardInterrupt."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def end(self) -> None:
        """Has `serve` return soon. Of any thread."""
        self._server.should_exit = True

    def _app(self) -> Starlette:
        answers = self._answers
        return Starlette(
            routes=[
                Route("/", _file("index.html")),
                Route("/console.css", _file("console.css")),
                Route("/console.js", _file("console.js")),
                Route("/api/place", _asked(lambda q: answers.target())),
                Route("/api/children", _asked(lambda q: answers.children(_path(q), q.get("after"), q.get("prefix")))),
                Route("/api/node", _asked(lambda q: answers.node(_path(q)))),
                Route("/api/node", self._change, methods=["PUT"]),
                Route("/api/sessions", _asked(lambda q: answers.sessions())),
                Route("/api/locks", _asked(lambda q: answers.locks(_path(q)))),
                Route("/api/cost", _asked(lambda q: answers.cost())),
                Route("/api/events", self._events),
            ]
        )

    async def _change(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return JSONResponse({"error": "that is more than a node holds"}, 413)
        try:
            asked = json.loads(body)
            path, encoded, version = str(asked["path"]), str(asked["base64"]), int(asked["version"])
            if not 0 <= version <= MOST_VERSION:  # -1 is any: nothing would be checked
                raise ValueError
        except (ValueError, KeyError, TypeError, OverflowError):
            return JSONResponse({"error": "that can't be understood"}, 400)
        return await run_in_threadpool(_answered, lambda: self._answers.change(_path({"path": path}), encoded, version))

    async def _events(self, request: Request) -> Response:
        ended = asyncio.Event()

        async def lines() -> AsyncIterator[bytes]:
            watching = asyncio.ensure_future(self._until_exit(ended))
            try:
                async for event in self._live.events(ended):
                    yield b"data: " + json.dumps(event).encode() + b"\n\n" if event else b": still here\n\n"
            finally:
                watching.cancel()

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def _until_exit(self, ended: asyncio.Event) -> None:
        """uvicorn waits for what it is answering, so that has to end by itself."""
        while not self._server.should_exit:
            await asyncio.sleep(0.1)
        ended.set()


def _file(name: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return FileResponse(FILES / name)

    return answer


def _asked(answer: Callable[[Any], Any]) -> Callable[[Request], Response]:
    def asked(request: Request) -> Response:
        return _answered(lambda: answer({"after": "", "prefix": "", **request.query_params}))

    return asked


def _path(query: Dict[str, str]) -> str:
    path = query.get("path", "/")
    if not paths.is_valid(path):
        raise ValueError("%r can't be a node's path" % path)
    return path


def _answered(answer: Callable[[], Any]) -> Response:
    """What goes wrong is said in words, and never how it went wrong inside."""
    try:
        return JSONResponse(answer())
    except BadVersionError:
        return JSONResponse({"error": "somebody changed it meanwhile"}, 409)
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 400)
    except Exception as error:
        said = explained(error)
        if said is None:
            raise
        return JSONResponse({"error": said[0]}, STATUS.get(said[1], 503))
