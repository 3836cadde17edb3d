"""kazoo's requests as coroutines. What a method means is said in kazoo's documentation of the method of that name."""

from __future__ import annotations

import asyncio
from os.path import split
from typing import (
    TYPE_CHECKING,
    Any,
    Awaitable,
    Callable,
    List,
    Optional,
    Set,
    Tuple,
    TypeVar,
    Union,
    cast,
    overload,
)

from kazoo.exceptions import (
    ConnectionLoss,
    NodeExistsError,
    NoNodeError,
)
from kazoo.protocol.paths import _prefix_root
from kazoo.protocol.serialization import (
    Auth,
    Create,
    Create2,
    Delete,
    Exists,
    GetACL,
    GetChildren,
    GetChildren2,
    GetData,
    SetACL,
    SetData,
    Sync,
)
from kazoo.protocol.states import ZnodeStat
from kazoo.retry import KazooRetry
from kazoo.security import ACL, OPEN_ACL_UNSAFE

from fk_backend.core.watches import CHILD, DATA, PERSISTENT, RECURSIVE

from ..requests import AddWatch, AddWatchMode, CreateContainer, CreateTTL, RemoveWatches
from ..state_reasons import StateReasons
from . import checks, deployments, retrying
from .session import Life
from .watches import Watcher

if TYPE_CHECKING:
    from typing import Literal

    from kazoo.client import _Acls

    from .cleanup import PendingDeletions

T = TypeVar("T")


