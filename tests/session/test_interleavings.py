"""Whatever the order of steps, two sessions see what ZooKeeper would have shown them.

Random programs of two sessions run in random interleavings: ops are submitted, the writer runs, pushes arrive late, out
of order, twice, or (events) never. Everything is then compared with the pure core, which gets the same requests in
the order of their zxids: the result of every write and every read, and exactly the events that ZooKeeper's rules give,
each before anything that shows its zxid.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from fk_backend.core import reads, watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.errors import ZkError
from fk_backend.core.model import Acl, Error, Perms, Trigger
from fk_backend.core.requests import Call, Create, Delete, Multi, Open, Result, SetAcl, SetData
from fk_backend.session.ops import Exists, GetAcl, GetChildren, GetData, Sync
from fk_backend.session.watchlist import Event
from tests.core.world import World

from .doubles import Actor, Stage, is_answer, is_fired, on_stage, rest

PATHS = ("/a", "/b", "/a/c")
paths = st.sampled_from(PATHS)
HIDDEN = (Acl(Perms.ALL & ~Perms.READ, "world", "anyone"),)
acls = st.sampled_from((OPEN_ACL, OPEN_ACL, HIDDEN))
watching = st.sampled_from((True, True, False))
writes = st.one_of(
    st.builds(lambda p, f, acl: Create(p, b"x", acl, f, 0, False), paths, st.sampled_from((0, 0, 1, 2)), acls),
    st.builds(Delete, paths, st.just(-1)),
    st.builds(SetData, paths, st.sampled_from((b"y", b"zz")), st.sampled_from((-1, -1, 0))),
    st.builds(SetData, paths, st.just(b"new"), st.just(-1)),
    st.builds(SetAcl, paths, acls, st.just(-1)),
    st.builds(lambda p, q: Multi((SetData(p, b"m", -1), Delete(q, -1))), paths, paths),
)
looks = st.one_of(
    st.builds(Exists, paths, watching),
    st.builds(GetData, paths, watching),
    st.builds(GetChildren, st.sampled_from(("/", "/a", "/b")), watching),
    st.builds(GetAcl, paths),
    st.builds(Sync, paths),
)
who = st.integers(0, 1)
submits = st.tuples(st.just("submit"), who, st.one_of(writes, looks))
serve = st.tuples(st.just("serve"), st.just(0), st.none())
moves = st.one_of(
    serve,
    serve,
    st.tuples(st.just("write"), st.integers(1, 3), st.none()),
    st.tuples(st.just("deliver"), st.integers(0, 5), st.none()),
    st.tuples(st.just("deliver"), st.integers(0, 5), st.none()),
    st.tuples(st.sampled_from(("double", "lose")), st.integers(0, 5), st.none()),
)
programs = st.lists(st.tuples(submits, st.lists(moves, max_size=3)), min_size=8, max_size=25).map(
    lambda parts: [step for submit, after in parts for step in (submit, *after)]
)


class History:
    """What the core makes of the same requests, one by one; and every state there was."""

    def __init__(self, stage: Stage, namespace_id: int) -> None:
        self.world = World(namespace_id)
        self.results: Dict[Tuple[str, int], Result] = {}
        self.states: Dict[int, Dict[str, Any]] = {0: copy.copy(self.world.nodes)}
        for message in stage.handled:
            for number, request in enumerate(message.requests, message.first):
                self.world.now_ms = stage.clock.now_ms() - 1
                call = Call(message.session, message.inbox, request)
                self.results[message.inbox, number] = self.world.run([call])[0]
                self.states[self.world.zxid] = copy.copy(self.world.nodes)

    def read(self, op: Any, zxid: int) -> Tuple[int, Any]:
        """What a read must show as of a state."""
        nodes = self.states[zxid]
        if isinstance(op, Sync):
            return Error.OK, op.path
        found = nodes.get(op.path)
        try:
            if isinstance(op, Exists):
                return Error.OK, reads.exists(found)
            if isinstance(op, GetData):
                return Error.OK, reads.get(found, ())
            if isinstance(op, GetAcl):
                return Error.OK, reads.get_acl(found, ())
            return Error.OK, (reads.child_names(op.path, nodes), reads.children(found, ()))
        except ZkError as error:
            return error.code, None


class Arm(NamedTuple):
    """A watch that a reply left, as of the state of ``zxid``."""

    zxid: int
    path: str
    mode: str


def _arm(op: Any, result: Result, zxid: int) -> Optional[Arm]:
    if not getattr(op, "watch", False):
        return None
    if result.code != Error.OK and not (isinstance(op, Exists) and result.code == Error.NO_NODE):
        return None
    return Arm(zxid, op.path, watches.CHILD if isinstance(op, GetChildren) else watches.DATA)


def _expected(arms: List[Arm], triggers: List[Trigger]) -> List[Event]:
    """ZooKeeper's rules, as simply as they can be said: a watch fires once, at the first change after it was left.

    Nobody here has an identity: what not everybody may read, nobody is told of.
    """
    events = []
    armed: Dict[Tuple[str, str], int] = {}
    waiting = list(arms)
    for trigger in triggers:
        while waiting and waiting[0].zxid < trigger.zxid:
            zxid, path, mode = waiting.pop(0)
            armed[path, mode] = zxid
        hit = [key for key in armed if watches.matches(key[1], key[0], trigger)]
        if hit and trigger.readers is None:
            events.append(Event(trigger.zxid, trigger.path, trigger.kind))
        for key in hit:
            del armed[key]
    return events


async def _play(stage: Stage, program: List[Tuple[str, int, Any]], ops: List[List[Any]]) -> None:
    """The random part."""
    for step, number, op in program:
        if step == "submit":
            ops[number].append(op)
            stage.actors[number].session.submit(len(ops[number]) - 1, op)
        elif step == "write":
            await stage.write(number)
        elif step == "serve":
            await stage.write()
            await stage.deliver(is_answer)
        elif stage.pushes:
            pushed = stage.pushes[number % len(stage.pushes)]
            if step == "double":
                stage.arrive(pushed)
            elif step == "deliver" or is_fired(pushed):
                stage.pushes.remove(pushed)
                if step == "deliver":
                    stage.arrive(pushed)
        await rest()


async def _flush(stage: Stage, ops: List[List[Any]]) -> None:
    """Everything that was asked is done, and each session is shown the newest there is."""
    await _settle(stage)
    for number, actor in enumerate(stage.actors):
        last = Create("/last-", b"", OPEN_ACL, 2, 0, False)
        ops[number].append(last)
        await actor.submit(len(ops[number]) - 1, last)
        await _settle(stage)


async def _settle(stage: Stage) -> None:
    while stage.sent or stage.pushes:
        await stage.write()
        await stage.deliver()


def _check(actor: Actor, ops: List[Any], history: History, last: int) -> None:
    replies = [entry for entry in actor.log if entry.what != "event"]
    assert [entry.what for entry in replies] == list(range(len(ops))), "answered in order, once"
    arms: List[Arm] = []
    written = 1
    for op, entry in zip(ops, replies):
        if isinstance(op, (Exists, GetData, GetChildren, GetAcl, Sync)):
            code, value, _ = entry.value
            if isinstance(op, GetChildren) and value is not None:
                value = (sorted(value[0]), value[1])
            assert (code, value) == history.read(op, entry.head), op
            arm = _arm(op, entry.value, entry.head)
            arms.extend([arm] if arm else [])
        else:
            expected = history.results[actor.inbox, written]
            assert _plain(entry.value) == _plain(expected), op
            written += 1
    triggers = [trigger for trigger in history.world.triggers if trigger.zxid <= last]
    _check_events(actor, _expected(arms, triggers))


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, (tuple, list)) else value


def _check_events(actor: Actor, expected: List[Event]) -> None:
    seen = [entry.value for entry in actor.log if entry.what == "event"]
    assert seen == expected, "none lost, none made up, in order"
    shown = 0
    for entry in actor.log:
        if entry.what == "event":
            assert entry.value.zxid > shown, "an event after what it comes before"
        else:
            shown = max(shown, entry.value.zxid)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs)
def test_two_sessions_see_what_the_core_says(program: List[Tuple[str, int, Any]]) -> None:
    async def play(stage: Stage) -> None:
        await stage.open()
        await stage.open()
        opened = stage.actors[0].session.id >> 40
        ops: List[List[Any]] = [[], []]
        for path in PATHS[:2]:
            ops[0].append(Create(path, b"x", OPEN_ACL, 0, 0, False))
            await stage.actors[0].submit(len(ops[0]) - 1, ops[0][-1])
        await _settle(stage)
        await _play(stage, program, ops)
        await _flush(stage, ops)
        history = History(stage, opened)
        assert history.world.zxid == stage.zxid
        for number, actor in enumerate(stage.actors):
            last = actor.log[-1].value.zxid
            _check(actor, ops[number], history, last)
            event("%d events" % min(3, len(actor.events())))
        assert all(isinstance(message.requests[0], Open) for message in stage.handled[:2])

    on_stage(play)
