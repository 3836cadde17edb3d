"""The methods that our KazooClient adds to kazoo's: locks with fences, `create_once`, `keep`, `why`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Optional

from . import locks, why
from .creating import Creation
from .kept_ephemeral import KeptEphemeral
from .locks import Lost
from .state_reasons import StateReasons

if TYPE_CHECKING:
    from kazoo.client import KazooClient as _Client
    from kazoo.client import _Acls
else:
    _Client = object  # kazoo's comes after it: to import that here may be to import ours (see `run`)


class Extensions(StateReasons, _Client):
    """The part of our client that only adds to kazoo's."""

    _parted: Optional[why.Why] = None

    def _extend(self) -> None:
        """At the end of `__init__`."""
        locks.attach(self)

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

    def keep(self, path: str, value: bytes = b"", acl: Optional[_Acls] = None) -> KeptEphemeral:
        """Makes an ephemeral node now, and again after the session has expired, until the result's ``close()``.

        Its parents are made, too. NodeExistsError if somebody else has made it; a process that was started again may
        meet the node of its last life, until that session's time is over.
        """
        return KeptEphemeral(self, path, value, acl)

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

    def _lose_connection(self, forked: bool) -> None:
        """The connection was the parent's, or somebody else closed its files: nothing is held any more."""
        self._parted = why.FORKED if forked else why.FILES_CLOSED
        holds, self._held_nodes = list(self._held_nodes), {}
        for hold in holds:
            if forked:
                hold.forked()
            else:
                hold.lose(self._parted.detail, gone=True)
