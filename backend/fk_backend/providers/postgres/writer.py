"""The elected writer: the one process that runs the functions, for as long as its session holds the advisory lock.

The lock, and what is heard on the queue's channel, belong to one and the same connection: who loses it has lost both,
and everybody sends again what is unanswered to the next one, in order, under the next epoch. Messages of another epoch
are dropped, and so are those that came before: of each inbox they are numbered. A commit of an earlier epoch is refused
by the database, and the next epoch begins only when no commit of the last one is under way; so a writer that does
not know yet that it is none any more can do nothing but tell again what is committed.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Awaitable, Callable, Dict, List, Optional, Sequence, Tuple

from ... import layout
from ...errors import Unavailable
from ...functions.heartbeat import SENDER, Heartbeat
from ...functions.writer import Writer
from ...layout import is_inbox, is_namespace
from ...messages import MAX_NUMBER, Position, message_id, split_id
from ...ports import NullSender, Ports, Pushed
from ..clock import SystemClock
from ..dispatch import Dispatcher
from .connections import Connections
from .store import PostgresStore

log = logging.getLogger(__name__)

TICK_S = 1.0
"""How often the leases of a namespace that has sessions are looked at."""
LATE_S = 1.5
"""A look that comes so much later found the server out of reach, or slow: then no session is to blame."""
MOST_INBOXES = 200_000
"""Of so many it is remembered which messages came."""
LOST = "lost"
"""What an inbox is told that was dropped, in place of a number."""
TELL = "SELECT fk_kazoo.tell($1, $2, $3)"


def channel_of(inbox: str) -> str:
    """What an inbox listens to: a name of PostgreSQL's has 63 bytes at most."""
    return "fk_kazoo_" + hashlib.sha256(inbox.encode()).hexdigest()[:40]


Own = Callable[[str, str, bytes], bool]
"""Hands what is pushed to an inbox of this process; whether it is one."""
NUMBERS = 1 << 32
"""Messages of one epoch, at most."""


class DatabaseClock(SystemClock):
    """One whose date is the database's, whichever machine the writer is on. From then on time goes on by itself.

    Leases go by this machine's monotonic clock: the database has only one that may be set.
    """

    def __init__(self, now_ms: int) -> None:
        self._started_ms = now_ms - int(time.monotonic() * 1000)

    def now_ms(self) -> int:
        """As the database's."""
        return self._started_ms + int(time.monotonic() * 1000)


class Tells:
    """`ports.Inboxes`: what is for others goes by NOTIFY, all of it in one statement."""

    def __init__(self, connections: Connections, own: Own) -> None:
        self._connections = connections
        self._own = own

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`."""
        await self._tell([(inbox, str(upto), body) for inbox, body, upto in messages if not inbox.startswith(SENDER)])

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`: whoever listens there is told that it is over."""
        await self._tell([(inbox, LOST, b"")])

    async def _tell(self, told: Sequence[Tuple[str, str, bytes]]) -> None:
        elsewhere = [each for each in told if not self._own(*each)]
        if elsewhere:
            channels, heads, bodies = zip(*[(channel_of(inbox), head, body) for inbox, head, body in elsewhere])
            await self._connections.write(TELL, list(channels), list(heads), list(bodies))


def own_writer(connections: Connections, now_ms: int, own: Own, channel: str) -> Writer:
    """For the direct writes of a process that was not elected. ``channel``: the queue's."""
    store, clock = PostgresStore(connections, channel=channel), DatabaseClock(now_ms)
    tells = Tells(connections, own)
    return Writer(Ports(store, tells, NullSender(), clock, commit_and_look=store.commit_and_look), shares=True)


class HeartbeatLoop:
    """The heartbeat, and with it a look at the head: what somebody committed and was not able to tell is told.

    A head that is there at two looks was told long ago by whoever made it, or that one is dead.
    """

    def __init__(self, heartbeat: Heartbeat, ports: Ports, schedule_fan_out: Callable[[str], None]) -> None:
        self._heartbeat = heartbeat
        self._store = ports.store
        self._schedule_fan_out = schedule_fan_out
        self._seen: Dict[str, Tuple[int, bool]] = {}
        """Namespace → the head's zxid, and whether it was seen to that it is told."""

    async def __call__(self, ns: str) -> bool:
        """`Heartbeat.__call__`."""
        (item,) = await self._store.get([layout.head_key(ns)])
        zxid = 0 if item is None else item.rev
        seen, done = self._seen.get(ns, (0, True))
        if seen == zxid and not done:
            self._schedule_fan_out(ns)
        self._seen[ns] = (zxid, seen == zxid)
        more = await self._heartbeat(ns)
        if not more:
            more = seen != zxid  # else nobody would look again
        return more


