"""The body of a blob can fail after its headers were fine: who reads gets all of it, or an error that says try again.

The connection to S3 goes through a proxy that sends the headers as they are and as much of the body as a test allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import AsyncIterator, Callable, List, NamedTuple
from urllib.parse import urlsplit

import pytest

from fk_backend.errors import Unavailable
from fk_backend.providers.aws import names
from fk_backend.providers.aws.blobs import S3Blobs
from fk_backend.providers.aws.clients import Clients
from fk_kazoo.client import KazooClient

from ..conftest import Account, Deployment

DATA = bytes(range(256)) * 400
"""Large enough to be a blob."""


class Cut(NamedTuple):
    """What becomes of an answer to a GET: so much of the body, and then the connection ends, politely or not."""

    keep: Callable[[int], int]
    reset: bool = False


CUTS = {
    "no body": Cut(lambda size: 0),
    "a byte": Cut(lambda size: 1),
    "half": Cut(lambda size: size // 2),
    "all but a byte": Cut(lambda size: size - 1),
    "half, then reset": Cut(lambda size: size // 2, reset=True),
    "nothing, then reset": Cut(lambda size: 0, reset=True),
}


class Proxy:
    """Passes one request on for each connection; the next ``cuts`` answers to a GET are cut."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 80)
        self.cuts: List[Cut] = []
        self.cut = 0
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """On a port of its own."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._pass_on(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"expect: 100-continue" in head.lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"expect:", b"connection:"))]
        body = await reader.readexactly(_length(head))
        there, out = await asyncio.open_connection(*self._target)
        out.write(b"\r\n".join([*lines[:-2], b"Connection: close"]) + b"\r\n\r\n" + body)
        answer = await there.readuntil(b"\r\n\r\n")
        content = await there.readexactly(_length(answer))
        out.close()
        answer = answer[:-2] + b"Connection: close\r\n\r\n"
        if head.startswith(b"GET ") and self.cuts:
            cut = self.cuts.pop(0)
            self.cut += 1
            writer.write(answer + content[: cut.keep(len(content))])
            await writer.drain()
            if cut.reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            return
        writer.write(answer + content)
        await writer.drain()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


@pytest.mark.parametrize("cut", CUTS)
def test_a_blob_is_read_whole_or_not_at_all(aws_account: Account, monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    """And the next try has it."""

    async def check() -> None:
        async with Proxy(aws_account.endpoint_url).running() as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
            clients = await Clients().open()
            try:
                blobs = S3Blobs(clients, names.bucket(aws_account.name, aws_account.number, aws_account.region))
                blob = await blobs.upload("ns", "name", DATA)
                assert await blobs.fetch(blob) == DATA
                proxy.cuts = [CUTS[cut]] * 20
                with pytest.raises(Unavailable):
                    await blobs.fetch(blob)
                assert proxy.cut >= 1
                proxy.cuts = []
                assert await blobs.fetch(blob) == DATA
            finally:
                await clients.close()

    asyncio.run(check())


@pytest.mark.parametrize("cut", CUTS)
def test_a_client_reads_it_again(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    """The application gets the data, and its session stays."""
    with _in_a_thread(Proxy(deployment.account.endpoint_url)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        client = KazooClient("aws://" + deployment.account.name, timeout=60)  # the variables say where S3 is
        states: List[str] = []
        try:
            client.start(60)
            client.create("/large", DATA)
            client.add_listener(states.append)
            before = proxy.cut
            proxy.cuts = [CUTS[cut]]
            assert client.get("/large")[0] == DATA
            assert proxy.cut == before + 1 and states == []
        finally:
            client.stop()
            client.close()


@contextlib.contextmanager
def _in_a_thread(proxy: Proxy) -> "contextlib._GeneratorContextManager[Proxy]":
    started, enough = threading.Event(), asyncio.Event
    loop = asyncio.new_event_loop()
    over = []

    async def run() -> None:
        over.append(enough())
        async with proxy.running():
            started.set()
            await over[0].wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(over[0].set)
        thread.join(30)
        loop.close()
