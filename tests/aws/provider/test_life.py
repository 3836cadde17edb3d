"""Sessions, leftovers and large data of a deployment on the emulator, in real time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from typing import Any, Callable, List

import pytest
from kazoo.protocol.states import KazooState

from fk_backend import layout
from fk_backend.core.requests import Open
from fk_backend.mac import shared_name
from fk_backend.messages import Message, encode, message_id
from fk_backend.ports import INTEREST, SESSIONS, STATE, Remove
from fk_backend.providers.aws import names, sweep
from fk_backend.providers.aws.blobs import INLINE_BYTES, S3Blobs
from fk_backend.providers.aws.clients import Clients
from fk_backend.providers.aws.queues import Queues
from fk_backend.providers.aws.store import DynamoStore
from fk_backend.providers.aws.ticks import TICK_S, Orders
from fk_kazoo.exceptions import (
    PathTooLongError,
    RequestDeadLetteredError,
    TransactionTooLargeError,
)
from tests.service.processes import eventually

from ..conftest import Deployment

Connect = Callable[..., Any]
PATIENCE_S = 15
"""For what has no bound but the emulator's and this machine's speed."""
NS = "default"


def _objects(deployment: Deployment, prefix: str = "data/") -> List[str]:
    account = deployment.account
    bucket = names.bucket(account.name, account.number, account.region)
    answer = account.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [row["Key"] for row in answer.get("Contents", ())]


def _inboxes(deployment: Deployment) -> List[str]:
    answer = deployment.account.client("sqs").list_queues(QueueNamePrefix=names.inbox_prefix(deployment.account.name))
    return list(answer.get("QueueUrls", ()))


def _inside(work: Callable[[DynamoStore, Queues, S3Blobs], Any]) -> Any:
    """Runs something with a function's permissions."""

    async def run() -> Any:
        clients = await Clients().open()
        try:
            queues = await Queues.find(clients, "test")
            blobs = S3Blobs(clients, names.bucket("test", queues.account, clients.region))
            return await work(DynamoStore(clients, "test"), queues, blobs)
        finally:
            await clients.close()

    return asyncio.run(run())


def _sweep(young_s: float = 0.0) -> sweep.Swept:
    async def work(store: DynamoStore, queues: Queues, blobs: S3Blobs) -> sweep.Swept:
        return await sweep.Sweep(store, queues, blobs, Orders(store), young_s)()

    swept: sweep.Swept = _inside(work)
    return swept


# --- sessions -------------------------------------------------------------------------------------


OWNER = """
import sys, time
from fk_kazoo.client import KazooClient
client = KazooClient(sys.argv[1], timeout=4.0)
client.start(timeout=20)
client.create("/e", ephemeral=True)
print("created", flush=True)
time.sleep(600)
"""


def test_an_ephemeral_goes_when_its_client_is_killed(connect: Connect, deployment: Deployment) -> None:
    """Not before the timeout, counted from its last beat, and soon after it: by the clock of this machine."""
    other = connect()
    owner = subprocess.Popen([sys.executable, "-c", OWNER, deployment.url], stdout=subprocess.PIPE)
    assert owner.stdout is not None and owner.stdout.readline() == b"created\n"
    owner.stdout.close()
    gone = threading.Event()
    assert other.exists("/e", watch=lambda event: gone.set())
    owner.kill()
    owner.wait()
    time_of_death = time.monotonic()
    assert gone.wait(4.0 + 2 * TICK_S + PATIENCE_S)
    assert time.monotonic() - time_of_death > 4.0 * 2 / 3 - 0.5, "its last beat was a third of the timeout old at most"
    assert other.exists("/e") is None


def test_a_session_that_owns_an_ephemeral_lives_on_as_long_as_its_client(connect: Connect) -> None:
    """Also through several timeouts; and its heartbeat rests when it is closed."""
    owner, other = connect(timeout=2.0), connect()
    owner.create("/e", ephemeral=True)
    stat = other.exists("/e")
    told: List[Any] = []
    other.exists("/e", watch=told.append)
    for _ in range(4):
        owner.handler.sleep_func(1.0)
        assert other.exists("/e") == stat and not told
    owner.stop()
    eventually(lambda: bool(told), "its node goes with it")

    async def ticking(store: DynamoStore, queues: Queues, blobs: S3Blobs) -> int:
        (head,) = await store.get([layout.head_key(NS)])
        assert head is not None
        return layout.head_of(head).ticking

    eventually(lambda: _inside(ticking) == 0, "the heartbeat rests", timeout=8 * TICK_S + 10)


