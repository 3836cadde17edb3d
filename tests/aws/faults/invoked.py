"""Writers that clients invoke, in the hands of a test: one request of an invocation can be its last, or stand still.

Rule upheld here: only the invocation that a test asks for is touched. What clients and functions do besides goes on,
and what became of it is read by a client, as an app would.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple, Type
from urllib.request import Request, urlopen

import pytest
from kazoo.exceptions import ConnectionLoss
from kazoo.protocol.states import KazooState

from fk_backend.messages import decode
from fk_backend.providers import contention
from fk_backend.providers.aws import direct, names
from fk_backend.providers.aws.clients import Clients
from fk_backend.providers.aws.dev.thread import ThreadEnvironment
from fk_backend.session import inbox
from fk_kazoo.client import KazooClient
from tests.service.processes import eventually

from ..conftest import DEPLOYMENT, Deployment
from .wire import Process, Send, Sent, carried_by, tap

WRITER = names.function(DEPLOYMENT, names.WRITER)
PATIENCE_S = 60.0
"""For what has no bound but this machine's speed."""
SESSION_S = 60.0
"""Longer than any pause of a busy machine: nothing here is about expiry."""
EVERY = "FK_EVERY_KILL"
"""The variable that has every place tried, and not only some of them."""
EVERY_SO_MANY = 4
"""Of so many places at which an invocation can be killed one is tried in any case, besides the first."""
View = Dict[str, Any]
"""Name of a child → its data, its version, whether a session owns it."""
RETRY = {"delay": 0.01, "max_delay": 0.1, "max_tries": -1}


def is_whole() -> bool:
    """Whether everything is tried."""
    return bool(os.environ.get(EVERY))


def is_tried(scene: int, at: int) -> bool:
    """Whether a place is tried. Scenes begin with different ones, so that between them they try all kinds."""
    return is_whole() or at == 1 or (at + scene) % EVERY_SO_MANY == 0


def places(scene: int) -> Iterator[Tuple[int, bool]]:
    """Where to kill: at which request, and whether after it. Ends never."""
    for at in itertools.count(1):
        if is_tried(scene, at):
            yield at, False
            yield at, True


def set_up(patch: pytest.MonkeyPatch) -> None:
    """Clients invoke, whomever they have met before; and who watches is told, and does not find out by himself."""
    patch.setattr(contention, "PAUSE_S", 0.0)
    patch.setattr(inbox, "LOOK_S", 3600.0)


# --- the function's side --------------------------------------------------------------------------


class Frozen(Process):
    """The whole environment stands still just before its ``at``-th request, until it is woken."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.wake = threading.Event()
        self._freezes_at = at

    async def carry(self, sent: Sent, send: Send) -> Any:
        """As `Process.carry`, but for that."""
        if len(self.sent) == self._freezes_at:
            self.reached.set()
            assert self.wake.wait(PATIENCE_S)
        return await super().carry(sent, send)


def kind_of(event: Any) -> str:
    """What an invocation asks for: the name of its request's kind."""
    asked = direct.asked(event)
    assert asked is not None, event
    return type(decode(asked[1]).requests[0]).__name__


class Doom:
    """Who carries the requests of the next invocation that asks for something of a kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kind: Optional[Type[Any]] = None
        self._process: Optional[Process] = None
        self.event: Any = None
        """What that invocation was called with."""
        self.over = threading.Event()
        """Whether nothing of it goes on any more, whatever its caller was told."""

    def befall(self, kind: Type[Any], process: Process) -> None:
        """``kind``: of the request, as the writer gets it."""
        with self._lock:
            self._kind, self._process, self.event = kind, process, None
            self.over.clear()

    def take(self, event: Any) -> Optional[Process]:
        """The carrier for an invocation, if it is the one that is waited for."""
        with self._lock:
            if self._kind is None or kind_of(event) != self._kind.__name__:
                return None
            self._kind, self.event = None, event
            return self._process


def environment(doom: Doom) -> Type[ThreadEnvironment]:
    """Of environments whose invocations may be doomed. When one is killed, its environment has ended."""

    class Environment(ThreadEnvironment):
        _carrier: Optional[Process] = None

        async def invoke(self, event: bytes, chain: str = "", alias: str = "") -> bytes:
            self._carrier = doom.take(json.loads(event)) if alias == names.DIRECT else None
            return await super().invoke(event, chain, alias)

        async def _call(self, function: Callable[[], Any]) -> Any:
            carrier, self._carrier = self._carrier, None

            def carried() -> Any:
                with carried_by(carrier):
                    try:
                        return function()
                    finally:
                        if self.broken or getattr(carrier, "dead", False):
                            self._bury()
                        doom.over.set()

            return await super()._call(function if carrier is None else carried)

        def _bury(self) -> None:
            """What it had under way is over, as with a process that has ended; and what it had open is closed."""
            for loop, _ in self._module._environment:
                tasks = asyncio.all_tasks(loop)
                for task in tasks:
                    task.cancel()
                if tasks:
                    loop.run_until_complete(asyncio.wait(tasks))
            self._module.close()

    return Environment


async def open_tapped(clients: Clients, opened: Callable[[Clients], Any]) -> Clients:
    """As `Clients.open`, under the carriers of the functions' invocations."""
    await opened(clients)
    if clients._of_function:
        tap(clients)
    return clients


