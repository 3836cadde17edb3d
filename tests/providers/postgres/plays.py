"""Several processes on a pretended server, by a seed: connections are lost, writers hand over, a server takes over, and
somebody writes directly as fast as it can.

What is judged is what was promised: an answered write was done, and once; what is watched is told; who was told what
is lost does not go on; everybody goes on in the end; nobody's queued writes wait for those of others for long.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from random import Random
from typing import Any, Callable, Dict, List, Optional, Set, Tuple
from unittest import mock

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, Result, SetData
from fk_backend.errors import BackendError
from fk_backend.providers.postgres import gateway, link, writer
from fk_backend.providers.postgres.gateway import PostgresGateway
from fk_backend.session.engine import EXPIRED, Opened, Session
from fk_backend.session.ops import GetData
from fk_backend.testing.simulation.loop import SimulatedLoop
from fk_kazoo.attaching import attach

from .pretended import NEVER_S, Clock, Connections, Server, Store

NS = "ns"
LOST, HANDED, FELL, CROWDED = "notify lost", "handed over", "fell", "crowded"
WORLDS = (LOST, HANDED, FELL, CROWDED)
CLIENTS = 3
WATCHED = "/watched"
LONGEST_S = 240.0
QUEUED_S = 3.0
"""So long queued writes may take beside direct ones, where nothing takes very long on its way."""
SLOWER = 8
"""Than that of others, the network of the elected writer."""
AGAIN_S = 0.05
VERSION = 4
"""Of a stat's fields."""


class Client:
    """One process: it writes to a node of its own, alone or several at once, and watches one of all."""

    def __init__(self, play: "Play", number: int) -> None:
        self.play, self.number = play, number
        self.path = "/own-%d" % number
        self.versions: List[int] = []
        self.unknown = 0
        self.seen = 0
        self.session: Any = None
        self.known: Optional[Opened] = None
        self.over = asyncio.Event()
        self.asked: Dict[int, "asyncio.Future[Optional[Result]]"] = {}
        self.told: List[Tuple[int, str]] = []
        """(zxid, by whose history) of all that this session was answered."""
        self.watched = -1
        self.tags = 0

    # --- the listener -------------------------------------------------------------------------

    def replied(self, tag: Any, result: Result) -> None:
        """Of the session."""
        self.seen = max(self.seen, result.zxid)
        self.told.append((result.zxid, self.gateway.link.history.identity))
        self.asked.pop(tag).set_result(result)

    def fired(self, event: Any) -> None:
        """Of the session."""
        self._check_again()

    def ended(self, session: Any) -> Callable[[str, str], None]:
        """What `over` is for that session."""

        def over(reason: str, why: str) -> None:
            if session is not self.session:
                return
            if reason == EXPIRED:
                self.known = None
            self.over.set()
            asked, self.asked = self.asked, {}
            for answer in asked.values():
                answer.set_result(None)

        return over

    # --- the client -----------------------------------------------------------------------------

    async def open(self) -> None:
        """Its way to the server."""
        self.gateway = await PostgresGateway.open("app@one/db", {})
        self.connections: Any = self.gateway.link.connections

    async def keep_connected(self) -> None:
        """For ever."""
        while True:
            listener = mock.Mock(replied=self.replied, fired=self.fired)
            session = Session(self.gateway, NS, listener)
            listener.over = self.ended(session)
            self.over.clear()
            try:
                if self.known is None:
                    self.seen, self.told = 0, []
                    self.known = await session.open(20_000)
                    self.seen = self.known.zxid
                else:
                    opened = await attach(session, self.known.session, self.known.password, self.seen)
                    if opened is not None:
                        self.play.goes_on(self)
                    self.known = opened
            except BackendError:
                session.end("lost", "")
                await asyncio.sleep(AGAIN_S)
                continue
            if self.known is None:
                continue
            self.session = session
            if session.is_over:
                continue
            self._check_again()
            await self.over.wait()

    def ask(self, op: Any) -> "asyncio.Future[Optional[Result]]":
        """The answer; None if the connection ends first."""
        self.tags += 1
        answer = self.asked[self.tags] = asyncio.get_running_loop().create_future()
        self.session.submit(self.tags, op)
        return answer

    def _check_again(self) -> None:
        if self.session is not None and not self.session.is_over:
            self.ask(GetData(WATCHED, True)).add_done_callback(self._looked)

    def _looked(self, answer: "asyncio.Future[Optional[Result]]") -> None:
        found = answer.result()
        if found is not None and found.code == Error.OK:
            self.watched = found.value[1][VERSION]
        elif found is not None:  # it is not there yet
            asyncio.get_running_loop().call_later(AGAIN_S, self._check_again)

    async def connected(self) -> None:
        """As soon as it is."""
        while self.session is None or self.session.is_over:
            await asyncio.sleep(AGAIN_S / 5)

    async def write(self, path: str, count: int) -> None:
        """So many at once."""
        await self.connected()
        answers = [self.ask(SetData(path, b"", -1)) for _ in range(count)]
        for answer in answers:
            result = await answer
            if path == self.path:
                if result is None:
                    self.unknown += 1
                else:
                    assert result.code == Error.OK, result
                    self.versions.append(result.value[VERSION])
                    self.play.answered(self, result.value[VERSION])


