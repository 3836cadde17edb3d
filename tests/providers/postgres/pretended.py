"""As much of a PostgreSQL server, and of a network to it, as link, writers and gateway need; in virtual time.

The server's rules are its own: a NOTIFY arrives at each connection in the order of commits, and before the answer to
what that connection asks later; what was on its way to a connection that is lost is lost; an advisory lock goes with
its connection, which the server notices later; a commit of an epoch that is over is refused. Everything takes its time.
"""

from __future__ import annotations

import asyncio
import base64
import copy
from random import Random
from typing import Any, Callable, ClassVar, Dict, List, Optional, Sequence, Set, Tuple, cast

from fk_backend import layout
from fk_backend.errors import Taken, Unavailable, Unknown
from fk_backend.ports import INTEREST, STATE, Key
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.providers.postgres import link, realm, writer
from fk_backend.providers.postgres.failures import Deposed
from fk_backend.providers.postgres.server import History
from fk_backend.providers.postgres.store import WATCH, PostgresStore, opened_in
from fk_backend.testing.simulation.loop import SimulatedLoop

LAG_S = 0.004
NEVER_S = 1e9


class Server:
    """One, and what it has stored. ``fall``: another one takes over that does not have everything."""

    def __init__(self, loop: SimulatedLoop, random: Random) -> None:
        self.loop, self.random = loop, random
        self.items: Any = MemoryStore()
        self.epoch = self.pid = self.pids = 0
        self.holder: Optional[Wire] = None
        self.wires: List[Wire] = []
        self.history = History("1", False)
        self.standby: Tuple[Any, int] = (copy.deepcopy(self.items), 0)
        """What the other one has: the items, and the epoch."""
        self.networks: List[Connections] = []
        self.rarely = 0.03
        """How often something takes very long on its way."""

    def lag(self) -> float:
        """How long something takes on its way; now and then, very long."""
        return LAG_S * self.random.random() * (40 if self.random.random() < self.rarely else 1)

    def replicate(self) -> None:
        """The standby has everything up to now."""
        self.standby = copy.deepcopy(self.items), self.epoch

    def fall(self) -> None:
        """The standby takes over."""
        self.items, self.epoch = self.standby
        self.replicate()
        self.history = History(str(int(self.history.identity) + 1), self.history.keeps)
        self.holder = None
        for wire in list(self.wires):
            wire.cut()

    def zxid(self, ns: str) -> int:
        """The head's."""
        (item,) = self.now(self.items.get([layout.head_key(ns)]))
        return 0 if item is None else int(item.rev)

    def now(self, coroutine: Any) -> Any:
        """The result of what never waits."""
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("the store waited")

    # --- what a statement does --------------------------------------------------------------------

    def notify(self, channel: str, payload: str) -> None:
        """To everybody who listens."""
        for wire in list(self.wires):
            wire.take(channel, payload)

    def standing(self) -> Tuple[int, bool]:
        """The epoch, and whether nobody has the lock."""
        return self.epoch, self.holder is None

    def run(self, sql: str, *arguments: Any) -> List[Any]:
        """Of the few statements that there are, its rows."""
        if sql == link._WRITER_STATE:
            return [self.standing()]
        if sql == link._NOTIFY:
            return [self.notify(*arguments)]
        if sql == link._TAKE_OVER:
            self.epoch, self.pid = self.epoch + 1, arguments[0]
            return [(self.epoch, 0)]
        if sql == link._DEPOSE:
            for wire in list(self.wires):
                if wire.pid == self.pid and arguments[0] == self.epoch:
                    wire.cut()
            return []
        if sql == realm.SEEN:
            return [("", 1, "queue", "news")]
        if sql == realm.IS_OWN:
            return [(False,)]
        if sql == link._SEND:
            self._tell(["queue"] * len(arguments[0]), *arguments)
            return [self.standing()]
        assert sql == writer.TELL, sql
        self._tell(*arguments)
        return []

    def _tell(self, channels: Sequence[str], heads: Sequence[str], bodies: Sequence[bytes]) -> None:
        for channel, head, body in zip(channels, heads, bodies):
            self.notify(channel, "%s %s" % (head, base64.b64encode(body).decode()))


