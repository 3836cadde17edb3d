import logging
import unittest
from collections.abc import Callable
from typing import Any

from kazoo.client import KazooClient

log: logging.Logger
CLUSTER: Any
CLUSTER_CONF: dict[str, Any] | None
CLUSTER_DEFAULTS: dict[str, Any]
MAX_INIT_TRIES: int

def get_global_cluster() -> Any: ...

class KazooTestHarness(unittest.TestCase):
    """A test case with a client: `setup_zookeeper` starts ``self.client``, `teardown_zookeeper` stops every client."""

    DEFAULT_CLIENT_TIMEOUT: int
    client: KazooClient
    """The client that `setup_zookeeper` started; None outside a test."""
    hosts: str
    _clients: list[Any]

    def __init__(self, *args: Any, **kw: Any) -> None: ...
    @property
    def cluster(self) -> Any:
        """The servers, which can be stopped and run again."""
    def log(self, level: int, msg: str, *args: object, **kwargs: Any) -> None: ...
    @property
    def servers(self) -> str:
        """Hosts, as a client takes them, without the test's chroot."""
    @property
    def secure_servers(self) -> str: ...
    def lose_connection(self, event_factory: Callable[[], Any]) -> None:
        """Has the client lose its connection and find it again. ``event_factory``: ``threading.Event``, or alike."""
    def expire_session(self, event_factory: Callable[[], Any]) -> None:
        """Has the client's session expire, and waits for the next. ``event_factory``: ``threading.Event``, or alike."""
    def setup_zookeeper(self, **client_options: Any) -> None:
        """Starts ``self.client`` in a chroot of its own. ``client_options``: as KazooClient takes them."""
    def teardown_zookeeper(self) -> None:
        """Stops every client."""
    def _get_nonchroot_client(self) -> KazooClient: ...
    def _get_client(self, **client_options: Any) -> KazooClient: ...

class KazooTestCase(KazooTestHarness):
    """A test case that starts ``self.client`` before each test, and stops every client after it."""

    def setUp(self) -> None: ...
    def tearDown(self) -> None: ...
    @classmethod
    def tearDownClass(cls) -> None: ...
