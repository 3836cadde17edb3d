"""The gateway as a process: opens the deployment, says where it listens, and drains when it is told to end."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal

from fk_backend.providers import provider
from fk_kazoo.url import DeploymentUrl

from .server import Server
from .settings import Settings

log = logging.getLogger(__name__)


async def serve(url: DeploymentUrl, settings: Settings) -> signal.Signals:
    """Until SIGTERM or SIGINT: which one came. DeploymentError, BackendError if it can't be opened; OSError."""
    _allow_files()
    loop = asyncio.get_running_loop()
    told: "asyncio.Queue[signal.Signals]" = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.put_nowait, number)
    place = provider(url.scheme)
    options = {**url.settings(), "namespace": url.namespace}
    place.check(url.deployment, options)
    gateway = await place.connect(url.deployment, options)
    try:
        server = Server(gateway, settings)
        await server.start()
        for front in server.frontends:
            print("fk-kazoo serve: %s on %s:%d" % (front.settings.url, front.settings.host, front.port), flush=True)
        ended_by = await told.get()
        log.info("draining")
        await server.drain()
        return ended_by
    finally:
        await gateway.close()


def _allow_files() -> None:
    """As many as this process may allow itself: each client takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as error:  # some systems say "any number" and do not mean it
        log.info("the number of open files stays as it is: %s", error)
