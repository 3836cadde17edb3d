"""A process's way to the functions: it is the writer, or it sends to the writer, or it is becoming one of the two.

Messages are kept until they are answered and sent again, in order, to whoever is the writer next, but only when that
one has said here that it has told everything: NOTIFY keeps the order, so by then the answers to what was done before
are here, too. That there is another writer shows earlier, in what the server answers; what was sent again by then might
be done twice.

Nobody polls: that the writer is gone shows when a message is sent, when one stays unanswered, or when a session beats.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from functools import partial
from itertools import islice
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Set

from ...errors import BackendError, DeploymentError, Unavailable
from ...functions.writer import Writer
from .connections import Connections
from .failures import DRIVER, explain
from .incoming import Incoming
from .place import Place
from .realm import Realm, realm_of
from .schema import LOCKS
from .server import History, examine, history, refuse_pooler
from .store import WATCH
from .writer import LOST, ElectedWriter, channel_of, own_writer

log = logging.getLogger(__name__)

LISTEN_S = 5.0
"""So long what is asked of the listening connection may take, until it is given up."""
SEEN_S = 1.0
"""A beat does not ask for the writer if it was seen so recently: a session may beat three times a second."""
JOINED_S = 3.0
"""So long a new connection, or a beat, waits for a writer."""
RETRY_S, MAX_RETRY_S = 0.02, 1.0
UNANSWERED_S, MAX_UNANSWERED_S = 0.1, 2.0
"""After so long, and then after twice as long, it is asked whether the writer is still there."""
FROZEN_S, ALIVE_S = 4.0, 3.0
"""A writer that has answered nobody here for so long is asked if it lives, and is deposed if it does not say so."""
MOST_SENT = 200
MOST_ANNOUNCED, MOST_DIGITS = 100, 18
"""Anybody may announce epochs; the server says which of them there are."""
GONE_S = 0.3
"""Whoever has nothing to ask waits so long at most before it becomes the writer of those that have."""
GIVEN_UP = "the session moved to another connection, or was out of reach for too long"

_SEND = "SELECT epoch, vacant FROM fk_kazoo.send($1, $2)"
_WRITER_STATE = "SELECT epoch, vacant FROM fk_kazoo.standing()"
_AT_HOME = "SELECT host(inet_client_addr()), (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_NOTIFY = "SELECT pg_notify($1, $2)"
_TAKE_OVER = "SELECT fk_kazoo.take_over($1), (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_DEPOSE = "SELECT pg_terminate_backend(pid) FROM fk_kazoo.writer WHERE epoch = $1"


class Unanswered(NamedTuple):
    """A message that has to be sent again to the next writer."""

    ns: str
    inbox: str
    first: int
    body: bytes


class Listening:
    """An inbox of this process."""

    def __init__(self, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self.receive = receive
        self.lost = lost
        self.callback: Any = None
        """What its channel calls."""
        self.unanswered: Deque[Unanswered] = deque()


class Link:
    """The link of one process to one deployment. `open` it; then it keeps itself connected until it is closed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.connections = Connections(place, self._probe_soon, self._drop_listener)
        self.address: Optional[str] = None
        self.history = History("", True)
        """Of the server that is listened to."""
        self.realm = Realm("")
        self._host: Optional[ElectedWriter] = None
        """Where the functions run in this process."""
        self._own_writer: Optional[Writer] = None
        """Of direct writes, as long as this connection is good: what it knows may not be so at another server."""
        self._listener: Any = None
        self._turn = asyncio.Lock()
        """Who has it may ask something of the listening connection."""
        self._connected = asyncio.Event()
        self._gone = asyncio.Event()
        self._closing = False
        self._failure: Optional[DeploymentError] = None
        self._inboxes: Dict[str, Listening] = {}
        self._incoming = Incoming(self.connections, self._drop_listener)
        self._epoch = 0
        """Whose writer messages are sent to."""
        self._standing = 0
        """The one that the server named last."""
        self._announced: Set[int] = set()
        """Epochs whose writer said, as far as anybody can tell, that it has told everything."""
        self._said = asyncio.Event()
        self._outgoing: Deque[Unanswered] = deque()
        self._round = 0
        """Grows whenever what is outgoing is begun anew."""
        self._seen_s = float("-inf")
        """When it was last known, by the loop's clock, that there is a writer elsewhere."""
        self._alive = asyncio.Event()
        self.on_contended: Callable[[str], None] = lambda ns: None
        """Called when the elected writer has said that others keep it from its turn in a namespace."""
        self._tasks: Dict[str, "asyncio.Future[None]"] = {}

    # --- what the gateway asks for --------------------------------------------------------------

    @property
    def shown(self) -> str:
        """What it is a link to, without its password."""
        return self._place.shown

    async def open(self) -> None:
        """Connects. BackendError."""
        await self._connect(first=True)
        self._start("keep", self._keep)

    def send(self, ns: str, inbox: str, first: int, body: bytes) -> None:
        """Takes a message; it reaches a writer sooner or later, as long as its inbox is not lost."""
        listening = self._inboxes.get(inbox)
        if listening is None:
            raise Unavailable("the connection is closed")
        message = Unanswered(ns, inbox, first, body)
        listening.unanswered.append(message)
        if self._host is not None:
            self._host.accept(*message)
        else:
            self._outgoing.append(message)
            self._start("send", self._send)
        self._start("watch", self._watch)

    def writer_for(self, ns: str) -> Optional[Writer]:
        """Who makes a direct write: the elected writer if it is here and has nothing else to do."""
        if not self._connected.is_set() or self._gone.is_set():
            return None
        return self._own_writer if self._host is None else self._host.free(ns)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """From now on the inbox is heard here. Unavailable."""
        listener = await self._listening()
        self._inboxes[inbox] = listening = Listening(receive, lost)
        listening.callback = partial(self._pushed, inbox)
        try:
            await self._ask(listener, lambda: listener.add_listener(channel_of(inbox), listening.callback))
        except BaseException:
            self._inboxes.pop(inbox, None)
            raise
        if self._inboxes.get(inbox) is not listening:
            raise Unavailable("the connection to the server was lost")

    async def admit(self, ns: str) -> None:
        """Raises NoPermission for a namespace that is not this role's. Unavailable."""
        await self._listening()
        await self.realm.admit(self.connections, ns, self._place.shown)

    async def unsubscribe(self, inbox: str) -> None:
        """Nobody listens any more."""
        listener, listening = self._listener, self._inboxes.pop(inbox, None)
        if listening is None or listener is None:
            return
        try:
            await self._ask(listener, lambda: listener.remove_listener(channel_of(inbox), listening.callback))
        except BackendError:
            log.debug("%s was not hushed", inbox, exc_info=True)

    async def check(self) -> None:
        """Returns if there is a writer; becomes it if there is none. Unavailable or DeploymentError."""
        if self._failure is not None:
            raise DeploymentError(str(self._failure))
        await self._listening()
        recently = asyncio.get_running_loop().time() - self._seen_s < SEEN_S
        if self._host is None and not recently and await self._has_no_writer():
            raise Unavailable("no process runs the functions right now")

    async def close(self) -> None:
        """Ends the link; if this process is the writer, another one is asked to be."""
        self._closing = True
        self._notify_lost("the deployment was closed")
        self._incoming.stop()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        writer, self._host = self._host, None
        listener, self._listener = self._listener, None
        if writer is not None:
            await writer.stop()
        try:
            if listener is not None:
                async with self._turn:
                    await listener.close(timeout=LISTEN_S)  # and with it the lock is gone
            if writer is not None:
                await asyncio.wait_for(self.connections.write(_NOTIFY, self.realm.news, "gone"), LISTEN_S)
        except (*DRIVER, BackendError):
            log.debug("nobody was told", exc_info=True)
        await self.connections.close()

    # --- the listening connection ---------------------------------------------------------------

    async def _listening(self) -> Any:
        try:
            await asyncio.wait_for(self._connected.wait(), JOINED_S)
        except asyncio.TimeoutError:
            raise Unavailable("%s is out of reach" % self._place.shown) from None
        if self._listener is None:  # it was there, and is lost again
            raise Unavailable("the connection to the server was lost")
        return self._listener

    async def _ask(self, listener: Any, asked: Callable[[], Any]) -> Any:
        """Something of the listening connection. Unavailable: it was lost, and there will be another one."""
        async with self._turn:
            if self._closing:
                raise Unavailable("the deployment is closed")
            try:
                return await asyncio.wait_for(asked(), LISTEN_S)
            except DRIVER as error:
                if listener.is_closed() or isinstance(error, (OSError, asyncio.TimeoutError)):
                    listener.terminate()
                    self._gone.set()
                raise Unavailable(str(explain(error, writing=False))) from error

    async def _connect(self, first: bool = False) -> None:
        listener = await self.connections.open()
        try:
            await examine(listener, self._place)
            if first:
                await self._refuse_pooler(listener)
            self._gone.clear()
            self._announced.clear()
            listener.add_termination_listener(self._terminated)
            self.realm = await realm_of(listener, self._place.shown)
            await listener.add_listener(self.realm.news, self._news)
            self._epoch, _ = await listener.fetchrow(_WRITER_STATE)
            self.history = await history(listener)
            address, now_ms = await listener.fetchrow(_AT_HOME)
        except DRIVER as error:
            listener.terminate()
            raise Unavailable(str(explain(error, writing=False))) from error
        except BaseException:
            listener.terminate()
            raise
        self.address = address or "127.0.0.1"
        self.connections.belong(self.history.identity)
        self._own_writer = own_writer(self.connections, now_ms, self._own, self.realm.queue)
        self._listener, self._failure = listener, None
        self._connected.set()

    async def _refuse_pooler(self, listener: Any) -> None:
        other = await self.connections.open()
        try:
            await refuse_pooler(listener, other, self._place)
        finally:
            other.terminate()

    def _terminated(self, listener: Any) -> None:
        if listener is self._listener:
            self._gone.set()

    def _drop_listener(self) -> None:
        if self._listener is not None:
            self._listener.terminate()
        self._gone.set()

    async def _keep(self) -> None:
        """Whenever the listening connection is lost: what it was for is over; then there is another one."""
        while not self._closing:
            await self._gone.wait()
            self._connected.clear()
            self._listener = None
            writer, self._host = self._host, None
            self._notify_lost("the connection to the server was lost")
            if writer is not None:
                await writer.stop()
            pause = RETRY_S
            while self._listener is None:
                try:
                    await self._connect()
                except BackendError as error:
                    log.debug("%s: %s", self._place.shown, error)
                    self._failure = error if isinstance(error, DeploymentError) else None
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                    pause = min(2 * pause, MAX_RETRY_S)

    def _notify_lost(self, why: str) -> None:
        inboxes, self._inboxes = self._inboxes, {}
        self._outgoing.clear()
        self._round += 1
        for listening in inboxes.values():
            listening.lost(why)

    def _probe_soon(self) -> None:
        """Another connection was lost: is this one still good?"""
        if not self._closing and self._listener is not None:
            self._start("probe", self._probe)

    async def _probe(self) -> None:
        listener = self._listener
        if listener is not None:
            try:
                await self._ask(listener, lambda: listener.fetchval("SELECT 1"))
            except BackendError:
                log.debug("the listening connection was lost, too")

    # --- what comes -----------------------------------------------------------------------------

    def _pushed(self, inbox: str, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        self._incoming.take(partial(self._heard, inbox), payload)

    def _heard(self, inbox: str, head: str, body: bytes) -> None:
        self._own(inbox, head, body)

    def _own(self, inbox: str, head: str, body: bytes) -> bool:
        """Something for an inbox; whether it is one of this process."""
        listening = self._inboxes.get(inbox)
        if listening is None:
            return False
        if head == LOST:
            self._inboxes.pop(inbox)
            listening.lost(GIVEN_UP)
            return True
        upto = int(head)
        while listening.unanswered and listening.unanswered[0].first < upto:
            listening.unanswered.popleft()
        listening.receive(body)
        return True

    def _news(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        """Anybody may say anything there: what it comes to is looked up."""
        kind, _, rest = payload.partition(" ")
        if kind == "here" and rest.isdigit() and len(rest) < MOST_DIGITS:
            self._incoming.then(partial(self._on_notification, int(rest)))
        elif kind == "gone" and self._host is None and self._inboxes:
            self._start("join", partial(self._join, 0.0 if self._waits() else GONE_S * random.random()))
        elif kind == "alive":
            self._alive.set()
        elif kind == "contended":
            self.on_contended(rest)

    def _on_notification(self, epoch: int) -> None:
        if len(self._announced) >= MOST_ANNOUNCED:
            self._announced.clear()
        self._announced.add(epoch)
        self._said.set()
        if self._host is None:
            self._start("join", self._join)

    async def _until_echoed(self, epoch: int) -> None:
        """Until this writer's own word has come back, and with it all that anybody told before. Unavailable."""
        try:
            while epoch not in self._announced and epoch != self._epoch:
                self._said.clear()
                await asyncio.wait_for(self._said.wait(), LISTEN_S)
        except asyncio.TimeoutError:
            raise Unavailable("nothing is heard of what this process itself has told") from None

    # --- sending --------------------------------------------------------------------------------

    def _waits(self) -> List[Unanswered]:
        return [listening.unanswered[0] for listening in self._inboxes.values() if listening.unanswered]

    def _adopt(self, epoch: int) -> None:
        """The server says which writer there is. If it has said so itself, it gets everything that is not answered."""
        self._standing = epoch
        if epoch >= self._epoch and epoch in self._announced:
            self._epoch = epoch
            self._announced = {later for later in self._announced if later > epoch}
            self._round += 1
            self._outgoing = deque(each for listening in self._inboxes.values() for each in listening.unanswered)
            if self._outgoing and self._host is None:
                self._start("send", self._send)

    async def _send(self) -> None:
        """One after the other, each again until it is taken: they must not overtake each other."""
        pause = RETRY_S
        while self._outgoing and self._host is None:
            batch, at = list(islice(self._outgoing, MOST_SENT)), self._round
            heads = ["%d %s %s-%d" % (self._epoch, ns, inbox, first) for ns, inbox, first, _ in batch]
            try:
                ((epoch, vacant),) = await self.connections.write(_SEND, heads, [each.body for each in batch])
            except BackendError as error:
                log.debug("sending: %s", error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_RETRY_S)
                continue
            if at == self._round:
                for _ in batch:
                    self._outgoing.popleft()
                self._adopt(epoch)
            if vacant:
                self._start("join", self._join)

    async def _watch(self) -> None:
        """While something is unanswered: is the writer still there, and does it still live?"""
        pause, before, since = UNANSWERED_S, self._waits(), 0.0
        while self._inboxes:
            await asyncio.sleep(pause)
            waiting = self._waits()
            if not waiting:
                return
            if self._host is not None or not set(waiting) & set(before):
                pause, before, since = UNANSWERED_S, waiting, 0.0
                continue
            since, pause = since + pause, min(2 * pause, MAX_UNANSWERED_S)
            try:
                if not await self._has_no_writer() and since > FROZEN_S:
                    await self._depose_if_frozen()
                    since = 0.0
            except BackendError as error:
                log.debug("%s", error)

    async def _depose_if_frozen(self) -> None:
        epoch = self._standing
        self._alive.clear()
        await self.connections.write(_NOTIFY, self.realm.queue, "?")
        try:
            await asyncio.wait_for(self._alive.wait(), ALIVE_S)
        except asyncio.TimeoutError:
            await self._probe()
            if self._gone.is_set():  # it may well have answered
                return
            log.warning("%s: the writer does not answer: it is deposed", self._place.shown)
            await self.connections.write(_DEPOSE, epoch)

    # --- becoming the writer --------------------------------------------------------------------

    async def _has_no_writer(self) -> bool:
        """Whether there is no writer, not even this process after it tried."""
        ((epoch, vacant),) = await self.connections.read(_WRITER_STATE)
        self._adopt(epoch)
        if not vacant:
            self._seen_s = asyncio.get_running_loop().time()
        else:
            try:
                await asyncio.wait_for(asyncio.shield(self._start("join", self._join)), JOINED_S)
            except asyncio.TimeoutError:
                return True
        return False

    async def _join(self, after_s: float = 0.0) -> None:
        """Until there is a writer: another process, or this one."""
        await asyncio.sleep(after_s)
        pause = RETRY_S
        while self._host is None and self._inboxes and not self._closing:
            try:
                ((epoch, vacant),) = await self.connections.read(_WRITER_STATE)
                self._adopt(epoch)
                if not vacant or await self._become():
                    return
            except BackendError as error:
                log.warning("%s: can't run the functions: %s", self._place.shown, error)
            await asyncio.sleep(pause * random.uniform(0.1, 1.0))
            pause = min(2 * pause, MAX_RETRY_S)

    async def _become(self) -> bool:
        listener, realm = await self._listening(), self.realm
        lock = "SELECT pg_try_advisory_lock(%d, %d)" % (LOCKS, self.realm.lock)
        if not await self._ask(listener, lambda: listener.fetchval(lock)):
            return False
        writer: Optional[ElectedWriter] = None
        try:
            ((epoch, now_ms),) = await self.connections.write(_TAKE_OVER, listener.get_server_pid())
            contended = partial(self._announce, "contended")
            writer = ElectedWriter(
                self.connections, epoch, now_ms, self._own, self._drop_listener, realm.has, realm.queue, contended
            )
            queued = partial(self._queued, writer, Incoming(self.connections, self._drop_listener))
            await self._ask(listener, lambda: listener.add_listener(realm.queue, queued))
            await writer.start()
            await self.connections.write(_NOTIFY, realm.news, "here %d" % epoch)
            await self._until_echoed(epoch)
            if listener is not self._listener or self._gone.is_set():
                raise Unavailable("the connection to the server was lost")
        except BaseException:
            if writer is not None:
                await writer.stop()
            self._drop_listener()  # and with it the lock, and what came by the queue
            raise
        self._epoch, self._host = epoch, writer
        self._outgoing.clear()
        self._round += 1
        for listening in list(self._inboxes.values()):
            for message in list(listening.unanswered):
                writer.accept(*message)
        return True

    def _queued(
        self, writer: ElectedWriter, incoming: Incoming, _connection: Any, _pid: int, _channel: str, payload: str
    ) -> None:
        if payload == "?":
            self._start("alive", partial(self._announce, "alive"))
        elif payload.startswith(WATCH + " "):
            writer.watch(payload[len(WATCH) + 1 :])
        else:
            incoming.take(writer.heard, payload)

    async def _announce(self, *words: str) -> None:
        """Says so to all processes, or else not."""
        try:
            await self.connections.write(_NOTIFY, self.realm.news, " ".join(words))
        except BackendError as error:
            log.debug("%s", error)

    def _start(self, name: str, work: Callable[[], Any]) -> "asyncio.Future[None]":
        """The task of that name; begun, unless it is at it."""
        task = self._tasks.get(name)
        if task is None or task.done():
            task = self._tasks[name] = asyncio.ensure_future(work())
            task.add_done_callback(_log_failure)
        return task


def _log_failure(task: "asyncio.Future[Any]") -> None:
    """A bug in one of the tasks must not go unheard."""
    if not task.cancelled() and task.exception() is not None:
        log.error("a task of the link failed: %r", task.exception(), exc_info=task.exception())
