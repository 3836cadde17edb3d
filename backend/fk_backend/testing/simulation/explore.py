"""Every interleaving of a small scope, with the shipped engine and writer: nothing is drawn, every choice is taken.

A choice is which waiting call of a port takes effect next, which push arrives next (once, or twice while doubles are
left), whether a writer dies at its next call (while crashes are left), whether its batch is handed to another one while
it is at it. A state that was met before is not gone on from. Where nothing is left to choose the whole way there is
judged, by all checks that do not depend on who was first by the clock.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple
from unittest import mock

from ...core.acls import OPEN_ACL
from ...core.requests import Close, Create, Delete, Multi, SetData
from ...functions import writer
from ...ports import Key
from ...session.ops import Exists, GetChildren, GetData
from ...writer import step
from . import committed
from .checks import CHECKS
from .plan import Knobs, Plan
from .replay import Replay
from .run import History
from .state_space import Scope, State, StateSpace
from .world import Entry

LEAF_CHECKS = ("W1", "W3", "W4", "W5", "W6", "R1", "R2", "V1", "V2", "V3", "V4", "V5", "V6", "Q1", "Q3")
"""What is judged where nothing is left to choose: all that does not depend on who was first by the clock."""

SETUP = Create("/a", b"", OPEN_ACL, 0, 0, False)
"""Done before the programs begin."""


class Explored(NamedTuple):
    """What an exploration came to."""

    states: int
    transitions: int
    ends: int
    """States in which nothing is left to happen."""
    seconds: float
    complete: bool
    violations: List[str]


class Frame:
    """A state on the way, what may happen in it and was not tried yet, and what led to it."""

    def __init__(self, state: State, choices: List[Tuple[Any, ...]], notes: List[int], label: str) -> None:
        self.state = state
        self.choices = choices
        self.notes = notes
        self.label = label


def explore(scope: Scope, limit: int = 1 << 62, stop_at: int = 5, maze: Optional[StateSpace] = None) -> Explored:
    """Every state of a scope, or as many as the limit allows."""
    with ExitStack() as stack:
        if scope.invoked:
            stack.enter_context(mock.patch.object(writer, "next_step", committed.witnessed(step.next_step)))
            stack.enter_context(mock.patch.object(writer, "recorded", committed.recording(step.recorded)))
        return _explore(scope, limit, stop_at, maze)


def _explore(scope: Scope, limit: int, stop_at: int, maze: Optional[StateSpace]) -> Explored:
    started = time.process_time()
    maze = maze or StateSpace(scope)
    state, notes = maze.begin(SETUP)
    seen: Set[bytes] = {maze.key(state)}
    way = [Frame(state, maze.choices(state), notes, "")]
    violations: List[str] = []
    judged: Set[Tuple[int, ...]] = set()
    transitions = ends = 0
    while way and len(seen) < limit and len(violations) < stop_at:
        frame = way[-1]
        if not frame.choices:
            way.pop()
            continue
        choice = frame.choices.pop()
        state, notes = maze.take(frame.state, choice)
        transitions += 1
        key = maze.key(state)
        if key in seen:
            continue
        seen.add(key)
        choices = maze.choices(state)
        way.append(Frame(state, choices, notes, choice[0]))
        if not choices:
            ends += 1
            log = (state.store, *(note for frame in way for note in frame.notes))
            if log not in judged:
                judged.add(log)
                violations.extend(judge(maze, way))
    return Explored(len(seen), transitions, ends, time.process_time() - started, not way, violations)


def judge(maze: StateSpace, way: List[Frame]) -> List[str]:
    """What is wrong with a way to its end."""
    notes = (maze.effects.note(number) for frame in way for number in frame.notes)
    log = [Entry(step, 0.0, *note) for step, note in enumerate(notes)]
    log.append(Entry(len(log), 0.0, "world", "quiet", None))
    complaints = ["a task failed: %s" % entry.value for entry in log if entry.what == "failed"]
    found = maze.effects.rows(way[-1].state.store)
    rows: Dict[Any, Any] = {Key(*key): row.item for key, row in sorted(found.items())}
    plan = Plan(1, Knobs(invoked=float(bool(maze.scope.invoked))), (), ())
    replay = Replay(History(plan, log, rows, rows, complaints, 0, 0.0))
    told = " ".join(frame.label for frame in way)
    return ["%s: %s: %s" % (told, name, what) for name in LEAF_CHECKS for what in CHECKS[name](replay)]


LOOK = GetData("/a", True)
WRITE = SetData("/a", b"1", -1)
B = Create("/b", b"", OPEN_ACL, 0, 0, False)
MINE = Create("/e", b"", OPEN_ACL, 1, 0, False)
IS_THERE = Exists("/a", True)
IS_MINE = Exists("/e", True)
LIST = GetChildren("/", True)
GONE = Delete("/a", -1)

SMALL_SCOPES = (
    Scope("one watch, one write, a push that comes twice", ((LOOK,), (WRITE,)), doubles=1),
    Scope("one watch, one write, a crash", ((LOOK,), (WRITE,)), crashes=1),
    Scope("one watch, one deletion, no list", ((IS_THERE,), (GONE,)), recent_bytes=0),
    Scope("one write invoked, one queued, a crash", ((WRITE,), (B,)), crashes=1, invoked=(1,)),
)
"""What a change has to pass."""
LARGE_SCOPES = (
    Scope("data, a write", ((LOOK,), (WRITE,)), crashes=1, doubles=1),
    Scope("data, a write whose node comes after its head", ((LOOK,), (WRITE,)), crashes=1, doubles=1, two_steps=True),
    Scope("an ephemeral, the end of its session, a double", ((IS_MINE,), (MINE, Close())), doubles=1),
    Scope("data, a deletion", ((LOOK,), (GONE,)), crashes=1, doubles=1),
    Scope("a list of children, a new one", ((LIST,), (B,)), crashes=1, doubles=1),
    Scope("existence, a deletion, no triggers kept", ((IS_THERE,), (GONE,)), crashes=1, doubles=1, recent_bytes=0),
    Scope("data, a multi", ((LOOK,), (Multi((WRITE, B)),)), crashes=1, doubles=1),
    Scope("two who watch, one write, a crash", ((LOOK,), (LOOK,), (WRITE,)), crashes=1),
    Scope("two reads, two writes, a double", ((LOOK, LOOK), (WRITE, B)), doubles=1),
    Scope("a write between two reads, a double", ((LOOK, B, LOOK), (WRITE,)), doubles=1),
    Scope("a watch, a write invoked, a crash", ((LOOK,), (WRITE,)), crashes=1, invoked=(1,)),
    Scope("two writes of one node invoked, a crash", ((WRITE,), (WRITE,)), crashes=1, invoked=(0, 1)),
    Scope("a write of a node invoked, one queued, two crashes", ((WRITE,), (WRITE,)), crashes=2, invoked=(1,)),
    Scope("both watch and write, a double", ((LOOK, WRITE), (LOOK, WRITE)), doubles=1),
)
"""For a long run: one watch and one change, a crash and a double, of every kind; and some with more of both."""
