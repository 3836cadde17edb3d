"""Reads a deployment's nodes from its store, many by one request, with their kind, which no client is told.

A client reads one node after the other, since each has to be shown in its place in the session's order. A copy is of no
one moment, so it needs no such order, and on AWS a hundred items cost one request. Rule upheld here: what the session
may not read is refused, as if the session had read it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from kazoo.exceptions import NoAuthError

from fk_backend import layout
from fk_backend.core import owners, reads
from fk_backend.core.errors import ZkError
from fk_backend.core.model import Blob, Error, Id, Node, Stat
from fk_backend.core.overlay import Found
from fk_backend.core.stats import stat
from fk_backend.eager import together
from fk_backend.errors import Unavailable
from fk_backend.ports import STATE
from fk_kazoo.admin_store import AdminStore
from fk_kazoo.url import DeploymentUrl

from .records import CONTAINER, EPHEMERAL, PERSISTENT, TTL

PAGE = 10_000
"""Children in one query, if the store has room for as many."""


class StoredNode(NamedTuple):
    """A node as it is stored. ``acl`` and ``stat`` as clients see them."""

    data: Optional[bytes]
    acl: Tuple[Tuple[int, str, str], ...]
    stat: Stat
    kind: str
    ttl_ms: int


class StoreReader(AdminStore):
    """Of one thread, and to be closed. BackendError, also if these credentials may not read many nodes at once."""

    def __init__(self, url: DeploymentUrl, identities: Tuple[Id, ...]) -> None:
        """``identities``: of the session that reads."""
        super().__init__(url)
        self._identities = identities
        try:
            self.stats(["/"])
        except BaseException:
            self.close()
            raise

    def nodes(self, paths: Sequence[str]) -> List[Optional[StoredNode]]:
        """Each of them; None where there is none. NoAuthError."""
        return self._wait(self._nodes(paths))

    async def _nodes(self, paths: Sequence[str]) -> List[Optional[StoredNode]]:
        found = await self._found(paths)
        whole = await self._side_by_side([self._with_data(*each) for each in zip(paths, found)])
        return [None if pair is None else self._shown(path, pair) for path, pair in zip(paths, whole)]

    def stats(self, paths: Sequence[str]) -> List[Optional[Stat]]:
        """The Stat of each, which anybody may see; None where there is no node."""
        return [None if pair is None else stat(*pair) for pair in self._wait(self._found(paths))]

    def names(self, paths: Sequence[str]) -> List[List[str]]:
        """The names of each node's children. NoAuthError."""
        return self._wait(self._names(paths))

    async def _names(self, paths: Sequence[str]) -> List[List[str]]:
        for path, pair in zip(paths, await self._found(paths)):
            if pair is not None:
                self._allowed(path, partial(reads.children, pair, self._identities))
        return await self._side_by_side([self._listed(path) for path in paths])

    # --- one by one -----------------------------------------------------------------------------

    def _full(self, path: str) -> str:
        return (self._url.chroot + path).rstrip("/") or "/"

    async def _side_by_side(self, work: Sequence[Any]) -> List[Any]:
        return await together(work, self._admin_ports.ports.store.capabilities.has_latency)

    async def _found(self, paths: Sequence[str]) -> List[Optional[Found]]:
        """Node and family of each, of one moment."""
        store = self._admin_ports.ports.store
        keys = {path: layout.node_keys(self._url.namespace, self._full(path)) for path in paths}
        items = iter(await store.load([key for pair in keys.values() for key in pair]))
        found: Dict[str, Optional[Found]] = {}
        for path, pair in keys.items():
            read = [next(items), next(items)]
            if layout.torn(read):
                read = await store.get(pair)
            found[path] = layout.pair_of(read)
        return [found[path] for path in paths]

    async def _with_data(self, path: str, pair: Optional[Found]) -> Optional[Found]:
        """With the data themselves, where the node only says where they are."""
        blobs = self._admin_ports.ports.blobs
        while pair is not None and isinstance(pair[0].data, Blob) and blobs is not None:
            data = await blobs.fetch(pair[0].data)
            if data is not None:
                return pair[0]._replace(data=data), pair[1]
            missing = pair[0].data
            (pair,) = await self._found([path])
            if pair is not None and pair[0].data == missing:
                raise Unavailable("the data of %s can't be read: %r" % (path, missing))
        return pair

    def _shown(self, path: str, pair: Found) -> StoredNode:
        data, shown = self._allowed(path, partial(reads.get, pair, self._identities))
        acl, _ = self._allowed(path, partial(reads.get_acl, pair, self._identities))
        entries = tuple((int(one.perms), one.scheme, one.id) for one in acl)
        return StoredNode(data, entries, shown, *_kind(pair[0]))

    @staticmethod
    def _allowed(path: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except ZkError as error:
            assert error.code == Error.NO_AUTH, "it is there"
            raise NoAuthError(path) from None

    async def _listed(self, path: str) -> List[str]:
        partition = layout.node_partition(self._url.namespace, self._full(path))
        names: List[str] = []
        start, more = layout.CHILDREN, True
        while more:
            page = await self._admin_ports.ports.store.listing(STATE, partition, start, layout.CHILDREN, PAGE)
            names.extend(page.names)
            more = page.more
            start = layout.CHILDREN + names[-1] + "\0" if names else start
        return names


def _kind(node: Node) -> Tuple[str, int]:
    """Kind and TTL in ms."""
    ttl_ms = owners.ttl_ms(node.owner)
    if owners.is_ephemeral(node.owner):
        return EPHEMERAL, 0
    if owners.is_container(node.owner):
        return CONTAINER, 0
    return (PERSISTENT, 0) if ttl_ms is None else (TTL, ttl_ms)
