"""Whoever commits tells the other processes: of events, and of the end of sessions, each by one datagram.

Every process has a socket in the deployment's directory, and the names of its inboxes end with that socket's number. A
datagram is its receiver's before the sender goes on, whatever becomes of the sender then. Who does not read for so long
that there is no room loses its socket. It finds that out, and ends its connections, which attach anew: so nothing is
missed without being noticed.

A datagram is a `codec` value: ``[[inbox, body], …]``, where None for a body says that the inbox is somebody else's, or
nobody's, now. One that is too large is a descriptor of a file with that. One of nothing wakes who waits for the lock.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import logging
import os
import re
import socket
import tempfile
from time import monotonic
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence

from ... import codec
from ...errors import Unavailable
from ...ports import Pushed
from ..descriptors import Descriptor
from .files import Place
from .modes import mode_of

log = logging.getLogger(__name__)

MAX_BYTES = 64 << 10
"""Of a datagram. By default Linux lets a sender have 208 KB on their way."""
MAX_PROCESSES = 50
"""Told while a caller waits. If there are more, the event loop tells all of them."""
FULL_S = 0.5
"""So long it is tried again where there is no room. Linux has room for ten datagrams, by default."""
RETRY_S = 0.001
AT_ONCE = 16
"""Datagrams that are read before the event loop goes on with others."""
TRIES = 10
MAX_NUMBER = 999_999_999

_NUMBER = re.compile("-([1-9][0-9]{0,8})")
_FILE = re.compile("events-([1-9][0-9]{0,8})[.]sock")
_GONE = (errno.ENOENT, errno.ECONNREFUSED)
_FULL = (errno.EAGAIN, errno.ENOBUFS)


def inbox_at(name: str, number: int) -> str:
    """An inbox that is heard at the socket of that number."""
    return "%s-%d" % (name, number)


def number_of(inbox: str) -> Optional[int]:
    """That of the socket at which an inbox is heard, if its name tells one."""
    found = _NUMBER.fullmatch(inbox, 32)
    return None if found is None else int(found[1])


class EventSockets:
    """Those of all processes: an inbox's name says where it is heard. Who is gone is told nothing."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Ports.events`, from any thread; it waits for nothing. Unavailable: not everybody is told."""
        notes = _by_socket([[message.inbox, message.body] for message in messages])
        if len(notes) > MAX_PROCESSES:
            raise Unavailable("%d processes watch" % len(notes))
        for number, part in notes.items():
            datagram = codec.dumps(part)
            if len(datagram) > MAX_BYTES:
                raise Unavailable("it is too much for a datagram")
            try:
                self._send(number, datagram)
            except OSError as error:
                if error.errno not in _GONE:
                    raise Unavailable("socket %d: %s" % (number, error)) from error

    def wake(self, number: int) -> None:
        """Wakes the event loop that waits for the lock there; if there is no room, it is awake."""
        with contextlib.suppress(OSError):
            self._send(number, b"")

    async def deliver(self, notes: Iterable[List[Any]]) -> None:
        """Tells everybody, and waits for who has no room, for a while. Unavailable if that can't be.

        ``notes``: ``[inbox, body]``.
        """
        until_s = monotonic() + FULL_S
        for number, part in _by_socket(notes).items():
            while True:
                try:
                    self._send(number, codec.dumps(part))
                except OSError as error:
                    if error.errno in _GONE:
                        break
                    if error.errno not in _FULL:
                        raise Unavailable("socket %d: %s" % (number, error)) from error
                    if monotonic() > until_s:
                        self._cut_off(number)
                        break
                else:
                    break
                await asyncio.sleep(RETRY_S)

    def _send(self, number: int, datagram: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            with self._place.reachable(self._place.event_socket(number)) as path:
                if len(datagram) <= MAX_BYTES:
                    sender.sendto(datagram, socket.MSG_DONTWAIT, path)
                    return
                with tempfile.TemporaryFile() as file:
                    file.write(datagram)
                    file.flush()
                    passed = array.array("i", [file.fileno()])
                    sender.sendmsg([b"["], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)], socket.MSG_DONTWAIT, path)

    def _cut_off(self, number: int) -> None:
        """Its process finds its socket gone."""
        path = self._place.event_socket(number)
        log.warning("%s is full: its process is cut off", path)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Unavailable("%s: %s" % (path, error)) from error


