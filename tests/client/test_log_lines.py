"""What a client logs names the deployment, and no ZooKeeper host that the app names and nothing connects to."""

from __future__ import annotations

import logging
from typing import List

import pytest

from fk_kazoo.client import KazooClient


@pytest.mark.parametrize("hosts", ["zk1:2181,zk2:2181/app", None])
def test_no_host_is_named(
    url: str, hosts: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FK_KAZOO_URL", url)
    caplog.set_level(1)
    zk = KazooClient(hosts)
    zk.start()
    peer = zk._connection._socket.getpeername()
    zk.stop()
    zk.close()
    said: List[str] = [record.getMessage() for record in caplog.records]
    place = url + ("/app" if hosts else "")
    assert "Connecting to %s" % place in said and "Closing connection to %s" % place in said
    assert not [one for one in said if "zk1" in one or "zk2" in one]
    assert peer[1] == (2181 if hosts else 0), "for who asks, it is what the app named"
    assert all(record.levelno < logging.WARNING for record in caplog.records)
