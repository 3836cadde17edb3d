"""Stats, as they are shown.

Rule: a Stat is computed when it is shown and never stored, so that a create can't leave a stale one behind.
"""

from __future__ import annotations

from .model import Family, Node, Stat
from .owners import is_ephemeral

_INT32 = 1 << 32


def int32(value: int) -> int:
    """``value`` wrapped around into a signed int32, as Java's int arithmetic does."""
    return (value + (1 << 31)) % _INT32 - (1 << 31)


def stat(node: Node, family: Family) -> Stat:
    """What ZooKeeper shows of a node (``DataNode.copyStat``).

    cversion counts creates plus deletes of children. ephemeralOwner is shown of ephemerals only: a client can't tell
    a container or a TTL node from a persistent one (``getClientEphemeralOwner``).
    """
    czxid, mzxid, ctime, mtime, version, aversion, owner, _, data = node
    creates, pzxid, count = family
    cversion = int32(2 * creates - count)
    shown_owner = owner if is_ephemeral(owner) else 0
    length = 0 if data is None else len(data)
    return Stat(czxid, mzxid, ctime, mtime, version, cversion, aversion, shown_owner, length, count, pzxid)
