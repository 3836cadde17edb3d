"""A namespace on the emulator just before a batch, made as often as a test needs it, and what is left of it afterwards.

Rule upheld here: two runs are compared by what clients and later functions can see of them, never by how it came about.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import secrets
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple
from unittest import mock

from fk_backend import codec, layout
from fk_backend.core.model import Blob
from fk_backend.core.requests import Open, Request
from fk_backend.functions.heartbeat import SENDER
from fk_backend.mac import NONCE_BYTES, inbox_name
from fk_backend.messages import Message, decode, decode_note, encode, message_id
from fk_backend.ports import INTEREST, STATE, TABLES, Item, Key, Pushed, Put, Remove
from fk_backend.providers.aws import handlers, names
from fk_backend.providers.aws.clients import Clients
from fk_backend.providers.aws.failures import code_of
from fk_backend.providers.aws.handlers import Functions, Service
from fk_backend.providers.aws.queues import NO_QUEUE
from tests.functions.doubles import KEY, Told, _add

from .wire import Carrier, Crash, Process, carried_by, tap

DEPLOYMENT = "test"
TAG = 8
"""Characters that name one run: the same number for every run, so that sizes are the same."""
_tags = itertools.count(0xFA000001)
_sequence = itertools.count(1)


class FixedClock:
    """The same moment always. Only names of namespaces are not random."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def now_ms(self) -> int:
        """`ports.Clock.now_ms`."""
        return int(self.now_s * 1000)

    def monotonic(self) -> float:
        """`ports.Clock.monotonic`."""
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        """Takes no time."""
        await asyncio.sleep(0)

    def random_bytes(self, count: int) -> bytes:
        """`ports.Clock.random_bytes`."""
        return bytes(count) if count == 3 else secrets.token_bytes(count)


class Stage:
    """The deployment of one test, in one event loop, and processes over it made from shared connections."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.clock = FixedClock()
        self._inboxes: Set[str] = set()

    @classmethod
    async def open(cls) -> "Stage":
        """On the account that the standard variables name."""
        clients = await Clients().open()
        tap(clients)
        return cls(clients)

    async def service(self) -> Service:
        """What a new environment begins with: it knows nothing."""
        shared = mock.Mock(return_value=mock.Mock(open=mock.AsyncMock(return_value=self.clients)))
        clock = mock.Mock(return_value=self.clock)
        with mock.patch.multiple(handlers, Clients=shared, SystemClock=clock, WallClock=clock):
            return await handlers.build(DEPLOYMENT)

    async def make_inboxes(self, service: Service, inboxes: Iterable[str]) -> None:
        """Those that are not there: every run listens at the same ones."""
        missing = set(inboxes) - self._inboxes
        for url in await asyncio.gather(*map(service.queues.make, missing)):
            while not await _is_there(service, url):
                await asyncio.sleep(0.1)
        self._inboxes |= missing

    async def living(self, service: Service) -> Set[str]:
        """The inboxes that are there."""
        self._inboxes = set(await service.queues.inboxes())
        return self._inboxes


async def _is_there(service: Service, url: str) -> bool:
    """SQS API Reference, CreateQueue: it takes a second."""
    try:
        await service.queues._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    except Exception as error:
        if code_of(error) in NO_QUEUE:
            return False
        raise
    return True


class Sessions(NamedTuple):
    """What a scene may name of its run: the namespace, inboxes by role, and session ids by role."""

    ns: str
    inboxes: Dict[str, str]
    ids: Dict[str, int]


class Scene(NamedTuple):
    """What is there before: sessions by role, requests, watches, and keys of what clients laid down. Then the batch."""

    batch: Callable[[Sessions], List[Message]]
    roles: Sequence[str] = ("one", "two", "three")
    before: Sequence[Tuple[str, Request]] = ()
    watched: Sequence[Tuple[str, str, str]] = ()
    guests: Sequence[str] = ()
    """Roles that listen, and have no session yet."""
    uploads: Sequence[Tuple[str, bytes]] = ()
    ordered: bool = False
    """Whether the batch is the heartbeat's."""
    warm: bool = False
    """Whether the writer goes on from what it knows."""


