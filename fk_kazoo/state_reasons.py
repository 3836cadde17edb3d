"""A mixin for both clients: `why` says why the state is what it is; what the client holds may be lost with it."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from kazoo.protocol.states import KeeperState

from . import logs, why
from .held_nodes import HeldNode

if TYPE_CHECKING:

    class _Base:
        """A client: kazoo's, or one for asyncio."""

        state: Any
        _state: Any
        _connection: Any

        def _session_callback(self, state: Any) -> None: ...

else:
    _Base = object  # it comes after it

_CONNECTED = (KeeperState.CONNECTED, KeeperState.CONNECTED_RO)
_CLOSED = (KeeperState.EXPIRED_SESSION, KeeperState.AUTH_FAILED, KeeperState.CLOSED)


class StateReasons(_Base):
    """The part of a client that does, before the one that has the states."""

    __slots__ = ()
    _held_nodes: Dict[HeldNode, None]
    _parted: Optional[why.Why]
    """Why it is not connected, or was not the last time."""

    @property
    def why(self) -> why.Why:
        """Why the state is what it is: ``reason`` is one of `fk_kazoo.why.Reason`, ``detail`` a sentence for a log.

        Within a listener it is about the state that it is told.
        """
        return why.of(self)

    def _broken_by(self) -> str:
        """What ended the connection, if that is known: kazoo tells that it is lost while it handles the error."""
        error = sys.exc_info()[1]
        return "" if error is None else str(error) or repr(error)

    def _stood_still(self) -> Tuple[float, float]:
        """For how many seconds this process did not run, the last time, and when that ended, on the monotonic clock."""
        still: Tuple[float, float] = self._connection.last_pause
        return still

    def _session_callback(self, state: Any) -> None:
        """As kazoo's. Before anybody hears that the connection is lost, what is held is in doubt."""
        if state == self._state:
            return super()._session_callback(state)
        if state not in _CONNECTED:
            self._parted = why.parting(self, state)
        if state != KeeperState.CONNECTED:
            level = logging.DEBUG if state == KeeperState.CLOSED else logging.WARNING
            for hold in list(self._held_nodes):
                if hold.ephemeral:
                    hold.lose(str(self._parted), state in _CLOSED, level)
        before = self.state
        super()._session_callback(state)
        if state == KeeperState.CONNECTED:
            for hold in list(self._held_nodes):
                hold.connected()
        if self.state != before:
            told = "" if state == KeeperState.CLOSED else "%s, " % self.state
            logs.log_limited(self, logging.INFO, told + "%s", "", self.why)
