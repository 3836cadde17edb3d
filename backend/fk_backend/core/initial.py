"""The nodes of a fresh namespace.

Rule: a fresh namespace looks exactly as a fresh ZooKeeper 3.8 does (``DataTree()``, ``addConfigNode``).
"""

from __future__ import annotations

from typing import Dict

from .acls import OPEN_ACL, READ_ACL
from .model import Acls, Family, Node
from .overlay import Found


def initial_nodes() -> Dict[str, Found]:
    """Path → node of a namespace in which nothing has happened yet: zxid and times are 0.

    The children of these nodes were never counted as creates, which is why cversion is negative at first.
    """
    return {
        "/": _node(OPEN_ACL, 0, 1),
        "/zookeeper": _node(OPEN_ACL, 0, 2),
        "/zookeeper/quota": _node(OPEN_ACL, 0, 0),
        # The ACL is set as if by setACL with version -1.
        "/zookeeper/config": _node(READ_ACL, -1, 0),
    }


def _node(acl: Acls, aversion: int, count: int) -> Found:
    return Node(0, 0, 0, 0, 0, aversion, 0, acl, b""), Family(0, 0, count)
