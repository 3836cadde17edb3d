"""Q1 to Q6: what is in the store when all is done, that everything was answered, and that the lock held."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping

from .... import layout
from ....core.model import CONTAINER_OWNER, TTL_OWNER_MASK, Blob, Error
from ....core.requests import SetData
from ....ports import INTEREST, SESSIONS, STATE, Item, Key, Put
from ....session.listener import LOST
from ....session.ops import AddWatch
from ....writer import large
from .. import committed
from ..model import Live, Znode
from ..ports import Commit
from ..replay import Replay
from ..run import NS
from ..workload import LOCKS, RESOURCE

LEAVES_IN_CALLS = 5
"""A process that dies so soon after it heard that its session is over may not have removed what it had registered."""


def storage_is_the_log(replay: Replay) -> Iterator[str]:
    """Q1: the store holds what a replay of the log comes to, item by item."""
    quiet = next((entry.step for entry in replay.log if entry.what == "quiet"), None)
    if quiet is not None:
        busy = replay.history.busy, replay.history.busy_blobs
        yield from _compared(replay, *busy, replay.head_at(quiet), "before the sessions ended")
    if replay.commits:
        yield from _compared(replay, replay.history.rest, replay.history.rest_blobs, replay.model.zxid, "at the end")


def _compared(
    replay: Replay, items: Mapping[Key, Item], blobs: Mapping[str, bytes], zxid: int, when: str
) -> Iterator[str]:
    if zxid >= len(replay.model.states):
        yield "%s: zxid %d is beyond the log" % (when, zxid)
        return
    for where, item in items.items():
        unlisted = where.table == SESSIONS and where.sort[:1] == "/" and not where.partition.endswith(":reapable")
        if unlisted and layout.holder_key(NS, int(where.partition[len(NS) + 1 :], 16)) not in items:
            yield "%s: the owner of %s is not listed" % (when, where.sort)
        if where.sort == layout.NODE and layout.torn([item, items.get(where._replace(sort=layout.FAMILY))]):
            yield "%s: %s reads as torn" % (when, where.partition)
    expected = _expected(replay.model.states[zxid], replay.model.alive[zxid])
    found = _found(items, blobs)
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


def _found(items: Mapping[Key, Item], blobs: Mapping[str, bytes]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for (table, partition, sort), item in items.items():
        place = partition[len(NS) + 1 :]
        if table == STATE and place:
            if sort == layout.NODE:
                stored = layout.stored_of([item, items.get(Key(table, partition, layout.FAMILY))])
                assert stored is not None
                data = stored.node.data
                whole = _kept(blobs, data) if isinstance(data, Blob) else data
                found["node " + place], found["family " + place] = (*stored.node[:-1], whole), tuple(stored.family)
                found.setdefault("children " + place, [])
            elif sort != layout.FAMILY:
                found.setdefault("children " + place, []).append(sort[1:])
        elif table == SESSIONS and place == "sessions":
            session = layout.session_of(item)
            identities = tuple(tuple(identity) for identity in session.identities)
            found["session " + sort] = (session.password_hash, session.timeout_ms, identities, session.inbox)
        elif table == SESSIONS and place == "reapable":
            found["reapable " + sort] = True
        elif table == SESSIONS and place != "holders":
            found["ephemeral %s %s" % (place, sort)] = True
    return found


def _kept(blobs: Mapping[str, bytes], blob: Blob) -> Any:
    """What a client laid down does not count: that expires."""
    return blobs.get(blob.key, "nothing") if blob.key.startswith(large.KEPT + "/") else "what is not kept"


def nothing_left_behind(replay: Replay) -> Iterator[str]:
    """Q2: no session, beat, registration or blob outlives what it was for, but what is left to sweeps."""
    garbage = {entry.value for entry in replay.log if entry.what == "garbage"}
    for key in replay.history.rest:
        if key in garbage and key.partition != layout.beats_partition(NS):
            continue  # goes when somebody comes across it, or with the sweep
        if key.table == INTEREST and not any(is_excused(replay, key) for is_excused in (_swept, _of_the_dead, _untold)):
            yield "%s %s is left" % (key.partition, key.sort)
        elif (
            key.table == SESSIONS
            and not key.partition.endswith(":reapable")
            and key != layout.memory_key(NS)
            and not _swept(replay, key)
        ):
            yield "%s %s is left" % (key.partition, key.sort)
    if _no_fault(replay):
        named = {layout.node_of(item).data for key, item in replay.history.rest.items() if key.sort == layout.NODE}
        keys = {data.key for data in named if isinstance(data, Blob)}
        for name in replay.history.rest_blobs:
            if name.startswith(large.KEPT + "/") and name not in keys:
                yield "%s is left" % name


def _no_fault(replay: Replay) -> bool:
    """Whether no writer failed or was behind another one: such a writer keeps what it can't commit, for the sweep."""
    trouble = ("died", "late", "gone", "fault")
    writers = {entry.who for entry in replay.log if entry.what == "batch"}
    failed = (entry.what in trouble or (entry.what == "returned" and entry.value) for entry in replay.log)
    return len(writers) == 1 and not any(failed)


