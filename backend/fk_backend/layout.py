"""Where everything of a namespace is kept: keys and item bodies, in one place, for readers and writers alike.

| table | partition | sort | rev, body |
| --- | --- | --- | --- |
| state | ``ns:`` | ``head`` | zxid, :class:`Head` |
| state | ``ns:`` | ``journal`` | ms since the epoch, empty: until then every commit says what it wrote |
| state | ``ns:/path`` | ``!`` | zxid of its commit, :class:`Family`; none while there was no child |
| state | ``ns:/path`` | ``#`` | zxid of its commit, :class:`Node` |
| state | ``ns:/path`` | ``/name`` | the zxid since which there is a child of that name, empty |
| sessions | ``ns:sessions`` | id (16 hex digits) | zxid, :class:`Session` |
| sessions | ``ns:`` + id | ``/path`` | zxid, empty: an ephemeral that it owns |
| sessions | ``ns:holders`` | id | zxid of its latest ephemeral, timeout in ms: a session that owns something, or did |
| sessions | ``ns:holders`` | ``!`` | number of looks, what a heartbeat without a process of its own remembers |
| sessions | ``ns:reapable`` | ``/path`` | zxid, empty: a container or TTL node |
| sessions | ``deployment`` | ``restoring`` | 1, empty: a restore is at it, or was broken off; nobody may come in |
| sessions | ``ns:journal`` | zxid (16 hex digits) | zxid, the paths that this commit wrote, for a backup |
| interest | ``ns:/path`` | mode ``:`` inbox | id of the registration, empty |
| interest | ``ns:*`` | ``/path:`` inbox | the same, for recursive watches |
| interest | ``ns:beats`` | id | the beat counter |
| interest | ``ns:hello`` | inbox | when it was put: whoever is told there may write to the namespace |

One query over ``ns:/path`` shows a node, its family and its children; creating a child rewrites the
family and never the data. Each of the two items names the rev of the other at its own commit (0: there was none), so
that a reader whose store is not atomic sees whether it got them from different times (:func:`torn`). Which other items
are read together, and what makes them one moment: docs/architecture.md.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

from . import codec
from .core import paths
from .core.acls import OPEN_ACL
from .core.model import Acl, Blob, Family, Id, Node, Session, Trigger, plain
from .core.snapshot import Ended
from .core.watches import MODES, RECURSIVE
from .errors import UnknownFormat
from .messages import Position
from .ports import INTEREST, SESSIONS, STATE, Item, Key
from .triggers import packed_text, unpacked

FORMAT = 4
"""Of everything here, kept with the deployment. Grows when a version before would misread what this one writes."""
OLDEST_FORMAT = 2
"""The first that this version reads. Format 1 was of versions before the first release."""

FAMILY = "!"
NODE = "#"
AFTER_NODE = "$"
CHILDREN = "/"
MEMORY = "!"
"""Sorts before every session's name."""


def check_format(place: str, found: int) -> None:
    """Whether this version can use a deployment of that format. UnknownFormat."""
    if found > FORMAT:
        raise UnknownFormat("%s has format %d, this version knows %d; upgrade fk_kazoo" % (place, found, FORMAT))
    if found < OLDEST_FORMAT:
        raise UnknownFormat(
            "%s has format %d, this version reads %d and later; use the version that made it, or move it away"
            % (place, found, OLDEST_FORMAT)
        )


class Head(NamedTuple):
    """The small item that every commit is conditional on.

    ``answers`` are those of the last commit: (inbox, number of the first, results). One without results says that
    everything of that inbox below the number is done and answered. Triggers after ``confirmed`` may not have been
    fanned out yet; every trigger after ``since`` is in ``triggers``.
    """

    zxid: int
    namespace_id: int
    confirmed: int
    since: int
    triggers: Tuple[Trigger, ...]
    answers: Tuple[Tuple[str, int, List[Any]], ...]
    ended: Tuple[Ended, ...] = ()
    moved: Tuple[str, ...] = ()
    subtrees: bool = False
    """Whether anybody ever watched a whole subtree: only then does a writer look for who does."""
    closing: Tuple[int, ...] = ()
    """Sessions that are over while some of their ephemerals are still to be deleted, before anything else is done."""
    reserved: Optional["Reserved"] = None
    ticking: int = 0
    """The zxid of the latest ephemeral, container or TTL node: what the heartbeat looks after. 0: it rests."""
    garbage: Tuple[str, ...] = ()
    """Keys of blobs that this commit replaced or deleted."""
    handled: Position = Position()
    """Every message up to here is done and answered, or was when the last commit was made."""

    @property
    def settled(self) -> int:
        """The zxid up to which the tree is certain to be. The one reserved above it may be there or not."""
        return self.zxid if self.reserved is None else self.zxid - 1


