"""The sweep removes what belongs to nothing, and ends the sessions of clients that never came back; nothing else."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Dict, List, Optional, Sequence

import pytest

from fk_backend import layout
from fk_backend.core.model import Blob, Id, Node, Session
from fk_backend.core.requests import Expire
from fk_backend.messages import decode
from fk_backend.ports import INTEREST, SESSIONS, Item, Key, Pushed, Put
from fk_backend.providers.aws import sweep
from fk_backend.providers.aws.queues import InboxState
from fk_backend.providers.aws.sweep import Sweep
from fk_backend.providers.aws.ticks import Orders
from fk_backend.providers.memory.store import MemoryStore

NS = "ns"
OLD, NEW = 0, int(time.time()) + 10_000
DEAF = InboxState(OLD, 1, 0)
"""Something waits, and nobody takes it."""


class Table(MemoryStore):
    """With what the sweep needs besides."""

    def __init__(self, log: List[Any]) -> None:
        super().__init__()
        self.log = log
        self.discarded: List[Key] = []

    async def scan(self, table: str, *more: Any, **others: Any) -> Any:
        """`ports.Store.scan`."""
        self.log.append("scan " + table)
        return await super().scan(table, *more, **others)

    async def discard(self, keys: Sequence[Key]) -> None:
        """`DynamoStore.discard`."""
        self.discarded.extend(keys)


class Mail:
    """The queues: ``states`` of inboxes."""

    def __init__(self, log: List[Any]) -> None:
        self.states: Dict[str, InboxState] = {}
        self.log = log
        self.dropped: List[str] = []
        self.takers: List[str] = []
        """Inboxes whose clients take what is pushed there."""

    async def state(self, inbox: str) -> Optional[InboxState]:
        """`Queues.state`."""
        return self.states.get(inbox)

    async def push(self, notes: Sequence[Pushed]) -> None:
        """`Queues.push`."""
        for note in notes:
            if note.inbox in self.takers:
                self.states[note.inbox] = InboxState(OLD, 0, 0)

    async def inboxes(self) -> List[str]:
        """`Queues.inboxes`."""
        return list(self.states)

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
        self.store, self.mail, self.objects = Table(self.log), Mail(self.log), Objects(self.log)
        self.orders = Orders(self.store)

    async def session(self, number: int, inbox: str, state: Optional[InboxState]) -> None:
        """A session and its inbox."""
        session = Session(number, b"h", 4000, (Id("ip", "x"),), inbox)
        await self.store.commit([Put(layout.session_key(NS, number), layout.session_item(session, 1))])
        if state is not None:
            self.mail.states[inbox] = state

    async def put(self, key: Key, owner: str = "") -> None:
        """Anything."""
        await self.store.commit([Put(key, Item(1, b""), owner=owner)])

    async def sweep(self) -> Any:
        """All of it."""
        store, mail, objects = (one for one in (self.store, self.mail, self.objects))
        made: Any = Sweep(store, mail, objects, self.orders)  # type: ignore[arg-type]
        return await made()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "LOOK_AGAIN_S", 0.0)


@pytest.mark.parametrize("state", [None, DEAF])
def test_a_session_nobody_listens_to_is_ended_by_an_order(state: Optional[InboxState]) -> None:
    """Which is given before the message is sent: the writer asks for it."""

    async def check() -> None:
        floor = Floor()
        await floor.session(7, "inbox", state)
        assert (await floor.sweep()).sessions == 1
        ((_, ns, name, body),) = [entry for entry in floor.log if entry[0] == "send"]
        message = decode(body)
        assert ns == NS and message.requests == (Expire(7, 0),) and await floor.orders.gave(NS, name)

    asyncio.run(check())


def test_a_session_that_takes_its_mail_lives() -> None:
    """Also if something was waiting at the first look."""

    async def check() -> None:
        floor = Floor()
        await floor.session(7, "busy", InboxState(OLD, 0, 0))
        await floor.session(8, "young", InboxState(NEW, 1, 0))
        await floor.session(9, "taken", InboxState(OLD, 1, 1))
        await floor.session(10, "owner", None)
        await floor.put(Key(SESSIONS, layout.ephemerals_partition(NS, 10), "/e"))
        assert (await floor.sweep()).sessions == 0
        looks: List[str] = []

        async def first_deaf(inbox: str) -> InboxState:
            looks.append(inbox)
            return DEAF if len(looks) == 1 else InboxState(OLD, 0, 0)

        floor = Floor()
        await floor.session(7, "slow", None)
        floor.mail.state = first_deaf  # type: ignore[assignment]
        assert (await floor.sweep()).sessions == 0

    asyncio.run(check())


def test_only_what_belongs_to_nothing_goes() -> None:
    async def check() -> None:
        floor = Floor()
        await floor.session(7, "live", InboxState(OLD, 0, 0))
        floor.mail.states.update(old=InboxState(OLD, 0, 0), new=InboxState(NEW, 0, 0))
        for inbox in ("live", "old", "new", "none"):
            await floor.put(layout.registration_key(NS, "/a", "data", inbox))
        for number in (7, 99):
            await floor.put(layout.beat_key(NS, number))
        await floor.put(layout.registration_key(NS, "/a", "nonsense", "live"))
        swept = await floor.sweep()
        gone = {(key.sort.rpartition(":")[0], key.sort.rpartition(":")[2]) for key in floor.store.discarded}
        counter = ("", layout.session_name(99))
        assert gone == {("data", "none"), ("data", "old"), ("nonsense", "live"), counter}
        assert floor.mail.dropped == ["old"] and (swept.inboxes, swept.registrations) == (1, 4)
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