class Wire:
    """A connection that listens, as asyncpg's."""

    def __init__(self, server: Server) -> None:
        self._server = server
        server.pids += 1
        self.pid = server.pids
        self._heard: Dict[str, List[Any]] = {}
        self._ended: List[Any] = []
        self._closed = False
        self._last = 0.0
        server.wires.append(self)

    def take(self, channel: str, payload: str) -> None:
        """A notification is on its way, behind what is already."""
        if channel in self._heard:
            self._server.loop.call_at(self._behind(), self._arrive, channel, payload)

    def _behind(self) -> float:
        self._last = max(self._last + 1e-9, self._server.loop.now + self._server.lag())
        return self._last

    def _arrive(self, channel: str, payload: str) -> None:
        if not self._closed:
            for callback in list(self._heard.get(channel, ())):
                callback(self, self.pid, channel, payload)

    def cut(self) -> None:
        """It is lost; its end here hears of it now, and the server may have noticed or not."""
        if self._closed:
            return
        self._closed = True
        self._server.loop.call_later(self._server.lag(), self._gone)
        for callback in self._ended:
            self._server.loop.call_soon(callback, self)

    def _gone(self) -> None:
        if self in self._server.wires:
            self._server.wires.remove(self)
        if self._server.holder is self:
            self._server.holder = None

    async def _ask(self, effect: Callable[[], Any]) -> Any:
        if self._closed:
            raise ConnectionResetError("closed")
        await asyncio.sleep(self._server.lag())
        if self._closed:
            raise ConnectionResetError("cut")
        value = effect()
        await asyncio.sleep(self._behind() - self._server.loop.now)
        if self._closed:
            raise ConnectionResetError("cut")
        return value

    async def fetchrow(self, sql: str, *arguments: Any) -> Any:
        """One row."""
        if sql == link._AT_HOME:
            return None, 0
        return (await self._ask(lambda: self._server.run(sql, *arguments)))[0]

    async def fetch(self, sql: str) -> Any:
        """All rows."""
        return await self._ask(lambda: self._server.run(sql))

    async def fetchval(self, sql: str) -> Any:
        """The lock, or a sign of life."""
        return await self._ask(self._lock if "try_advisory" in sql else lambda: 1)

    def _lock(self) -> bool:
        if self._server.holder is None:
            self._server.holder = self
        return self._server.holder is self

    async def add_listener(self, channel: str, callback: Any) -> None:
        """LISTEN."""
        await self._ask(lambda: self._heard.setdefault(channel, []).append(callback))

    async def remove_listener(self, channel: str, callback: Any) -> None:
        """UNLISTEN."""
        await self._ask(lambda: self._heard.pop(channel, None))

    def add_termination_listener(self, callback: Any) -> None:
        """Called when it is lost."""
        self._ended.append(callback)

    def get_server_pid(self) -> int:
        """The process at its other end."""
        return self.pid

    def is_closed(self) -> bool:
        """Whether it is lost."""
        return self._closed

    def terminate(self) -> None:
        """Ends it."""
        self.cut()

    async def close(self, timeout: float = 0) -> None:
        """Ends it."""
        self.cut()


