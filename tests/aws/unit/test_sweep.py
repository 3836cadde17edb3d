"""The sweep removes what belongs to nothing, and ends the sessions of clients that never came back; nothing else."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any, AsyncIterator, Dict, List, Optional, Sequence, Set, Tuple

from benchmarks.cloud.latency import of_operation
from fk_backend import layout
from fk_backend.core.model import Blob, Id, Node, Session
from fk_backend.core.requests import Expire
from fk_backend.messages import decode
from fk_backend.ports import INTEREST, SESSIONS, Item, Key, Put, Remove
from fk_backend.providers.aws import names
from fk_backend.providers.aws.store import REQUESTS_AT_ONCE, WRITTEN_AT_ONCE
from fk_backend.providers.aws.sweep import ENDED_AT_ONCE, MAX_MESSAGES, Sweep
from fk_backend.providers.aws.template_functions import FUNCTIONS
from fk_backend.providers.aws.ticks import Orders
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.session.beats import BEAT

NS = "ns"
OLD, NEW = 0, int(time.time()) + 10_000


class Table(MemoryStore):
    """With what the sweep needs besides."""

    def __init__(self, log: List[Any]) -> None:
        super().__init__()
        self.log = log
        self.discarded: List[Key] = []
        self.page_rows = 3
        self.hidden: Set[Key] = set()
        """Commits of these come too late to be seen."""

    async def pages(self, table: str) -> AsyncIterator[List[Tuple[Key, Item]]]:
        """`DynamoStore.pages`."""
        self.log.append("scan " + table)
        rows = await super().scan(table, limit=1 << 30)
        for first in range(0, len(rows), self.page_rows):
            yield rows[first : first + self.page_rows]

    async def discard(self, keys: Sequence[Key]) -> None:
        """`DynamoStore.discard`."""
        self.discarded.extend(keys)
        for key in keys:
            await self.commit([Remove(key)])

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.load`."""
        found = await super().load(keys)
        return [None if key in self.hidden else item for key, item in zip(keys, found)]

    async def put(self, items: Sequence[Tuple[Key, Item]]) -> None:
        """`DynamoStore.put`."""
        await self.commit([Put(key, item) for key, item in items])


class Mail:
    """The queues. ``made``: when inboxes were made."""

    def __init__(self, log: List[Any], store: MemoryStore) -> None:
        self.made: Dict[str, int] = {}
        self.log = log
        self.store = store
        self.dropped: List[str] = []
        self.clients: Dict[str, int] = {}
        """By inbox, the session of a client that does what it is asked to."""
        self.refusing: Set[str] = set()

    async def made_s(self, inbox: str) -> Optional[int]:
        """`Queues.made_s`."""
        return self.made.get(inbox)

    async def ping(self, inbox: str) -> bool:
        """`Queues.ping`."""
        if inbox in self.refusing:
            return False
        self.log.append(("ping", inbox))
        if inbox in self.clients:
            await self.store.increment(layout.beat_key(NS, self.clients[inbox]), BEAT)
        return True

    async def inboxes(self) -> List[str]:
        """`Queues.inboxes`."""
        return list(self.made)

    async def remove_inbox(self, inbox: str) -> None:
        """`Queues.remove_inbox`."""
        self.dropped.append(inbox)

    async def send(self, ns: str, name: str, body: bytes) -> None:
        """`Queues.send`."""
        self.log.append(("send", ns, name, body))

    async def wake(self, ns: str) -> None:
        """`Queues.wake`."""
        self.log.append(("wake", ns))


class Objects:
    """The bucket: ``kept`` are old."""

    def __init__(self, log: List[Any]) -> None:
        self.log = log
        self.kept: List[str] = []
        self.removed: List[str] = []

    async def older_than(self, seconds: float) -> List[str]:
        """`S3Blobs.older_than`."""
        self.log.append("list")
        return list(self.kept)

    async def remove(self, keys: Sequence[str]) -> None:
        """`S3Blobs.remove`."""
        self.removed.extend(keys)


class Floor:
    """A deployment that is swept."""

    def __init__(self) -> None:
        self.log: List[Any] = []
        self.store, self.objects = Table(self.log), Objects(self.log)
        self.mail = Mail(self.log, self.store)
        self.orders = Orders(self.store)

    async def session(self, number: int, inbox: str, live: bool = True) -> None:
        """A session and its inbox, at which its client listens if it is ``live``."""
        session = Session(number, b"h", 4000, (Id("ip", "x"),), inbox)
        await self.store.commit([Put(layout.session_key(NS, number), layout.session_item(session, 1))])
        self.mail.made[inbox] = OLD
        if live:
            self.mail.clients[inbox] = number

    def ended(self) -> List[Expire]:
        """What was asked of the writer."""
        sent = [decode(entry[3]) for entry in self.log if entry[0] == "send"]
        return [request for message in sent for request in message.requests if isinstance(request, Expire)]

    async def holders(self) -> List[Put]:
        """Who is listed."""
        rows = await self.store.scan(SESSIONS, layout.holders_partition(NS), limit=1000)
        return [Put(key, item) for key, item in rows if key.sort != layout.MEMORY]

    async def put(self, key: Key, owner: str = "") -> None:
        """Anything."""
        await self.store.commit([Put(key, Item(1, b""), owner=owner)])

    async def sweep(self) -> Any:
        """All of it."""
        store, mail, objects = (one for one in (self.store, self.mail, self.objects))
        made = Sweep(store, mail, objects, self.orders)  # type: ignore[arg-type]
        return await made()


