"""A connection without threads: what the loop's thread, kazoo's and a caller's do to its channel, step by step."""

from __future__ import annotations

import logging
import socket
import threading
from collections import defaultdict, deque
from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence

import pytest
from kazoo.exceptions import ConnectionLoss
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.connection import PING_XID
from kazoo.protocol.serialization import Delete, Watch
from kazoo.protocol.states import KeeperState

from fk_backend.core.model import Error
from fk_backend.core.requests import Result
from fk_backend.session.watchlist import Event
from fk_kazoo import connection, event_loop, loop_thread
from fk_kazoo.channel import CallerRequest, Channel

HANDLER = SequentialThreadingHandler()


class Outcome:
    """What a request comes to, as kazoo's IAsyncResult: once."""

    def __init__(self, play: SteppedConnection) -> None:
        self._play = play
        self.number = 0
        """Of the answer that is meant for it."""
        self.came: List[str] = []

    def set(self, value: Any) -> None:
        """It was answered."""
        self.came.append("answer")
        self._play.told.append(self.number)

    def set_exception(self, error: BaseException) -> None:
        """It failed."""
        self.came.append(type(error).__name__)

    def ready(self) -> bool:
        """As kazoo's."""
        return bool(self.came)


class Session:
    """Answers what it was asked, in that order, when the play says so."""

    def __init__(self, play: SteppedConnection) -> None:
        self._play = play
        self.waiting: Deque[Any] = deque()
        self.reads = 0
        self.written: Any = None
        """What a write at once comes to: a result, what it raises, or None if it is not done."""
        self.did: List[str] = []

    def submit(self, tag: Any, op: Any) -> None:
        """`Session.submit`."""
        self.waiting.append(tag)

    def read_now(self, op: Any) -> Optional[Result]:
        """`Session.read_now`."""
        self.reads += 1
        return self._play.at("reading") or Result(Error.NO_NODE, None, 9)

    def write_now(self, op: Any, has_turn: Callable[[], bool]) -> Optional[Result]:
        """`Session.write_now`."""
        if isinstance(self.written, Exception):
            raise self.written
        found: Optional[Result] = self.written
        return found

    def finish_fan_out(self) -> None:
        """`Session.finish_fan_out`."""
        self.did.append("told")

    def end(self, reason: str, why: str) -> None:
        """`Session.end`."""
        self.did.append("over")

    def overdue(self) -> bool:
        """`Session.overdue`."""
        return False


class Loop:
    """In place of the loop and its thread: what it is given waits until the play says so."""

    def __init__(self, play: SteppedConnection) -> None:
        self._play = play
        self.loop_lock = event_loop.LoopLock()
        self.given: Deque[Callable[[], object]] = deque()
        self.woken = 0

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """`LoopThread.call`."""
        self.given.append(lambda: function(*args))
        self._play.at("given")

    def wake(self) -> None:
        """`LoopThread.wake`."""
        self.woken += 1


class Asks(Dict[CallerRequest, None]):
    """`Channel.open_requests`, where something else may happen between two instructions of whoever uses it."""

    play: SteppedConnection

    def __setitem__(self, asked: CallerRequest, value: None) -> None:
        super().__setitem__(asked, value)
        self.play.at("asked")

    def __iter__(self) -> Iterator[CallerRequest]:
        listed = list(super().__iter__())
        self.play.at("listed")
        return iter(listed)


class Stopped(threading.Event):
    """`KazooClient._stopped`, where something else may happen when somebody has looked at it."""

    def __init__(self, play: SteppedConnection) -> None:
        super().__init__()
        self._play = play

    def is_set(self) -> bool:
        """As threading's."""
        found = super().is_set()
        self._play.at("looked")
        return found


class Client:
    """As much of kazoo's client as its connection needs."""

    def __init__(self, play: SteppedConnection) -> None:
        self.handler = HANDLER
        self._pending: Deque[Any] = deque()
        self._stopped = Stopped(play)
        self._child_watchers = self._data_watchers = defaultdict(set)
        self._state = KeeperState.CONNECTED
        self.last_zxid = 0

    def _answered(self, request: Any) -> None:
        """`KazooClient._answered`."""


class Connection(connection.DeploymentConnection):
    """The product's, but for what it reads first and what it does with events."""

    play: SteppedConnection
    taken: Any = None

    def __init__(self, play: SteppedConnection) -> None:
        super().__init__(play.client, None, logging.getLogger("play"))
        self.play = play
        self.pings: Deque[int] = deque()
        self.ping_outstanding = self  # which is cleared when an answer to a ping is read

    def clear(self) -> None:
        """As an event's."""
        self.play.told.append(self.pings.popleft())

    def _read_header(self, timeout: float) -> Any:
        return self.taken

    def _deliver(self, *reply: Any) -> bool:
        self.play.at("decided")
        assert not self.play.busy, "kazoo's thread is busy with what came before"
        return super()._deliver(*reply)

    def _read_watch_event(self, buffer: bytes, offset: int, *more: Any, **options: Any) -> None:
        self.play.told.append(int(Watch.deserialize(buffer, offset)[0].path[1:]))