class ElectedWriter:
    """The functions of a deployment. It is `ports.Queue` for them."""

    def __init__(
        self,
        connections: Connections,
        epoch: int,
        now_ms: int,
        own: Own,
        deposed: Callable[[], None],
        serves: Callable[[str], bool],
        channel: str,
        contended: Callable[[str], Awaitable[None]],
    ) -> None:
        """``serves``: whether it is the writer of a namespace. ``channel``: the queue's. ``contended``: as `Dispatcher`
        has it.
        """
        self.epoch = epoch
        self._serves = serves
        self.store = PostgresStore(connections, epoch, deposed, channel)
        clock = DatabaseClock(now_ms)
        self.tells = tells = Tells(connections, own)
        ports = Ports(self.store, tells, self, clock, commit_and_look=self.store.commit_and_look)
        self._writer = Writer(ports, shares=True)
        looks = HeartbeatLoop(Heartbeat(ports, LATE_S), ports, self._schedule_fan_out)
        self._functions = Dispatcher(self._writer, looks, tells, clock, TICK_S, contended=contended)
        self._next: Dict[str, int] = {}
        """Inbox → the number that its next message has at least."""
        self._early: List[Tuple[str, str, int, bytes]] = []
        self._ready = False
        self._number = epoch * NUMBERS
        """Of the last message. Those of a later epoch are greater: what comes again there was not done before."""

    def _schedule_fan_out(self, ns: str) -> None:
        self._functions.schedule_fan_out(ns)

    def free(self, ns: str) -> Optional[Writer]:
        """Who writes, if nothing of the namespace waits or is being handled."""
        return self._writer if self._ready and self._functions.is_free(ns) else None

    async def start(self) -> None:
        """Finishes what the last writer left; then takes messages."""
        for ns in filter(self._serves, await self.store.namespaces()):
            await self._writer.recover(ns)
            self._functions.watch(ns)
        self._ready = True
        early, self._early = self._early, []
        for message in early:
            self.accept(*message)

    async def stop(self) -> None:
        """Takes nothing more; what it has in hand is finished or dropped whole."""
        self._early.clear()
        await self._functions.stop()

    def watch(self, ns: str) -> None:
        """There is a session, as anybody may say: the heartbeat looks."""
        if is_namespace(ns) and self._serves(ns):
            self._functions.watch(ns)

    def heard(self, head: str, body: bytes) -> None:
        """A message that came by the queue's channel, where anybody may say anything. ValueError if it is none."""
        epoch, ns, name = head.split(" ")
        inbox, first = split_id(name)
        if not is_namespace(ns) or not self._serves(ns) or not is_inbox(inbox) or not 0 <= first <= MAX_NUMBER:
            raise ValueError("no message: %r" % head)
        if int(epoch) == self.epoch:
            self.accept(ns, inbox, first, body)

    def accept(self, ns: str, inbox: str, first: int, body: bytes) -> None:
        """A message, once."""
        if not self._ready:
            return self._early.append((ns, inbox, first, body))
        if first < self._next.get(inbox, 0):
            return
        try:
            self._functions.accept(ns, message_id(inbox, first), body, position=self._position())
        except Unavailable as error:  # nothing that comes after it may be taken
            log.warning("namespace %s: a connection is cut off: %s", ns, error)
            first = MAX_NUMBER
        self._next.pop(inbox, None)
        self._next[inbox] = first + 1
        if len(self._next) > MOST_INBOXES:
            del self._next[next(iter(self._next))]

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`, for the functions themselves."""
        internal = message_id.startswith(SENDER)
        self._functions.accept(group, message_id, body, internal, self._position())

    def _position(self) -> Position:
        self._number += 1
        return Position(self._number)