class Reserved(NamedTuple):
    """The node that is written right after the head, in a commit of its own: one whose data changed.

    ``node`` is what it becomes, without its data: those are in the request ``number`` of ``inbox``, which comes again
    until all is done. ``rev`` is the item's until then.
    """

    path: str
    rev: int
    family_rev: int
    node: Node
    inbox: str
    number: int


# --- keys ---------------------------------------------------------------------------------------


RESTORING = Key(SESSIONS, "deployment", "restoring")
"""There while a restore is at it: what it has written is nobody's yet."""


@lru_cache(maxsize=1000)
def head_key(ns: str) -> Key:
    """Of the head."""
    return Key(STATE, ns + ":", "head")


def journal_key(ns: str) -> Key:
    """Of the mark that a backup wants to know of every commit."""
    return Key(STATE, ns + ":", "journal")


def entry_key(ns: str, zxid: int) -> Key:
    """Of what a commit said of itself while that mark was there."""
    return Key(SESSIONS, ns + ":journal", session_name(zxid))


def node_partition(ns: str, path: str) -> str:
    """Of everything about a node."""
    return "%s:%s" % (ns, path)


def node_keys(ns: str, path: str) -> Tuple[Key, Key]:
    """Of a node and of its family."""
    partition = node_partition(ns, path)
    new = tuple.__new__  # what Key(...) does, in half the time: a transaction has thousands
    return new(Key, (STATE, partition, NODE)), new(Key, (STATE, partition, FAMILY))


def child_key(ns: str, path: str) -> Key:
    """Of the entry by which a node's parent lists it."""
    name = path.rindex(CHILDREN)  # with its slash
    return Key(STATE, node_partition(ns, path[:name] or paths.ROOT), path[name:])


def session_name(session: int) -> str:
    """16 hex digits."""
    return "%016x" % session


def sessions_partition(ns: str) -> str:
    """Of all sessions."""
    return ns + ":sessions"


def session_key(ns: str, session: int) -> Key:
    """Of a session."""
    return Key(SESSIONS, sessions_partition(ns), session_name(session))


def ephemerals_partition(ns: str, session: int) -> str:
    """Of the paths that a session owns."""
    return "%s:%s" % (ns, session_name(session))


def holders_partition(ns: str) -> str:
    """Of the sessions that have to give signs of life where others need not."""
    return ns + ":holders"


def holder_key(ns: str, session: int) -> Key:
    """Of a session that owns something."""
    return Key(SESSIONS, holders_partition(ns), session_name(session))


def asked_key(ns: str, session: int) -> Key:
    """Of what a session was last asked a sign of life with."""
    return Key(SESSIONS, ns + ":asked", session_name(session))


def memory_key(ns: str) -> Key:
    """Of what the heartbeat remembers: with the holders, so that one query shows both."""
    return Key(SESSIONS, holders_partition(ns), MEMORY)


def reapable_partition(ns: str) -> str:
    """Of the containers and TTL nodes."""
    return ns + ":reapable"


def beats_partition(ns: str) -> str:
    """Of all beat counters."""
    return ns + ":beats"


def beat_key(ns: str, session: int) -> Key:
    """Of a session's beat counter."""
    return Key(INTEREST, beats_partition(ns), session_name(session))


def hello_key(ns: str, inbox: str) -> Key:
    """Of the proof that who opens a session may write to the namespace, where the queue can't tell."""
    return Key(INTEREST, ns + ":hello", inbox)


def hello_item(now_ms: int) -> Item:
    """As stored."""
    return Item(1, b"%d" % now_ms)