class Row(NamedTuple):
    """An item and the owner that it was put with."""

    key: Key
    item: Item
    owner: str


class Setting(NamedTuple):
    """A namespace as it is before the batch, to be put up again under other names."""

    tag: str
    rows: List[Row]
    blobs: Dict[str, bytes]
    ids: Dict[str, int]


class Ending(NamedTuple):
    """What can be compared of a run."""

    contents: Dict[Key, Any]
    told: Dict[str, Told]
    inboxes: List[str]
    sessions: List[str]
    """Roles that have one."""
    woken: bool
    unnamed: int


class Run:
    """One namespace, from before the batch to the end."""

    def __init__(self, stage: Stage, scene: Scene, service: Service) -> None:
        self.stage = stage
        self.scene = scene
        self.tag = "%0*x" % (TAG, next(_tags))
        self.ns = "ns" + self.tag
        self.inboxes = {role: _inbox(role) for role in (*scene.roles, *scene.guests)}
        self.service = service
        self.records: List[Any] = []
        self.processes: List[Process] = []
        self._rows: List[Tuple[Key, Item]] = []

    async def prepare(self, setting: Optional[Setting] = None) -> Setting:
        """Everything up to the batch: as it was put up before, or by asking for it."""
        await self.stage.make_inboxes(self.service, self.inboxes.values())
        if setting is None:
            setting = await self._made()
            await self._woken()
        else:
            await self._copied(setting)
        for name, data in self.scene.uploads:
            await self.service.blobs.upload(self.ns, name, data)
        self.records = self._as_records(self.scene.batch(Sessions(self.ns, self.inboxes, setting.ids)))
        if self.scene.ordered:
            for each in self.records:
                await self.service.orders.give(self.ns, each["attributes"]["MessageDeduplicationId"])
        if not self.scene.warm:
            self.service = await self.stage.service()
        return setting

    async def _made(self) -> Setting:
        store, scene, ids = self.service.store, self.scene, {}
        for inbox in self.inboxes.values():
            await store.commit([Put(layout.hello_key(self.ns, inbox), Item(0, b""))])
        if scene.roles:
            boxes = [self.inboxes[role] for role in scene.roles]
            notes = await self._ask([Message(box, 0, 0, (Open(KEY, 4000, box, None),)) for box in boxes])
            for role in scene.roles:
                ids[role] = told(notes, self.inboxes[role]).answers[0][1][0]
            before: Dict[str, List[Request]] = {}
            for role, request in scene.before:
                before.setdefault(role, []).append(request)
            await self._ask([Message(self.inboxes[r], ids[r], 1, tuple(asked)) for r, asked in before.items()])
        for number, (role, path, mode) in enumerate(scene.watched, 1):
            key = layout.registration_key(self.ns, path, mode, self.inboxes[role])
            await store.commit([Put(key, Item(number, b""), owner=self.inboxes[role])])
        rows = [Row(key, item, _owner(key)) for key, item in await self._everything()]
        nodes = [
            layout.node_of(row.item).data for row in rows if row.key.table == STATE and row.key.sort == layout.NODE
        ]
        blobs = {data.key: await self.service.blobs.fetch(data) or b"" for data in nodes if isinstance(data, Blob)}
        return Setting(self.tag, rows, blobs, ids)

    async def _ask(self, messages: Sequence[Message]) -> List[Pushed]:
        process = Process()
        with carried_by(process):
            assert not messages or not await Functions(self.service).writer(self._as_records(messages))
        return process.pushed

    async def _copied(self, setting: Setting) -> None:
        puts: List[Put] = []
        for key, item, owner in setting.rows:
            key, body = self._own(Key(*key), setting.tag), item.body.replace(setting.tag.encode(), self.tag.encode())
            puts.append(Put(key, Item(item.rev, body), owner=owner))
        kept = [put for put in puts if put.key.table != INTEREST]
        for part in (kept, [put for put in puts if put.key.table == INTEREST]):
            for first in range(0, len(part), 100):
                await self.service.store.commit(part[first : first + 100])
        for name, data in setting.blobs.items():
            prefix, ns, key_name = name.split("/")
            assert prefix == "data" and ns == "ns" + setting.tag
            await self.service.blobs.keep(self.ns, key_name, data)

    def _own(self, key: Key, tag: str) -> Key:
        return Key(key.table, key.partition.replace(tag, self.tag), key.sort)

    async def _everything(self) -> List[Tuple[Key, Item]]:
        scan = self.service.store.scan
        rows = await asyncio.gather(*(scan(table, self.ns + ":", limit=1 << 30) for table in TABLES))
        return [row for part in rows for row in part]

    def _as_records(self, messages: Sequence[Message]) -> List[Any]:
        return [record(self.ns, message) for message in messages]

    async def deliver(self, process: Process, service: Optional[Service] = None, receives: int = 1) -> List[str]:
        """Has a process handle the batch. The ids of the messages that come again; Crash if it was killed."""
        self.processes.append(process)
        attributes = {"ApproximateReceiveCount": str(receives)}
        records = [{**each, "attributes": {**each["attributes"], **attributes}} for each in self.records]
        with carried_by(process):
            return await settled(Functions(service or self.service).writer(records))

    async def ending(self) -> Ending:
        """How it ended."""
        self._rows = await self._everything()
        pushed = [note for process in self.processes for note in process.pushed]
        kept = await self._kept()
        named: List[str] = []
        contents, owners = {}, []
        for key, item in self._rows:
            shown = Key(key.table, plain(key.partition, self.tag), plain(key.sort, self.tag))
            contents[shown] = await self._content(key, item, named)
            if key.partition == layout.sessions_partition(self.ns):
                owners.append(layout.session_of(item).inbox)
        assert set(named) <= set(kept), "a name without its object"
        alive = await self.stage.living(self.service)
        inboxes = sorted(role for role, inbox in self.inboxes.items() if inbox in alive)
        sessions = sorted(role for role, inbox in self.inboxes.items() if inbox in owners)
        heard = {role: self._heard(pushed, inbox) for role, inbox in self.inboxes.items()}
        return Ending(contents, heard, inboxes, sessions, await self._woken(), len(set(kept) - set(named)))

    def _heard(self, pushed: Sequence[Pushed], inbox: str) -> Told:
        """Of the batch: what comes before it, a writer that knows nothing tells once more."""
        heard, asked = told(pushed, inbox), set()
        for each in self.records:
            message = decode(base64.b64decode(each["body"]))
            if message.inbox == inbox:
                asked.update(range(message.first, message.first + len(message.requests)))
        return heard._replace(answers={n: result for n, result in heard.answers.items() if n in asked})

    async def clear(self) -> None:
        """Takes it all away, so that the next run's scan is as short as this one's."""
        for table in TABLES:
            keys = [key for key, _ in self._rows if key.table == table]
            for first in range(0, len(keys), 100):
                await self.service.store.commit([Remove(key) for key in keys[first : first + 100]])
        await self.service.blobs.remove(await self._kept())

    async def _content(self, key: Key, item: Item, named: List[str]) -> Any:
        if key == layout.head_key(self.ns):
            head = layout.head_of(item)
            return head.zxid, head.closing, bool(head.ticking)
        if key.table == STATE and key.sort == layout.NODE:
            node = layout.node_of(item)
            if isinstance(node.data, Blob):
                named.append(node.data.key)
                node = node._replace(data=await self.service.blobs.fetch(node.data))
                assert node.data is not None, "a name without its object"
            return node
        if key.table == STATE and key.sort == layout.FAMILY:
            return codec.loads(item.body)[1:]
        return (item.rev if key.table == INTEREST else 0), plain(item.body, self.tag)

    async def _kept(self) -> List[str]:
        if not any("/fk-%s-" % DEPLOYMENT in sent.url for process in self.processes for sent in process.sent):
            return []  # nobody went to the bucket
        bucket = self.service.blobs._bucket
        answer = await self.stage.clients.s3.list_objects_v2(Bucket=bucket, Prefix="data/%s/" % self.ns)
        return [row["Key"] for row in answer.get("Contents", ())]

    async def _woken(self) -> bool:
        """Whether the heartbeat was woken for the namespace. Takes the messages away."""
        url = self.service.queues.url(names.timer_queue(DEPLOYMENT))
        found = False
        while True:
            answer = await self.stage.clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            messages = answer.get("Messages", ())
            if not messages:
                return found
            found = found or any(message["Body"] == self.ns for message in messages)
            await self.service.queues.delete(url, messages)


