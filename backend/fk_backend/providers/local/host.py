"""One process of the machine runs the functions: the one that holds the host lock.

The lock is the operating system's (a POSIX record lock: it goes with the process, however it ends, and a fork does not
inherit it). Whoever takes it over finds everything that was answered in the store, and everything that was pushed
and not acknowledged in the outbox; it finishes the fan-out of the last commit before it takes new messages. Its door is
there from the beginning, so that whoever comes waits there.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ... import layout
from ...core.model import Id
from ...errors import BackendError, Unavailable
from ...functions.heartbeat import SENDER, Heartbeat
from ...functions.writer import Writer
from ...messages import MAX_NUMBER, message_id
from ...ports import Ports, Pushed
from ...writer.senders import is_functions
from ..clock import SystemClock
from ..descriptors import Descriptor
from ..direct import InProcessDirect
from ..dispatch import Dispatcher
from .combining import ring_one
from .event_sockets import remove_left, sender_of_events
from .files import Place
from .frames import Frames
from .modes import PRIVATE_MODE, mode_of, open_to_group
from .outbox import Kept, Outbox
from .progress import HostProgress
from .store import LocalStore, namespaces

log = logging.getLogger(__name__)

ABSENT_S = 5.0
"""How long pushes are kept for an inbox that nobody listens to. A process that lives is back in milliseconds."""
BACK_S = 1.0
"""How long a new host waits at least for who was absent already, however long that was: somebody has to be there first.

Without it, where hosts end sooner than `ABSENT_S`, one after the other, nobody would ever be given up.
"""

LOCKED_S = 1.0
"""After so long without the lock of the files the host says of itself no more that it serves. A commit takes ms."""
PONG_RETRY_S = 0.1

_held: Set[str] = set()
"""Locks of this process: the operating system would grant it the same lock twice."""


class Lock:
    """The host lock, held."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = Descriptor.of(descriptor)

    @classmethod
    def acquire(cls, path: str) -> "Optional[Lock]":
        """The lock, or None if it is held, by another process or by this one."""
        path = os.path.realpath(path)
        if path in _held:
            return None
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
        try:
            open_to_group(descriptor, os.path.dirname(path))
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        _held.add(path)
        return cls(path, descriptor)

    def release(self) -> None:
        """Lets the next process have it."""
        self._descriptor.close()
        _held.discard(self._path)


def forget_locks() -> None:
    """In a forked child, which inherits none of them; and where the files were closed, which ended them."""
    _held.clear()


class Subscriber(NamedTuple):
    """Who listens to an inbox: a peer process, or this very one."""

    deliver: Callable[[Kept], None]
    lost: Callable[[], None]
    peer: Optional[Frames]


