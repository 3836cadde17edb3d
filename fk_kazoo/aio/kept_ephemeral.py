"""`keep`: an ephemeral node that is made again when the session has expired, until it is given up."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generator, Optional, Type

from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError
from kazoo.protocol.paths import _prefix_root
from kazoo.protocol.states import KazooState
from kazoo.retry import ForceRetryError

from fk_backend.core.watches import DATA

from .. import logs
from ..held_nodes import uninterrupted
from . import retrying
from .watches import Armed

if TYPE_CHECKING:
    from kazoo.client import _Acls
    from kazoo.protocol.states import _State

    from .operations import Operations


class KeptEphemeral:
    """A node that is there while this client is: ``async with zk.keep("/services/web-1", b"10.0.0.7:80") as kept:``.

    Or ``kept = await zk.keep(...)``, and ``await kept.close()``. It is made again with every new session of the client.
    If somebody else has made it meanwhile, it is made as soon as that one is gone. What somebody deletes stays deleted
    until the next session: it may be meant. Its parents are made, too. NodeExistsError if somebody else has it now.
    """

    def __init__(self, client: Operations, path: str, value: bytes, acl: Optional[_Acls]) -> None:
        self.path = path
        self.value = value
        """What it holds; see `set`."""
        self._client, self._acl = client, acl
        self._session: Optional[int] = None
        """Of the node that is there."""
        self._closed = True
        self._lock: Optional[asyncio.Lock] = None

    @property
    def there(self) -> bool:
        """Whether the node was made in the session that the client has now."""
        return not self._closed and self._session is not None and self._session == self._client._session_id

    def __await__(self) -> Generator[Any, None, KeptEphemeral]:
        return self._begin().__await__()

    async def __aenter__(self) -> KeptEphemeral:
        return await self._begin()

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        await self.close()

    async def _begin(self) -> KeptEphemeral:
        """Who is cancelled leaves nothing behind."""
        self._lock, self._closed = asyncio.Lock(), False
        try:
            async with self._lock:
                await self._make()
        except BaseException:
            self._give_up()
            raise
        self._client.add_listener(self._on_state)
        self._on_state(self._client.state)
        return self

    async def set(self, value: bytes) -> None:
        """Changes what it holds, now and whenever it is made again."""
        self.value = value
        if self._lock is None or self._closed:
            return
        async with self._lock:
            if self.there:
                try:
                    await self._client.retry(self._client.set, self.path, value)
                except NoNodeError:  # between two sessions, or deleted by somebody
                    pass

    async def close(self) -> None:
        """Gives it up: it is deleted, and not made again, however its task is cancelled."""
        gone = self._give_up()
        if gone is not None:
            await asyncio.shield(gone)

    def _give_up(self) -> "Optional[asyncio.Future[None]]":
        if self._closed:
            return None
        self._closed = True
        client, self._session = self._client, None
        client.remove_listener(self._on_state)
        client._watches.forget(Armed(DATA, _prefix_root(client.chroot, self.path)), self._on_node_event)
        # Whatever this session was asked to make, also if nobody knows yet whether it did.
        return client._cleanup.remove_own(self.path)

    def _on_state(self, state: _State) -> None:
        """A state listener."""
        if not self._closed and state == KazooState.CONNECTED and self._session != self._client._session_id:
            with uninterrupted():  # whoever's call it was that this was heard by
                self._client._spawn(self._make_again(), self._client._tasks)

    def _on_node_event(self, event: Any) -> None:
        """A watch function: whoever had the node before has given it up, perhaps."""
        self._on_state(self._client.state)

    async def _make_again(self) -> None:
        assert self._lock is not None
        async with self._lock:
            while not self._closed and self._client.connected and not self.there:
                try:
                    await self._make()
                    logs.log_limited(self._client, logging.INFO, "made again in a new session", self.path)
                except NodeExistsError:
                    if await self._waits_for_owner():
                        return
                except KazooException as error:
                    logs.log_limited(self._client, logging.WARNING, "could not be made again: %r", self.path, error)
                    return  # closed, or not allowed; a lost connection or session comes with a state of its own

    async def _waits_for_owner(self) -> bool:
        """Whether it is waited for."""
        if self._closed or not await self._client.exists(self.path, watch=self._on_node_event):
            return False
        logs.log_limited(self._client, logging.WARNING, "somebody else has made it, it is waited for", self.path)
        return True

    async def _make(self) -> None:
        made = await retrying.retry(self._client._command_retry, self._try)
        if self._closed:
            self._client._cleanup.remove_own(self.path)
        else:
            self._session = made

    async def _try(self) -> int:
        client = self._client
        try:
            stat = (await client.create(self.path, self.value, self._acl, ephemeral=True, include_data=True))[1]
        except NodeExistsError:
            found = await client.exists(self.path)
            if found is None:
                raise ForceRetryError from None
            if found.ephemeralOwner != client._session_id:
                raise
            stat = await client.set(self.path, self.value)
        except NoNodeError:
            await client.ensure_path(self.path.rpartition("/")[0])
            raise ForceRetryError from None
        return int(stat.ephemeralOwner)