def test_a_session_that_gives_no_sign_of_life_is_ended_by_an_order_at_the_next_sweep() -> None:
    """Which is given before the message is sent: the writer asks for it. The count is the one that was judged by."""

    async def check() -> None:
        floor = Floor()
        await floor.session(7, "inbox", live=False)
        await floor.store.increment(layout.beat_key(NS, 7), 6)
        assert (await floor.sweep()).sessions == 0 and not floor.ended()
        assert (await floor.sweep()).sessions == 1
        ((_, ns, name, body),) = [entry for entry in floor.log if entry[0] == "send"]
        message = decode(body)
        assert ns == NS and message.requests == (Expire(7, 6),) and await floor.orders.gave(NS, name)

    asyncio.run(check())


def test_a_session_that_answers_lives_whatever_its_queue_says() -> None:
    """The queue is not asked: what it says of itself may be a minute old."""

    async def check() -> None:
        floor = Floor()
        for number in range(10):
            await floor.session(number, "inbox-%d" % number)
        for _ in range(4):
            assert (await floor.sweep()).sessions == 0
        assert len([entry for entry in floor.log if entry[0] == "ping"]) == 40

    asyncio.run(check())


def test_who_could_not_be_asked_or_was_taken_over_meanwhile_is_not_judged() -> None:
    async def check() -> None:
        floor = Floor()
        await floor.session(7, "refusing", live=False)
        floor.mail.refusing.add("refusing")
        await floor.session(8, "before", live=False)
        assert (await floor.sweep()).sessions == 0
        await floor.session(8, "after")  # its attach counted before the counter was read
        assert (await floor.sweep()).sessions == 0
        assert (await floor.sweep()).sessions == 0

    asyncio.run(check())


def test_who_owns_something_is_the_heartbeats_and_is_listed_for_it() -> None:
    async def check() -> None:
        floor = Floor()
        await floor.session(10, "owner", live=False)
        await floor.put(Key(SESSIONS, layout.ephemerals_partition(NS, 10), "/e"))
        await floor.put(Key(SESSIONS, layout.ephemerals_partition(NS, 11), "/of nobody"))
        for _ in range(3):
            assert (await floor.sweep()).sessions == 0
        assert [row.key for row in (await floor.holders())] == [layout.holder_key(NS, 10)]
        assert ("wake", NS) in floor.log

    asyncio.run(check())


def test_who_was_given_something_between_two_sweeps_is_not_ended() -> None:
    """It beats before it asks for it; here, the worst: it has just stopped, and the list has not been written."""

    async def check() -> None:
        floor = Floor()
        await floor.session(10, "owner", live=False)
        await floor.sweep()
        floor.store.page_rows = 1  # the session is looked at before what it owns
        await floor.put(Key(SESSIONS, layout.ephemerals_partition(NS, 10), "/e"))
        floor.store.hidden.add(layout.holder_key(NS, 10))
        assert (await floor.sweep()).sessions == 0 and not floor.ended()

    asyncio.run(check())


def test_what_was_noted_goes_with_its_session() -> None:
    async def check() -> None:
        floor = Floor()
        await floor.session(7, "inbox")
        await floor.sweep()
        assert (await floor.store.get([layout.asked_key(NS, 7)]))[0] is not None
        await floor.store.commit([Remove(layout.session_key(NS, 7))])
        await floor.sweep()
        assert (await floor.store.get([layout.asked_key(NS, 7)]))[0] is None

    asyncio.run(check())


def test_many_end_in_few_messages_and_no_more_than_are_remembered() -> None:
    async def check() -> None:
        floor = Floor()
        floor.store.page_rows = 20_000
        for number in range(ENDED_AT_ONCE * MAX_MESSAGES + 10):
            await floor.session(number, "inbox-%d" % number, live=False)
        await floor.sweep()
        assert (await floor.sweep()).sessions == ENDED_AT_ONCE * MAX_MESSAGES
        names_of = [entry[2] for entry in floor.log if entry[0] == "send"]
        assert len(names_of) <= MAX_MESSAGES and all([await floor.orders.gave(NS, name) for name in names_of])

    asyncio.run(check())


