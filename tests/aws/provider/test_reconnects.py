"""One queue serves a client's connections to a session, and each connection gets what was sent to it alone.

Without an emulator: SQS is a dict of lists.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, Awaitable, Callable, Dict, List

import pytest
from botocore.exceptions import ClientError

from fk_backend.errors import Unavailable
from fk_backend.mac import shared_name
from fk_backend.ports import Pushed
from fk_backend.providers.aws import clients
from fk_backend.providers.aws.gateway import AwsGateway
from fk_backend.providers.aws.queues import NEW_S, Queues

NS, KEY = "ns", b"k" * 32


class Sqs:
    """Queues by URL; who polls waits until something comes, or the queue goes."""

    def __init__(self) -> None:
        self.queues: Dict[str, List[str]] = {}
        self.made: List[str] = []
        self.changed = asyncio.Event()

    async def create_queue(self, QueueName: str, **_: Any) -> Any:  # noqa: N803
        url = "http://queues/" + QueueName
        assert url not in self.made, "a name can't be used again for a minute"
        self.made.append(url)
        self.queues[url] = []
        return {"QueueUrl": url}

    async def delete_queue(self, QueueUrl: str) -> None:  # noqa: N803
        self.queues.pop(QueueUrl, None)
        self._change()

    async def send_message(self, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
        self._queue(QueueUrl).append(MessageBody)
        self._change()

    async def receive_message(self, QueueUrl: str, **_: Any) -> Any:  # noqa: N803
        while not self._queue(QueueUrl):
            await self.changed.wait()
        bodies = self.queues[QueueUrl]
        self.queues[QueueUrl] = []
        return {"Messages": [{"Body": body, "ReceiptHandle": "1"} for body in bodies]}

    async def delete_message_batch(self, **_: Any) -> None:
        """They are gone already."""

    def _queue(self, url: str) -> List[str]:
        if url not in self.queues:
            raise ClientError({"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue"}}, "ReceiveMessage")
        return self.queues[url]

    def _change(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Client:
    """A client that connects to one session, again and again."""

    def __init__(self, gateway: AwsGateway) -> None:
        self._gateway = gateway
        self._nonces = 0
        self.lost: List[str] = []

    async def connect(self) -> "tuple[str, List[bytes]]":
        """The new connection's inbox, and what it will hear."""
        heard: List[bytes] = []
        self._nonces += 1
        inbox = self._gateway.inbox(NS, KEY, self._nonces.to_bytes(4, "big"))
        await self._gateway.listen(inbox, heard.append, lambda why: self.lost.append(inbox))
        return inbox, heard


def _checked(check: Callable[[Sqs, AwsGateway, Client], Awaitable[None]]) -> None:
    async def run() -> None:
        sqs = Sqs()
        connections: Any = SimpleNamespace(sqs=sqs, tables=None, once=None, s3=None, region="r", close=_nothing)
        gateway = AwsGateway(connections, "test", Queues(connections, "test", "http://queues/"))
        try:
            await asyncio.wait_for(check(sqs, gateway, Client(gateway)), 10)
        finally:
            await gateway.close()

    asyncio.run(run())


async def _nothing() -> None:
    """A coroutine that does nothing."""


async def _until(true: Callable[[], Any]) -> None:
    while not true():
        await asyncio.sleep(0)


def test_one_queue_is_made_for_any_number_of_connections() -> None:
    async def check(sqs: Sqs, gateway: AwsGateway, client: Client) -> None:
        names = []
        for _ in range(4):
            inbox, heard = await client.connect()
            await gateway.queue.push([Pushed(inbox, b"opened")])
            await _until(lambda heard=heard: heard == [b"opened"])
            names.append(inbox)
            await gateway.unsubscribe(inbox, keep=True)
        assert len(sqs.made) == 1 and len(set(names)) == 4 and not client.lost
        await gateway.unsubscribe((await client.connect())[0], keep=False)
        assert not sqs.queues

    _checked(check)


def test_what_was_sent_to_the_connection_before_is_not_heard() -> None:
    """Its requests had the same numbers."""

    async def check(sqs: Sqs, gateway: AwsGateway, client: Client) -> None:
        former, unheard = await client.connect()
        await gateway.unsubscribe(former, keep=True)
        inbox, heard = await client.connect()
        await gateway.queue.push([Pushed(former, b"old")])
        await gateway.queue.push([Pushed(inbox, b"new")])
        await _until(lambda: heard)
        assert heard == [b"new"] and not unheard

    _checked(check)


