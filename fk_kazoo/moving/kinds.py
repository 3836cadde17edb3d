"""Whether a node is a container or has a TTL: a deployment's store says so. No Stat does: ZooKeeper shows owner 0."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from fk_backend import layout
from fk_backend.core import owners
from fk_kazoo.administered import Administered

from .records import CONTAINER, PERSISTENT, TTL

Kind = Tuple[str, int]


class Kinds(Administered):
    """What kinds the nodes of a deployment are. To be closed."""

    def of(self, paths: Sequence[str]) -> List[Kind]:
        """Kind and TTL in ms of each, as far as it is there and no ephemeral."""
        ns, chroot = self._url.namespace, self._url.chroot
        keys = [layout.node_keys(ns, (chroot + path).rstrip("/") or "/")[0] for path in paths]
        found: Dict[str, Kind] = {}
        for path, item in zip(paths, self._wait(self._place.ports.store.load(keys))):
            owner = 0 if item is None else layout.node_of(item).owner
            ttl: Optional[int] = owners.ttl_ms(owner)
            found[path] = (
                (CONTAINER, 0) if owners.is_container(owner) else (PERSISTENT, 0) if ttl is None else (TTL, ttl)
            )
        return [found[path] for path in paths]
