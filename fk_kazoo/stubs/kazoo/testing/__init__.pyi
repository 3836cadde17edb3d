from kazoo.testing.harness import KazooTestCase as KazooTestCase
from kazoo.testing.harness import KazooTestHarness as KazooTestHarness

__all__ = ("KazooTestHarness", "KazooTestCase")
