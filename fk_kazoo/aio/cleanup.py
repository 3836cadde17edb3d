"""Removes nodes, whatever becomes of the task that wants them gone.

A task that is cancelled can't wait for an answer. So to be rid of a node takes one step: it is asked for at once, in
the session's order, and again by the next connection, until it is known to be gone. It needs no task, and ends with
the client, whose session takes its ephemerals along.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional

from kazoo.exceptions import ConnectionLoss, NoNodeError, SessionExpiredError
from kazoo.protocol.paths import _prefix_root
from kazoo.protocol.serialization import Delete, GetChildren, GetData

if TYPE_CHECKING:
    from .session import Life


class PendingDeletion(NamedTuple):
    """A node that is to go: ``name``, or what below ``parent`` begins with it; or only if its data are these.

    ``own``: only if the session that the client has by then made it.
    """

    parent: str
    name: str
    gone: "asyncio.Future[None]"
    is_prefix: bool = False
    data: Optional[bytes] = None
    own: bool = False

    @property
    def path(self) -> str:
        """Its path, with the chroot."""
        return "%s/%s" % (self.parent.rstrip("/"), self.name)


class PendingDeletions:
    """Those of one client."""

    __slots__ = ("_client",)

    def __init__(self, client: Life) -> None:
        self._client = client

    def remove(self, path: str, data: Optional[bytes] = None) -> "asyncio.Future[None]":
        """Removes a node; with ``data``, only if it has these: somebody else may have made it.

        Done when it is gone, which nobody has to wait for.
        """
        parent, _, name = path.rpartition("/")
        return self._begin(parent, name, False, data)

    def remove_own(self, path: str) -> "asyncio.Future[None]":
        """Removes an ephemeral node, if it is this client's: somebody else may have made it."""
        parent, _, name = path.rpartition("/")
        return self._begin(parent, name, False, None, own=True)

    def remove_named(self, parent: str, prefix: str) -> "asyncio.Future[None]":
        """Removes what a create has made, or may still make, with a name of which only the beginning is known."""
        return self._begin(parent, prefix, True, None)

    def _begin(
        self, parent: str, name: str, is_prefix: bool, data: Optional[bytes], own: bool = False
    ) -> "asyncio.Future[None]":
        gone = asyncio.get_running_loop().create_future()
        gone.add_done_callback(_retrieve_error)
        self._go(PendingDeletion(_prefix_root(self._client.chroot, parent or "/"), name, gone, is_prefix, data, own))
        return gone

    def _go(self, left: PendingDeletion) -> None:
        request: Any = Delete(left.path, -1)
        if left.is_prefix:
            request = GetChildren(left.parent, None)
        elif left.data is not None or left.own:
            request = GetData(left.path, None)
        try:
            asked = self._client._send(request)
        except SessionExpiredError:  # for a moment, until it begins to open another one
            asyncio.get_running_loop().call_soon(self._go, left)
        except Exception as error:
            _finish(left, error)
        else:
            asked.add_done_callback(partial(self._answered, left))

    def _answered(self, left: PendingDeletion, asked: "asyncio.Future[Any]") -> None:
        error = asked.exception()
        if isinstance(error, (ConnectionLoss, SessionExpiredError)) and not self._client._stopped:
            self._go(left)  # the next connection is asked: until there is one, it waits
        elif isinstance(error, NoNodeError):
            _finish(left, None)
        elif error is not None:
            _finish(left, error)
        elif left.is_prefix:
            names: List[str] = [name for name in asked.result() if name.startswith(left.name)]
            self._then(left._replace(name=names[0], is_prefix=False) if names else None, left)
        elif left.data is not None or left.own:
            data, stat = asked.result()
            is_it = stat.ephemeralOwner == self._client._session_id if left.own else data == left.data
            self._then(left._replace(data=None, own=False) if is_it else None, left)
        else:
            _finish(left, None)

    def _then(self, following: Optional[PendingDeletion], left: PendingDeletion) -> None:
        if following is None:
            _finish(left, None)
        else:
            self._go(following)


def _finish(left: PendingDeletion, error: Optional[BaseException]) -> None:
    if not left.gone.done():
        if error is None:
            left.gone.set_result(None)
        else:
            left.gone.set_exception(error)


def _retrieve_error(gone: "asyncio.Future[None]") -> None:
    """Nobody need ask for its error."""
    if not gone.cancelled():
        gone.exception()
