"""Operations on one node: create, delete, set data, set ACL, check.

Rule: an operation on a node checks everything, in the order of ``PrepRequestProcessor``, before it changes anything.

Each takes the view, the session that asks and the operation, returns the value of its Result, and raises ZkError.
"""

from __future__ import annotations

from typing import Tuple, Union

from . import acls, owners, paths
from .errors import ZkError
from .model import OPEN, Data, Error, EventType, Family, Node, Perms, Session, Stat
from .overlay import Found, View
from .requests import Check, Create, Delete, SetAcl, SetData
from .stats import int32, stat

MAX_DATA_BYTES = 1_048_576
"""The longest data of one node: 1 MiB, the default of ZooKeeper's ``jute.maxbuffer``."""

SPECIAL_PATHS = frozenset(("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"))
"""What can't be deleted (``DataTree.isSpecialPath``)."""

CreateValue = Union[str, Tuple[str, Stat]]


def create(view: View, session: Session, op: Create) -> CreateValue:
    """``pRequest2TxnCreate``. The value is the path that the node got, with its Stat if ``op.with_stat``."""
    _check_size(op.data)
    owners.check_mode(op.flags, op.ttl_ms)
    _check_slash(op.path)
    acl = acls.fix_up(op.acl, session.identities)
    above, family = _find_parent_for_create(view, op.path, session)
    path = op.path + _suffix(family.creates) if owners.is_sequential(op.flags) else op.path
    _check_path(path)
    if view.find(path) is not None:
        raise ZkError(Error.NODE_EXISTS)
    if owners.is_ephemeral(above.owner):
        raise ZkError(Error.NO_CHILDREN_FOR_EPHEMERALS)
    owner = owners.owner_of(op.flags, op.ttl_ms, session.id)
    zxid, now_ms = view.next_zxid, view.now_ms
    made = (Node(zxid, zxid, now_ms, now_ms, 0, 0, owner, acl, op.data), Family(0, zxid, 0))
    _insert(view, path, made, (above, family))
    return (path, stat(*made)) if op.with_stat else path


def _find_parent_for_create(view: View, path: str, session: Session) -> Found:
    above, family = _require(view, paths.parent(path))
    acls.require(above.acl, Perms.CREATE, session.identities)
    return above, family


def _suffix(creates: int) -> str:
    return "%010d" % creates


def _insert(view: View, path: str, made: Found, parent: Found) -> None:
    above, family = paths.parent(path), parent[1]
    node = made[0]
    view.put_node(path, node)
    view.put_family(path, made[1])
    # Java's int: past 2147483647 the counter goes on at -2147483648, as ZooKeeper's documentation says.
    view.put_family(above, Family(int32(family.creates + 1), node.czxid, family.count + 1))
    if owners.is_ephemeral(node.owner):
        view.put_ephemeral(node.owner, path, True)
    elif owners.is_reapable(node.owner):
        view.put_reapable(path, True)
    view.trigger(path, EventType.CREATED, node.acl)
    view.trigger(above, EventType.CHILD, parent[0].acl)


def delete(view: View, session: Session, op: Delete) -> None:
    """``pRequest2Txn``, delete. The node's own ACL plays no part."""
    _check_slash(op.path)
    if op.path in SPECIAL_PATHS:
        raise ZkError(Error.BAD_ARGUMENTS)
    above, _ = _require(view, paths.parent(op.path))
    acls.require(above.acl, Perms.DELETE, session.identities)
    node, family = _require(view, op.path)
    _check_version(node.version, op.version)
    if family.count:
        raise ZkError(Error.NOT_EMPTY)
    remove(view, op.path, node)


def remove(view: View, path: str, node: Node) -> None:
    """Take out a node that has no children, with nothing left to check (``DataTree.deleteNode``)."""
    above = paths.parent(path)
    view.remove_node(path)
    found = view.find(above)
    if found is not None:  # None only while the parent is yet to be loaded
        view.put_family(above, Family(found[1].creates, view.next_zxid, found[1].count - 1))
    if owners.is_ephemeral(node.owner):
        view.put_ephemeral(node.owner, path, False)
    elif owners.is_reapable(node.owner):
        view.put_reapable(path, False)
    view.trigger(path, EventType.DELETED, node.acl)
    view.trigger(above, EventType.CHILD, found[0].acl if found is not None else ())


def set_data(view: View, session: Session, op: SetData) -> Stat:
    """``pRequest2Txn``, setData. The value is the new Stat."""
    _check_size(op.data)
    _check_path(op.path)
    node, family = _require(view, op.path)
    acls.require(node.acl, Perms.WRITE, session.identities)
    version = _check_version(node.version, op.version)
    czxid, _, ctime_ms, _, _, aversion, owner, acl, _ = node
    changed = Node(czxid, view.next_zxid, ctime_ms, view.now_ms, version, aversion, owner, acl, op.data)
    view.put_node(op.path, changed)
    view.trigger(op.path, EventType.CHANGED, node.acl)
    return stat(changed, family)


def set_acl(view: View, session: Session, op: SetAcl) -> Stat:
    """``pRequest2Txn``, setACL. Changes ACL and aversion only and fires no watch. The value is the new Stat."""
    _check_path(op.path)
    acl = acls.fix_up(op.acl, session.identities)
    node, family = _require(view, op.path)
    acls.require(node.acl, Perms.ADMIN, session.identities)
    changed = node._replace(acl=acl, aversion=_check_version(node.aversion, op.version))
    view.put_node(op.path, changed)
    return stat(changed, family)


def check(view: View, session: Session, op: Check) -> None:
    """``pRequest2Txn``, check: changes nothing."""
    _check_path(op.path)
    node, _ = _require(view, op.path)
    acls.require(node.acl, Perms.READ, session.identities)
    _check_version(node.version, op.version)


def _check_size(data: Data) -> None:
    if data is not None and len(data) > MAX_DATA_BYTES:
        raise ZkError(Error.TOO_LARGE)


def _check_slash(path: str) -> None:
    """All that create and delete ask of a path at first; what else is wrong shows later, or as NO_NODE."""
    if "/" not in path or "\0" in path:
        raise ZkError(Error.BAD_ARGUMENTS)


def _check_path(path: str) -> None:
    if not paths.is_valid(path):
        raise ZkError(Error.BAD_ARGUMENTS)


def _check_version(actual: int, expected: int) -> int:
    """The version after this one, which skips -1: that would mean "any" (``checkAndIncVersion``, ZOOKEEPER-4743)."""
    if expected not in (OPEN, actual):
        raise ZkError(Error.BAD_VERSION)
    return int32(actual + 1) if actual != OPEN - 1 else 0


def _require(view: View, path: str) -> Found:
    found = view.find(path)
    if found is None:
        raise ZkError(Error.NO_NODE)
    return found