class Play:
    """One run."""

    def __init__(self, world: str, seed: int) -> None:
        self.world = world
        self.random = Random("%s %d" % (world, seed))
        self.loop = SimulatedLoop(Random(seed))
        self.loop.call_soon_threadsafe = self.loop.call_soon  # there is one thread
        self.server = Server(self.loop, Random("server %d" % seed))
        self.faults: List[str] = []
        self.lost_after: Dict[str, int] = {}
        """A history → the zxid after which the next one has nothing of it."""
        self.queueing: Set[Client] = set()
        """Who still writes by the queue, in a crowded world."""

    def answered(self, client: Client, version: int) -> None:
        """Something was."""

    def goes_on(self, client: Client) -> None:
        """A session goes on: it must not have been told anything that is lost."""
        lost = [told for told in client.told if told[0] > self.lost_after.get(told[1], 1 << 62)]
        assert not lost, "%s goes on, and was told %r, of which nothing is there" % (client.path, lost)

    async def main(self) -> None:
        """From the first client to what is there in the end."""
        Connections.servers = [self.server]
        self.clients = [Client(self, number) for number in range(CLIENTS)]
        for client in self.clients:
            await client.open()
            self.loop.create_task(client.keep_connected())
        first = self.clients[0]
        await first.connected()
        for path in (WATCHED, *(client.path for client in self.clients)):
            created = None
            while created is None or created.code not in (Error.OK, Error.NODE_EXISTS):
                await first.connected()
                created = await first.ask(Create(path, b"", OPEN_ACL, 0, 0, False))
        self.server.replicate()
        fast = next(each for each in self.clients if each.gateway.link._host is None)
        self.queueing = {each for each in self.clients if each is not fast}
        if self.world == CROWDED:
            self.server.rarely = 0.0
            for each in self.queueing:
                each.connections.slower = SLOWER
        ending = [self.loop.create_task(self._play(client)) for client in self.clients]
        await self._disturb()
        for client in self.clients:
            client.connections.failing = client.connections.away_until = 0.0
        await asyncio.wait_for(asyncio.gather(*ending), LONGEST_S)
        await self._judge()

    async def _play(self, client: Client) -> None:
        if self.world == CROWDED:
            return await self._crowd(client)
        chance = Random(client.path + str(self.random.random()))
        for _ in range(12):
            await asyncio.sleep(chance.random() * 0.15)
            path = WATCHED if chance.random() < 0.25 else client.path
            await client.write(path, 1 if chance.random() < 0.5 else chance.randint(2, 4))

    async def _crowd(self, client: Client) -> None:
        """One of those that were not elected writes directly, again and again, until the others have their answers."""
        while client not in self.queueing and self.queueing:
            await client.write(client.path, 1)
        for _ in range(3 if client in self.queueing else 0):
            await asyncio.wait_for(client.write(client.path, 3), QUEUED_S)
        self.queueing.discard(client)

    async def _disturb(self) -> None:
        if self.world == CROWDED:
            return
        for _ in range(self.random.randint(1, 4)):
            await asyncio.sleep(self.random.random() * 0.5)
            victim = self.random.choice(self.clients)
            if self.world == HANDED:
                victim = next((each for each in self.clients if each.gateway.link._host is not None), victim)
                victim.connections.failing = self.random.choice([0.0, 0.2])
                if self.random.random() < 0.4:
                    continue  # it stays the writer, and does not hear what became of its commits
            if self.world == FELL:
                await self._fall()
            else:
                victim.connections.cut(self.random.choice([0.0, 0.0, 0.3, 3.0]))

    async def _fall(self) -> None:
        """Not all that was answered is there on the other server."""
        self.server.replicate()
        await asyncio.sleep(self.random.random() * 0.2)
        zxid = self.server.items and _zxid(self.server.standby[0], self.server)
        self.lost_after[self.server.history.identity] = zxid
        self.server.fall()
        for client in self.clients:  # what it was told is judged by `goes_on`; versions begin anew
            client.versions, client.unknown = [], 1 << 20
        victim = self.random.choice(self.clients)
        victim.connections.away_until = self.loop.now + self.random.choice([0.0, 0.5, 2.0])  # others write meanwhile

    async def _judge(self) -> None:
        for client in self.clients:
            await client.connected()
        for client in self.clients:
            result = None
            while result is None:
                await client.connected()
                result = await client.ask(GetData(client.path, False))
            version, numbers = result.value[1][VERSION], client.versions
            assert numbers == sorted(set(numbers)), "versions go back or come twice: %r" % numbers
            assert version >= (numbers[-1] if numbers else 0), "an answered write is lost"
            assert client.unknown or version == len(numbers), "%d writes, %d done" % (len(numbers), version)
            assert version <= len(numbers) + client.unknown, "%d writes, %d done" % (len(numbers), version)
        result = await self.clients[0].ask(GetData(WATCHED, False))
        assert result is not None
        for _ in range(200):
            if all(client.watched == result.value[1][VERSION] for client in self.clients):
                return
            await asyncio.sleep(0.05)
        raise AssertionError("somebody did not hear of the last change: %r" % [each.watched for each in self.clients])


def _zxid(items: Any, server: Server) -> int:
    kept, server.items = server.items, items
    try:
        return server.zxid(NS)
    finally:
        server.items = kept


async def _nothing(*_: Any) -> None:
    return None


def play(world: str, seed: int) -> None:
    """AssertionError, or Stuck, if a promise is broken."""
    made = Play(world, seed)

    async def history(_: Any) -> Any:
        return made.server.history

    with ExitStack() as stack:
        for place, name, value in (
            (link, "Connections", Connections),
            (link, "examine", _nothing),
            (link, "refuse_pooler", _nothing),
            (link, "history", history),
            (link, "random", Random(seed)),
            (writer, "PostgresStore", Store),
            (gateway, "PostgresStore", Store),
            (writer, "DatabaseClock", lambda now_ms: Clock(made.server)),
            (gateway, "AwakeClock", lambda: Clock(made.server)),
        ):
            stack.enter_context(mock.patch.object(place, name, value))
        made.loop.run(made.main(), limit=2_000_000)
    assert not made.loop.failures, made.loop.failures[0]
    assert made.loop.now < NEVER_S
