"""Whoever commits tells the processes that watch, each by one datagram: the host need not be woken for it.

Every process has a socket in the deployment's directory, and the names of its inboxes end with that socket's number. A
datagram is its receiver's before the sender goes on, whatever becomes of the sender then. What can't be sent (there is
no room, no such socket, or it is too much) is left to the host, which tells all of it from the head, to those as well
who know already: a session drops what it has seen.

A datagram is a `codec` value: ``[[inbox, body], …]``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
from typing import Callable, Dict, Iterable, List, Optional, Sequence

from ... import codec
from ...errors import Unavailable
from ...ports import Push, Pushed
from ..descriptors import Descriptor
from .files import SOCKET_PATH_MAX, Place
from .modes import mode_of

log = logging.getLogger(__name__)

MAX_BYTES = 64 << 10
"""Of a datagram. By default Linux lets a sender have 208 KB on their way."""
MAX_PROCESSES = 50
"""Told by whoever commits, while the caller waits. The host has more of them told."""
AT_ONCE = 16
"""Datagrams that are read before the event loop goes on with others."""
TRIES = 10
MAX_NUMBER = 999_999_999

_NUMBER = re.compile("-([1-9][0-9]{0,8})")
_FILE = re.compile("events-([1-9][0-9]{0,8})[.]sock")


def inbox_at(name: str, number: int) -> str:
    """An inbox that is heard at the socket of that number; 0: at none."""
    return "%s-%d" % (name, number) if number else name


def _number_of(inbox: str) -> Optional[int]:
    found = _NUMBER.fullmatch(inbox, 32)
    return None if found is None else int(found[1])


def sender_of_events(place: Place) -> Optional[Push]:
    """`ports.Ports.events`; None where the directory lies so deep that no process can have a socket."""
    return EventSockets(place).push if len(os.fsencode(place.event_socket(MAX_NUMBER))) <= SOCKET_PATH_MAX else None


class EventSockets:
    """Those of all processes: an inbox's name says where it is heard. From any thread; it waits for nothing."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`. Unavailable: not everybody is told."""
        notes: Dict[int, List[List[object]]] = {}
        for inbox, body, _ in messages:
            number = _number_of(inbox)
            if number is None:
                raise Unavailable("%s is heard at no socket" % inbox)
            notes.setdefault(number, []).append([inbox, body])
        if len(notes) > MAX_PROCESSES:
            raise Unavailable("%d processes watch" % len(notes))
        datagrams = [(self._place.event_socket(number), codec.dumps(part)) for number, part in notes.items()]
        if any(len(datagram) > MAX_BYTES for _, datagram in datagrams):
            raise Unavailable("it is too much for a datagram")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for path, datagram in datagrams:
                try:
                    sender.sendto(datagram, socket.MSG_DONTWAIT, path)
                except OSError as error:
                    raise Unavailable("%s: %s" % (path, error)) from error


class EventSocket:
    """The socket of this process. In the event loop."""

    def __init__(self, place: Place, received: Callable[[str, bytes], None]) -> None:
        """``received``: is called with each inbox and what came for it."""
        self._received = received
        self._path = ""
        self.number = 0
        """0: there is none, and the host tells this process everything."""
        self.descriptor: Optional[Descriptor] = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._bind(place)
            os.chmod(self._path, mode_of(place.directory))
        except OSError as error:  # its path is too long, above all
            log.info("%s: the host alone tells of events: %s", place.directory, error)
            self.close()
            return
        self.descriptor = Descriptor.of(self._socket.fileno())
        self._loop = asyncio.get_event_loop()
        self._loop.add_reader(self.descriptor.number, self._read)

    def _bind(self, place: Place) -> None:
        for tries in range(TRIES, 0, -1):
            number = 1 + int.from_bytes(os.urandom(8), "big") % MAX_NUMBER
            path = place.event_socket(number)
            try:
                self._socket.bind(path)
            except OSError:
                if tries == 1 or not os.path.lexists(path):
                    raise
            else:
                self.number, self._path = number, path
                return

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            try:
                datagram = self._socket.recv(MAX_BYTES)
            except OSError:  # nothing more
                return
            try:
                for inbox, body in codec.loads(datagram):
                    self._received(inbox, body)
            except (TypeError, ValueError) as error:
                log.error("a process sent what it must not: %r", error)

    def close(self) -> None:
        """Whoever writes to it from now on is told so."""
        descriptor, self.descriptor = self.descriptor, None
        self.number = 0
        if self._path:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        if descriptor is None:
            self._socket.close()
        elif descriptor.is_ours():
            self._loop.remove_reader(descriptor.number)
            self._socket.close()
        else:
            self._socket.detach()


def remove_left(place: Place, inboxes: Optional[Iterable[str]] = None) -> None:
    """Removes the sockets of processes that were killed; ``inboxes``: of those that were heard there."""
    if inboxes is None:
        found = (_FILE.fullmatch(name) for name in os.listdir(place.directory))
        numbers = [int(match[1]) for match in found if match is not None]
    else:
        numbers = [number for number in set(map(_number_of, inboxes)) if number is not None]
    for number in numbers:
        path = place.event_socket(number)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            try:
                door.connect(path)
            except ConnectionRefusedError:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            except OSError:
                pass