class Connections:
    """Those of one process. ``broken`` at random: an answer is lost, or what was asked."""

    servers: ClassVar[List[Server]] = []
    """The one that new processes find."""

    def __init__(self, place: Any, broken: Any = None, moved: Any = None) -> None:
        self.server = self.servers[0]
        self._broken, self._moved = broken, moved
        self._identity = ""
        self.failing = 0.0
        """How often a call fails."""
        self.away_until = 0.0
        self.slower = 1
        """By so much than that of others: its machine is busy."""
        self._running: Set[Any] = set()
        self._wires: List[Wire] = []
        self.server.networks.append(self)

    @property
    def away(self) -> bool:
        """Whether nothing gets through."""
        return self.server.loop.now < self.away_until

    async def open(self) -> Any:
        """A connection that listens."""
        await asyncio.sleep(self.server.lag())
        if self.away:
            raise Unavailable("away")
        self._wires.append(Wire(self.server))
        return self._wires[-1]

    def cut(self, for_s: float) -> None:
        """The listening connection is lost, and for so long there is no other one."""
        self.away_until = max(self.away_until, self.server.loop.now + for_s)
        wires, self._wires = self._wires, []
        for wire in wires:
            wire.cut()

    def belong(self, identity: str) -> None:
        """As the real one's."""
        self._identity = identity

    async def read(self, sql: str, *arguments: Any) -> List[Any]:
        """As the real one's."""
        return cast(List[Any], await self.call(lambda: self.server.run(sql, *arguments), False))

    async def write(self, sql: str, *arguments: Any) -> List[Any]:
        """As the real one's: it goes on if nobody waits for it any more."""
        return cast(List[Any], await self.call(lambda: self.server.run(sql, *arguments), True))

    async def call(self, effect: Callable[[], Any], writing: bool, later: Optional[Callable[[], Any]] = None) -> Any:
        """There, its effect in one instant, and what is found ``later``, and back."""
        running = asyncio.ensure_future(self._call(effect, writing, later))
        self._running.add(running)
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(running)

    async def _call(self, effect: Callable[[], Any], writing: bool, later: Optional[Callable[[], Any]]) -> Any:
        server, chance = self.server, self.server.random.random()
        await asyncio.sleep(self.slower * server.lag())
        if self.away or chance < self.failing / 2:
            return self._fail(writing)
        if self._identity and self._identity != server.history.identity:
            self._moved()
            raise Unavailable("another server")
        value = effect()
        if later is not None:
            await asyncio.sleep(self.slower * server.lag())
            value = later()
        await asyncio.sleep(self.slower * server.lag())
        if self.away or chance < self.failing:
            return self._fail(writing)
        return value

    def _fail(self, writing: bool) -> Any:
        self._broken()
        raise Unknown("cut") if writing else Unavailable("cut")

    async def close(self) -> None:
        """As the real one's."""


class Store:
    """`PostgresStore` on it."""

    capabilities = PostgresStore.capabilities

    def __init__(
        self, connections: Connections, epoch: Optional[int] = None, deposed: Any = None, channel: str = ""
    ) -> None:
        self._connections, self._epoch, self._deposed, self._channel = connections, epoch, deposed, channel

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            server = self._connections.server
            writing = name in ("commit", "increment", "purge")
            return await self._connections.call(
                lambda: server.now(getattr(server.items, name)(*arguments, **named)), writing
            )

        return call

    async def commit(self, writes: Sequence[Any]) -> None:
        """Fenced, if it is a writer's and not of registrations."""
        await self._connections.call(lambda: self._effect(writes), True)

    def _effect(self, writes: Sequence[Any]) -> None:
        server = self._connections.server
        fenced = self._epoch is not None and writes and writes[0].key.table != INTEREST
        if fenced and server.epoch != self._epoch:
            self._deposed()
            raise Deposed("another process is the writer now")
        server.now(server.items.commit(writes))
        ns = opened_in(writes) if self._channel else ""
        if ns:
            server.notify(self._channel, "%s %s" % (WATCH, ns))

    async def commit_and_look(
        self, writes: Sequence[Any], partitions: Sequence[str], note: bytes
    ) -> Optional[List[Any]]:
        """Two instants, with whatever comes in between, and one answer."""
        server = self._connections.server

        def commit() -> None:
            for put in writes[1:]:
                if getattr(put, "expect", None) == 0 and server.now(server.items.get([put.key])) != [None]:
                    raise Taken("it is there")
            self._effect(writes)

        def look() -> List[Any]:
            found = [
                (Key(INTEREST, partition, sort), item)
                for partition in partitions
                for sort, item in server.now(server.items.query(INTEREST, partition)).rows
            ]
            for inbox in sorted({key.sort.rpartition(":")[2] for key, _ in found}):
                server.notify(writer.channel_of(inbox), "0 " + base64.b64encode(note).decode())
            return found

        found: List[Any] = await self._connections.call(commit, True, look)
        return None if server.random.random() < 0.05 else found

    async def namespaces(self) -> List[str]:
        """Those that there are."""
        server = self._connections.server
        rows = await self._connections.call(lambda: server.now(server.items.scan(STATE, "", limit=1 << 20)), False)
        return sorted({key.partition.partition(":")[0] for key, _ in rows})


class Clock:
    """Of everybody."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def now_ms(self) -> int:
        """Virtual."""
        return int(self._server.loop.now * 1000)

    def monotonic(self) -> float:
        """Virtual."""
        return self._server.loop.now

    async def sleep(self, seconds: float) -> None:
        """Virtual."""
        await asyncio.sleep(seconds)

    def random_bytes(self, count: int) -> bytes:
        """By the seed."""
        return self._server.random.randbytes(count)
