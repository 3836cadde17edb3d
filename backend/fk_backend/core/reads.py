"""Reads of one node: exists, get, children, ACL.

Rule: a read is answered from the node as it was loaded, or refused, as ``FinalRequestProcessor`` does.

``found`` is the node as the store has it, or None if there is none. Every function raises ZkError.
"""

from __future__ import annotations

from typing import Iterable, List, Optional, Tuple

from . import acls
from .errors import ZkError
from .model import Acls, Data, Error, Id, Perms, Stat
from .overlay import Found
from .paths import ROOT, name, parent
from .stats import stat

Identities = Tuple[Id, ...]


def exists(found: Optional[Found]) -> Stat:
    """The Stat, or NO_NODE. Anyone may ask whether a node exists."""
    return stat(*_require(found))


def get(found: Optional[Found], identities: Identities) -> Tuple[Data, Stat]:
    """(data, Stat). NO_NODE; NO_AUTH without READ."""
    node, family = _readable(found, identities)
    return node.data, stat(node, family)


def children(found: Optional[Found], identities: Identities) -> Stat:
    """The Stat that goes with the children's names. NO_NODE; NO_AUTH without READ on the parent."""
    return stat(*_readable(found, identities))


def get_acl(found: Optional[Found], identities: Identities) -> Tuple[Acls, Stat]:
    """(ACL, Stat); see :func:`acls.visible_acl` for NO_AUTH and for what is masked. NO_NODE."""
    node, family = _require(found)
    return acls.visible_acl(node.acl, identities), stat(node, family)


def child_name(above: str, path: str) -> Optional[str]:
    """The name of ``path`` as a child of ``above``, or None if it is not a child of it. Both are valid paths."""
    return name(path) if path != ROOT and parent(path) == above else None


def child_names(above: str, candidates: Iterable[str]) -> List[str]:
    """The names, sorted, of those paths among ``candidates`` that are children of ``above``.

    ZooKeeper promises no order. Sorted, the same tree always reads the same.
    """
    named = (child_name(above, path) for path in candidates)
    return sorted(each for each in named if each is not None)


def _readable(found: Optional[Found], identities: Identities) -> Found:
    node, family = _require(found)
    acls.require(node.acl, Perms.READ, identities)
    return node, family


def _require(found: Optional[Found]) -> Found:
    if found is None:
        raise ZkError(Error.NO_NODE)
    return found