class Host:
    """The host of a deployment: functions, and the socket by which the other processes reach them.

    It is `ports.Queue` and `ports.Inboxes` for its functions.
    """

    def __init__(self, place: Place, lock: Lock, super_id: Optional[Id]) -> None:
        self._place = place
        self._lock = lock
        self._unsaved: List[Tuple[str, Kept]] = []
        clock = SystemClock()
        stamp = int.from_bytes(clock.random_bytes(8), "big")
        self._progress = HostProgress(place, stamp, lambda: not self._unsaved)
        self._door = listening_socket(place)
        try:
            self.store = LocalStore(place, writable_state=True)
            self._outbox = Outbox(place.outbox)
        except BaseException:
            self._door.close()
            raise
        self._subscribers: Dict[str, Subscriber] = {}
        self._absent: Dict[str, float] = {}
        """Inboxes that nobody listens to, and since when (the loop's seconds)."""
        self._peers: Set[Frames] = set()
        ports = Ports(self.store, self, self, clock, events=sender_of_events(place))
        self._writer = Writer(ports, super_id, told=self._progress)
        self._heartbeat = Heartbeat(ports)
        self._functions = Dispatcher(
            self._writer, self._look_after, self, clock, noted=self._note_idle, fence=self.store.fence
        )
        self.direct = InProcessDirect(
            lambda: self._writer, self._is_free, self._functions.schedule_fan_out, self.store.in_turn
        )
        self._server: Optional[asyncio.AbstractServer] = None
        self._listening = Descriptor.of(self._door.fileno())

    async def start(self) -> None:
        """Finishes what the last host left, then lets in who waits at the door.

        Who writes beside the host does so for one that he knows. Those of the last one are over after the fence, so
        that what they left to be told is found.
        """
        await self.store.fence()
        for ns in await namespaces(self.store):
            await self._writer.recover(ns)
            self._functions.watch(ns)
        for inbox, waited_s in self._outbox.waiting_s().items():
            self._miss([inbox], max(ABSENT_S - waited_s, min(BACK_S, ABSENT_S)))
        remove_left(self._place)
        loop = asyncio.get_event_loop()
        self._server = await loop.create_unix_server(lambda: Frames(self._received, self._closed), sock=self._door)

    async def stop(self) -> None:
        """Closes the door, drops what is in hand whole, and lets the next process have the lock."""
        if self._server is not None:
            self._server.close()
        self._door.close()
        await self._functions.stop()
        for peer in list(self._peers):
            peer.hang_up()
        try:
            self._outbox.close()
        except OSError as error:  # the head still has what it lacks
            log.warning("%s: the outbox can't be written: %s", self._place.directory, error)
        finally:
            self.store.close()
            self._lock.release()

    def rest(self) -> None:
        """Before a fork: closes the files until they are needed again."""
        self.store.rest()

    def abandon(self, forked: bool) -> List[Descriptor]:
        """The descriptors to close. Nothing of the host may be used any more, or finalized."""
        self.store.abandon(forked)
        descriptors = [self._outbox.file, self._listening, *(peer.descriptor for peer in self._peers)]
        self._outbox.file = None
        return [descriptor for descriptor in descriptors if descriptor is not None]

    # --- writes beside the queue ----------------------------------------------------------------

    def _is_free(self, ns: str) -> bool:
        return self._functions.is_free(ns) and not self._unsaved

    def _note_idle(self, ns: str, idle: bool) -> None:
        self._progress.set_idle(ns, idle)
        if idle and self._progress.words is not None:
            ring_one(self._progress.words)

    async def _look_after(self, ns: str) -> bool:
        """A tick. What somebody wrote who was killed, or stopped, before he told of it is told by the next one."""
        if self._functions.is_free(ns):
            (head,) = await self.store.get([layout.head_key(ns)])
            if head is not None and self._progress.upto(ns) != head.rev:
                self._functions.schedule_fan_out(ns)
        return await self._heartbeat(ns)

    # --- queue and inboxes ----------------------------------------------------------------------

    def accept(self, ns: str, inbox: str, first: int, body: bytes) -> None:
        """A message from a client. Known ones are dropped: what is answered is in the outbox or acknowledged.

        So are those of an inbox that was given up: nobody knows any more what was answered there.
        """
        if inbox not in self._outbox.given_up and first >= self._outbox.upto.get(inbox, 0):
            self._functions.accept(ns, message_id(inbox, first), body)

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`, for the functions themselves."""
        self._functions.accept(group, message_id, body, internal=message_id.startswith(SENDER))

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`: on their way first, then kept, for whoever does not live in this process."""
        kept, self._unsaved = self._unsaved, []
        for inbox, body, upto in messages:
            if is_functions(inbox) or inbox in self._outbox.given_up:
                continue
            push = self._outbox.number(inbox, upto, body)
            ear = self._subscribers.get(inbox)
            if ear is not None:
                ear.deliver(push)
            elif inbox not in self._absent:
                self._miss([inbox])
            if ear is None or ear.peer is not None:
                kept.append((inbox, push))
            else:
                self._outbox.acknowledge(inbox, push.seq)
        if kept:
            self._save(kept)

    def _save(self, kept: List[Tuple[str, Kept]]) -> None:
        try:
            self._outbox.save(kept)
        except OSError as error:
            # Told already, and no commit can follow while the disk is full: the head still has these answers.
            log.warning("%s: the outbox can't be written: %s", self._place.directory, error)
            self._unsaved = kept

    async def drop(self, inbox: str) -> None:
        """`ports.Inboxes.drop`."""
        ear = self._subscribers.pop(inbox, None)
        self._absent.pop(inbox, None)
        self._outbox.forget(inbox)
        if ear is not None:
            ear.lost()

    def listen(self, inbox: str, last: int, ear: Subscriber) -> None:
        """From now on the inbox is heard there; what is not acknowledged is delivered again.

        Who comes too late for that is told that the connection is lost: the session attaches anew, as after any loss.
        """
        if inbox in self._outbox.given_up:
            ear.lost()
            return
        self._absent.pop(inbox, None)
        self._outbox.acknowledge(inbox, last)
        self._subscribers[inbox] = ear
        for kept in self._outbox.after(inbox, last):
            ear.deliver(kept)

    def unsubscribe(self, inbox: str, keep: bool) -> None:
        """Nobody listens any more."""
        self._subscribers.pop(inbox, None)
        if keep:
            self._miss([inbox])
        else:
            self._absent.pop(inbox, None)
            self._outbox.forget(inbox)

    def _miss(self, inboxes: Iterable[str], keep_s: Optional[float] = None) -> None:
        """Nobody listens there just now: what comes is kept for a while (`ABSENT_S`), and no longer.

        Pushes to the dead would grow without end, and whoever takes over would read them all while everybody waits.
        """
        if self._functions.halted:
            return
        loop = asyncio.get_event_loop()
        since = loop.time()
        missed = [inbox for inbox in inboxes if inbox not in self._outbox.given_up]
        self._absent.update(dict.fromkeys(missed, since))
        if missed:
            loop.call_later(ABSENT_S if keep_s is None else keep_s, self._give_up, missed, since)

    def _give_up(self, inboxes: List[str], since: float) -> None:
        if self._functions.halted:
            return
        still = [inbox for inbox in inboxes if self._absent.get(inbox) == since]
        try:
            self._outbox.give_up(still)
        except OSError as error:
            log.warning("%s: the outbox can't be written: %s", self._place.directory, error)
            self._miss(still)
            return
        for inbox in still:
            del self._absent[inbox]
        remove_left(self._place, still)  # not before: of a process that ends, sockets close one after the other

    # --- peers ----------------------------------------------------------------------------------

    def _received(self, peer: Frames, value: Any) -> None:
        self._peers.add(peer)
        try:
            self._handle(peer, *value)
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            log.error("a peer sent what it must not: %r", error)
            peer.hang_up()
        except Unavailable as error:
            log.warning("a peer is cut off: %s", error)
            peer.hang_up()

    def _handle(self, peer: Frames, kind: str, *rest: Any) -> None:
        if kind == "send":
            ns, inbox, first, body = rest
            if type(body) is not bytes:
                raise ValueError("no message")
            self.accept(_namespace(ns), _inbox(inbox), _number(first), body)
        elif kind == "got":
            inbox, last = rest
            self._outbox.acknowledge(_inbox(inbox), _number(last))
        elif kind == "slot":
            ns = _namespace(rest[0])
            peer.send("slot", ns, self._progress.allot(ns, self._is_free(ns)))
        elif kind == "tell":
            self._functions.tell(_namespace(rest[0]))
        elif kind == "ping":
            self._pong(peer, rest[0])
        elif kind == "hello":
            for inbox, last in rest[0]:
                self.listen(_inbox(inbox), _number(last), _remote_subscriber(peer, inbox))
        elif kind == "drop":
            self.unsubscribe(_inbox(rest[0]), keep=False)
        else:
            raise ValueError("unknown frame %r" % (kind,))

    @property
    def is_locked_out(self) -> bool:
        """Whether somebody has been writing for so long that he may have been stopped: nothing can be written."""
        return self.store.locked_s() > LOCKED_S

    def _pong(self, peer: Frames, number: Any) -> None:
        """As soon as something can be written: whoever asks whether there is a host wants to know that."""
        if self.is_locked_out:
            asyncio.get_event_loop().call_later(PONG_RETRY_S, self._pong, peer, number)
        else:
            peer.send("pong", number, self._progress.stamp)

    def _closed(self, peer: Frames) -> None:
        self._peers.discard(peer)
        missed = [inbox for inbox, ear in self._subscribers.items() if ear.peer is peer]
        for inbox in missed:
            del self._subscribers[inbox]
        self._miss(missed)


def _namespace(value: Any) -> str:
    if not layout.is_namespace(value):
        raise ValueError("no namespace")
    return str(value)


def _inbox(value: Any) -> str:
    if not layout.is_inbox(value):
        raise ValueError("no inbox")
    return str(value)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_NUMBER:
        raise ValueError("no number")
    return value


def _remote_subscriber(peer: Frames, inbox: str) -> Subscriber:
    def deliver(kept: Kept) -> None:
        peer.send("push", inbox, kept.seq, kept.upto, kept.body)

    return Subscriber(deliver, lambda: peer.send("lost", inbox), peer)


def listening_socket(place: Place) -> socket.socket:
    """The host's door, in place of one that a dead host left."""
    try:
        os.unlink(place.socket)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with place.reachable_socket() as address:
            listener.bind(address)
        os.chmod(place.socket, mode_of(place.directory))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise BackendError("can't listen on %s: %s" % (place.socket, error)) from error
    return listener
