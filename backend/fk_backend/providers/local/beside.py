"""Who is not the host writes all the same, while the host has nothing to do: then nobody has to be woken for it.

A commit is conditional on the head, and on the word by which the host leaves the namespace to whoever asks; the fan-out
is the host's, which is asked for it where somebody watches. Everything else takes the queue.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Optional, Set

from ...core.model import Id
from ...functions.writer import Writer
from ...ports import Nobody, Ports
from ..clock import SystemClock
from ..direct import InPlace
from .files import Place
from .frames import Frames
from .progress import Progress, shared
from .store import LocalStore

log = logging.getLogger(__name__)


class Beside:
    """What this process writes with beside one host after the other. In the event loop, but for its ``direct``."""

    def __init__(self, place: Place, store: LocalStore, super_id: Optional[Id]) -> None:
        self._place = place
        self._store = store
        self._super_id = super_id
        self._loop = asyncio.get_event_loop()
        self._namespaces: Set[str] = set()
        self._peer: Optional[Frames] = None
        self._progress: Optional[Progress] = None
        self.direct: Optional[InPlace] = None
        """None while there is no host that others may write beside."""

    def joined(self, peer: Frames, stamp: int) -> None:
        """There is a host, with this stamp; 0: it shares nothing."""
        if not stamp:
            return
        try:
            progress = Progress(shared(self._place.progress), stamp)
        except (OSError, ValueError) as error:
            log.info("%s: every write takes the queue: %s", self._place.directory, error)
            return
        nobody = Nobody()
        writer = Writer(Ports(self._store, nobody, nobody, SystemClock()), self._super_id, told=progress)
        self._store.only_while(progress.while_idle)
        self._peer, self._progress = peer, progress
        self.direct = InPlace(lambda: writer, progress.is_idle, self._tell_soon, self._store.in_turn)
        for ns in self._namespaces:
            peer.send("slot", ns)

    def left(self) -> None:
        """The host is gone. Whoever is writing beside it is over before the next one begins."""
        self.direct = self._peer = self._progress = None

    def uses(self, ns: str) -> None:
        """There are sessions of this process in the namespace."""
        if ns not in self._namespaces:
            self._namespaces.add(ns)
            if self._peer is not None:
                self._peer.send("slot", ns)

    def found(self, ns: str, slot: int) -> None:
        """The host says where the namespace is in its progress."""
        if self._progress is not None:
            self._progress.found(ns, slot)

    def _tell_soon(self, ns: str) -> None:
        """From any thread. If the host is gone by then, the next one finds out by itself."""
        self._loop.call_soon_threadsafe(self._tell, ns)

    def _tell(self, ns: str) -> None:
        if self._peer is not None:
            self._peer.send("tell", ns)
