"""A deployment whose every step a test takes itself: what is sent waits, what is pushed waits, time stands still.

`Stage.write` has the writer handle what was sent; `Stage.arrive` lets pushes arrive, lost, doubled or out of order as
the test likes. Nothing else happens by itself, so every run is the same.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, cast

import pytest

from fk_backend.core.requests import Result
from fk_backend.errors import Unavailable, Unknown
from fk_backend.functions.writer import Writer
from fk_backend.mac import inbox_name
from fk_backend.messages import Answers, Fired, Message, decode, decode_note
from fk_backend.ports import Capabilities, Clock, Delivery, Gateway, Ports, Pushed, Queue, Written
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.session.engine import Opened, Session
from fk_backend.session.watchlist import Event

NS = "ns"
TURNS = 40
"""Steps of the event loop in which everything comes to rest: nothing here waits for anything but the test."""


class ManualClock:
    """Time passes when the test says so; whoever sleeps until then wakes."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._sleepers: List[Tuple[float, "asyncio.Future[None]"]] = []
        self._random = 0

    def now_ms(self) -> int:
        """`ports.Clock.now_ms`."""
        return int(self.now_s * 1000)

    def monotonic(self) -> float:
        """`ports.Clock.monotonic`."""
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        """`ports.Clock.sleep`."""
        woken: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now_s + seconds, woken))
        await woken

    def random_bytes(self, count: int) -> bytes:
        """Different each time, the same in each run."""
        self._random += 1
        return self._random.to_bytes(count, "big")

    async def advance(self, seconds: float, step: float = 0.05) -> None:
        """Lets time pass, in steps."""
        until = self.now_s + seconds
        while self.now_s < until - 1e-9:
            self.now_s = min(until, self.now_s + step)
            for due, woken in [sleeper for sleeper in self._sleepers if sleeper[0] <= self.now_s + 1e-9]:
                self._sleepers.remove((due, woken))
                if not woken.done():
                    woken.set_result(None)
            await rest()


async def rest() -> None:
    """Until nobody has anything to do."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class Interposed:
    """The store, as one session sees it: a test can put something before any call, or make it fail."""

    def __init__(self, store: MemoryStore, charges_for_beats: bool) -> None:
        self._store = store
        self._charges_for_beats = charges_for_beats
        self.calls: List[str] = []
        self.before: Optional[Callable[[int, str], Any]] = None
        """Called with the number of the call (from 1 on) and its name; may be a coroutine function."""

    @property
    def capabilities(self) -> Capabilities:
        """`ports.Store.capabilities`."""
        return self._store.capabilities._replace(charges_for_beats=self._charges_for_beats)

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            if self.before is not None:
                made = self.before(len(self.calls), name)
                if asyncio.iscoroutine(made):
                    await made
            return await getattr(self._store, name)(*args, **kwargs)

        return call


class StageGateway:
    """`ports.Gateway` of one session."""

    address: Optional[str] = "127.0.0.1"
    blobs = None
    direct: Any = None

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage
        self.store: Any = Interposed(stage.store, stage.charges_for_beats)
        self.clock: Any = stage.clock
        self.queue: Any = self
        self.refusals: List[Exception] = []
        """What the next sends fail with; an Unknown after having been taken."""
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.unsubscribed: List[Tuple[str, bool]] = []

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        error = self.refusals.pop(0) if self.refusals else None
        if isinstance(error, Unavailable):
            raise error
        if message_id not in self._stage.known:
            self._stage.known.append(message_id)
            self._stage.sent.append(body)
        if error is not None:
            raise error

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return inbox_name(ns, key, nonce)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""
        self._stage.subscribers[inbox] = receive, lost

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        self._stage.subscribers.pop(inbox, None)
        self.unsubscribed.append((inbox, keep))

    async def check(self) -> None:
        """`ports.Gateway.check`: waits for a deployment that does not answer, as a real one does."""
        await self.reachable.wait()

    async def close(self) -> None:
        """`ports.Gateway.close`."""


class Entry(NamedTuple):
    """Something a session said: ``what`` is a tag for a reply, "event" or "over". ``head``: the head's zxid then."""

    what: Any
    value: Any
    head: int


class Actor:
    """A session, and everything it said, in order."""

    def __init__(self, stage: "Stage") -> None:
        self.stage = stage
        self.gateway = StageGateway(stage)
        self.log: List[Entry] = []
        self.opened: Optional[Opened] = None
        self.session = Session(cast(Gateway, self.gateway), NS, self)

    @property
    def password(self) -> bytes:
        """Its session's."""
        assert self.opened is not None
        return self.opened.password

    @property
    def inbox(self) -> str:
        """Its connection's name."""
        return self.session.inbox

    def _say(self, what: Any, value: Any) -> None:
        self.log.append(Entry(what, value, self.stage.zxid))

    def replied(self, tag: Any, result: Result) -> None:
        """`Listener.replied`."""
        self._say(tag, result)

    def fired(self, event: Event) -> None:
        """`Listener.fired`."""
        self._say("event", event)

    def over(self, reason: str, why: str) -> None:
        """`Listener.over`."""
        self._say("over", reason)

    # --- what tests ask for ---------------------------------------------------------------------

    def events(self) -> List[Tuple[str, int]]:
        """(path, kind) of the events so far."""
        return [(entry.value.path, entry.value.kind) for entry in self.log if entry.what == "event"]

    def said(self) -> List[Any]:
        """What it said, without values."""
        return [entry.what for entry in self.log]

    def reply(self, tag: Any) -> Any:
        """The answer to what was submitted with that tag."""
        (found,) = [entry.value for entry in self.log if entry.what == tag]
        return found

    async def submit(self, tag: Any, op: Any) -> None:
        """Submits, and lets it do what can be done without anybody else."""
        self.session.submit(tag, op)
        await rest()

    async def do(self, tag: Any, op: Any) -> Any:
        """Submits, writes, delivers its answers; the answer."""
        await self.submit(tag, op)
        await self.stage.write()
        await self.stage.deliver(lambda pushed: pushed.inbox == self.inbox and is_answer(pushed))
        return self.reply(tag)