class Turned(NamedTuple):
    """Something that happens in the middle of something else."""

    point: str
    happens: Callable[[], Any]


class SteppedConnection:
    """All of it. Whatever is answered or happens has a number, which is its zxid, in the order in which it happens."""

    def __init__(self, patch: pytest.MonkeyPatch, turned: Optional[Turned] = None) -> None:
        self.channel = Channel(None, "ns")  # type: ignore[arg-type]
        self.channel._decided = True
        self.channel.open_requests = Asks()
        self.channel.open_requests.play = self
        self.session: Any = Session(self)
        self.channel._session = self.session
        self.loop = Loop(self)
        patch.setattr(loop_thread, "current", lambda: self.loop)
        patch.setattr(loop_thread, "known", lambda: self.loop)
        self.client = Client(self)
        self.connection = Connection(self)
        self.connection._channel = self.connection._ready_channel = self.channel
        self.channel.deliver = self.connection._deliver
        self.told: List[int] = []
        """Numbers, in the order in which they were handed over."""
        self.came: List[int] = []
        """Numbers, in the order in which they came."""
        self.outcomes: List[Outcome] = []
        self.refused: List[Outcome] = []
        """Of callers who were told at once to go the long way."""
        self.busy = False
        """Whether kazoo's thread has taken something and is not done with it."""
        self.closed_at: Optional[int] = None
        """How much was told when the connection was given up."""
        self._own: Dict[int, Outcome] = {}
        self._turned = turned

    def at(self, point: str) -> Any:
        """Somebody is there: now what is to happen there happens, once."""
        if self._turned is not None and self._turned.point == point:
            happens, self._turned = self._turned.happens, None
            return happens()
        return None

    # --- kazoo's thread ---

    def send(self) -> None:
        """Sends something of its own."""
        xid = len(self._own) + 1
        outcome, request = self._outcome(), Delete("/a", -1)
        self._own[xid] = outcome
        self.client._pending.append((request, outcome, xid))
        self.channel.submit(request, xid)

    def take(self) -> None:
        """Takes what waits, and is busy with it from then on."""
        if not self.busy and self.rung():
            try:
                header, body, self.connection._taken = self.channel.next_reply()
            except BlockingIOError:
                return
            self.connection.taken = (header, body, 0)
            self.busy = True

    def done(self) -> None:
        """Is done with it."""
        if self.busy:
            self.connection._read_socket(0.0)
            self.busy = False

    def indirect(self) -> None:
        """From now on, whoever hands over has to be this thread."""
        self.channel.deliver = None

    def close(self) -> None:
        """Tells that the connection is gone, as `_notify_pending` does."""
        self.closed_at = len(self.told)
        for asked in self.connection.leave():
            asked.result.set_exception(ConnectionLoss())

    # --- a caller's thread ---

    def ask(self) -> None:
        """Asks for something."""
        outcome = self._outcome()
        if not self.connection.submit_now(Delete("/a", -1), outcome):
            self.refused.append(outcome)

    # --- the loop's thread ---

    def run(self) -> None:
        """Does what it was given first."""
        if self.loop.given:
            self.loop.given.popleft()()

    def answer(self) -> None:
        """The session answers what waits longest."""
        if self.session.waiting:
            tag = self.session.waiting.popleft()
            outcome = tag.result if isinstance(tag, CallerRequest) else self._own[tag[0]]
            outcome.number = self._next()
            self.channel.replied(tag, Result(0, None, outcome.number))

    def event(self) -> None:
        """Something happened that a watch waits for."""
        number = self._next()
        self.channel.fired(Event(number, "/%d" % number, 3))

    def ping(self) -> None:
        """A ping is answered."""
        self.connection.pings.append(self._next())
        self.channel._pass_reply(PING_XID, 0, 0, b"")

    def _next(self) -> int:
        self.came.append(len(self.came) + 1)
        return self.came[-1]

    def _outcome(self) -> Outcome:
        self.outcomes.append(Outcome(self))
        return self.outcomes[-1]

    # --- what a test asks ---

    def rung(self) -> bool:
        """Whether the bell is rung: kazoo's thread would wake."""
        try:
            return bool(self.channel.socket._end.recv(1, socket.MSG_PEEK) == b"\0")
        except BlockingIOError:
            return False

    def finish(self) -> None:
        """The loop does what is left; kazoo's thread takes whatever waits; it is woken for all of it."""
        while self.loop.given or self.session.waiting:
            self.run()
            self.answer()
        self.done()
        for _ in range(20):
            self.take()
            self.done()
        assert not self.channel._replies, "nobody was woken for what waits"
        assert not self.rung(), "somebody is woken for nothing"

    def discard(self) -> None:
        """Gives the sockets back."""
        self.channel.hang_up()
        self.channel.socket.discard()


def merged(*scripts: Sequence[str]) -> Iterator[List[str]]:
    """Every order of what several threads do, in which each keeps its own."""
    scripts = tuple(script for script in scripts if script)
    if not scripts:
        yield []
    for position, (first, *rest) in enumerate(scripts):
        for others in merged(*scripts[:position], rest, *scripts[position + 1 :]):
            yield [first, *others]