class Operations(StateReasons, Life):
    """The requests of a client, and its states: all that its recipes, iterators and transactions need of it.

    Every request may raise what `fk_kazoo.exceptions` has. A request whose task is cancelled is done or not, as a
    whole; its watch is not left behind. A ``watch`` is called once, in the event loop, with a WatchedEvent.
    """

    auth_data: Set[Tuple[str, str]]
    default_acl: Optional[_Acls]
    _command_retry: KazooRetry
    _cleanup: PendingDeletions

    async def retry(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Calls the function and awaits what it returns, again while the connection is lost; see ``command_retry``."""
        return await retrying.retry(self._command_retry, lambda: func(*args, **kwargs))

    # --- reads ----------------------------------------------------------------------------------

    async def exists(self, path: str, watch: Optional[Watcher] = None) -> Optional[ZnodeStat]:
        """The node's ZnodeStat, or None."""
        checks.path(path)
        checks.watch(watch)
        return cast(Optional[ZnodeStat], await self._ask(Exists(_prefix_root(self.chroot, path), watch), watch, DATA))

    async def get(self, path: str, watch: Optional[Watcher] = None) -> Tuple[bytes, ZnodeStat]:
        """The node's data, and its ZnodeStat. NoNodeError."""
        checks.path(path)
        checks.watch(watch)
        found = await self._ask(GetData(_prefix_root(self.chroot, path), watch), watch, DATA)
        return cast(Tuple[bytes, ZnodeStat], found)

    @overload
    async def get_children(
        self, path: str, watch: Optional[Watcher] = None, include_data: Literal[False] = False
    ) -> List[str]: ...
    @overload
    async def get_children(
        self, path: str, watch: Optional[Watcher] = None, *, include_data: Literal[True]
    ) -> Tuple[List[str], ZnodeStat]: ...
    @overload
    async def get_children(
        self, path: str, watch: Optional[Watcher], include_data: Literal[True]
    ) -> Tuple[List[str], ZnodeStat]: ...
    async def get_children(self, path: str, watch: Optional[Watcher] = None, include_data: bool = False) -> Any:
        """The names of its children, in no order; with ``include_data`` these and the node's own ZnodeStat."""
        checks.path(path)
        checks.watch(watch)
        checks.flags(include_data=include_data)
        request = GetChildren2 if include_data else GetChildren
        return await self._ask(request(_prefix_root(self.chroot, path), watch), watch, CHILD)

    async def get_acls(self, path: str) -> Tuple[List[ACL], ZnodeStat]:
        """The node's ACLs, and its ZnodeStat. NoNodeError."""
        checks.path(path)
        return cast(Tuple[List[ACL], ZnodeStat], await self._ask(GetACL(_prefix_root(self.chroot, path))))

    async def sync(self, path: str) -> str:
        """What was written before is seen by reads after it. The path."""
        checks.path(path)
        return self.unchroot(await self._ask(Sync(_prefix_root(self.chroot, path))))

    # --- writes ---------------------------------------------------------------------------------

    @overload
    async def create(
        self,
        path: str,
        value: Optional[bytes] = b"",
        acl: Optional[_Acls] = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
        include_data: Literal[False] = False,
    ) -> str: ...
    @overload
    async def create(
        self,
        path: str,
        value: Optional[bytes] = b"",
        acl: Optional[_Acls] = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
        *,
        include_data: Literal[True],
    ) -> Tuple[str, ZnodeStat]: ...
    async def create(
        self,
        path: str,
        value: Optional[bytes] = b"",
        acl: Optional[_Acls] = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
        include_data: bool = False,
    ) -> Any:
        """Creates a node. Its path; with ``include_data`` its path and its ZnodeStat."""
        acl = self.default_acl if acl is None else acl
        checks.path(path)
        checks.acl(acl)
        if value is not None:
            checks.value(value)
        checks.flags(ephemeral=ephemeral, sequence=sequence, makepath=makepath, include_data=include_data)
        acl = OPEN_ACL_UNSAFE if acl is None else acl
        full = _prefix_root(self.chroot, path, trailing=sequence)
        request = (Create2 if include_data else Create)(full, value, acl, ephemeral | sequence << 1)
        while True:
            try:
                made = await self._ask(request)
                return (self.unchroot(made[0]), made[1]) if include_data else self.unchroot(made)
            except NoNodeError:
                if not makepath:
                    raise
            await self.ensure_path(path.rstrip("/") if sequence and path.endswith("/") else split(path)[0], acl)

    async def create_container(self, path: str, value: bytes = b"", acl: Optional[_Acls] = None) -> str:
        """Creates a node that is removed when it has had children and has none any more (ZooKeeper 3.5). Its path."""
        acl = acl or self.default_acl or OPEN_ACL_UNSAFE
        made = await self._ask(CreateContainer(_prefix_root(self.chroot, path), value, acl, 0))
        return self.unchroot(made[0])

    async def create_ttl(
        self, path: str, ttl_ms: int, value: bytes = b"", acl: Optional[_Acls] = None, sequence: bool = False
    ) -> str:
        """Creates a node that is removed when it was not changed for ``ttl_ms`` and has no children. Its path."""
        acl = acl or self.default_acl or OPEN_ACL_UNSAFE
        full = _prefix_root(self.chroot, path, trailing=sequence)
        made = await self._ask(CreateTTL(full, value, acl, 6 if sequence else 5, ttl_ms))
        return self.unchroot(made[0])

    async def ensure_path(self, path: str, acl: Optional[_Acls] = None) -> Union[str, Literal[True]]:
        """Creates what is missing of the path. True if it was there, the path if it was created."""
        checks.path(path)
        if await self.exists(path):
            return True
        parent, name = split(path)
        if name:
            await self.ensure_path(parent, acl)
        try:
            return await self.create(path, acl=acl)
        except NodeExistsError:
            return True

    async def set(self, path: str, value: Optional[bytes], version: int = -1) -> ZnodeStat:
        """Sets its data. BadVersionError unless its version is ``version`` (-1: any); NoNodeError, NoAuthError."""
        checks.path(path)
        if value is not None:
            checks.value(value)
        checks.version(version)
        return cast(ZnodeStat, await self._ask(SetData(_prefix_root(self.chroot, path), value, version)))

    async def set_acls(self, path: str, acls: _Acls, version: int = -1) -> ZnodeStat:
        """Sets its ACLs. BadVersionError unless its aversion is ``version`` (-1: any); NoNodeError, InvalidACLError."""
        checks.path(path)
        if isinstance(acls, ACL) or not isinstance(acls, (tuple, list)):
            raise TypeError("Invalid type for 'acl' (acl must be a tuple/list of ACL's)")
        checks.version(version)
        return cast(ZnodeStat, await self._ask(SetACL(_prefix_root(self.chroot, path), acls, version)))

    async def delete(self, path: str, version: int = -1, recursive: bool = False) -> Optional[bool]:
        """Deletes a node; ``recursive``: with all below it, one after the other, and without an error if it is missing.

        BadVersionError unless its version is ``version`` (-1: any); NoNodeError, NotEmptyError.
        """
        checks.flags(recursive=recursive)
        if recursive:
            return await self._delete_recursive(path)
        checks.path(path)
        checks.version(version)
        return cast(bool, await self._ask(Delete(_prefix_root(self.chroot, path), version)))

    async def _delete_recursive(self, path: str) -> Optional[bool]:
        try:
            children = await self.get_children(path)
        except NoNodeError:
            return True
        for child in children:
            await self._delete_recursive("%s/%s" % (path.rstrip("/"), child))
        try:
            await self.delete(path)
        except NoNodeError:
            pass
        return None

    # --- watches and states ---------------------------------------------------------------------

    async def add_watch(self, path: str, watch: Watcher, mode: str = AddWatchMode.PERSISTENT) -> bool:
        """Has ``watch(event)`` called for every change; ``mode`` is one of AddWatchMode (ZooKeeper 3.6).

        It survives reconnects; what happened while disconnected is not told afterwards, as in ZooKeeper.
        """
        if not callable(watch):
            raise TypeError("Invalid type for 'watch' (must be a callable)")
        checks.not_awaited("watch", watch)
        if mode not in (PERSISTENT, RECURSIVE):
            raise TypeError("Invalid value for 'mode' (one of AddWatchMode)")
        return cast(bool, await self._ask(AddWatch(_prefix_root(self.chroot, path), watch, mode), watch, mode))

    async def remove_all_watches(self, path: str) -> bool:
        """Removes every watch of this client on the path. NoWatcherError if there is none.

        Without an answer they are gone, too: no other connection sets them again.
        """
        full = _prefix_root(self.chroot, path)
        try:
            return cast(bool, await self._ask(RemoveWatches(full)))
        except (asyncio.CancelledError, ConnectionLoss):
            self._watches.removed(full)
            raise

    def _broken_by(self) -> str:
        return "" if self._connection is None else self._connection.why

    def _stood_still(self) -> Tuple[float, float]:
        return deployments.last_pause()

    # --- the rest -------------------------------------------------------------------------------

    async def add_auth(self, scheme: str, credential: str) -> bool:
        """Authenticates: ``await add_auth("digest", "name:password")``. AuthFailedError if it is refused."""
        checks.text("scheme", scheme)
        checks.text("credential", credential)
        self.auth_data.add((scheme, credential))
        return cast(bool, await self._ask(Auth(0, scheme, credential)))
