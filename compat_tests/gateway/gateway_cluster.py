"""Three gateways in front of one deployment stand in for the three servers of kazoo's test cluster.

kazoo's own client connects to them over TCP. One that stops hangs up on its clients and refuses new ones; while fewer
than two of the three run, the one that is left can't reach the functions, and so takes no writes.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Tuple

from fk_kazoo import loop_thread
from fk_kazoo.gateway.server import Server
from fk_kazoo.gateway.settings import Settings
from fk_kazoo.testing import cluster
from fk_kazoo.url import ENVIRONMENT_VARIABLE, parse
from tests.gateway.test_tls import signed

BEGIN = b"-----BEGIN CERTIFICATE-----"


class GatewayServer(cluster.Server):
    """A gateway, as kazoo's tests take it for a server."""

    _gateways: Tuple[Server, ...] = ()

    def run(self) -> None:
        """Listens."""
        super().run()
        if not self._gateways:
            cluster.in_loop(self._listen)

    def stop(self) -> None:
        """Hangs up, and listens no more."""
        if self._gateways:
            cluster.in_loop(self._hang_up)
        super().stop()

    start = run
    destroy = terminate = reset = stop

    async def _listen(self) -> None:
        self._client_link = cluster.ClientLink()  # kept: the tests' delay is on it
        url = parse(os.environ[ENVIRONMENT_VARIABLE])
        deployment: Any = await loop_thread.current().acquire(url).gateway()
        seen = self._client_link.through(self.access_point.through(deployment))
        settings = Settings(str(url), url.namespace, self.host, self.client_port, frozenset("*"), 0, drain_s=0.5)
        secure = settings._replace(port=self.secure_client_port, tls=CLUSTER.tls())
        self._gateways = (Server(seen, settings), Server(seen, secure))
        for each in self._gateways:
            await each.start()

    async def _hang_up(self) -> None:
        gateways, self._gateways = self._gateways, ()
        for each in gateways:
            await each.drain()


class GatewayCluster(cluster.Cluster):
    """The gateways, as kazoo's tests take them for a cluster."""

    def __init__(self) -> None:
        super().__init__()
        self._servers = [GatewayServer(self, cluster.FIRST_PORT + cluster.PORT_STRIDE * i) for i in range(cluster.SIZE)]

    @lru_cache(maxsize=1)  # noqa: B019 (there is one, for the life of the process)
    def _certificates(self) -> Dict[str, bytes]:
        """Of an authority, and of a server and a client that it knows: name → key and certificate, PEM."""
        with tempfile.TemporaryDirectory() as place:
            authority = signed(Path(place), "authority", None)
            for name in ("server", "client"):
                signed(Path(place), name, authority)
            return {name: Path(place, name).read_bytes() for name in ("authority", "server", "client")}

    def tls(self) -> ssl.SSLContext:
        """What the gateways speak on their secure ports: to clients with a certificate."""
        made = self._certificates()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(made["server"])
            file.flush()
            context.load_cert_chain(file.name)
        context.load_verify_locations(cadata=made["authority"][made["authority"].index(BEGIN) :].decode())
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def get_ssl_client_configuration(self) -> Dict[str, bytes]:
        """As kazoo's cluster: the client's key and certificate, and the authority's certificate."""
        made = self._certificates()
        at = made["authority"].index(BEGIN)
        return {"client_key": made["client"], "client_cert": made["client"], "ca_cert": made["authority"][at:]}

    def stop(self) -> None:
        """Hangs up on everybody. What is in the deployment stays in it."""
        for server in self:
            server.stop()

    terminate = reset = stop


CLUSTER = GatewayCluster()


def get_global_cluster() -> GatewayCluster:
    """In place of kazoo's."""
    return CLUSTER
