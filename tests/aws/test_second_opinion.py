"""Our requests, as another implementation of AWS understands them: moto, written by others, from the same documents.

One client at a time: it runs each request by itself. Elsewhere all is seen through one emulator's eyes.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Awaitable, Callable, Iterator, List

import pytest

from fk_backend.core.model import Blob
from fk_backend.errors import Refused
from fk_backend.mac import TAG_BYTES
from fk_backend.messages import PING
from fk_backend.ports import Pushed
from fk_backend.providers.aws import names
from fk_backend.providers.aws.blobs import S3Blobs
from fk_backend.providers.aws.clients import Clients
from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.resources import Account
from fk_backend.providers.aws.queues import Queues, decoded
from fk_backend.testing.store_checks import StoreChecks

from .provider.test_store import OnDynamo

NUMBER = "123456789012"
"""The account of whoever asks moto."""
START_S = 120.0


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("moto.server", reason="pip install moto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place: Path = tmp_path_factory.mktemp("moto")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with open(place / "log", "wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        url, deadline = "http://127.0.0.1:%d" % port, time.monotonic() + START_S
        try:
            while not _answers(url):
                assert server.poll() is None and time.monotonic() < deadline, (place / "log").read_text()
                time.sleep(0.1)
            yield url
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/moto-api/", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def account(moto: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    urllib.request.urlopen(urllib.request.Request(moto + "/moto-api/reset", method="POST"), timeout=30).close()
    made = Account("test", NUMBER, moto)
    for key in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(key, raising=False)
    for key, value in made.environment.items():
        monkeypatch.setitem(os.environ, key, value)
    resources.create(made)
    return made


@pytest.mark.slow
@pytest.mark.usefixtures("account")
class TestStore(OnDynamo, StoreChecks):
    """Tables, conditions, transactions, queries."""

    concurrency = 1
    test_get_of_many_keys_in_many_partitions = test_purge_removes_what_an_owner_put = None
    """moto refuses more than 25 items in a TransactGetItems; DynamoDB API Reference, TransactGetItems: up to 100."""
    test_get_is_one_snapshot = None
    """It reads and writes at the same time, and moto's transactions are not isolated from each other."""


async def _with_queues(use: Callable[[Queues, Any], Awaitable[None]]) -> None:
    """``use`` gets the queues, and SQS as a function's event source asks it."""
    clients = await Clients().open()
    try:
        await use(await Queues.find(clients, "test"), clients.sqs)
    finally:
        await clients.close()


@pytest.mark.slow
@pytest.mark.usefixtures("account")
class TestQueues:
    """Groups, deduplication, inboxes, what is hidden and shown again."""

    def test_a_group_is_in_order_and_a_message_is_taken_once(self) -> None:
        async def use(queues: Queues, sqs: Any) -> None:
            for name in ("in-0", "in-1", "in-0"):
                await queues.send("ns", name, name.encode() + bytes(TAG_BYTES))
            url = queues.url(names.writes_queue("test"))
            got = await _taken(sqs, url)
            bodies = [base64.b64decode(record["Body"]) for record in got]
            assert bodies == [b"in-0" + bytes(TAG_BYTES), b"in-1" + bytes(TAG_BYTES)]
            assert [record["Attributes"]["MessageGroupId"] for record in got] == ["ns", "ns"]
            numbers = [int(record["Attributes"]["SequenceNumber"]) for record in got]
            assert len(set(numbers)) == 2  # it makes them up: they grow on AWS only
            assert not await _taken(sqs, url), "they are hidden"
            handles = [{"receiptHandle": record["ReceiptHandle"]} for record in got]
            await queues.try_again_soon(handles, 0)
            assert [record["Body"] for record in await _taken(sqs, url)] == [record["Body"] for record in got]

        asyncio.run(_with_queues(use))

    def test_inboxes(self) -> None:
        async def use(queues: Queues, sqs: Any) -> None:
            inbox, gone = "0" * 32, "1" * 32
            url = await queues.make(inbox)
            assert await queues.make(inbox) == url and await queues.inboxes() == [inbox]
            assert int(time.time()) - 60 <= (await queues.made_s(inbox) or 0) <= int(time.time()) + 1
            assert await queues.made_s(gone) is None
            await queues.push([Pushed(inbox, b"a"), Pushed(gone, b"b"), Pushed(inbox + "-1", b"c")])
            assert await queues.ping(inbox)
            got: List[Any] = []
            while len(got) < 3:
                got += await queues.receive(url)
            found = [[decoded(name, record["Body"]) for record in got] for name in (inbox, inbox + "-1")]
            assert sorted(filter(None, found[0])) == sorted([b"a", PING]) and b"c" in found[1]
            await queues.delete(url, got)
            tags = await sqs.list_queue_tags(QueueUrl=url)
            assert tags["Tags"] == names.tags("test")
            await queues.drop(inbox)
            await queues.drop(inbox)
            assert await queues.inboxes() == []

        asyncio.run(_with_queues(use))

    def test_the_heartbeat_is_woken(self) -> None:
        async def use(queues: Queues, sqs: Any) -> None:
            await queues.wake("ns")
            url = queues.url(names.timer_queue("test"))
            (record,) = await _taken(sqs, url)
            await queues.tick_again([({"receiptHandle": record["ReceiptHandle"]}, 0)])
            assert [again["Body"] for again in await _taken(sqs, url)] == ["ns"]

        asyncio.run(_with_queues(use))


async def _taken(sqs: Any, url: str) -> List[Any]:
    answer = await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    return list(answer.get("Messages", ()))


@pytest.mark.slow
@pytest.mark.usefixtures("account")
def test_objects() -> None:
    """Laid down, kept, read in part, listed by their age, removed."""

    async def use() -> None:
        clients = await Clients().open()
        try:
            blobs, large = S3Blobs(clients, names.bucket("test", NUMBER, clients.region)), os.urandom(300_000)
            with_uploads = await blobs.upload("ns", "one", large)
            kept = [await blobs.keep("ns", "two", with_uploads), await blobs.keep("ns", "three", large)]
            assert [await blobs.fetch(each) for each in kept] == [large, large]
            assert await blobs.fetch(Blob(kept[0].key, 1000)) == large[:1000]
            with pytest.raises(Refused):
                await blobs.keep("ns", "four", Blob(with_uploads.key + "x", with_uploads.size))
            assert sorted(await blobs.older_than(-60)) == sorted(each.key for each in kept)
            assert await blobs.older_than(3600) == []
            await blobs.remove([each.key for each in kept] * 2)
            assert [await blobs.fetch(each) for each in kept] == [None, None]
        finally:
            await clients.close()

    asyncio.run(use())