def test_only_what_belongs_to_nothing_goes() -> None:
    async def check() -> None:
        floor = Floor()
        await floor.session(7, "live")
        floor.mail.made.update(old=OLD, new=NEW)
        for inbox in ("live", "old", "new", "none"):
            await floor.put(layout.registration_key(NS, "/a", "data", inbox))
        for number in (7, 99):
            await floor.put(layout.beat_key(NS, number))
        await floor.put(layout.registration_key(NS, "/a", "nonsense", "live"))
        now_ms = int(time.time() * 1000)
        for inbox, said_ms in (("asks", now_ms), ("asked", now_ms - 4_000_000), ("lies", now_ms + 4_000_000)):
            await floor.store.put([(layout.hello_key(NS, inbox), layout.hello_item(said_ms))])
        swept = await floor.sweep()
        gone = {(key.sort.rpartition(":")[0], key.sort.rpartition(":")[2]) for key in floor.store.discarded}
        counter = ("", layout.session_name(99))
        assert gone == {("data", "none"), ("data", "old"), ("nonsense", "live"), counter, ("", "asked"), ("", "lies")}
        assert floor.mail.dropped == ["old"] and (swept.inboxes, swept.registrations) == (1, 6)
        assert {key.table for key in floor.store.discarded} == {INTEREST}

    asyncio.run(check())


def test_blobs_are_listed_before_the_nodes_that_name_them() -> None:
    """What is named in between is younger than what was listed; the other way round it would go."""

    async def check() -> None:
        floor = Floor()
        floor.objects.kept = ["data/ns/named", "data/ns/left"]
        node = Node(1, 1, 0, 0, 0, 0, 0, (), Blob("data/ns/named", 3))
        await floor.store.commit([Put(layout.node_keys(NS, "/a")[0], layout.node_item(node, 1, 0))])
        await floor.sweep()
        assert floor.objects.removed == ["data/ns/left"]
        assert floor.log.index("list") < floor.log.index("scan state") and floor.log.count("list") == 1

    asyncio.run(check())


class Counted(Table):
    """Sessions that nobody has asked, and how long DynamoDB would take, at the 99th percentile of what was measured."""

    spent_ms = 0.0
    largest = 0
    sessions = 0

    async def pages(self, table: str) -> AsyncIterator[List[Tuple[Key, Item]]]:
        """`DynamoStore.pages`."""
        for first in range(0, self.sessions if table == SESSIONS else 0, self.page_rows):
            self.spent_ms += of_operation("Query", 1 << 20, 0.99)
            page = [Session(n, b"h" * 32, 4000, (), "%032x" % n) for n in range(first, first + self.page_rows)]
            yield [(layout.session_key(NS, one.id), layout.session_item(one, 1)) for one in page]

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.load`: 100 keys in a request, as many requests side by side as there are connections."""
        self.largest = max(self.largest, len(keys))
        self.spent_ms += _waves(len(keys), 100) * of_operation("BatchGetItem", 100 * 100, 0.99)
        return [None] * len(keys)

    async def put(self, items: Sequence[Tuple[Key, Item]]) -> None:
        """`DynamoStore.put`."""
        self.spent_ms += _waves(len(items), WRITTEN_AT_ONCE) * of_operation("BatchWriteItem", 25 * 100, 0.99)


def _waves(count: int, at_once: int) -> int:
    return math.ceil(math.ceil(count / at_once) / REQUESTS_AT_ONCE)


def test_a_hundred_thousand_sessions_are_asked_within_half_of_the_functions_time() -> None:
    """Half: the other one is for what the function computes itself. A page of sessions is never more than 1 MB.

    A tenth of them is looked at here: all pages are alike.
    """
    part = 10

    async def check() -> None:
        floor = Floor()
        floor.store = store = Counted(floor.log)
        floor.mail.store = store
        store.page_rows = 5000  # of about 200 bytes
        store.sessions = 100_000 // part
        side_by_side, most = 0, 0

        async def ping(inbox: str) -> bool:
            nonlocal side_by_side, most
            side_by_side += 1
            most = max(most, side_by_side)
            await asyncio.sleep(0)
            side_by_side -= 1
            return True

        floor.mail.ping = ping  # type: ignore[method-assign]
        await floor.sweep()
        assert most == REQUESTS_AT_ONCE and store.largest == 3 * store.page_rows
        asked_ms = 100_000 / REQUESTS_AT_ONCE * of_operation("SendMessage", 64, 0.99)
        _, timeout_s = FUNCTIONS[names.SWEEPER]
        assert store.spent_ms * part + asked_ms < timeout_s * 1000 / 2

    asyncio.run(check())
