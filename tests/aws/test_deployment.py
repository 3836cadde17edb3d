"""A whole deployment on this machine: a client, the emulator, the functions."""

from __future__ import annotations

import threading

import pytest

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


def test_what_else_is_asked_of_lambda_is_passed_on(deployment: Deployment) -> None:
    """Whoever has the URL of the functions in AWS_ENDPOINT_URL_LAMBDA asks there for what was deployed, too."""
    passed_on = deployment.account.session().client("lambda", endpoint_url=deployment.host.url)
    there = deployment.account.client("lambda")
    assert passed_on.list_functions()["Functions"] == there.list_functions()["Functions"]
    with pytest.raises(passed_on.exceptions.ResourceNotFoundException):
        passed_on.get_function_configuration(FunctionName="none")
