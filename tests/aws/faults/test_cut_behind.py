"""What stands between clients and the emulator ends a connection where the emulator does, and makes up no answer."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from typing import Iterator

import pytest

from fk_backend.providers.aws.dev.interface import Interface

from .between import Executioner


@pytest.fixture()
def cutting() -> Iterator[str]:
    """The URL of a server that takes a request, and ends the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield "http://127.0.0.1:%d" % server.getsockname()[1]
        thread.join(10)


def _asked(url: str) -> None:
    host = url.rpartition("/")[2]
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("POST", "/", body=b"{}")
        answer = connection.getresponse()
        raise AssertionError("answered with %d" % answer.status)
    finally:
        connection.close()


def test_a_proxy_of_the_fault_matrix(cutting: str) -> None:
    proxy = Executioner(cutting).start()
    try:
        with pytest.raises(ConnectionError):
            _asked(proxy.url)
    finally:
        proxy.stop()


def test_the_hosts_interface(cutting: str) -> None:
    async def run() -> None:
        interface = Interface({}, cutting)
        url = await interface.start()
        try:
            with pytest.raises(ConnectionError):
                await asyncio.get_running_loop().run_in_executor(None, _asked, url)
        finally:
            await interface.close()

    asyncio.run(run())
