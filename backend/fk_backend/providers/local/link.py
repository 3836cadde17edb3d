"""A process's way to the functions: it is the host, or it is connected to the host, or it is becoming one of the two.

Messages are kept until they are answered and sent again to whoever is the host next, under the same numbers, so that
a takeover is a short wait and nothing else. Nobody polls: the end of a host wakes its peers through their sockets, and
they wait at the door of the next one while it still reads what is left. A crowd that tried again and again would take
the processor from the one process that everybody waits for.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ...core.model import Id
from ...errors import DeploymentError, Unavailable
from ..descriptors import Descriptor
from ..direct import InProcessDirect
from .beside import LocalDirect
from .files import Place
from .frames import Frames
from .host import Host, Lock, Subscriber
from .outbox import Kept

log = logging.getLogger(__name__)

LOST_AFTER_S = 2.0
"""How long there may be no host before whoever listens is told that the deployment is out of reach."""
RETRY_S = 0.01
"""Between tries while one host is gone and the next has no door yet."""
FAILED_RETRY_S = 0.5
"""Between tries to be the host, when trying failed."""
ACKNOWLEDGE_S = 0.2
"""How long an acknowledgement may wait for company."""
GIVEN_UP = "the session moved to another connection, or was out of reach for too long"


class Unanswered(NamedTuple):
    """A message that has to be sent again to the next host."""

    ns: str
    first: int
    body: bytes


class Listening:
    """An inbox of this process."""

    def __init__(self, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self.receive = receive
        self.lost = lost
        self.last = 0
        self.acknowledged = 0
        self.unanswered: List[Unanswered] = []

    def hear(self, seq: int, upto: int, body: bytes) -> None:
        """Something came; what came before is dropped."""
        if seq <= self.last:
            return
        self.last = seq
        if upto:
            self.unanswered = [message for message in self.unanswered if message.first >= upto]
        self.receive(body)


class Link:
    """The link of one process to one deployment."""

    def __init__(self, place: Place, super_id: Optional[Id], beside: Optional[LocalDirect] = None) -> None:
        """``beside``: what writes while another process is the host; None: nothing does."""
        self._place = place
        self._super_id = super_id
        self._beside = beside
        self._inboxes: Dict[str, Listening] = {}
        self._host: Optional[Host] = None
        self._peer: Optional[Frames] = None
        self._joined = asyncio.Event()
        self._gone = asyncio.Event()
        self._closing = asyncio.Event()
        self._tried = asyncio.Event()
        """Whether it has been found out once what this process is."""
        self._pings: Dict[int, "asyncio.Future[int]"] = {}
        self._ping = 0
        self._acknowledging = False
        self._failure: Optional[DeploymentError] = None
        """Why this process can't be the host, while it is that and there is no other."""
        self._task = asyncio.ensure_future(self._run())

    @property
    def is_host(self) -> bool:
        """Whether the functions run in this process."""
        return self._host is not None

    @property
    def direct(self) -> Optional[InProcessDirect]:
        """What writes in the caller's thread: in the host's process, and beside it where it leaves off."""
        if self._host is not None:
            return self._host.direct
        return None if self._beside is None else self._beside.direct

    # --- what the gateway asks for --------------------------------------------------------------

    def send(self, ns: str, inbox: str, first: int, body: bytes) -> None:
        """Takes a message; it reaches a host sooner or later, as long as this process lives and listens."""
        listening = self._inboxes.get(inbox)
        if listening is None:
            raise Unavailable("the connection is closed")
        listening.unanswered.append(Unanswered(ns, first, body))
        if self._beside is not None:
            self._beside.uses(ns)
        if self._host is not None:
            self._host.accept(ns, inbox, first, body)
        elif self._peer is not None:
            self._peer.send("send", ns, inbox, first, body)

    def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """From now on the inbox is heard here."""
        self._inboxes[inbox] = Listening(receive, lost)
        self._introduce([inbox])

    def tell(self, inbox: str, body: bytes) -> None:
        """Something came for an inbox from whoever committed it; the host has no part in that."""
        listening = self._inboxes.get(inbox)
        if listening is not None:
            listening.receive(body)

    def unsubscribe(self, inbox: str, keep: bool) -> None:
        """Nobody listens any more."""
        if self._inboxes.pop(inbox, None) is None:
            return
        if self._host is not None:
            self._host.unsubscribe(inbox, keep)
        elif self._peer is not None and not keep:
            self._peer.send("drop", inbox)

    async def check(self) -> None:
        """Returns if there is a host that answers; waits for a takeover. Unavailable or DeploymentError if not."""
        if self._failure is not None:
            raise DeploymentError(str(self._failure))
        try:
            await asyncio.wait_for(self._joined.wait(), LOST_AFTER_S)
        except asyncio.TimeoutError:
            raise Unavailable("no process of this machine runs the functions right now") from None
        if self._host is not None and self._host.is_locked_out:
            raise Unavailable("another process has been writing for so long that it may have been stopped")
        if self._peer is not None:
            await self._answered(self._peer)

    async def begun(self) -> None:
        """Returns when it has been tried to become the host, or to reach it; in bounded time, whatever came of it."""
        try:
            await asyncio.wait_for(self._tried.wait(), LOST_AFTER_S)
        except asyncio.TimeoutError:
            pass

    async def close(self) -> None:
        """Ends the link; if this process is the host, another one may be."""
        self._closing.set()
        self._is_gone()
        await asyncio.gather(self._task, return_exceptions=True)

    def rest(self) -> None:
        """Before a fork: closes the files until they are needed again."""
        if self._host is not None:
            self._host.rest()

    def abandon(self, forked: bool) -> List[Descriptor]:
        """Nothing of it is used any more: the descriptors to close."""
        descriptors = self._host.abandon(forked) if self._host is not None else []
        if self._peer is not None and self._peer.descriptor is not None:
            descriptors.append(self._peer.descriptor)
        return descriptors

    # --- becoming -------------------------------------------------------------------------------

    async def _run(self) -> None:
        sole_writer_since: Optional[float] = None
        clock = asyncio.get_event_loop().time
        while not self._closing.is_set():
            self._gone.clear()
            if sole_writer_since is None:
                sole_writer_since = clock()
            try:
                joined = await self._become_host() or await self._connect()
            except Exception as error:  # whatever it is, the next try may find it mended
                log.error("%s: can't run the functions: %s", self._place.directory, error)
                joined = False
                self._failure = error if isinstance(error, DeploymentError) else None
                self._notify_lost(str(error))
                await self._wait(FAILED_RETRY_S)
            if joined:
                sole_writer_since = self._failure = None
                self._joined.set()
                self._tried.set()
                self._introduce(list(self._inboxes))
                try:
                    await self._gone.wait()
                finally:  # cancelled, too, as by asyncio.run of an app that closed nothing: others may be the host
                    self._joined.clear()
                    await self._leave()
            else:
                self._tried.set()
                if clock() - sole_writer_since > LOST_AFTER_S:
                    self._notify_lost("no process of this machine runs the functions")
                await self._wait(RETRY_S)

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def _become_host(self) -> bool:
        lock = Lock.acquire(self._place.lock)
        if lock is None:
            return False
        try:
            host = Host(self._place, lock, self._super_id)
        except BaseException:
            lock.release()
            raise
        try:
            await host.start()
        except BaseException:
            await host.stop()
            raise
        self._host = host
        return True

    async def _connect(self) -> bool:
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        door.setblocking(False)
        loop = asyncio.get_event_loop()
        try:
            with self._place.reachable_socket() as address:
                await loop.sock_connect(door, address)
        except OSError:
            door.close()
            return False
        _, self._peer = await loop.create_connection(lambda: Frames(self._received, self._lost_peer), sock=door)
        self._joined.set()  # who asks whether there is a host waits for its answer, too
        if self._beside is not None:
            self._beside.meets(self._peer)
        try:
            stamp = await self._answered(self._peer)
        except Unavailable:  # it never got as far as serving
            self._joined.clear()
            await self._leave()
            return False
        if self._beside is not None:
            self._beside.joined(stamp)
        return True

    async def _answered(self, peer: Frames) -> int:
        """Returns when the host has answered: it serves. With its stamp. Unavailable if it is gone before."""
        self._ping += 1
        number, answer = self._ping, asyncio.get_event_loop().create_future()
        self._pings[number] = answer
        try:
            peer.send("ping", number)
            stamp: int = await answer
            return stamp
        finally:
            self._pings.pop(number, None)

    def _is_gone(self) -> None:
        self._gone.set()
        for waiting in self._pings.values():
            if not waiting.done():
                waiting.set_exception(Unavailable("the host is gone"))

    async def _leave(self) -> None:
        host, self._host = self._host, None
        peer, self._peer = self._peer, None
        self._is_gone()
        if self._beside is not None:
            self._beside.left()
        if peer is not None:
            peer.hang_up()
        if host is not None:
            await host.stop()

    def _lost_peer(self, peer: Frames) -> None:
        if peer is self._peer:
            self._is_gone()

    def _notify_lost(self, why: str) -> None:
        for listening in list(self._inboxes.values()):
            listening.lost(why)

    def _introduce(self, inboxes: List[str]) -> None:
        """Tells the host which inboxes are here, and sends it again what is not answered."""
        if self._host is not None:
            for inbox in inboxes:
                listening = self._inboxes[inbox]
                self._host.listen(inbox, listening.last, _own_subscriber(listening))
        elif self._peer is not None:
            self._peer.send("hello", [[inbox, self._inboxes[inbox].last] for inbox in inboxes])
        for inbox in inboxes:
            for ns, first, body in self._inboxes[inbox].unanswered if inbox in self._inboxes else ():
                if self._host is not None:
                    self._host.accept(ns, inbox, first, body)
                elif self._peer is not None:
                    self._peer.send("send", ns, inbox, first, body)

    # --- from the host --------------------------------------------------------------------------

    def _received(self, peer: Frames, value: Any) -> None:
        kind, *rest = value
        if kind == "push":
            inbox, seq, upto, body = rest
            listening = self._inboxes.get(inbox)
            if listening is not None:
                listening.hear(seq, upto, body)
                self._acknowledge_soon()
        elif kind == "lost":
            listening = self._inboxes.get(rest[0])
            if listening is not None:
                listening.lost(GIVEN_UP)
        elif kind == "pong":
            number, stamp = (*rest, 0)[:2]  # a host of a version before has none
            waiting = self._pings.get(number)
            if waiting is not None and not waiting.done():
                waiting.set_result(stamp)
        elif kind == "slot" and self._beside is not None:
            self._beside.found(*rest)

    def _acknowledge_soon(self) -> None:
        if not self._acknowledging:
            self._acknowledging = True
            asyncio.get_event_loop().call_later(ACKNOWLEDGE_S, self._acknowledge)

    def _acknowledge(self) -> None:
        self._acknowledging = False
        if self._peer is None:
            return
        for inbox, listening in self._inboxes.items():
            if listening.acknowledged < listening.last:
                listening.acknowledged = listening.last
                self._peer.send("got", inbox, listening.last)


def _own_subscriber(listening: Listening) -> Subscriber:
    def deliver(kept: Kept) -> None:
        listening.hear(kept.seq, kept.upto, kept.body)

    return Subscriber(deliver, lambda: listening.lost(GIVEN_UP), None)