def _swept(replay: Replay, key: Key) -> bool:
    """Whether it is left to sweeps: sessions that own nothing do not end by themselves where beats are dear."""
    if not replay.history.plan.knobs.charges_for_beats:
        return False
    if key.partition == layout.beats_partition(NS):
        return True
    if key.table == SESSIONS:
        return key.partition == layout.sessions_partition(NS)
    inboxes = {live.inbox for live in replay.model.sessions.values()}
    return _inbox(key) in inboxes or _inbox(key) not in replay.conns


def _inbox(key: Key) -> str:
    """Whose registration it is."""
    return key.sort.rpartition(":")[2]


def _of_the_dead(replay: Replay, key: Key) -> bool:
    """Whether it was registered after the session had moved or ended, by a process that died too early to remove it.

    That is before it heard of that, or right after. Nobody looks for that; it is told to nobody, and goes with the next
    change of its node.
    """
    inbox = _inbox(key)
    conn = replay.conns.get(inbox)
    died = None if conn is None else replay.death(conn)
    end = None if conn is None else replay.model.ends.get(conn.session)
    left = [entry.step for entry, commit in replay.commits if inbox in _moved(commit)]
    left += [] if end is None else [replay.committed_at[end[0]]]
    if died is None or not left or died < min(left):
        return False
    over = [replay.log[step].at for step, tag, _ in conn.said if tag == -1] if conn is not None else []
    if over and 0 <= replay.log[died].at - over[0] <= LEAVES_IN_CALLS * replay.history.plan.knobs.lag:
        return True
    last = [record.answered for record in replay.call_records if record.conn == inbox and _watches(record.op, key)]
    return any(answered is None or answered > min(left) for answered in last)


def _untold(replay: Replay, key: Key) -> bool:
    """Whether the last commit of all moved or ended its session, and its writer died with that client.

    What is left to do after a commit the next one finds in the head.
    """
    if not replay.commits:
        return False
    entry, commit = replay.commits[-1]
    died = any(later.what == "died" and later.who == entry.who for later in replay.log[entry.step :])
    head = committed.head_in(commit.writes, NS)
    ended = [] if head is None else [each.inbox for each in head.ended]
    return died and _inbox(key) in (*_moved(commit), *ended)


def _watches(op: Any, key: Key) -> bool:
    """Whether it is a read that makes registrations where this one is."""
    return (hasattr(op, "watch") or isinstance(op, AddWatch)) and layout.node_partition(NS, op.path) == key.partition


def _moved(commit: Commit) -> List[str]:
    """The connections whose sessions it gave to others."""
    heads = (write.item for write in commit.writes if isinstance(write, Put) and write.key == layout.head_key(NS))
    return [inbox for head in heads for inbox in layout.head_of(head).moved]


def everything_answered(replay: Replay) -> Iterator[str]:
    """Q3: everything comes to rest, and who asked was answered, or told that the connection is over, or is dead."""
    yield from replay.history.complaints
    over = {name for name, conn in replay.conns.items() if any(tag == -1 for _, tag, _ in conn.said)}
    died = [(entry.step, entry.who) for entry in replay.log if entry.what == "died"]
    for record in replay.call_records:
        dead = any(step > record.asked and who.startswith(record.client + ".") for step, who in died)
        if record.answered is None and record.conn not in over and not dead:
            yield "tag %d %s was never answered" % (record.tag, type(record.op).__name__)
    knobs = replay.history.plan.knobs
    if knobs.combined and not knobs.slow and not replay.history.plan.faults:  # nothing that could go wrong did
        for conn in replay.conns.values():
            for step, tag, said in conn.said:
                if tag == -1 and said[0] == LOST and "no answer" in said[1]:
                    yield "step %d: connection %s is over in vain: %s" % (step, conn.name[:6], said[1])


def poison_is_set_aside(replay: Replay) -> Iterator[str]:
    """Q4: who sent what the writer fails on is told so, of all of that message and of nothing else."""
    for record in replay.call_records:
        if not record.number or record.answered is None or (record.conn, record.number) not in replay.done:
            continue
        aside = replay.done[record.conn, record.number].told.code == Error.DEAD_LETTERED
        if aside != (record.result[0] == Error.DEAD_LETTERED):
            yield "tag %d %s was answered %s" % (record.tag, record.op, record.result[0])


def the_heartbeat_rests_in_time(replay: Replay) -> Iterator[str]:
    """Q6: where beats are dear, the heartbeat goes to rest only when there is nothing that could be due."""
    for zxid in replay.model.rests:
        for path, node in replay.model.states[zxid].items():
            if node.owner or node.ttl_ms:
                yield "zxid %d: the heartbeat rests, and %s is left to it" % (zxid, path)


def locks_exclude(replay: Replay) -> Iterator[str]:
    """Q5: in zxid order, only who is first among those who wait writes to what the lock guards."""
    previous = 0
    for done in replay.order:
        took, previous = done.told.zxid > previous, max(previous, done.told.zxid)
        request = done.request
        if not took or not isinstance(request, SetData) or request.path != RESOURCE or done.told.code != Error.OK:
            continue
        assert isinstance(request.data, bytes)
        _, fence, path = request.data.decode().split(" ", 2)
        tree = replay.model.states[done.told.zxid]
        waiting = sorted(tree[LOCKS].children, key=lambda name: name[-10:]) if LOCKS in tree else []
        name = path.rpartition("/")[2]
        if not waiting or waiting[0] != name or tree[path].czxid != int(fence):
            yield "zxid %d: written under the fence of %s while %s waited" % (done.told.zxid, path, waiting)