# --- the client's side ----------------------------------------------------------------------------


def has_no_answer(asked: Any) -> bool:
    """Whether the connection was lost before the answer to something came; waits for either."""
    asked.wait(PATIENCE_S)
    assert asked.ready()
    return isinstance(asked.exception, ConnectionLoss)


class App:
    """A client, and everything that its app sees of it."""

    def __init__(self, url: str, session_s: float = SESSION_S) -> None:
        self.zk: Any = KazooClient(url, timeout=session_s, connection_retry=RETRY)
        self.states: List[str] = []
        self.events: List[Tuple[str, str]] = []
        """(Type, path) of what was fired."""
        self.zk.add_listener(self.states.append)

    def start(self) -> "App":
        """Connects, and forgets that it did."""
        self.zk.start(timeout=PATIENCE_S)
        eventually(lambda: self.states, "it is told that it is connected")
        self.states.clear()
        return self

    def told(self, event: Any) -> None:
        """A watch. kazoo tells it of lost connections as well, which have no path."""
        if event.path:
            self.events.append((event.type, event.path))

    def settled(self, lost: bool = False) -> None:
        """Until it is connected, and has been told so: ``lost``, once again, as a call had no answer.

        That call ends before listeners hear that its connection is lost.
        """
        eventually(lambda: self._is_settled(lost), "it is connected", PATIENCE_S)

    def _is_settled(self, lost: bool) -> bool:
        states = list(self.states)
        told = states[-1] == KazooState.CONNECTED if states else not lost
        return self.zk.state == KazooState.CONNECTED and told

    def view(self, path: str) -> View:
        """The children of a node, and how often they have changed."""
        found: View = {}
        for name in self.zk.retry(self.zk.get_children, path):
            data, stat = self.zk.retry(self.zk.get, path + "/" + name)
            found[name] = data, stat.version, bool(stat.ephemeralOwner)
        found["changes"] = self.zk.retry(self.zk.exists, path).cversion
        return found

    def stop(self) -> None:
        """Ends it."""
        self.zk.stop()
        self.zk.close()


class Deed(NamedTuple):
    """One request of a client: what it is for the writer, and how an app asks for it, under the path of a round."""

    kind: Type[Any]
    ask: Callable[[Any, str], Any]
    cold: bool = False
    """Whether the writer's environment is a new one."""


class Round(NamedTuple):
    """What became of one deed, as clients see it."""

    path: str
    answered: bool
    """Or its client lost the connection."""
    before: View
    after: View
    sent: List[Sent]
    event: Any
    """What the function was called with."""


class Theatre:
    """A client that does deeds, and another one that watches, on a deployment that is invoked."""

    def __init__(self, deployment: Deployment, doom: Doom) -> None:
        self.deployment = deployment
        self.doom = doom
        self.actor, self.watcher = App(deployment.url).start(), App(deployment.url).start()
        self._rounds = 0
        self.actor.zk.create("/held", ephemeral=True)  # the heartbeat has begun: see `Writer.write_for`

    def close(self) -> None:
        """Ends both."""
        self.actor.stop()
        self.watcher.stop()

    def prepare(self) -> str:
        """A node of the round's own, with something in it, and all of it watched. Its path."""
        self._rounds += 1
        path = "/r%04d" % self._rounds
        made = self.actor.zk.transaction()
        for name in ("", "/a", "/b"):
            made.create(path + name, b"old")
        assert made.commit() == [path, path + "/a", path + "/b"]
        watcher, told = self.watcher.zk, self.watcher.told
        watcher.get(path + "/a", watch=told)
        watcher.exists(path + "/n", watch=told)
        watcher.get_children(path, watch=told)
        self.watcher.events.clear()
        self.actor.states.clear()
        return path

    def play(self, deed: Deed, process: Process) -> Round:
        """One round, in which this process carries what the deed's invocation sends."""
        path = self.prepare()
        before = self.actor.view(path)
        if deed.cold:
            self.deployment.host.stop_environments(WRITER)
        self.doom.befall(deed.kind, process)
        answered = self._is_answered(process, deed.ask(self.actor.zk, path))
        self.actor.settled(lost=not answered)
        assert self.doom.event is not None, "it was not invoked"
        return Round(path, answered, before, self.actor.view(path), process.sent, self.doom.event)

    def _is_answered(self, process: Process, asked: Any) -> bool:
        if isinstance(process, Frozen):
            eventually(lambda: process.reached.is_set() or asked.ready(), "it stands still, or is over", PATIENCE_S)
            if process.reached.is_set():
                assert self.deployment.host.kill(WRITER) == 1
        return not has_no_answer(asked)

    def events(self, path: str) -> List[Tuple[str, str]]:
        """What the other client was told, as long as it has asked for nothing itself."""
        return sorted((kind, where[len(path) :]) for kind, where in list(self.watcher.events))

    def again(self, event: Any) -> direct.WriterResponse:
        """What a message comes to that was on its way for so long that its client has connected again."""
        path = "/2015-03-31/functions/%s/invocations?Qualifier=%s" % (WRITER, names.DIRECT)
        request = Request(self.deployment.host.url + path, json.dumps(event).encode(), method="POST")
        with urlopen(request, timeout=PATIENCE_S) as response:
            told = direct.told(response.read())
        assert told is not None
        return told
