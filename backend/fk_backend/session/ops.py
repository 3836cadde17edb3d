"""What can be asked of a session: the writes of `core.requests`, and these."""

from __future__ import annotations

from typing import NamedTuple, Tuple, Union

from ..core.requests import DIRECT as DIRECT
from ..core.requests import Auth, Check, Close, Create, Delete, Multi, Result, SetAcl, SetData, WatchSubtrees
from ..core.watches import MODES
from ..messages import TriggerLog


class Exists(NamedTuple):
    """Answered by Stat, or NO_NODE. With ``watch``, a data watch is left either way."""

    path: str
    watch: bool


class GetData(NamedTuple):
    """Answered by (data, Stat). With ``watch``, a data watch is left if the node exists."""

    path: str
    watch: bool


class GetChildren(NamedTuple):
    """Answered by (names, Stat). With ``watch``, a child watch is left if the node exists."""

    path: str
    watch: bool


class GetAcl(NamedTuple):
    """Answered by (acl, Stat)."""

    path: str


class Sync(NamedTuple):
    """Answered by the path, once every earlier write is answered. Reads are strong: nothing else is to wait for."""

    path: str


class AddWatch(NamedTuple):
    """A watch that stays until it is removed (ZooKeeper 3.6). ``mode``: PERSISTENT or RECURSIVE. Answered by None."""

    path: str
    mode: str


class RemoveWatches(NamedTuple):
    """Removes the watches of these modes on the path. Answered by None, or NO_WATCHER."""

    path: str
    modes: Tuple[str, ...] = tuple(sorted(MODES))


class SetWatches(NamedTuple):
    """The watches that a client had on another connection, which had shown it everything up to ``since``.

    What they missed is told at once, by ZooKeeper's rule for ``SetWatches``; the others are left. Answered by None.
    """

    since: int
    data: Tuple[str, ...]
    """Of nodes that were there."""
    exist: Tuple[str, ...]
    """Of nodes that were not."""
    child: Tuple[str, ...]
    persistent: Tuple[str, ...] = ()
    recursive: Tuple[str, ...] = ()


class Resume(NamedTuple):
    """One of `SetWatches`. ``existed``: whether the node was there when the watch was left."""

    path: str
    mode: str
    since: int
    existed: bool


class CheckWatches(NamedTuple):
    """Whether there is a watch of these modes on the path. Answered by None, or NO_WATCHER."""

    path: str
    modes: Tuple[str, ...]


class ReadAll(NamedTuple):
    """Reads together (multiRead). Answered by a Result for each, all of one moment."""

    ops: Tuple[Union[GetData, GetChildren], ...]


class GetEphemerals(NamedTuple):
    """Answered by the paths of this session's own ephemerals that begin with the prefix, sorted."""

    prefix: str


class CountBelow(NamedTuple):
    """Answered by the number of nodes below a node, or NO_NODE."""

    path: str


class Reconfig(NamedTuple):
    """Other servers, where there are none: always an error, ZooKeeper's own."""

    joining: str
    members: str


class WhoAmI(NamedTuple):
    """Answered by a (scheme, user) for each identity of the session; no hash is shown."""


class Fail(NamedTuple):
    """Answered by this code, when its turn comes. For what the client can't even ask."""

    code: int


class Done(NamedTuple):
    """What a write came to that is done, to be answered in its turn: there are events that come before it.

    The trigger log is of the head with which that is so.
    """

    result: Result
    trigger_log: TriggerLog


class Look(NamedTuple):
    """Asked by the session itself, of nobody: to look for what it was not told."""


Read = Union[Exists, GetData, GetChildren, GetAcl]
Write = Union[Create, Delete, SetData, SetAcl, Check, Multi, Auth, Close, WatchSubtrees]
READS = (Exists, GetData, GetChildren, GetAcl)
WRITES = (Create, Delete, SetData, SetAcl, Multi, Auth, Close, WatchSubtrees)
Op = Union[Read, Sync, AddWatch, RemoveWatches, Fail, Done, Look, Write]
Served = Union[Op, SetWatches, Resume, CheckWatches, ReadAll, GetEphemerals, CountBelow, Reconfig, WhoAmI]
"""With what only `served.ServedSession` answers."""