def test_nothing_is_left_of_a_session_that_was_closed(connect: Connect, deployment: Deployment) -> None:
    client = connect()
    client.create("/e", ephemeral=True)
    client.get("/e", watch=lambda event: None)
    client.exists("/other", watch=lambda event: None)
    client.stop()
    client.close()
    eventually(lambda: not _inboxes(deployment), "its inbox is removed")

    async def left(store: DynamoStore, queues: Queues, blobs: S3Blobs) -> List[Any]:
        rows = [*await store.scan(INTEREST), *await store.scan(SESSIONS)]
        return [key for key, _ in rows if key.sort != layout.MEMORY]

    eventually(lambda: not _inside(left), "and everything that it registered")


def test_who_can_not_write_to_a_namespace_gets_no_session_there(deployment: Deployment) -> None:
    """SQS takes a message for any group; the proof is an item that only the namespace's clients can write."""

    async def ask(store: DynamoStore, queues: Queues, blobs: S3Blobs) -> int:
        inbox = "ab" * 16
        await queues.send(NS, message_id(inbox, 0), encode(Message(inbox, 0, 0, (Open(b"x", 4000, inbox, None),))))
        return 0

    _inside(ask)
    eventually(lambda: len(deployment.invocations) > 0, "the writer was asked")

    async def sessions(store: DynamoStore, queues: Queues, blobs: S3Blobs) -> int:
        return len(await store.scan(SESSIONS))

    assert _inside(sessions) == 0


# --- large data -----------------------------------------------------------------------------------


def test_large_data_come_back_and_are_collected(connect: Connect, deployment: Deployment) -> None:
    client = connect()
    large, other = (bytes(range(256)) * 4096)[:-1000], b"x" * (INLINE_BYTES + 1)
    client.create("/large", large)
    assert client.get("/large")[0] == large and client.get("/large")[1].dataLength == len(large)
    assert len(_objects(deployment)) == 1
    client.set("/large", other)
    assert client.get("/large")[0] == other and len(_objects(deployment)) == 1
    client.set("/large", b"small")
    assert client.get("/large")[0] == b"small" and _objects(deployment) == []
    transaction = client.transaction()
    transaction.create("/one", large[: 1 << 19])
    transaction.create("/two", other)
    assert transaction.commit() == ["/one", "/two"]
    assert client.get("/one")[0] == large[: 1 << 19] and len(_objects(deployment)) == 2
    client.delete("/one")
    client.delete("/two")
    assert _objects(deployment) == []


def test_what_a_crash_has_left_is_swept_and_nothing_else(connect: Connect, deployment: Deployment) -> None:
    client = connect()
    client.create("/large", b"x" * (INLINE_BYTES + 1))
    client.get("/large", watch=lambda event: None)
    (kept,) = _objects(deployment)

    async def litter(store: DynamoStore, queues: Queues, blobs: S3Blobs) -> None:
        await blobs.keep(NS, "orphan", b"x")
        await queues.make("cd" * 16)

    _inside(litter)
    assert _sweep(young_s=3600.0)[:3] == (0, 0, 0), "what is young may be about to belong to something"
    swept = _sweep()
    assert (swept.inboxes, swept.blobs, swept.sessions) == (1, 1, 0)
    assert _objects(deployment) == [kept] and len(_inboxes(deployment)) == 1
    assert client.get("/large")[0] == b"x" * (INLINE_BYTES + 1)


