"""Several writes that are done together or not at all."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, List, Optional, Type, Union

from kazoo.exceptions import ZookeeperError
from kazoo.protocol.paths import _prefix_root
from kazoo.protocol.serialization import CheckVersion, Create, Delete, SetData, Transaction
from kazoo.protocol.states import ZnodeStat
from kazoo.security import OPEN_ACL_UNSAFE

from . import checks

if TYPE_CHECKING:
    from kazoo.client import _Acls

    from .operations import Operations

Outcome = Union[str, bool, ZnodeStat, ZookeeperError]
"""Of one operation: a path (create), True (delete, check), a ZnodeStat (set_data), or an error."""


class TransactionRequest:
    """As kazoo's. As ``async with``: committed at its end, unless that raises.

    What failed is only in the results of `commit`: it raises no error for them.
    """

    def __init__(self, client: Operations) -> None:
        self.client = client
        self.operations: List[Any] = []
        self.committed = False
        self.results: List[Outcome] = []
        """What `commit` returned."""

    def create(
        self,
        path: str,
        value: bytes = b"",
        acl: Optional[_Acls] = None,
        ephemeral: bool = False,
        sequence: bool = False,
    ) -> None:
        """Adds a create."""
        acl = self.client.default_acl if acl is None else acl
        checks.path(path)
        checks.acl(acl)
        checks.value(value)
        checks.flags(ephemeral=ephemeral, sequence=sequence)
        full = _prefix_root(self.client.chroot, path)
        self._add(Create(full, value, OPEN_ACL_UNSAFE if acl is None else acl, ephemeral | sequence << 1))

    def delete(self, path: str, version: int = -1) -> None:
        """Adds a delete."""
        checks.path(path)
        checks.version(version)
        self._add(Delete(_prefix_root(self.client.chroot, path), version))

    def set_data(self, path: str, value: bytes, version: int = -1) -> None:
        """Adds a set."""
        checks.path(path)
        checks.value(value)
        checks.version(version)
        self._add(SetData(_prefix_root(self.client.chroot, path), value, version))

    def check(self, path: str, version: int) -> None:
        """The transaction fails unless the node's version is this one."""
        checks.path(path)
        checks.version(version)
        self._add(CheckVersion(_prefix_root(self.client.chroot, path), version))

    def _add(self, request: Any) -> None:
        if self.committed:
            raise ValueError("Transaction already committed")
        self.operations.append(request)

    async def commit(self) -> List[Outcome]:
        """One result for each operation, in order: a path, True, a ZnodeStat, or an error. Once only."""
        if self.committed:
            raise ValueError("Transaction already committed")
        self.committed = True
        results = await self.client._ask(Transaction(self.operations))
        unchroot = self.client.unchroot
        self.results = [unchroot(each) if isinstance(each, str) else each for each in results]
        return self.results

    async def __aenter__(self) -> TransactionRequest:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        if kind is None:
            await self.commit()
