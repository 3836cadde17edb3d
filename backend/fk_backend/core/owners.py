"""Kinds of node, as ``ephemeralOwner`` tells them: persistent, ephemeral, container, TTL.

Rule: what kind of node it is, is told by the int64 ``ephemeralOwner`` alone (``EphemeralType``, extended types on).

    0                            persistent
    CONTAINER_OWNER              container (only the sign bit)
    0xff, 16 zero bits, 40 bits  TTL in milliseconds, as a negative int64
    anything else                ephemeral: the id of the session that owns it

This is the stored owner; what a client is shown of it is up to stats.py.
"""

from __future__ import annotations

from typing import Optional

from .errors import ZkError
from .model import CONTAINER_OWNER, MAX_TTL_MS, TTL_OWNER_MASK, Error
from .requests import Flags

_TTL_BASE = TTL_OWNER_MASK - (1 << 64)
"""TTL_OWNER_MASK read as a signed int64."""

EPHEMERAL = frozenset((Flags.EPHEMERAL, Flags.EPHEMERAL_SEQUENTIAL))
_SEQUENTIAL = frozenset((Flags.SEQUENTIAL, Flags.EPHEMERAL_SEQUENTIAL, Flags.TTL_SEQUENTIAL))
_TTL = frozenset((Flags.TTL, Flags.TTL_SEQUENTIAL))


def check_mode(flags: int, ttl_ms: int) -> None:
    """Raise ZkError(BAD_ARGUMENTS) unless ``flags`` is a create mode and ``ttl_ms`` belongs to it.

    As ``CreateMode.fromFlag`` and ``EphemeralType.validateTTL``: a TTL mode needs 1..MAX_TTL_MS, any other none.
    None is written as 0 or less; on ZooKeeper's wire, where only createTTL carries a TTL, the question does not arise.
    """
    if not Flags.PERSISTENT <= flags <= Flags.TTL_SEQUENTIAL:
        raise ZkError(Error.BAD_ARGUMENTS)
    right = 0 < ttl_ms <= MAX_TTL_MS if flags in _TTL else ttl_ms <= 0
    if not right:
        raise ZkError(Error.BAD_ARGUMENTS)


def is_sequential(flags: int) -> bool:
    """Whether the create mode appends the parent's counter to the name."""
    return flags in _SEQUENTIAL


def owner_of(flags: int, ttl_ms: int, session_id: int) -> int:
    """The ``ephemeralOwner`` of a node created by ``session_id``; the mode must have passed :func:`check_mode`."""
    if flags == Flags.CONTAINER:
        return CONTAINER_OWNER
    if flags in _TTL:
        return _TTL_BASE + ttl_ms
    return session_id if flags in EPHEMERAL else 0


def is_container(owner: int) -> bool:
    """Whether the node is a container."""
    return owner == CONTAINER_OWNER


def ttl_ms(owner: int) -> Optional[int]:
    """The TTL in milliseconds of a TTL node, else None."""
    value = owner - _TTL_BASE
    return value if 0 <= value <= MAX_TTL_MS else None


def is_ephemeral(owner: int) -> bool:
    """Whether the node belongs to a session (``EphemeralType.NORMAL``); only such a node can't have children."""
    return owner != 0 and not is_container(owner) and ttl_ms(owner) is None


def is_reapable(owner: int) -> bool:
    """Whether the heartbeat has to look at the node: a container or a TTL node."""
    return owner != 0 and (is_container(owner) or ttl_ms(owner) is not None)
