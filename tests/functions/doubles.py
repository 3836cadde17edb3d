"""What the functions' tests put in place of the world: a clock that is set by hand, inboxes and a queue that remember.

`Doom` counts what crosses the ports and makes the process "die" at any chosen crossing, before or after it took effect.
"""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, cast

from fk_backend import layout
from fk_backend.core.requests import Open, Request
from fk_backend.functions.writer import Writer
from fk_backend.mac import key_of
from fk_backend.messages import Answers, Ended, Fired, Message, Ping, decode_note, encode
from fk_backend.ports import INTEREST, TABLES, Clock, Delivery, Inboxes, Item, Key, Ports, Pushed, Put, Queue, Store
from fk_backend.providers.memory.store import MemoryStore

NS = "ns"
PASSWORD = b"p" * 16
KEY = key_of(PASSWORD)
"""Of every session that a bench opens."""


class Crash(BaseException):
    """The process is gone: nothing catches it."""


class FakeClock:
    """Time passes when a test says so, or when somebody sleeps. Randomness counts up."""

    def __init__(self, start_s: float = 1000.0) -> None:
        self.now_s = start_s
        self._random = 0

    def now_ms(self) -> int:
        """`ports.Clock.now_ms`."""
        return int(self.now_s * 1000)

    def monotonic(self) -> float:
        """`ports.Clock.monotonic`."""
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        """Takes no time of anybody's."""
        self.now_s += seconds
        await asyncio.sleep(0)

    def random_bytes(self, count: int) -> bytes:
        """Different each time, the same in each run."""
        self._random += 1
        return self._random.to_bytes(count, "big")


class FakeInboxes:
    """Remembers every push and every drop."""

    def __init__(self) -> None:
        self.pushed: List[Pushed] = []
        self.dropped: List[str] = []

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`."""
        self.pushed.extend(messages)

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        self.dropped.append(inbox)


class FakeQueue:
    """Remembers what was sent."""

    def __init__(self) -> None:
        self.sent: List[Tuple[str, str, bytes]] = []

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        self.sent.append((group, message_id, body))


class Doom:
    """Passes calls on to a port, and dies at the ``at``-th one: before it took effect, or after.

    Shared by the ports of one process, so that its calls are counted together.
    """

    def __init__(self, at: Optional[int] = None, after: bool = False) -> None:
        self.calls = 0
        self._at = at
        self._after = after

    def over(self, port: Any) -> Any:
        """The port, under this doom."""
        return _Doomed(self, port)

    async def call(self, method: Any, args: Any, kwargs: Any) -> Any:
        """One call across a port."""
        self.calls += 1
        fatal = self.calls == self._at
        if fatal and not self._after:
            raise Crash
        value = await method(*args, **kwargs)
        if fatal:
            raise Crash
        return value


class _Doomed:
    def __init__(self, doom: Doom, port: Any) -> None:
        self._doom = doom
        self._port = port

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not callable(method):
            return method
        return lambda *args, **kwargs: self._doom.call(method, args, kwargs)


class Told(NamedTuple):
    """What an inbox heard, doublets folded: answers by number, registrations and zxids of events, ends."""

    answers: Dict[int, Any]
    fired: Set[Tuple[str, str, int]]
    ended: Set[Tuple[int, bool]]


class Bench:
    """A namespace in memory with everything around it faked, and writers made as often as a test needs one."""

    def __init__(self, store: Any = None) -> None:
        self.store: Any = MemoryStore() if store is None else store
        self.clock = FakeClock()
        self.inboxes = FakeInboxes()
        self.queue = FakeQueue()
        self.writer = self.fresh_writer()

    def ports(self, doom: Optional[Doom] = None) -> Ports:
        """The ports; under a doom, if one is given."""
        store, inboxes = (self.store, self.inboxes) if doom is None else map(doom.over, (self.store, self.inboxes))
        return Ports(cast(Store, store), cast(Inboxes, inboxes), cast(Queue, self.queue), cast(Clock, self.clock))

    def fresh_writer(self, doom: Optional[Doom] = None) -> Writer:
        """A writer that knows nothing, as after a crash."""
        return Writer(self.ports(doom))

    async def write(self, *messages: Message, internal: bool = False) -> None:
        """Has the bench's writer handle messages as one batch."""
        await self.writer(NS, deliveries(messages, internal))

    async def ask(self, inbox: str, session: int, first: int, *requests: Request) -> List[Any]:
        """Results of requests, written as a batch of their own."""
        await self.write(Message(inbox, session, first, requests))
        answers = self.told(inbox).answers
        return [answers[number] for number in range(first, first + len(requests))]

    async def open(self, inbox: str, timeout_ms: int = 4000) -> int:
        """A new session; its id. It was request 0 of its inbox."""
        request = Open(KEY, timeout_ms, inbox, "127.0.0.1")
        ((code, value, _),) = await self.ask(inbox, 0, 0, request)
        assert code == 0
        return int(value[0])

    async def watch(self, inbox: str, path: str, mode: str, number: int) -> None:
        """Registers a watch as a session does."""
        key = layout.registration_key(NS, path, mode, inbox)
        await self.store.commit([Put(key, Item(number, b""), owner=inbox)])

    async def registered(self) -> Set[Tuple[Key, int]]:
        """Every registration there is."""
        beats = layout.beats_partition(NS)
        return {(key, item.rev) for key, item in await self.store.scan(INTEREST) if key.partition != beats}

    async def head(self) -> layout.Head:
        """The head."""
        (item,) = await self.store.get([layout.head_key(NS)])
        return layout.head_of(item)

    async def contents(self) -> Dict[Key, Item]:
        """Everything in the store."""
        return {key: item for table in TABLES for key, item in await self.store.scan(table, limit=1 << 30)}

    def told(self, inbox: str, since: int = 0) -> Told:
        """What an inbox was told, from the ``since``-th push on. AssertionError if it was told two different things."""
        told = Told({}, set(), set())
        for pushed in self.inboxes.pushed[since:]:
            if pushed.inbox == inbox:
                _add(told, decode_note(pushed.body))
        return told


def _add(told: Told, note: Any) -> None:
    if isinstance(note, Answers):
        for number, result in enumerate(note.results, note.first):
            assert told.answers.setdefault(number, result) == result, "answered twice, differently"
    elif isinstance(note, Fired):
        told.fired.update((path, mode, number) for path, mode, number in note.registrations)
    elif not isinstance(note, Ping):
        assert isinstance(note, Ended)
        told.ended.add((note.session, note.expired))


def deliveries(messages: Sequence[Message], internal: bool = False) -> List[Delivery]:
    """Messages as a queue hands them over."""
    return [Delivery(encode(message, KEY), internal) for message in messages]