def _inbox(role: str) -> str:
    """The same in every run: to make a queue takes longest."""
    return inbox_name("whichever", KEY, hashlib.md5(role.encode()).digest()[:NONCE_BYTES])


def _owner(key: Key) -> str:
    is_registration = key.table == INTEREST and not key.partition.endswith((":hello", ":beats"))
    return key.sort.rpartition(":")[2] if is_registration else ""


def record(ns: str, message: Message) -> Any:
    """A message as Lambda hands it over."""
    return {
        "messageId": "m-%d" % next(_sequence),
        "receiptHandle": "none",
        "body": base64.b64encode(encode(message, KEY)).decode(),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "MessageGroupId": ns,
            "MessageDeduplicationId": message_id(message.inbox, message.first),
            "SequenceNumber": "%020d" % next(_sequence),
        },
    }


def plain(value: Any, tag: str) -> Any:
    """Without the name of the run."""
    if isinstance(value, str):
        return value.replace(tag, "0" * TAG)
    if isinstance(value, bytes):
        return value.replace(tag.encode(), b"0" * TAG)
    if isinstance(value, (list, tuple)):
        return [plain(part, tag) for part in value]
    return value


def told(pushed: Sequence[Pushed], inbox: str) -> Told:
    """What an inbox was told, doublets folded. AssertionError if it was told two different things."""
    heard = Told({}, set(), set())
    for note in pushed:
        if note.inbox == inbox:
            _add(heard, decode_note(note.body))
    return heard


