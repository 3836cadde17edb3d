"""Who is not the host writes all the same, while the host has nothing to do: then nobody has to be woken for it.

A commit is conditional on the head, and on the word by which the host leaves the namespace to whoever asks; the fan-out
is the host's, which is asked for it where somebody watches. Everything else takes the queue.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Callable, Dict, Optional, Tuple

from ...core.model import Id
from ...errors import BackendError
from ...functions.writer import Writer
from ...messages import Message
from ...ports import NullSender, Ports, Written
from ..clock import SystemClock
from ..contention import Contention
from ..direct import InProcessDirect
from .files import Place
from .frames import Frames
from .progress import Progress, shared
from .store import LocalStore

log = logging.getLogger(__name__)

NEAR_S = 0.01
"""Somebody else wrote within that time of one's own last write."""
AGAIN_S = 0.05
"""Twice within that time is contention. Once may be the host, which looks after the namespace."""
QUEUED_S = 0.25
"""For how long writes go to the host's queue then: it commits together what waits, and keeps the tree in its cache,
which writers that alternate have to read anew each time."""


class Alternation:
    """Whether somebody else writes to a namespace in between the writes of this process, as far as it notices."""

    def __init__(self) -> None:
        self._zxid: Optional[int] = None
        self._at = self._others = float("-inf")

    def forget(self) -> None:
        """What is written next is by somebody else, or by the host for this process."""
        self._zxid, self._at, self._others = None, float("-inf"), float("-inf")

    def is_seen(self, zxid: int, now: float) -> bool:
        """Whether it is, now that this process has written and the head is there."""
        is_near = self._zxid is not None and zxid > self._zxid + 1 and now - self._at < NEAR_S
        is_seen = is_near and now - self._others < AGAIN_S
        self._zxid, self._at = zxid, now
        if is_near:
            self._others = now
        return is_seen


class DirectWriter(InProcessDirect):
    """`InProcessDirect`, which leaves writing to the host while others write as well."""

    def __init__(
        self,
        writer: Callable[[], Writer],
        is_free: Callable[[str], bool],
        schedule_fan_out: Callable[[str], None],
        in_turn: Callable[[Callable[[], bool]], None],
    ) -> None:
        super().__init__(writer, is_free, schedule_fan_out, in_turn)
        self._others: Dict[str, Tuple[Contention, Alternation]] = {}
        """By namespace."""

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`."""
        if ns not in self._others:
            self._others[ns] = Contention(QUEUED_S), Alternation()
        contention, alternation = self._others[ns]
        if not contention.is_due(monotonic()):
            return None
        try:
            written = await super().write(ns, message, key)
        except BackendError:
            contention.met(monotonic())
            raise
        if written is None:  # the host is at it, maybe for this process, and so is what comes next
            alternation.forget()
        elif alternation.is_seen(written.zxid, monotonic()):
            contention.met(monotonic())
        return written


class LocalDirect:
    """What this process writes with beside one host after the other. In the event loop, but for its ``direct``."""

    def __init__(self, place: Place, store: LocalStore, super_id: Optional[Id], ns: str) -> None:
        """``ns``: where it will write, if that is known."""
        self._place = place
        self._store = store
        self._super_id = super_id
        self._loop = asyncio.get_event_loop()
        self._namespaces = {ns} if ns else set()
        self._peer: Optional[Frames] = None
        self._slots: Dict[str, int] = {}
        """What the host has said of that."""
        self._progress: Optional[Progress] = None
        self.direct: Optional[InProcessDirect] = None
        """None while there is no host that others may write beside."""

    def meets(self, peer: Frames) -> None:
        """There is a host. It is asked where to write, along with whether it serves."""
        self._peer, self._slots = peer, {}
        for ns in self._namespaces:
            peer.send("slot", ns)

    def joined(self, stamp: int) -> None:
        """It serves, with this stamp; 0: it shares nothing."""
        if not stamp:
            return
        try:
            progress = Progress(shared(self._place.progress), stamp)
        except (OSError, ValueError) as error:
            log.info("%s: every write takes the queue: %s", self._place.directory, error)
            return
        nobody = NullSender()
        writer = Writer(Ports(self._store, nobody, nobody, SystemClock()), self._super_id, told=progress)
        self._store.only_while(progress.while_idle)
        self._progress = progress
        self.direct = DirectWriter(lambda: writer, progress.is_idle, self._schedule_fan_out, self._store.in_turn)
        for ns, slot in self._slots.items():
            progress.found(ns, slot)

    def left(self) -> None:
        """The host is gone. Whoever is writing beside it is over before the next one begins."""
        self.direct = self._peer = self._progress = None
        self._slots = {}

    def uses(self, ns: str) -> None:
        """There are sessions of this process in the namespace."""
        if ns not in self._namespaces:
            self._namespaces.add(ns)
            if self._peer is not None:
                self._peer.send("slot", ns)

    def found(self, ns: str, slot: int) -> None:
        """The host says where the namespace is in its progress."""
        self._slots[ns] = slot
        if self._progress is not None:
            self._progress.found(ns, slot)

    def _schedule_fan_out(self, ns: str) -> None:
        """From any thread. If the host is gone by then, the next one finds out by itself."""
        peer = self._peer
        if peer is None or not peer.send_in_turn(self._store.has_turn, "tell", ns):
            self._loop.call_soon_threadsafe(self._tell, ns)

    def _tell(self, ns: str) -> None:
        if self._peer is not None:
            self._peer.send("tell", ns)
