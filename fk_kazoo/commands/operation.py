"""What ``backup`` and ``restore`` have in common: which deployment, how they speak, and how they fail.

Rule upheld here: importing this module imports nothing but argparse and what every command needs. Results go to
standard output, everything else to standard error; a failure is one line and an exit code of `code_of`.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Callable, Coroutine, TypeVar

if TYPE_CHECKING:
    from fk_backend.ports import AdminPorts
    from fk_kazoo.url import DeploymentUrl

T = TypeVar("T")

FAILED, USAGE, NOT_FOUND, REFUSED, INTERRUPTED, ENDED = 1, 2, 3, 4, 130, 143
PROGRESS_EVERY_S = 5.0


def parsed(text: str) -> "DeploymentUrl":
    """The deployment. BadUrl also where a part of it is named: what is done is done to all of it."""
    from fk_backend.errors import BadUrl
    from fk_kazoo.url import DEFAULT_NAMESPACE, parse

    url = parse(text)
    if url.chroot or url.namespace != DEFAULT_NAMESPACE:
        raise BadUrl("%s: name the deployment alone, without a path or a namespace" % text)
    return url


async def administered(url: "DeploymentUrl", make: bool) -> "AdminPorts":
    """The deployment, which may be made if there is none, where that is all that it takes. DeploymentError."""
    from fk_backend.providers import provider

    deployment: AdminPorts = await provider(url.scheme).administer(url.deployment, url.settings(), make)
    return deployment


class Ended(Exception):
    """SIGTERM came: what had begun was tidied up."""


def waited_for(work: Coroutine[Any, Any, T]) -> T:
    """What it returns. Ended by SIGTERM as by Ctrl-C: it tidies up."""
    import asyncio
    import signal

    ended = []

    async def main() -> T:
        task = asyncio.ensure_future(work)

        def end() -> None:
            ended.append(True)
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        try:
            return await task
        except asyncio.CancelledError:
            if ended:
                raise Ended from None
            raise

    return asyncio.run(main())


def run(command: str, url: str, work: Callable[[], int]) -> int:
    """The exit code of ``work``. Its errors become one line on standard error."""
    from fk_backend.errors import BackendError

    try:
        return work()
    except BackendError as error:
        return print_error(command, str(error), code_of(error))
    except OSError as error:
        return print_error(command, "%s: %s" % (error.filename or url, error.strerror or error), code_of(error))
    except ModuleNotFoundError as error:
        if error.name == "asyncpg":
            return print_error(command, "%s is missing: pip install 'fk_kazoo[postgres]'" % error.name)
        if error.name not in ("boto3", "botocore", "aiobotocore"):
            raise
        return print_error(command, "%s is missing: pip install 'fk_kazoo[aws]'" % error.name)
    except Ended:
        return print_error(command, "ended by SIGTERM", ENDED)
    except KeyboardInterrupt:
        return print_error(command, "interrupted", INTERRUPTED)


def code_of(error: BaseException) -> int:
    """The exit code for one of our errors, or of the operating system's."""
    from fk_backend import errors

    if isinstance(error, errors.WrongUsage):
        return USAGE
    if isinstance(error, (errors.NotFound, FileNotFoundError)):
        return NOT_FOUND
    if isinstance(error, errors.StorageFull):
        return FAILED
    if isinstance(error, (errors.Refused, errors.NotAllowed, errors.NoPermission, PermissionError, FileExistsError)):
        return REFUSED
    return FAILED


def print_error(command: str, text: str, code: int = FAILED) -> int:
    """Says it in one line; the exit code."""
    print("fk-kazoo %s: %s" % (command, " ".join(text.split())), file=sys.stderr)
    return code


class ProgressReporter:
    """How far it is, on standard error: now and then, so that a short one says nothing."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last_s = time.monotonic()
        self._started_s = self._last_s

    def __call__(self, ns: str, count: int) -> None:
        """So many nodes of that namespace are done."""
        now = time.monotonic()
        if now - self._last_s >= PROGRESS_EVERY_S:
            self._last_s = now
            print(
                "namespace %s: %d nodes %s, %.0f s" % (ns, count, self._what, now - self._started_s),
                file=sys.stderr,
                flush=True,
            )
