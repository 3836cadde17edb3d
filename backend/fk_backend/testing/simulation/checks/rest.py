"""Q1 to Q5: what is in the store when all is done, that everything was answered, and that the lock held."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping

from .... import layout
from ....core.model import CONTAINER_OWNER, TTL_OWNER_MASK, Error
from ....core.requests import SetData
from ....ports import INTEREST, SESSIONS, STATE, Item, Key
from ..model import Live, Znode
from ..replay import Replay
from ..run import NS
from ..workload import LOCKS, RESOURCE


def storage_is_the_log(replay: Replay) -> Iterator[str]:
    """Q1: the store holds what a replay of the log comes to, item by item."""
    quiet = next((entry.step for entry in replay.log if entry.what == "quiet"), None)
    if quiet is not None:
        yield from _compared(replay, replay.history.busy, replay.head_at(quiet), "before the sessions ended")
    if replay.commits:
        yield from _compared(replay, replay.history.rest, replay.model.zxid, "at the end")


def _compared(replay: Replay, items: Mapping[Key, Item], zxid: int, when: str) -> Iterator[str]:
    if zxid >= len(replay.model.states):
        yield "%s: zxid %d is beyond the log" % (when, zxid)
        return
    expected = _expected(replay.model.states[zxid], replay.model.alive[zxid])
    found = _found(items)
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            yield "%s: %s is %s, should be %s" % (when, key, found.get(key), expected.get(key))


def _expected(tree: Mapping[str, Znode], sessions: Mapping[int, Live]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for path, node in tree.items():
        owner = node.owner or _special(node.ttl_ms)
        plain = (
            node.czxid,
            node.mzxid,
            node.ctime,
            node.mtime,
            node.version,
            node.aversion,
            owner,
            node.acl,
            node.data,
        )
        found["node " + path] = plain
        found["family " + path] = (node.births, node.pzxid, len(node.children))
        found["children " + path] = sorted(node.children)
        if node.owner:
            found["ephemeral %016x %s" % (node.owner, path)] = True
        if node.ttl_ms:
            found["reapable " + path] = True
    for number, live in sessions.items():
        found["session %016x" % number] = (live.digest, live.timeout_ms, live.identities, live.inbox)
    return found


def _special(ttl_ms: int) -> int:
    return CONTAINER_OWNER if ttl_ms == -1 else TTL_OWNER_MASK - (1 << 64) + ttl_ms if ttl_ms else 0


def _found(items: Mapping[Key, Item]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for (table, partition, sort), item in items.items():
        place = partition[len(NS) + 1 :]
        if table == STATE and place:
            if sort == layout.NODE:
                stored = layout.stored_of([item, items.get(Key(table, partition, layout.FAMILY))])
                assert stored is not None
                found["node " + place], found["family " + place] = tuple(stored.node), tuple(stored.family)
                found.setdefault("children " + place, [])
            elif sort != layout.FAMILY:
                found.setdefault("children " + place, []).append(sort[1:])
        elif table == SESSIONS and place == "sessions":
            session = layout.session_of(item)
            identities = tuple(tuple(identity) for identity in session.identities)
            found["session " + sort] = (session.password_hash, session.timeout_ms, identities, session.inbox)
        elif table == SESSIONS and place == "reapable":
            found["reapable " + sort] = True
        elif table == SESSIONS:
            found["ephemeral %s %s" % (place, sort)] = True
    return found


def nothing_left_behind(replay: Replay) -> Iterator[str]:
    """Q2: no session, beat or registration outlives what it was for."""
    for key in replay.history.rest:
        if key.table == INTEREST:
            yield "%s %s is left" % (key.partition, key.sort)
        elif key.table == SESSIONS and not key.partition.endswith(":reapable"):
            yield "%s %s is left" % (key.partition, key.sort)


def everything_answered(replay: Replay) -> Iterator[str]:
    """Q3: everything comes to rest, and who asked was answered, or told that the connection is over, or is dead."""
    yield from replay.history.complaints
    over = {name for name, conn in replay.conns.items() if any(tag == -1 for _, tag, _ in conn.said)}
    died = [(entry.step, entry.who) for entry in replay.log if entry.what == "died"]
    for line in replay.lines:
        dead = any(step > line.asked and who.startswith(line.client + ".") for step, who in died)
        if line.answered is None and line.conn not in over and not dead:
            yield "tag %d %s was never answered" % (line.tag, type(line.op).__name__)


def locks_exclude(replay: Replay) -> Iterator[str]:
    """Q5: in zxid order, only who is first in line writes to what the lock guards."""
    previous = 0
    for done in replay.order:
        took, previous = done.told.zxid > previous, max(previous, done.told.zxid)
        request = done.request
        if not took or not isinstance(request, SetData) or request.path != RESOURCE or done.told.code != Error.OK:
            continue
        assert isinstance(request.data, bytes)
        _, fence, path = request.data.decode().split(" ", 2)
        tree = replay.model.states[done.told.zxid]
        line = sorted(tree[LOCKS].children) if LOCKS in tree else []
        name = path.rpartition("/")[2]
        if not line or line[0] != name or tree[path].czxid != int(fence):
            yield "zxid %d: written under the fence of %s while the line was %s" % (done.told.zxid, path, line)
