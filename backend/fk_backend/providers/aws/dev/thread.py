"""An execution environment without a process: a thread of this one, for tests that don't need more.

Rule upheld here: the function can't tell, as long as it behaves: the module of its handler is a copy of its own, with
its own globals, and it is called by one thread only.

What differs from a process: everything else that it imports is shared, the variables are this process's (so nobody
knows of chains of requests), a timeout fails the invocation but can't end it, and nothing stands still between
invocations. If the module has a ``close()``,
it is called at the end (on AWS nothing is).
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import queue
import threading
import time
import traceback
import uuid
from typing import Any, Callable, Optional

from .environment import InvocationFailed, Log, Settings, timed_out


class Context:
    """What a handler gets as ``context``: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    function_version = "$LATEST"
    identity = None
    client_context = None

    def __init__(self, settings: Settings, function_arn: str) -> None:
        self.function_name = settings.name
        self.memory_limit_in_mb = str(settings.memory_mb)
        self.invoked_function_arn = function_arn
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = "/aws/lambda/" + settings.name
        self.log_stream_name = "local/[$LATEST]"
        self._deadline = time.time() + settings.timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Until the invocation is failed."""
        return max(0, int((self._deadline - time.time()) * 1000))


class ThreadEnvironment:
    """One thread of the function. Make it with `start`."""

    def __init__(self, settings: Settings, function_arn: str, log: Log) -> None:
        self._log = log
        self.broken = False
        self._settings = settings
        self._arn = function_arn
        self._work: "queue.SimpleQueue[Optional[Callable[[], None]]]" = queue.SimpleQueue()
        self._module: Any = None
        self._waiting: Optional["asyncio.Future[Any]"] = None
        self._thread = threading.Thread(target=self._run, name=settings.name, daemon=True)

    @classmethod
    async def start(cls, settings: Settings, arn: str, log: Log) -> "ThreadEnvironment":
        """Starts it and imports the function. InvocationFailed if it can't be imported."""
        self = cls(settings, arn, log)
        self._thread.start()
        try:
            await self._call(self._import)
        except BaseException:
            await self.close()
            raise
        return self

    async def invoke(self, event: bytes, chain: str = "", alias: str = "") -> bytes:
        """As `Environment.invoke`."""
        context = Context(self._settings, self._arn + (alias and ":" + alias))
        name = self._settings.handler.rpartition(".")[2]

        def call() -> bytes:
            return json.dumps(getattr(self._module, name)(json.loads(event), context)).encode()

        try:
            return await asyncio.wait_for(self._call(call), self._settings.timeout_s)
        except asyncio.TimeoutError:
            self.broken = True
            raise timed_out(self._settings.timeout_s) from None

    def kill(self) -> None:
        """Fails the invocation. What the thread still does is a zombie's: a thread can't be ended."""
        self.broken = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(InvocationFailed("Runtime.ExitError", "killed"))

    async def close(self) -> None:
        """Ends the thread, unless a killed invocation still has it."""

        def close() -> None:
            getattr(self._module, "close", lambda: None)()

        if not self.broken:
            try:
                await self._call(close)
            except InvocationFailed as failure:
                self._log(self._settings.name, "close: %s" % failure)
        self.broken = True
        self._work.put(None)

    def _import(self) -> None:
        name = self._settings.handler.rpartition(".")[0]
        importlib.import_module(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._module = module

    def _run(self) -> None:
        while True:
            work = self._work.get()
            if work is None:
                return
            work()

    async def _call(self, function: Callable[[], Any]) -> Any:
        """The function's result, called in the thread; what it raises as InvocationFailed."""
        loop = asyncio.get_running_loop()
        future: "asyncio.Future[Any]" = loop.create_future()

        def done(result: Any, error: Optional[InvocationFailed]) -> None:
            if not future.done():
                future.set_result(result) if error is None else future.set_exception(error)

        def work() -> None:
            result, error = None, None
            try:
                result = function()
            except BaseException as raised:
                self.broken = self.broken or not isinstance(raised, Exception)  # as if it had ended its process
                trace = traceback.format_tb(raised.__traceback__)
                told = {"errorType": type(raised).__name__, "errorMessage": str(raised), "stackTrace": trace}
                error = InvocationFailed(type(raised).__name__, str(raised), told)
            try:
                loop.call_soon_threadsafe(done, result, error)
            except RuntimeError:
                pass  # nobody waits any more: the host is gone

        self._waiting = future
        self._work.put(work)
        return await future
