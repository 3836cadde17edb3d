"""Something between clients and Lambda's interface: real connections, on which one can meet with a misfortune.

Rule upheld here: what Lambda would have done is done by the host of functions, or not at all: only answers are made up.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any, Awaitable, Callable, Dict, List, Tuple

from aiohttp import ClientConnectionError, ClientSession, web

from .invoked import kind_of

OF_THE_HOP = ("connection", "content-length", "host", "keep-alive", "transfer-encoding")
OF_MAPPINGS = ("ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch")
PassOn = Callable[[], Awaitable[bytes]]
Fate = Callable[[Any, PassOn], Awaitable[Any]]
"""What becomes of one invocation: gets the request, and what has it done; returns what its client gets."""


async def served(request: Any, pass_on: PassOn) -> Any:
    """As it should be."""
    return web.Response(body=await pass_on(), content_type="application/json")


def refused(status: int, kind: str) -> Fate:
    """Nothing is done, and the answer says why."""

    async def fate(request: Any, pass_on: PassOn) -> Any:
        return _error(status, kind)

    return fate


def failed(status: int, kind: str) -> Fate:
    """It is done, and the answer is an error."""

    async def fate(request: Any, pass_on: PassOn) -> Any:
        await pass_on()
        return _error(status, kind)

    return fate


async def cut_before(request: Any, pass_on: PassOn) -> Any:
    """The connection ends, and nothing is done."""
    request.transport.abort()
    return web.Response()


async def cut_after(request: Any, pass_on: PassOn) -> Any:
    """It is done, and the connection ends."""
    await pass_on()
    return await cut_before(request, pass_on)


async def cut_short(request: Any, pass_on: PassOn) -> Any:
    """It is done, and the connection ends in the middle of the answer."""
    body = await pass_on()
    response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    return await cut_before(request, pass_on)


async def never(request: Any, pass_on: PassOn) -> Any:
    """It is done, and nobody answers."""
    await pass_on()
    await asyncio.Event().wait()


def _error(status: int, kind: str) -> Any:
    return web.json_response({"Type": "User", "message": kind}, status=status, headers={"X-Amzn-ErrorType": kind})


class Late:
    """It waits until it is let go, and is done then, whoever still waits for it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.over = threading.Event()
        self.answer: bytes = b""
        self._go = threading.Event()

    def let_go(self) -> None:
        """Now."""
        self._go.set()

    async def __call__(self, request: Any, pass_on: PassOn) -> Any:
        """`Fate`."""
        self.reached.set()

        async def late() -> None:
            await asyncio.get_running_loop().run_in_executor(None, self._go.wait)
            self.answer = await pass_on()
            self.over.set()

        await asyncio.shield(asyncio.ensure_future(late()))


class Proxy:
    """A server in front of another one, in a thread of its own."""

    def __init__(self, url: str) -> None:
        self.url = ""
        self._behind = url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: Any = None

    async def asked(self, request: Any, body: bytes) -> Any:
        """What a request is answered with."""
        raise NotImplementedError

    async def passed_on(self, request: Any, body: bytes) -> Any:
        """What the other server answers."""
        headers = {name: text for name, text in request.headers.items() if name.lower() not in OF_THE_HOP}
        async with ClientSession(auto_decompress=False) as session:
            url = self._behind + request.raw_path
            async with session.request(request.method, url, data=body, headers=headers) as answer:
                kept = {name: text for name, text in answer.headers.items() if name.lower() not in OF_THE_HOP}
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    def start(self) -> "Any":
        """Listens; itself."""
        self._thread.start()
        self.url = self._call(self._start())
        return self

    def stop(self) -> None:
        """Listens no more. Safe to call again."""
        if self._thread.is_alive():
            self._call(self._runner.cleanup())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(self) -> str:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{rest:.*}", self._asked)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return "http://127.0.0.1:%d" % self._runner.addresses[0][1]

    async def _asked(self, request: Any) -> Any:
        try:
            return await self.asked(request, await request.read())
        except ClientConnectionError:  # the server behind has ended the connection: an answer would be made up
            request.transport.abort()
            return web.Response()


class Between(Proxy):
    """In front of Lambda's interface."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.kinds: List[str] = []
        """What was asked for, request by request."""
        self._fates: Dict[str, Fate] = {}

    def befall(self, kind: Any, fate: Fate) -> None:
        """What becomes of the next invocation that asks for something of a kind."""
        self._fates[kind.__name__] = fate

    async def asked(self, request: Any, body: bytes) -> Any:
        """As `Proxy.asked`."""
        kind = kind_of(json.loads(body))
        self.kinds.append(kind)

        async def pass_on() -> bytes:
            answer: bytes = (await self.passed_on(request, body)).body
            return answer

        return await self._fates.pop(kind, served)(request, pass_on)


class Executioner(Proxy):
    """Between the functions and all that they ask for: at the ``at``-th request the writer's process is killed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.kill: Callable[[], Any] = lambda: None
        self.sent: List[str] = []
        """What was asked for since it was armed."""
        self._armed: Tuple[int, bool] = (0, False)

    def arm(self, at: int, after: bool) -> None:
        """From here on requests count. ``at`` 0: for nothing."""
        self.sent.clear()
        self._armed = at, after

    async def asked(self, request: Any, body: bytes) -> Any:
        """As `Proxy.asked`. What the host asks of queues does not count."""
        operation = request.headers.get("X-Amz-Target", request.method).rpartition(".")[2]
        if operation in OF_MAPPINGS:
            return await self.passed_on(request, body)
        self.sent.append(operation)
        at, after = self._armed
        if len(self.sent) != at:
            return await self.passed_on(request, body)
        answer = await self.passed_on(request, body) if after else web.Response()
        await asyncio.get_running_loop().run_in_executor(None, self.kill)
        return answer
