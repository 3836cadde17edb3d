"""The zip that is deployed, run as Lambda runs it: in an interpreter that has nothing else, with each function's own
permissions.

The emulator enforces what the roles and the clients' policy allow, so that a permission that is missing shows here.
"""

from __future__ import annotations

import base64
import threading
import time
from typing import Any, Callable

from fk_backend.core.requests import Delete
from fk_backend.messages import Message, encode
from fk_backend.providers.aws import names
from fk_kazoo.client import KazooClient

from .conftest import Packaged


def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_a_client_with_the_clients_policy(packaged: Packaged) -> None:
    """Writes, reads, watches, ephemerals and the heartbeat that they need, data in the bucket, and the sweep."""
    told = threading.Event()
    zk = KazooClient(packaged.account.url)
    zk.start(timeout=60)
    try:
        zk.create("/a", b"1", ephemeral=True)
        assert zk.get("/a", watch=lambda event: told.set())[0] == b"1"
        zk.set("/a", b"2")
        assert told.wait(60)
        zk.create("/large", b"x" * 900_000)
        zk.set("/large", b"y" * 900_000)
        assert zk.get("/large")[0] == b"y" * 900_000
        zk.delete("/large")
        with zk.Lock("/lock"):
            zk.ensure_path("/b/c")
        assert zk.transaction().commit() == []
        _until(lambda: packaged.called(names.HEARTBEAT) >= 2)
        packaged.host.invoke(names.function("test", names.SWEEPER), {})
        assert zk.exists("/a") is not None
    finally:
        zk.stop()
        zk.close()
    packaged.check()


def test_dead_letters_are_kept(packaged: Packaged) -> None:
    """Of a sender who is not there any more."""
    name = names.function("test", names.DEAD_LETTER)
    body = encode(Message("0" * 32, 1, 1, (Delete("/a", -1),)))
    account = packaged.account
    queue, bucket = names.dead_queue("test"), names.bucket("test", account.number, account.region)
    sent = account.client("sqs").send_message(
        QueueUrl=account.queue_url(queue),
        MessageBody=base64.b64encode(body).decode(),
        MessageGroupId="ns",
        MessageDeduplicationId="m",
    )
    assert packaged.host.invoke(name, {"Records": []}) == {"kept": 1}
    assert packaged.host.invoke(name, {"Records": []}) == {"kept": 0}
    packaged.check()
    key = "dead/ns/" + sent["MessageId"]
    assert account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == body