def test_who_holds_something_is_listed_by_the_sweep_and_counters_of_nobody_go(connect: Connect) -> None:
    """Versions before listed nobody; and a client may beat once more when its session is over."""
    client = connect()
    client.create("/e", ephemeral=True)
    session = client.client_id[0]
    holder, nobody = layout.holder_key(NS, session), layout.beat_key(NS, 7)

    async def litter(store: DynamoStore, queues: Queues, blobs: S3Blobs) -> None:
        await store.commit([Remove(holder)])
        await store.increment(nobody, 2)

    async def left(store: DynamoStore, queues: Queues, blobs: S3Blobs) -> List[bool]:
        return [(await store.get([key]))[0] is not None for key in (holder, nobody, layout.beat_key(NS, session))]

    _inside(litter)
    assert _inside(left) == [False, True, True]
    assert _sweep(young_s=3600.0).sessions == 0
    assert _inside(left) == [True, False, True]


def test_a_client_that_never_came_back_is_swept(connect: Connect, deployment: Deployment) -> None:
    """It owned nothing, so nobody has missed it: the first sweep asks for a beat, the next one finds none."""
    dead, live = connect(), connect()
    dead.get("/", watch=lambda event: None)
    _silence_poll(dead)
    assert _sweep().sessions == 0
    eventually(lambda: _sweep().sessions == 1, "it is told to end", timeout=20)

    async def sessions(store: DynamoStore, queues: Queues, blobs: S3Blobs) -> int:
        return len([key for key, _ in await store.scan(SESSIONS) if key.partition.endswith(":sessions")])

    eventually(lambda: _inside(sessions) == 1, "and only the other one is left")
    assert live.exists("/") and live.state == KazooState.CONNECTED


def _silence_poll(client: Any) -> None:
    """As if its process had been killed, also what it receives."""
    session = client._connection._channel._session
    poll = session._gateway._polls[shared_name(session.inbox)]
    poll._task.get_loop().call_soon_threadsafe(poll._task.cancel)


# --- what can't be written ------------------------------------------------------------------------


def test_a_poison_message_is_set_aside_and_its_client_told(
    connect: Connect, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its receives are used up; what comes after it in the namespace is written then."""
    from fk_backend.writer import step

    applied = step.apply

    def apply(snapshot: Any, calls: Any, now_ms: int) -> Any:
        if any(getattr(call.request, "path", "") == "/poison" for call in calls):
            raise RuntimeError("a bug met with this very input")
        return applied(snapshot, calls, now_ms)

    client, neighbour = connect(), connect()
    monkeypatch.setattr(step, "apply", apply)
    poison, after = client.create_async("/poison"), neighbour.create_async("/after")
    with pytest.raises(RequestDeadLetteredError):
        poison.get(timeout=100)
    assert after.get(timeout=100) == "/after"
    eventually(lambda: bool(_objects(deployment, "dead/")), "it is kept for whoever looks into it")
    assert client.exists("/poison") is None


def test_paths_that_no_key_can_hold_are_refused(connect: Connect) -> None:
    client = connect()
    with pytest.raises(PathTooLongError):
        client.create("/" + "x" * 1100)
    assert client.exists("/" + "x" * 1100) is None
    assert client.exists("/" + "/".join(["x" * 500] * 5)) is None
    assert client.create("/" + "x" * 1000)


def test_a_transaction_of_much_that_is_inline_elsewhere(connect: Connect) -> None:
    """Together its data are over what SQS takes in one message. One change too many is refused at once."""
    client = connect()
    client.ensure_path("/many")
    for number in range(50):
        client.create("/many/%d" % number)
    sets = client.transaction()
    for number in range(50):
        sets.set_data("/many/%d" % number, bytes([number]) * (16 << 10))
    assert [type(result).__name__ for result in sets.commit()] == ["ZnodeStat"] * 50
    assert client.get("/many/49")[0] == bytes([49]) * (16 << 10)
    deletes = client.transaction()
    for number in range(50):
        deletes.delete("/many/%d" % number)
    with pytest.raises(TransactionTooLargeError):
        deletes.commit()
    assert len(client.get_children("/many")) == 50


def test_state_is_what_it_says_after_all_this(connect: Connect) -> None:
    """The items of a created and deleted node are gone."""
    client = connect()
    client.create("/a/b/c", b"x", makepath=True)
    client.delete("/a", recursive=True)

    async def partitions(store: DynamoStore, queues: Queues, blobs: S3Blobs) -> List[str]:
        return [key.partition for key, _ in await store.scan(STATE) if key.partition.startswith(NS + ":/a")]

    assert _inside(partitions) == []
