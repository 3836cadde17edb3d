"""The shipped client on a connection that tests can cut and delay."""

from __future__ import annotations

import random
from typing import Any, List, Set, Tuple, cast

from fk_backend.ports import Gateway

from .. import client as shipped
from .. import loop_thread
from ..channel import Channel
from ..connection import ConnectionHandler
from .cluster import CLUSTER, ClientLink

chroots: Set[str] = set()
"""Every chroot that a client had: what the tests have left behind is below them."""


class Route:
    """An opening as it is seen from one client through one access point. Stands in for a `loop_thread.Opening`."""

    def __init__(self, opening: loop_thread.Opening, host: str, port: int, client_link: ClientLink) -> None:
        self._opening = opening
        self._host = host
        self._port = port
        self._client_link = client_link

    async def gateway(self) -> Gateway:
        """The gateway at the end of the route. Unavailable if it leads nowhere."""
        server = CLUSTER.at(self._host, self._port)
        return self._client_link.through(server.through(await self._opening.gateway()))


class RoutedConnectionHandler(ConnectionHandler):
    """Dials the access point of a host instead of the deployment itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.client_link = ClientLink()
        """Where this client alone can be cut off."""

    def _expand_client_hosts(self) -> List[Tuple[str, str, int]]:
        hosts = [(host, host, port) for host, port in self.client.hosts]
        if self.client.randomize_hosts:
            random.shuffle(hosts)
        return hosts

    def _dial(self, host: str, port: int) -> Channel:
        if self._opening is None:
            self._opening = self._acquire()
        route = Route(self._opening, host, port, self.client_link)
        return Channel(cast(loop_thread.Opening, route), self.client.deployment.namespace)


class KazooClient(shipped.KazooClient):
    """The shipped client, of which each host is an access point, or a place where nothing answers."""

    def __init__(self, hosts: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(hosts, *args, **kwargs)
        self._connection = RoutedConnectionHandler(self, self._conn_retry.copy(), logger=self.logger)
        chroots.add(self.chroot)
