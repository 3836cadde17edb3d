"""Something between clients and Lambda's interface: real connections, on which one can meet with a misfortune.

Rule upheld here: what Lambda would have done is done by the host of functions, or not at all: only answers are made up.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any, Awaitable, Callable, Dict, List

from aiohttp import ClientSession, web

from .invoked import kind_of

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


class Between:
    """A server in front of another one. ``fate``: of the next invocation that asks for something of a kind."""

    def __init__(self, url: str) -> None:
        self.asked: List[str] = []
        """What was asked for, request by request: the names of their kinds."""
        self._fates: Dict[str, Fate] = {}
        self._behind = url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: Any = None
        self.url = ""

    def befall(self, kind: Any, fate: Fate) -> None:
        """Once."""
        self._fates[kind.__name__] = fate

    def start(self) -> "Between":
        """Listens."""
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
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._invoked)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return "http://127.0.0.1:%d" % self._runner.addresses[0][1]

    async def _invoked(self, request: Any) -> Any:
        body = await request.read()
        kind = kind_of(json.loads(body))
        self.asked.append(kind)

        async def pass_on() -> bytes:
            async with ClientSession() as session:
                async with session.post(self._behind + request.raw_path, data=body) as answer:
                    found: bytes = await answer.read()
                    return found

        return await self._fates.pop(kind, served)(request, pass_on)