async def settled(work: Any) -> Any:
    """Awaits it, and then every task that it has left behind: what a dead process had under way is over."""
    before = asyncio.all_tasks()
    try:
        return await work
    finally:
        left = asyncio.all_tasks() - before
        await asyncio.gather(*left, return_exceptions=True)


def heartbeat_inbox(tag: str = "run") -> str:
    """An inbox of the heartbeat's."""
    return "%s:%s" % (SENDER, tag)


def same(ending: Ending, expected: Ending, where: str) -> None:
    """AssertionError where two runs differ in what anybody who is still there can see."""
    for role, heard in ending.told.items():
        wanted = expected.told[role]
        if role in expected.sessions:
            assert heard == wanted, (where, role, heard, wanted)
        assert heard.fired <= wanted.fired and heard.ended == wanted.ended, where
        if role in expected.inboxes:
            assert heard.answers == wanted.answers, (where, role)
        assert heard.answers.items() <= wanted.answers.items(), (where, role)
    assert (ending.inboxes, ending.sessions) == (expected.inboxes, expected.sessions), where
    assert ending.woken >= expected.woken, where
    keys = {**ending.contents, **expected.contents}
    for key in keys:
        assert ending.contents.get(key) == expected.contents.get(key), (where, key)


__all__ = [
    "Carrier", "Crash", "Ending", "Process", "Run", "Scene", "Sessions", "Stage", "heartbeat_inbox", "record", "same",
]  # fmt: skip
