"""kazoo's test harness on a deployment: the one that ``FK_KAZOO_URL`` names, or else one in this process.

    from fk_kazoo.testing import KazooTestCase

    class MyTest(KazooTestCase):
        def test_something(self):
            self.client.create("/a")
            self.expire_session(threading.Event)

Each test has a chroot of its own in it. ``cluster`` has three "servers" that can be stopped: access points.
"""

from __future__ import annotations

import os
from typing import Any, Callable

from kazoo.testing import harness as _kazoo

from ..url import ENVIRONMENT_VARIABLE
from . import faults
from .cluster import Cluster, get_global_cluster
from .routed import KazooClient

DEPLOYMENT = "memory://kazoo-testing"


class KazooTestHarness(_kazoo.KazooTestHarness):
    """kazoo's KazooTestHarness, without servers."""

    client: KazooClient

    @property
    def cluster(self) -> Cluster:
        """The access points of the deployment."""
        return get_global_cluster()

    def setup_zookeeper(self, **client_options: Any) -> None:
        """As kazoo's."""
        os.environ.setdefault(ENVIRONMENT_VARIABLE, DEPLOYMENT)
        super().setup_zookeeper(**client_options)

    def expire_session(self, event_factory: Callable[[], Any]) -> None:
        """As kazoo's; the deployment expires the session."""
        faults.expire_session(self, event_factory)

    def lose_connection(self, event_factory: Callable[[], Any]) -> None:
        """As kazoo's; the client is cut off until it has noticed."""
        faults.lose_connection(self, event_factory)

    def _get_nonchroot_client(self) -> KazooClient:
        return self._made(KazooClient(self.servers))

    def _get_client(self, **client_options: Any) -> KazooClient:
        client_options.setdefault("timeout", self.DEFAULT_CLIENT_TIMEOUT)
        return self._made(KazooClient(self.hosts, **client_options))

    def _made(self, client: KazooClient) -> KazooClient:
        self._clients.append(client)
        return client


class KazooTestCase(KazooTestHarness):
    """kazoo's KazooTestCase, without servers."""

    def setUp(self) -> None:
        """Starts ``self.client``."""
        self.setup_zookeeper()

    def tearDown(self) -> None:
        """Stops every client."""
        self.teardown_zookeeper()