def recursive_partition(ns: str) -> str:
    """Of the registrations that cover a whole subtree."""
    return ns + ":*"


def registration_key(ns: str, path: str, mode: str, inbox: str) -> Key:
    """Of a watch registration: one for each inbox, path and mode, overwritten when made again."""
    if mode == RECURSIVE:
        return Key(INTEREST, recursive_partition(ns), "%s:%s" % (path, inbox))
    return Key(INTEREST, node_partition(ns, path), "%s:%s" % (mode, inbox))


# --- what clients write ---------------------------------------------------------------------------
# Everything below is total: it has an answer for whatever anybody stored, and never raises.

_NAMESPACE = re.compile("[A-Za-z0-9._-]{1,64}")
_INBOX = re.compile("[A-Za-z0-9_-]{1,64}")
_SESSION = re.compile("[0-9a-f]{16}")
_COUNTS = 1 << 62


class Registered(NamedTuple):
    """Who waits for changes of what."""

    inbox: str
    path: str
    mode: str


class Beat(NamedTuple):
    """Whose beat counter it is."""

    session: int


class Hello(NamedTuple):
    """Who may write to the namespace."""

    inbox: str


Interest = Union[Registered, Beat, Hello]


def is_namespace(name: object) -> bool:
    """Whether a namespace can be called that. A colon in it would make its keys those of another one."""
    return type(name) is str and _NAMESPACE.fullmatch(name) is not None


def is_inbox(name: object) -> bool:
    """Whether a client's inbox can be called that. Those of functions have a colon."""
    return type(name) is str and _INBOX.fullmatch(name) is not None


def interest_of(key: Key) -> Optional[Interest]:
    """What a key of INTEREST says; None for one that is none of ours, whatever it is."""
    _, partition, sort = key
    if type(partition) is not str or type(sort) is not str:
        return None
    ns, _, place = partition.partition(":")
    if not is_namespace(ns):
        return None
    if place == "beats":
        return Beat(int(sort, 16)) if _SESSION.fullmatch(sort) else None
    if place == "hello":
        return Hello(sort) if is_inbox(sort) else None
    what, _, inbox = sort.rpartition(":")
    path, mode = (what, RECURSIVE) if place == "*" else (place, what)
    if not is_inbox(inbox) or mode not in MODES or (mode == RECURSIVE) != (place == "*"):
        return None
    return Registered(inbox, path, mode) if paths.is_valid(path) else None


def number_of(item: Item) -> Optional[int]:
    """The number of a registration; None for what no session gives."""
    return item.rev if type(item.rev) is int and 0 < item.rev < _COUNTS else None


def said_ms(item: Item) -> int:
    """When a `Hello` was put, in ms since the epoch, as its sender says; 0 for what no session puts."""
    return int(item.body) if item.body.isdigit() and len(item.body) < 16 else 0


def count_of(item: Optional[Item]) -> int:
    """The count of a beat counter, as int64: another one whenever somebody has added to it."""
    return item.rev % _COUNTS if item is not None and type(item.rev) is int else 0


# --- items --------------------------------------------------------------------------------------


def head_item(head: Head) -> Item:
    """As stored."""
    zxid, namespace_id, confirmed, since, triggers, *_ = head
    rest = head[5:]
    known, after = _latest_rest[0]
    tail: List[bytes] = []
    if known != rest:
        after, tail = codec.encoded(rest)
        if not (tail or head.answers):
            _latest_rest[0] = rest, after
    text = "[%d,%d,%d,%s,%s" % (namespace_id, confirmed, since, packed_text(triggers), after[1:])
    return Item(zxid, codec.joined(text, *tail))


_latest_rest: List[Tuple[Tuple[Any, ...], str]] = [((), "")]
"""What heads have after their triggers, and its JSON: where nobody is answered, that is what the last one had."""


def head_of(item: Item) -> Head:
    """As loaded."""
    namespace_id, confirmed, since, triggers, answers, ended, moved, *rest = codec.loads(item.body)
    subtrees, closing, reserved, ticking, garbage, handled = rest
    return Head(
        item.rev,
        namespace_id,
        confirmed,
        since,
        tuple(unpacked(triggers)),
        tuple((inbox, first, results) for inbox, first, results in answers),
        tuple(Ended(*e) for e in ended),
        tuple(moved),
        subtrees,
        tuple(closing),
        _reserved_of(reserved),
        ticking,
        tuple(garbage),
        Position(handled) if isinstance(handled, int) else Position(*handled),  # the number alone in format 2
    )


