"""After idle times: connections are kept, and one that somebody has closed costs a new one and nothing else."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import Any, Awaitable, Callable, List
from unittest import mock

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from fk_backend.errors import Unavailable, Unknown
from fk_backend.providers.aws import clients, handlers
from fk_backend.providers.aws.clients import Clients
from fk_backend.providers.aws.failures import read, wrote
from fk_backend.providers.aws.handlers import Functions

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}"
KEY = {"p": {"S": "p"}, "s": {"S": "s"}}


class Server:
    """Answers so many requests of each connection, and then closes it: at once, or when the next one was read."""

    def __init__(self, answers: int = 1, reset: bool = False) -> None:
        self.connections: List[asyncio.StreamWriter] = []
        self.requests = 0
        self._answers = answers
        self._reset = reset

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return "http://127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for one in self.connections:
            one.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            for _ in range(self._answers):
                await self._read(reader)
                writer.write(ANSWER)
                await writer.drain()
            if self._reset:
                await self._read(reader)
                now = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        self.requests += 1


def _with(server: Server, work: Callable[[Clients], Awaitable[Any]], of_function: bool = True) -> None:
    async def run() -> None:
        made = await Clients("us-east-1", await server.start(), of_function=of_function).open()
        try:
            await work(made)
        finally:
            await made.close()
            await server.stop()

    asyncio.run(run())


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "1")


def _get(client: Any) -> Any:
    return client.get_item(TableName="t", Key=KEY)


def test_a_function_has_one_pool_of_connections_and_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for longer than the library would by itself, which is 12 s, and they are probed while they are idle."""
    server = Server(answers=100)

    async def work(made: Clients) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time
        for later_s, client in ((0, made.dynamodb), (20, made.once), (200, made.dynamodb)):
            monkeypatch.setattr(loop, "time", lambda by=later_s: now() + by)
            await _get(client)
        await made.sqs.get_queue_url(QueueName="q")
        assert len(server.connections) == 1

    _with(server, work)
    made = clients._socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1)))
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    made.close()


def test_a_client_has_one_for_its_polls_and_one_for_the_rest() -> None:
    server = Server(answers=100)

    async def work(made: Clients) -> None:
        await _get(made.dynamodb)
        await _get(made.once)
        await made.sqs.get_queue_url(QueueName="q")
        assert len(server.connections) == 2

    _with(server, work, of_function=False)


def test_a_dead_connection_costs_milliseconds_where_it_may_be_tried_again() -> None:
    """Not half a second, which is what the library pauses for in the middle."""
    server = Server(reset=True)

    async def work(made: Clients) -> None:
        await _get(made.dynamodb)
        started = time.monotonic()
        for _ in range(8):
            await _get(made.dynamodb)
        assert time.monotonic() - started < 1.5 and server.requests == 17

    _with(server, work)


def test_what_was_sent_on_a_dead_connection_may_have_been_done() -> None:
    """The library tells it as if it could not connect."""
    server = Server(reset=True)

    async def work(made: Clients) -> None:
        await _get(made.once)
        with pytest.raises(Unknown):
            await wrote(_get(made.once))
        await server.stop()
        with pytest.raises(Unavailable):
            await wrote(_get(made.once))

    _with(server, work)


def test_what_was_closed_while_the_environment_stood_still_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but an invocation runs its event loop."""
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    closed.listen()

    loop = asyncio.new_event_loop()
    made = loop.run_until_complete(Clients("us-east-1", "http://127.0.0.1:%d" % closed.getsockname()[1], True).open())
    accepted: List[socket.socket] = []

    def serve() -> None:
        accepted.append(closed.accept()[0])
        head = b""
        while b"}}" not in head:
            head += accepted[-1].recv(65536)
        accepted[-1].sendall(ANSWER)

    async def once(_: Functions) -> Any:
        served = loop.run_in_executor(None, serve)
        answer = await read(_get(made.once))
        await served
        return answer

    monkeypatch.setattr(handlers, "_environment", [(loop, None)])
    try:
        handlers._run(once)
        accepted[0].close()
        assert handlers._run(once)["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert len(accepted) == 2
    finally:
        loop.run_until_complete(made.close())
        loop.close()
        for one in (closed, *accepted):
            one.close()


CUT = Unknown("cut")
CUT.__cause__ = ConnectionClosedError(endpoint_url="x")
SLOW = Unknown("slow")
SLOW.__cause__ = ReadTimeoutError(endpoint_url="x")
NOBODY = Unavailable("nobody")
NOBODY.__cause__ = EndpointConnectionError(endpoint_url="x")


@pytest.mark.parametrize(("error", "times"), [(CUT, 2), (SLOW, 1), (NOBODY, 1), (Unknown("whatever"), 1)], ids=str)
def test_only_a_connection_that_was_closed_is_worth_another_try_at_once(error: Exception, times: int) -> None:
    """Once: what fails again comes again when its time has come."""
    tried: List[int] = []

    async def work() -> None:
        tried.append(1)
        raise error

    async def check() -> None:
        with pytest.raises(type(error)):
            await handlers._again_if_cut_off(work)

    asyncio.run(check())
    assert len(tried) == times


def test_batches_and_ticks_are_done_again_at_once() -> None:
    record = {"messageId": "m", "body": "", "attributes": {"MessageGroupId": "ns", "ApproximateReceiveCount": "1"}}
    tick = {"messageId": "t", "body": "ns", "attributes": {"SentTimestamp": "1"}}
    service = mock.Mock(
        writer=mock.AsyncMock(side_effect=[CUT, None]),
        pulse=mock.AsyncMock(side_effect=[CUT, None]),
        orders=mock.AsyncMock(),
        queues=mock.AsyncMock(),
    )
    assert asyncio.run(Functions(service).writer([record])) == []
    assert asyncio.run(Functions(service).heartbeat([tick])) == []
    service.queues.try_again_soon.assert_not_awaited()
    service.queues.tick_again.assert_not_awaited()
