"""What the parts of a session share: its state, and what each asks of another one."""

from __future__ import annotations

import asyncio
from typing import Any, List, Optional, Tuple

from ..core.requests import Result
from ..mac import NONCE_BYTES
from ..messages import TriggerLog
from ..ports import Gateway
from .flag import Flag
from .lease import Lease
from .listener import Listener
from .machine import Machine
from .ops import Op
from .reading import Reader
from .watchlist import Watch

RETRY_S, MAX_RETRY_S = 0.02, 0.5


class SessionBase:
    """The part of `engine.Session` that has its state.

    What raises NotImplementedError here is done by another part, which the heading names: so parts call each other
    without importing each other.
    """

    __slots__ = (
        "__dict__ __weakref__ _beat_count _beat_wakeup _closing_task _gateway _is_running _is_scheduled _key _lease"
        " _listener _listens _machine _nonce _note_wakeup _ns _pinged _reader _run_task _tasks id inbox"
    ).split()

    def __init__(self, gateway: Gateway, ns: str, listener: Listener) -> None:
        self._gateway = gateway
        self._ns = ns
        self._listener = listener
        self._nonce = gateway.clock.random_bytes(16)[-NONCE_BYTES:]
        self._key = b""
        self.inbox = ""
        """Of this connection, once it has asked for a session."""
        self.id = 0
        self._machine = Machine()
        self._lease = Lease(always=not gateway.store.capabilities.charges_for_beats)
        self._reader = Reader(gateway.store, gateway.blobs, ns, self._machine.watches, self._listen)
        self._note_wakeup = Flag()
        """Wakes who waits for the first answer."""
        self._beat_wakeup = Flag()
        """Wakes who beats."""
        self._pinged = False
        """Whether somebody asks if the session lives: a beat says so."""
        self._beat_count = 0
        """What its beat counter stood at, as far as it knows; 0: there may be none."""
        self._listens = False
        self._is_running = False
        """Whether something is being done: the rest waits for it."""
        self._is_scheduled = False
        """Whether the event loop goes on with it soon."""
        self._run_task: "Optional[asyncio.Future[None]]" = None
        self._tasks: List["asyncio.Future[None]"] = []
        self._closing_task: Optional["asyncio.Future[None]"] = None

    # --- of the driver --------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Of the driver."""
        raise NotImplementedError

    def _receive(self, body: bytes) -> None:
        raise NotImplementedError

    def _wake(self) -> None:
        raise NotImplementedError

    def _wake_soon(self) -> None:
        raise NotImplementedError

    # --- of its lease and its end ---------------------------------------------------------------

    def overdue(self) -> bool:
        """Of `beats`."""
        raise NotImplementedError

    def _begins_to_own(self, op: Any) -> bool:
        raise NotImplementedError

    async def _beat_regularly(self) -> None:
        raise NotImplementedError

    async def _send_beat(self) -> None:
        raise NotImplementedError

    def _beat_once(self) -> None:
        raise NotImplementedError

    def end(self, reason: str, why: str) -> None:
        """Of `leaving`."""
        raise NotImplementedError

    def _lost(self, why: str) -> None:
        raise NotImplementedError

    def _has_ended(self, code: int) -> bool:
        raise NotImplementedError

    # --- of its inbox ---------------------------------------------------------------------------

    async def _listen(self) -> None:
        raise NotImplementedError

    async def _poll_head(self) -> None:
        raise NotImplementedError

    async def _look(self) -> None:
        raise NotImplementedError

    def _counted(self, count: int) -> None:
        raise NotImplementedError

    def _sends_singly(self) -> bool:
        raise NotImplementedError

    def _passed_over(self, armed: List[Watch]) -> None:
        raise NotImplementedError

    # --- of what is asked and shown -------------------------------------------------------------

    async def _pause(self, since_s: float, why: Exception) -> None:
        raise NotImplementedError

    async def _read(self, tag: Any, op: Op) -> None:
        raise NotImplementedError

    async def _take_note(self, note: Any) -> None:
        raise NotImplementedError

    async def _rearm(self, path: str, mode: str, number: int) -> None:
        raise NotImplementedError

    async def _landed(self, tag: Any, op: Any, result: Result, trigger_log: Optional[TriggerLog]) -> None:
        raise NotImplementedError

    async def _catch_up(self, zxid: int, trigger_log: Optional[TriggerLog] = None) -> None:
        raise NotImplementedError

    async def _show(self, tag: Any, result: Result, trigger_log: Optional[TriggerLog] = None) -> None:
        raise NotImplementedError

    def _reply(self, tag: Any, result: Result) -> None:
        raise NotImplementedError

    # --- of its messages ------------------------------------------------------------------------

    def _from(self) -> Tuple[Optional[str], Optional[str]]:
        """The client's address, and the subject of its certificate."""
        return self._gateway.address, None

    @property
    def _hint(self) -> int:
        """Up to where it has its answers, for whoever may know less. Elsewhere one instance serves everybody."""
        return self._machine.answered_zxid if self._gateway.store.capabilities.has_latency else 0


def retry_s(tried_s: float) -> float:
    """The pause before the next try, when it has been tried for so long."""
    return min(max(RETRY_S, tried_s / 4), MAX_RETRY_S)