def _reserved_of(value: Optional[List[Any]]) -> Optional[Reserved]:
    if value is None:
        return None
    path, rev, family_rev, node, inbox, number = value
    return Reserved(path, rev, family_rev, _node_of(node), inbox, number)


class Stored(NamedTuple):
    """A node and its family as they are in the store, each with the rev of its item (a family without one: 0)."""

    node: Node
    family: Family
    node_rev: int
    family_rev: int


def node_item(node: Node, rev: int, family_rev: int) -> Item:
    """As stored: committed as ``rev`` while the family was at ``family_rev``."""
    data = node.data
    if node.acl == OPEN_ACL and type(data) is bytes:  # most of them: a tenth of the time
        return Item(rev, codec.joined(_OPEN_NODE % (family_rev, *node[:7], len(data)), data))
    return Item(rev, codec.dumps([family_rev, *plain(node)]))


_OPEN_NODE = '[%%d,%%d,%%d,%%d,%%d,%%d,%%d,%%d,%s,{"b":%%d}]' % codec.encoded(OPEN_ACL)[0]
"""The JSON part of a node that everybody may do everything with."""


def family_item(family: Family, rev: int, node_rev: int) -> Item:
    """As stored: committed as ``rev`` while the node was at ``node_rev``."""
    return Item(rev, codec.joined("[%d,%d,%d,%d]" % (node_rev, *family)))


def fresh_family(node: Node) -> Family:
    """Of a node that never had a child: that one has no item."""
    return Family(0, node.czxid, 0)


def is_fresh(family: Family, node: Node) -> bool:
    """Whether it is that one."""
    return family[0] == 0 and family[2] == 0 and family[1] == node[0]


def node_of(item: Item) -> Node:
    """As loaded."""
    return _node_of(codec.loads(item.body)[1:])


def _node_of(fields: List[Any]) -> Node:
    fields[7] = tuple(Acl(*entry) for entry in fields[7])
    if isinstance(fields[8], list):
        fields[8] = Blob(*fields[8])
    return Node(*fields)


def session_item(session: Session, zxid: int) -> Item:
    """As stored."""
    return Item(zxid, codec.dumps(session))


def holder_item(session: Session, zxid: int) -> Item:
    """As stored."""
    return Item(zxid, codec.dumps(session.timeout_ms))


def held_for_ms(item: Item) -> int:
    """Of a holder: its session's timeout."""
    return int(codec.loads(item.body))


def session_of(item: Item) -> Session:
    """As loaded."""
    number, password_hash, timeout_ms, identities, inbox = codec.loads(item.body)
    return Session(number, password_hash, timeout_ms, tuple(Id(*i) for i in identities), inbox)


def stored_of(items: Sequence[Optional[Item]]) -> Optional[Stored]:
    """Of the two items of `node_keys`, or None where there is no node."""
    node_item, family_item = items
    if node_item is None:
        return None
    node = node_of(node_item)
    if family_item is None:
        return Stored(node, fresh_family(node), node_item.rev, 0)
    return Stored(node, Family(*codec.loads(family_item.body)[1:]), node_item.rev, family_item.rev)


def pair_of(items: Sequence[Optional[Item]]) -> Optional[Tuple[Node, Family]]:
    """Node and family of the two items of `node_keys`, or None where there is no node."""
    stored = stored_of(items)
    return None if stored is None else (stored.node, stored.family)


def torn(items: Sequence[Optional[Item]]) -> bool:
    """Whether the two items of `node_keys`, the family read before the node, are of no common moment.

    They are of one if the later of them names the rev of the other one, or that there was none. So a family that is not
    later than the node, and that the node does not name, was removed before the node was made.
    """
    node, family = items
    if node is None:
        return False
    named = codec.loads(node.body)[0]
    if family is None:
        return bool(named)
    if family.rev <= node.rev:
        return bool(named != family.rev)
    return bool(codec.loads(family.body)[0] != node.rev)
