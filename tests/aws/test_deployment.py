"""A whole deployment on this machine: a client, the emulator, the functions."""

from __future__ import annotations

import threading

from fk_backend.providers.aws import names
from fk_kazoo.client import KazooClient

from .conftest import Deployment


def test_a_client_writes_reads_and_is_told(deployment: Deployment) -> None:
    told = threading.Event()
    zk = KazooClient(deployment.url)
    zk.start()
    try:
        assert zk.create("/a", b"1", ephemeral=True) == "/a"
        assert zk.get("/a", watch=lambda event: told.set())[0] == b"1"
        zk.set("/a", b"2")
        assert told.wait(30)
        assert "a" in zk.get_children("/")
    finally:
        zk.stop()
        zk.close()
    called = {one.function for one in deployment.invocations if one.error is None}
    assert names.function("test", names.WRITER) in called
    assert all(one.error is None for one in deployment.invocations)
