"""An execution environment as on AWS: awslambdaric, AWS's own runtime, in an interpreter that has nothing else.

Rule upheld here: the function sees what it sees on AWS: its package as the current directory, Lambda's variables and no
others, and a standstill between two invocations, in which nothing that it left running goes on.

What AWS's own image has besides is boto3 and botocore, in whatever release AWS puts there. Here they are absent, so
that a package that relies on them fails.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from . import venvs
from .environment import InvocationFailed, Log, Settings, timed_out
from .runtime import RuntimeApi

REQUIREMENT = "awslambdaric>=2,<5"
INIT_TIMEOUT_S = 10.0
"""What a function does before its handler is called; on AWS it is begun anew then, in the time of the invocation."""
LINE_LIMIT = 1 << 20

# A process group of its own, which a terminal's Ctrl-C does not reach; but not a session of its own: when a host is
# killed, the kernel hangs up on a group that stands still only if it is of the host's session.
_GROUP: Dict[str, Any] = {"process_group": 0} if sys.version_info >= (3, 11) else {"preexec_fn": os.setpgrp}


def interpreter() -> Path:
    """The bare interpreter, made on first use."""
    return venvs.interpreter("lambda-runtime-%d.%d" % sys.version_info[:2], REQUIREMENT)


def lambda_variables(settings: Settings, package: Path, variables: Mapping[str, str]) -> Dict[str, str]:
    """The function's whole environment; ``variables`` are the account's."""
    release = "%d.%d" % sys.version_info[:2]
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        **variables,
        **dict(settings.environment),
        "_HANDLER": settings.handler,
        "LAMBDA_TASK_ROOT": str(package),
        "AWS_EXECUTION_ENV": "AWS_Lambda_python" + release,
        "AWS_LAMBDA_FUNCTION_NAME": settings.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/" + settings.name,
        "AWS_LAMBDA_LOG_STREAM_NAME": "local/[$LATEST]" + uuid.uuid4().hex,
    }


class ProcessEnvironment:
    """One process of the function. Make it with `start`."""

    def __init__(self, settings: Settings, api: RuntimeApi, process: asyncio.subprocess.Process, log: Log) -> None:
        self._settings = settings
        self._api = api
        self._process = process
        self._log = log
        self._reading = asyncio.ensure_future(self._read())
        self._exit: "asyncio.Task[int]" = asyncio.ensure_future(process.wait())
        self._ended = False
        api.on_idle = lambda: self._signal(signal.SIGSTOP)

    @classmethod
    async def start(
        cls, settings: Settings, arn: str, package: Path, variables: Mapping[str, str], log: Log
    ) -> "ProcessEnvironment":
        """Starts it and waits until the function is imported. InvocationFailed if it can't be."""
        api = RuntimeApi(arn)
        environment = lambda_variables(settings, package, variables)
        environment["AWS_LAMBDA_RUNTIME_API"] = await api.start()
        if not (package / "__pycache__").is_dir() and not (package / "fk_backend" / "__pycache__").is_dir():
            # /var/task can't be written to; what is compiled is kept beside the package instead of not at all.
            environment["PYTHONPYCACHEPREFIX"] = str(package) + ".pycache"
        process = await asyncio.create_subprocess_exec(
            str(interpreter()),
            "-m",
            "awslambdaric",
            settings.handler,
            cwd=str(package),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **_GROUP,
            limit=LINE_LIMIT,
        )
        self = cls(settings, api, process, log)
        try:
            await self._until(api.initialised, INIT_TIMEOUT_S + settings.timeout_s, "during the init phase")
        except BaseException:
            await self.close()
            raise
        return self

    @property
    def broken(self) -> bool:
        """Whether it can be invoked no more."""
        return self._ended or self._exit.done()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    async def invoke(self, event: bytes, chain: str = "", alias: str = "") -> bytes:
        """As `Environment.invoke`."""
        request_id = str(uuid.uuid4())
        result = self._api.offer(request_id, event, self._settings.timeout_s, chain, alias)
        self._signal(signal.SIGCONT)
        answer: bytes = await self._until(result, self._settings.timeout_s, "RequestId: %s" % request_id)
        return answer

    async def _until(self, result: "asyncio.Future[Any]", timeout_s: float, when: str) -> Any:
        done, _ = await asyncio.wait([result, self._exit], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if result in done:
            return result.result()
        result.cancel()
        if self._exit in done:
            status = self._exit.result()
            how = "signal: %s" % signal.Signals(-status).name if status < 0 else "exit status %d" % status
            raise InvocationFailed("Runtime.ExitError", "%s Error: Runtime exited with error: %s" % (when, how))
        self.kill()
        raise timed_out(timeout_s)

    async def _read(self) -> None:
        output: Optional[asyncio.StreamReader] = self._process.stdout
        assert output is not None
        try:
            async for line in output:
                self._log(self._settings.name, line.decode(errors="replace").rstrip())
        except ValueError:
            self._log(self._settings.name, "(a line of more than %d bytes; what follows is not read)" % LINE_LIMIT)

    def _signal(self, number: int) -> None:
        if not self._exit.done():
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """SIGKILL, to whatever it has started as well."""
        self._ended = True
        self._signal(signal.SIGKILL)

    async def close(self) -> None:
        """Ends the process, and waits until it has."""
        self.kill()
        await self._exit
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._api.close()
