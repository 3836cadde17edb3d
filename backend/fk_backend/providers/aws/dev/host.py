"""All functions of a deployment, and what triggers them: what Lambda is on AWS.

Rule upheld here: everything runs in one event loop in a thread of its own, so that it can be used from anywhere; what
the host started has ended when `Host.stop` returns.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import shutil
import tempfile
import threading
import zipfile
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Coroutine, Dict, List, Optional, Sequence, Type, TypeVar

from ..template import template
from . import access
from .environment import Environment, InvocationFailed, Settings, Source
from .function import Function, Invocation
from .interface import Interface
from .mapping import Mapping
from .process import ProcessEnvironment, interpreter
from .reading import functions_in
from .resources import Account
from .thread import ThreadEnvironment

T = TypeVar("T")


def functions_of(account: Account, parameters: Optional[Dict[str, str]] = None) -> List[Settings]:
    """The functions of the account's deployment, as its template has them with these parameters."""
    return functions_in(template(account.name), account, parameters)


def ignore(*_: object) -> None:
    """An observer that does not care."""


class Host:
    """Runs functions. ``package`` is the zip that is deployed, or a directory that it was unpacked into; without it the
    handlers run in threads of this process (see `thread`), and the variables of the functions are set in it until
    `stop`.

    ``roles``: each function has the permissions of its deployed role, and so has what triggers it. ``observe`` is
    called after each invocation, ``log`` with each line that a function prints, ``trouble`` with what goes wrong with
    a queue; all of them in the host's thread.
    """

    def __init__(
        self,
        account: Account,
        functions: Sequence[Settings],
        package: Optional[Path] = None,
        *,
        observe: Callable[[Invocation], None] = ignore,
        log: Callable[[str, str], None] = ignore,
        trouble: Callable[[str], None] = ignore,
        roles: bool = False,
    ) -> None:
        self.functions: Dict[str, Function] = {}
        self.mappings: List[Mapping] = []
        self.url = ""
        """Of Lambda's interface, as far as clients use it: what AWS_ENDPOINT_URL_LAMBDA has to be."""
        self._interface = Interface(self.functions, account.endpoint_url)
        self._schedules: "List[asyncio.Future[None]]" = []
        self._account = account
        self._settings = functions
        self._package = package
        self._observe, self._log, self._trouble = observe, log, trouble
        self._roles = roles
        self._closing = AsyncExitStack()
        self._task: Optional[Path] = None
        self._variables: Dict[str, Optional[str]] = {}
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._thread = threading.Thread(target=self._run, name="lambda-host", daemon=True)

    def start(self) -> "Host":
        """Unpacks the package and begins to poll the queues; environments are started when they are needed."""
        if self._package is None:
            assert not self._roles, "threads have the process's credentials"
            self._set_variables()
        else:
            interpreter()  # made now if this is its first use, not while a client waits
            self._task = self._package if self._package.is_dir() else unpack(self._package)
        self._loop = asyncio.SelectorEventLoop()  # whatever else the process has for a policy of loops
        self._thread.start()
        self._call(self._start())
        return self

    def invoke(self, name: str, event: Any) -> Any:
        """Invokes a function by hand, as the schedule does. InvocationFailed."""
        return self._call(self.functions[name].invoke(event))

    def kill(self, name: str) -> int:
        """Kills the environments of a function that have an invocation now; how many."""

        async def kill() -> int:
            busy = list(self.functions[name].busy)
            for one in busy:
                one.kill()
            return len(busy)

        return self._call(kill())

    def stop_environments(self, name: str) -> None:
        """Ends every environment of a function, each after the invocation that it has: the next one starts cold."""
        self._call(self.functions[name].stop_environments())

    def stop(self, drain: bool = False) -> None:
        """Ends everything; with ``drain``, after what was received is done. See `Mapping.stop`."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        asyncio.run_coroutine_threadsafe(self._stop(drain), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()
        for key, value in self._variables.items():
            os.environ.pop(key, None) if value is None else os.environ.update({key: value})
        if self._task is not None and self._task != self._package:
            shutil.rmtree(self._task.parent, ignore_errors=True)

    async def _start(self) -> None:
        self.url = await self._interface.start()
        for settings in self._settings:
            variables = dict(self._account.environment)
            if self._roles:
                variables.update(access.of_function(self._account, settings.name))
            function = Function(settings, self._starter(settings, variables), self._observe)
            self.functions[settings.name] = function
            if settings.every_s:
                self._schedules.append(asyncio.ensure_future(self._run_every(settings, function)))
            if settings.sources:
                client = await self._closing.enter_async_context(_queue_client(variables))
                for source in settings.sources:
                    self._map(client, source, function)

    async def _run_every(self, settings: Settings, function: Function) -> None:
        """As a rule of EventBridge does."""
        while True:
            await asyncio.sleep(settings.every_s)
            try:
                await function.invoke(json.loads(settings.event))
            except InvocationFailed as error:
                self._trouble("%s: %s" % (settings.name, error))

    def _map(self, client: Any, source: Source, function: Function) -> None:
        url, arn = self._account.queue_url(source.queue), self._account.queue_arn(source.queue)
        mapping = Mapping(client, url, arn, source, function, self._trouble)
        self.mappings.append(mapping)
        mapping.start()

    def _starter(self, settings: Settings, variables: Dict[str, str]) -> Callable[[], Coroutine[Any, Any, Environment]]:
        package, arn = self._task, self._account.function_arn(settings.name)

        async def start() -> Environment:
            if package is None:
                return await ThreadEnvironment.start(settings, arn, self._log)
            return await ProcessEnvironment.start(settings, arn, package, variables, self._log)

        return start

    async def _stop(self, drain: bool) -> None:
        for schedule in self._schedules:
            schedule.cancel()
        await asyncio.gather(*(mapping.stop(drain) for mapping in self.mappings))
        await asyncio.gather(*(function.close() for function in self.functions.values()))
        await self._interface.close()
        await self._closing.aclose()

    def _set_variables(self) -> None:
        wanted = dict(self._account.environment)
        for settings in self._settings:
            wanted.update(settings.environment)
        self._variables = {key: os.environ.get(key) for key in wanted}
        os.environ.update(wanted)

    def _run(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work: "Coroutine[Any, Any, T]") -> T:
        assert self._loop is not None, "the host is not running"
        future: "concurrent.futures.Future[T]" = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()

    def __enter__(self) -> "Host":
        return self.start()

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()


def _queue_client(variables: Dict[str, str]) -> Any:
    from aiobotocore.session import get_session
    from botocore.config import Config

    return get_session().create_client(
        "sqs",
        region_name=variables["AWS_REGION"],
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=variables.get("AWS_SESSION_TOKEN"),
        config=Config(retries={"total_max_attempts": 3}, connect_timeout=5, read_timeout=30),
    )


def unpack(package: Path) -> Path:
    """The package's contents in a new directory, which is alone in another one, for what is compiled."""
    place = Path(tempfile.mkdtemp(prefix="fk-kazoo-lambda-")) / "task"
    with zipfile.ZipFile(str(package)) as archive:
        archive.extractall(str(place))
    return place
