"""What our client has that kazoo's has not, in kazoo's manner: locks that tell the truth, and what goes with them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Dict, Iterable, Optional

from kazoo.protocol.states import KeeperState

from . import locks, notes, why
from .creating import Creation
from .holds import Hold
from .kept import Kept
from .locks import Lost

if TYPE_CHECKING:
    from kazoo.client import KazooClient as _Client
    from kazoo.client import _Acls
else:
    _Client = object  # kazoo's comes after it: to import that here may be to import ours (see `run`)

_CONNECTED = (KeeperState.CONNECTED, KeeperState.CONNECTED_RO)
_CLOSED = (KeeperState.EXPIRED_SESSION, KeeperState.AUTH_FAILED, KeeperState.CLOSED)


class Extensions(_Client):
    """The part of our client that only adds to kazoo's."""

    _holds: Dict[Hold, None]
    _parted: Optional[why.Why] = None
    """Why it is not connected, or was not the last time."""

    def _extend(self) -> None:
        """At the end of `__init__`."""
        locks.attach(self)

    @property
    def why(self) -> why.Why:
        """Why the state is what it is: ``reason`` is one of `fk_kazoo.why.Reason`, ``detail`` a sentence for a log.

        Within a listener it is about the state that it is told.
        """
        return why.of(self)

    def create_once(
        self,
        path: str,
        value: bytes = b"",
        acl: Optional[_Acls] = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
    ) -> str:
        """Creates a node once, and gives its path, however often the connection is lost meanwhile: it tries again.

        With ``sequence`` there is no second node: it is known by ``_c_<uuid>-`` before its name, as Curator has it.
        Without, there is no NodeExistsError for one's own node: an ephemeral one is known by its session, any other by
        its data, so give it data that nobody else gives it. NodeExistsError if somebody else has made it. It retries
        as ``zk.retry`` does; RetryFailedError if that gives up.
        """
        return Creation(self, path, value, sequence, acl=acl, ephemeral=ephemeral, makepath=makepath).run()

    def keep(self, path: str, value: bytes = b"", acl: Optional[_Acls] = None) -> Kept:
        """Makes an ephemeral node now, and again after the session has expired, until the result's ``close()``.

        Its parents are made, too. NodeExistsError if somebody else has made it; a process that was started again may
        meet the node of its last life, until that session's time is over.
        """
        return Kept(self, path, value, acl)

    if TYPE_CHECKING:

        def Lock(  # noqa: N802 # kazoo's name
            self,
            path: str,
            identifier: Optional[str] = None,
            extra_lock_patterns: Iterable[str] = (),
            *,
            lost: Lost = Lost.TELL,
        ) -> locks.Lock:
            """A lock that one client has at a time. ``lost``: what happens in a ``with`` when it may be gone."""

        def ReadLock(  # noqa: N802
            self,
            path: str,
            identifier: Optional[str] = None,
            extra_lock_patterns: Iterable[str] = (),
            *,
            lost: Lost = Lost.TELL,
        ) -> locks.ReadLock:
            """A lock that others may have for reading at the same time."""

        def WriteLock(  # noqa: N802
            self,
            path: str,
            identifier: Optional[str] = None,
            extra_lock_patterns: Iterable[str] = (),
            *,
            lost: Lost = Lost.TELL,
        ) -> locks.WriteLock:
            """A lock that nobody else has at the same time, neither for writing nor for reading."""

        def Semaphore(  # noqa: N802
            self, path: str, identifier: Optional[str] = None, max_leases: int = 1, *, lost: Lost = Lost.TELL
        ) -> locks.Semaphore:
            """Leases of which ``max_leases`` are had at a time."""

        def Election(  # noqa: N802
            self, path: str, identifier: Optional[str] = None, *, lost: Lost = Lost.TELL
        ) -> locks.Election:
            """One leads at a time."""

    def _session_callback(self, state: Any) -> None:
        """As kazoo's. Before anybody hears that the connection is lost, what is held is in doubt."""
        if state == self._state:
            return super()._session_callback(state)
        if state not in _CONNECTED:
            self._parted = why.parting(self, state)
        if state != KeeperState.CONNECTED:
            level = logging.DEBUG if state == KeeperState.CLOSED else logging.WARNING
            for hold in list(self._holds):
                if hold.ephemeral:
                    hold.lose(str(self._parted), state in _CLOSED, level)
        before = self.state
        super()._session_callback(state)
        if state == KeeperState.CONNECTED:
            for hold in list(self._holds):
                hold.connected()
        if self.state != before:
            told = "" if state == KeeperState.CLOSED else "%s, " % self.state
            notes.say(self, logging.INFO, told + "%s", "", self.why)

    def _left_behind(self, forked: bool) -> None:
        """The connection was the parent's, or somebody else closed its files: nothing is held any more."""
        self._parted = why.FORKED if forked else why.FILES_CLOSED
        holds, self._holds = list(self._holds), {}
        for hold in holds:
            if forked:
                hold.forked()
            else:
                hold.lose(self._parted.detail, gone=True)
