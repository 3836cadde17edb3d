"""kazoo's test harness on a deployment: the one that ``FK_KAZOO_URL`` names, or else one in this process.

    from fk_kazoo.testing import KazooTestCase

    class MyTest(KazooTestCase):
        def test_something(self):
            self.client.create("/a")
            self.expire_session(threading.Event)

Each test has a chroot of its own in it. ``cluster`` has three "servers" that can be stopped: access points. The
classes have what kazoo's have, and don't derive from them: kazoo 2.10 and later import ``jks`` and ``OpenSSL`` there.
"""

from __future__ import annotations

import logging
import os
import unittest
import uuid
from typing import Any, Callable, List

from kazoo.exceptions import KazooException

from ..url import ENVIRONMENT_VARIABLE
from . import faults
from .cluster import Cluster, get_global_cluster
from .routed import KazooClient

DEPLOYMENT = "memory://kazoo-testing"
_log = logging.getLogger(__name__)


class KazooTestHarness(unittest.TestCase):
    """kazoo's KazooTestHarness, without servers. By itself, or mixed in: `setup_zookeeper`, `teardown_zookeeper`."""

    DEFAULT_CLIENT_TIMEOUT = 15

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.client: KazooClient = None  # type: ignore[assignment] # who asks for it has set it up
        """A started client, between `setup_zookeeper` and `teardown_zookeeper`."""
        self.hosts = ""
        """Where it is connected: `servers`, and the test's own chroot."""
        self._clients: List[KazooClient] = []

    @property
    def cluster(self) -> Cluster:
        """The access points of the deployment."""
        return get_global_cluster()

    def log(self, level: int, msg: str, *args: Any, **kwargs: Any) -> None:
        """As kazoo's."""
        _log.log(level, msg, *args, **kwargs)

    @property
    def servers(self) -> str:
        """The access points, as kazoo's ``hosts``."""
        return ",".join(server.address for server in self.cluster)

    @property
    def secure_servers(self) -> str:
        """Where access points would be with TLS: nothing answers there."""
        return ",".join(server.secure_address for server in self.cluster)

    def setup_zookeeper(self, **client_options: Any) -> None:
        """Starts ``self.client``, a `KazooClient` with these options, in a chroot of its own."""
        os.environ.setdefault(ENVIRONMENT_VARIABLE, DEPLOYMENT)
        if not all(server.running for server in self.cluster):
            self.cluster.start()
        servers = self.secure_servers if client_options.get("use_ssl") else self.servers
        self.hosts = servers + "/kazootests" + uuid.uuid4().hex
        self.client = self._get_client(**client_options)
        self.client.start()
        self.client.ensure_path("/")

    def teardown_zookeeper(self) -> None:
        """Stops every client that was made by the harness."""
        while self._clients:
            client = self._clients.pop()
            try:
                client.stop()
            except KazooException:
                _log.exception("Failed stopping client %s", client)
            finally:
                client.close()
        self.client = None  # type: ignore[assignment] # as above

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
