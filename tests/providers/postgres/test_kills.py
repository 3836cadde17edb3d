"""What is answered stays answered: over kills of clients, writers and servers, and over a failover to a standby."""

from __future__ import annotations

import signal

import pytest

from compat_tests.on_postgres import CLIENT, DATABASE, PostgresServer
from fk_kazoo.client import KazooClient

from .kills import Setter, run


def _read(url: str, path: str) -> "tuple[bytes, int]":
    zk = KazooClient(url)
    zk.start(timeout=30)
    try:
        data, stat = zk.get(path)
        return data, stat.version
    finally:
        zk.stop()
        zk.close()


pytestmark = pytest.mark.slow


@pytest.mark.timeout(300)
def test_killed_processes_lose_nothing(server: PostgresServer) -> None:
    done = run(server, 6, seed=1)
    assert done["servers"] == 2 and done["clients"] == 4 and done["answered"] > 20


@pytest.mark.timeout(300)
def test_a_synchronous_standby_takes_over_without_losing_anything() -> None:
    """The primary is killed in the middle of writes; clients name both servers."""
    with PostgresServer() as primary, PostgresServer(primary=primary) as standby:
        primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.ask("SELECT pg_reload_conf()")
        hosts = "127.0.0.1:%d,127.0.0.1:%d" % (primary.port, standby.port)
        setter = Setter("postgresql://%s@%s/%s" % (CLIENT, hosts, DATABASE), "/set")
        try:
            for _ in range(20):
                setter.wait_for_more()
            primary.stop(signal.SIGKILL)
            standby.ask("SELECT pg_promote()")
            for _ in range(5):
                setter.wait_for_more()
        finally:
            setter.kill()
        setter.judge(*_read(standby.url, "/set"))