def _by_socket(notes: Iterable[List[Any]]) -> Dict[int, List[List[Any]]]:
    """What is heard at each socket; what is heard at none is for nobody who is there."""
    found: Dict[int, List[List[Any]]] = {}
    for note in notes:
        number = number_of(note[0])
        if number is not None:
            found.setdefault(number, []).append(note)
    return found


class EventSocket:
    """The socket of this process. In the event loop."""

    def __init__(
        self,
        place: Place,
        received: Callable[[str, Optional[bytes]], None],
        woken: Callable[[], None],
        cut_off: Callable[[], object],
    ) -> None:
        """``received``: is called with each inbox and what came for it. ``woken``: if it may have the lock.

        ``cut_off``: after all that came while there was room for it, if there was none for what came then.
        """
        self._place = place
        self._cut_off = cut_off
        self._received = received
        self._woken = woken
        self._path = ""
        self._inode = 0
        self.number = 0
        """0: there is none."""
        self.descriptor: Optional[Descriptor] = None
        self._socket: Optional[socket.socket] = None
        self._loop = asyncio.get_event_loop()

    def open(self) -> None:
        """Has one, with a new number. Unavailable if there is no room for it."""
        self.close()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.setblocking(False)
        try:
            self._bind(made)
            os.chmod(self._path, mode_of(self._place.directory))
            self._inode = os.stat(self._path).st_ino
        except OSError as error:
            made.close()
            self.close()
            raise Unavailable("%s: no socket: %s" % (self._place.directory, error)) from error
        self._socket, self.descriptor = made, Descriptor.of(made.fileno())
        self._loop.add_reader(self.descriptor.number, self.read)

    def _bind(self, made: socket.socket) -> None:
        for tries in range(TRIES, 0, -1):
            number = 1 + int.from_bytes(os.urandom(8), "big") % MAX_NUMBER
            path = self._place.event_socket(number)
            try:
                with self._place.reachable(path) as reachable:
                    made.bind(reachable)
            except OSError:
                if tries == 1 or not os.path.lexists(path):
                    raise
            else:
                self.number, self._path = number, path
                return

    def is_heard(self) -> bool:
        """Whether others can still tell something there."""
        try:
            return bool(self.number) and os.stat(self._path).st_ino == self._inode
        except OSError:
            return False

    def read(self) -> None:
        """Takes what is there, or much of it. In the event loop."""
        for _ in range(AT_ONCE):
            if self._socket is None:
                return
            try:
                datagram, passed, _, _ = self._socket.recvmsg(MAX_BYTES, socket.CMSG_SPACE(4))
            except OSError:  # nothing more
                if not self.is_heard():
                    self._cut_off()
                return
            if not datagram and not passed:
                self._woken()
                continue
            try:
                for inbox, body in codec.loads(_content(passed) if passed else datagram):
                    self._received(inbox, body)
            except (TypeError, ValueError, OSError) as error:
                log.error("a process sent what it must not: %r", error)

    def close(self) -> None:
        """Whoever writes to it from now on is told so."""
        descriptor, self.descriptor = self.descriptor, None
        made, self._socket = self._socket, None
        if self._path and self.is_heard():
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self.number, self._path = 0, ""
        if made is not None and descriptor is not None:
            if descriptor.is_ours():
                self._loop.remove_reader(descriptor.number)
                made.close()
            else:
                made.detach()


def _content(passed: Sequence[Any]) -> bytes:
    """Of the file whose descriptor came along."""
    found = array.array("i")
    for level, kind, data in passed:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    content = b""
    for number in found:
        with open(number, "rb") as file:
            file.seek(0)
            content = file.read()
    return content


def remove_left(place: Place) -> None:
    """Removes the sockets of processes that were killed."""
    found = (_FILE.fullmatch(name) for name in os.listdir(place.directory))
    for number in [int(match[1]) for match in found if match is not None]:
        path = place.event_socket(number)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            try:
                with place.reachable(path) as reachable:
                    door.connect(reachable)
            except ConnectionRefusedError:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            except OSError:
                pass