def test_a_former_connection_that_says_goodbye_late_takes_nothing_along() -> None:
    async def check(sqs: Sqs, gateway: AwsGateway, client: Client) -> None:
        former, _ = await client.connect()
        await gateway.unsubscribe(former, keep=True)
        inbox, heard = await client.connect()
        await gateway.unsubscribe(former, keep=False)
        await gateway.queue.push([Pushed(inbox, b"x")])
        await _until(lambda: heard)

    _checked(check)


def test_a_queue_that_was_removed_is_not_gone_back_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else had taken the session over, and his writer removed it: its name is out of use for a minute."""

    async def check(sqs: Sqs, gateway: AwsGateway, client: Client) -> None:
        former, _ = await client.connect()
        monkeypatch.setattr(clients, "now_s", lambda: now_s + NEW_S + 1)
        await gateway.queue.drop(former)
        await _until(lambda: client.lost)
        await gateway.unsubscribe(former, keep=True)
        inbox, heard = await client.connect()
        await gateway.queue.push([Pushed(inbox, b"x")])
        await _until(lambda: heard)
        assert len(sqs.made) == 2 and shared_name(inbox) != shared_name(former)

    now_s = clients.now_s()
    _checked(check)


def test_who_stops_listening_and_needs_it_again_goes_on_with_the_queue() -> None:
    async def check(sqs: Sqs, gateway: AwsGateway, client: Client) -> None:
        inbox, heard = await client.connect()
        await gateway.unsubscribe(inbox, keep=True)
        again: List[bytes] = []
        await gateway.listen(inbox, again.append, client.lost.append)
        await gateway.queue.push([Pushed(inbox, b"x")])
        await _until(lambda: again)
        assert (again, heard, len(sqs.made)) == ([b"x"], [], 1) and not client.lost
        await gateway.unsubscribe(inbox, keep=False)
        assert not sqs.queues

    _checked(check)


def test_who_needs_no_queue_has_none_made_and_none_removed() -> None:
    async def check(sqs: Sqs, gateway: AwsGateway, client: Client) -> None:
        first = gateway.inbox(NS, KEY, b"0001")
        await gateway.unsubscribe(first, keep=True)
        second = gateway.inbox(NS, KEY, b"0002")
        assert first != second
        await gateway.unsubscribe(second, keep=False)
        assert not sqs.made and not sqs.queues and not gateway._polls and not gateway._last

    _checked(check)


def test_a_former_connection_takes_nothing_from_the_next_one() -> None:
    """It may be one that never listened, and asks for it after the client has connected again."""

    async def check(sqs: Sqs, gateway: AwsGateway, client: Client) -> None:
        former = gateway.inbox(NS, KEY, b"0001")
        inbox, heard = await client.connect()
        with pytest.raises(Unavailable):
            await gateway.listen(former, lambda body: None, client.lost.append)
        assert client.lost and "moved" in client.lost[0]
        await gateway.queue.push([Pushed(inbox, b"x")])
        await _until(lambda: heard)
        assert heard == [b"x"]

    _checked(check)


def test_two_clients_with_one_session_do_not_share_a_queue() -> None:
    """The first one goes on until the writer has the second one's word, and removes its queue."""

    async def check(sqs: Sqs, gateway: AwsGateway, client: Client) -> None:
        first, heard = await client.connect()
        second, _ = await client.connect()
        await gateway.queue.push([Pushed(first, b"x")])
        await _until(lambda: heard)
        assert len(sqs.made) == 2 and not client.lost and shared_name(first) != shared_name(second)

    _checked(check)


def test_another_session_has_a_queue_of_its_own() -> None:
    async def check(sqs: Sqs, gateway: AwsGateway, client: Client) -> None:
        await client.connect()
        inbox = gateway.inbox(NS, b"another key", bytes(4))
        await gateway.listen(inbox, lambda body: None, lambda why: None)
        assert len(sqs.made) == 2 and not client.lost
        await gateway.unsubscribe(inbox, keep=False)
        assert len(sqs.queues) == 1

    _checked(check)
