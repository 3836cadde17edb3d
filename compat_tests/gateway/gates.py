"""Three gateways in front of one deployment stand in for the three servers of kazoo's test cluster.

kazoo's own client connects to them over TCP. One that stops hangs up on its clients and refuses new ones; while fewer
than two of the three run, the one that is left can't reach the functions, and so takes no writes.
"""

from __future__ import annotations

import os
from typing import Any, Optional

from fk_kazoo import loop
from fk_kazoo.gateway.server import Server
from fk_kazoo.gateway.settings import Settings
from fk_kazoo.testing import cluster
from fk_kazoo.url import ENVIRONMENT_VARIABLE, parse


class Gate(cluster.Server):
    """A gateway, as kazoo's tests take it for a server."""

    _gateway: Optional[Server] = None

    def run(self) -> None:
        """Listens."""
        super().run()
        if self._gateway is None:
            cluster.in_loop(self._listen)

    def stop(self) -> None:
        """Hangs up, and listens no more."""
        if self._gateway is not None:
            cluster.in_loop(self._hang_up)
        super().stop()

    start = run
    destroy = terminate = reset = stop

    async def _listen(self) -> None:
        self._cable = cluster.Cable()  # kept: the tests' delay is on it
        url = parse(os.environ[ENVIRONMENT_VARIABLE])
        deployment: Any = await loop.current().acquire(url).gateway()
        seen = self._cable.through(self.passage.through(deployment))
        settings = Settings(str(url), url.namespace, self.host, self.client_port, frozenset("*"), 0, drain_s=0.5)
        self._gateway = Server(seen, settings)
        await self._gateway.start()

    async def _hang_up(self) -> None:
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            await gateway.drain()


class Gates(cluster.Cluster):
    """The gateways, as kazoo's tests take them for a cluster."""

    def __init__(self) -> None:
        super().__init__()
        self._servers = [Gate(self, cluster.FIRST_PORT + cluster.PORTS_APART * i) for i in range(cluster.SIZE)]

    def stop(self) -> None:
        """Hangs up on everybody. What is in the deployment stays in it."""
        for server in self:
            server.stop()

    terminate = reset = stop


GATES = Gates()


def get_global_cluster() -> Gates:
    """In place of kazoo's."""
    return GATES