def is_answer(pushed: Pushed) -> bool:
    """Whether a push carries answers."""
    return isinstance(decode_note(pushed.body), Answers)


def is_fired(pushed: Pushed) -> bool:
    """Whether a push carries events."""
    return isinstance(decode_note(pushed.body), Fired)


class Stage:
    """The deployment."""

    def __init__(self) -> None:
        self.charges_for_beats = False
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.subscribers: Dict[str, Tuple[Callable[[bytes], None], Callable[[str], None]]] = {}
        self.sent: List[bytes] = []
        self.known: List[str] = []
        self.handled: List[Message] = []
        self.pushes: List[Pushed] = []
        """Pushes on their way."""
        ports = Ports(self.store, self, cast(Queue, self), cast(Clock, self.clock))
        self.writer = Writer(ports)
        self.zxid = 0
        self.actors: List[Actor] = []

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`."""
        self.pushes.extend(messages)

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        subscriber = self.subscribers.pop(inbox, None)
        if subscriber is not None:
            subscriber[1]("the session moved to another connection")

    async def write(self, count: int = 1 << 30) -> None:
        """Has the writer handle that many of the messages that wait, as one batch."""
        batch, self.sent = self.sent[:count], self.sent[count:]
        if batch:
            self.handled.extend(decode(body) for body in batch)
            await self.writer(NS, [Delivery(body, False) for body in batch])
            self.zxid = (await self.writer.recover(NS)).zxid
        await rest()

    async def inject(self, *messages: Message, internal: bool = False) -> None:
        """Has the writer handle these, as sent by the sessions that they name."""
        from fk_backend.messages import encode

        keys = {actor.session.id: actor.session._key for actor in self.actors}
        batch = [Delivery(encode(message, keys.get(message.session, b"")), internal) for message in messages]
        await self.writer(NS, batch)
        self.zxid = (await self.writer.recover(NS)).zxid
        await rest()

    async def deliver(self, which: Callable[[Pushed], bool] = lambda pushed: True) -> None:
        """Lets pushes arrive, and what comes of it happen."""
        arriving = [pushed for pushed in self.pushes if which(pushed)]
        self.pushes = [pushed for pushed in self.pushes if not which(pushed)]
        for pushed in arriving:
            self.arrive(pushed)
            await rest()

    def arrive(self, pushed: Pushed) -> None:
        """Lets one push arrive (again)."""
        subscriber = self.subscribers.get(pushed.inbox)
        if subscriber is not None:
            subscriber[0](pushed.body)

    def lose(self, which: Callable[[Pushed], bool] = is_fired) -> int:
        """Loses pushes on their way; how many."""
        lost = [pushed for pushed in self.pushes if which(pushed)]
        self.pushes = [pushed for pushed in self.pushes if not which(pushed)]
        return len(lost)

    async def begin(self, opening: Callable[[Actor], Any]) -> Actor:
        """A new actor, whose session is opened or attached by ``opening``."""
        actor = Actor(self)
        self.actors.append(actor)
        task = asyncio.ensure_future(opening(actor))
        await rest()
        await self.write()
        await self.deliver(lambda pushed: pushed.inbox == actor.inbox)
        actor.opened = await task
        await rest()
        return actor

    async def open(self, timeout_ms: int = 3000) -> Actor:
        """A new session."""
        return await self.begin(lambda actor: actor.session.open(timeout_ms))

    async def finish(self) -> None:
        """Ends what still runs."""
        for actor in self.actors:
            actor.session.end("lost", "the test is over")
        await rest()


class DirectOnStage:
    """`ports.Direct` on a stage. ``fails``: what the next one raises, before it or (``late``) after it was done."""

    at_once: bool

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.fails: Optional[Exception] = None
        self.late: Optional[Exception] = None
        self.calls = 0

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`."""
        self.calls += 1
        if self.fails is not None:
            raise self.fails
        written = await self.done(ns, message, key)
        if self.late is not None:
            raise self.late
        return written

    async def done(self, ns: str, message: Message, key: bytes) -> Written:
        """Does it."""
        raise NotImplementedError

    def in_turn(self, has_turn: Callable[[], bool]) -> None:
        """`ports.Direct.in_turn`."""

    def finish_fan_out(self, ns: str) -> None:
        """`ports.Direct.finish_fan_out`."""


async def opens_without_answer(actor: Actor) -> None:
    """Its opening is done, and the answer to that is lost."""
    actor.gateway.direct.late = Unknown("no answer")
    with pytest.raises(Unknown):
        await actor.session.open(3000)


def on_stage(play: Callable[[Stage], Any]) -> None:
    """Runs a test."""

    async def run() -> None:
        stage = Stage()
        try:
            await play(stage)
        finally:
            await stage.finish()

    asyncio.run(run())
