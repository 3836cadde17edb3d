"""Lambda's Invoke, over HTTP, for the functions of a host: RequestResponse only, as clients of a deployment use it.

Rule upheld here: an invocation is begun once for each request, and goes on when whoever asked has gone. A function that
is as busy as it may be refuses, as Lambda throttles. Permissions are not looked at.
Anything else that Lambda is asked, the emulator answers, who knows what was deployed.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Dict, Set

from aiohttp import ClientConnectionError, ClientSession, web

from .environment import EVENT_LIMIT, InvocationFailed
from .function import Function

_OF_THE_HOP = ("connection", "content-length", "date", "keep-alive", "server", "transfer-encoding")


class Interface:
    """The server. ``functions``: by name, as they are when they are asked for. ``emulator``: its URL."""

    def __init__(self, functions: Dict[str, Function], emulator: str) -> None:
        self._functions = functions
        self._emulator = emulator
        self._under_way: Set["asyncio.Future[Any]"] = set()
        self._runner: Any = None

    async def start(self) -> str:
        """Listens; the URL."""
        app = web.Application(client_max_size=EVENT_LIMIT + 1)
        app.router.add_post("/2015-03-31/functions/{name}/invocations", self._invoke)
        app.router.add_route("*", "/{rest:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return "http://127.0.0.1:%d" % self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stops listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _invoke(self, request: Any) -> Any:
        function = self._functions.get(request.match_info["name"])
        alias = request.query.get("Qualifier", "")
        if function is None:
            return _refused(404, "ResourceNotFoundException", "there is no such function")
        if function.is_full:
            return _refused(429, "TooManyRequestsException", "Rate Exceeded.")
        event = json.loads(await request.read())
        work = asyncio.ensure_future(function.invoke(event, None, alias))
        self._under_way.add(work)
        work.add_done_callback(self._ended)
        try:
            result = await asyncio.shield(work)
        except InvocationFailed as failure:
            headers = {"X-Amz-Function-Error": "Unhandled"}
            return web.json_response(failure.answer, headers=headers)
        return web.json_response(result)

    async def _pass_on(self, request: Any) -> Any:
        body, url = await request.read(), self._emulator + request.raw_path
        try:
            async with ClientSession(auto_decompress=False) as session:
                async with session.request(request.method, url, headers=request.headers, data=body) as answer:
                    kept = {name: text for name, text in answer.headers.items() if name.lower() not in _OF_THE_HOP}
                    return web.Response(status=answer.status, headers=kept, body=await answer.read())
        except ClientConnectionError:  # the emulator has ended the connection: an answer would be made up
            request.transport.abort()
            return web.Response()

    def _ended(self, work: "asyncio.Future[Any]") -> None:
        self._under_way.discard(work)
        if not work.cancelled():
            work.exception()


def _refused(status: int, kind: str, message: str) -> Any:
    return web.json_response({"Type": "User", "Message": message}, status=status, headers={"X-Amzn-ErrorType": kind})
