"""Every interleaving of a small scope: all of them, of the code that ships, and what is wrong is found."""

from __future__ import annotations

import pytest

from fk_backend.testing.simulation.explore import SETUP, SMALL_SCOPES, explore
from fk_backend.testing.simulation.state_space import DEAD, StateSpace
from tests.planted.hunt import BUGS


@pytest.mark.parametrize("scope", SMALL_SCOPES, ids=[scope.name for scope in SMALL_SCOPES])
def test_a_small_scope_has_no_state_in_which_anything_is_wrong(scope: object) -> None:
    explored = explore(scope)  # type: ignore[arg-type]
    assert explored.complete and explored.violations == []
    assert explored.states > 300 and 1 < explored.ends < explored.states < explored.transitions


def test_what_a_process_does_follows_from_what_it_heard() -> None:
    """Told the same again, it asks the same again: so once is enough for every state in which it has heard that."""
    maze = StateSpace(SMALL_SCOPES[0])
    assert explore(maze.scope, maze=maze).complete
    histories = 0
    for local in maze.locals:
        if local.before != DEAD:
            did = maze.redelivered(local.before).receive(local.what)
            asked = [(number, maze.effects.asks.of(ask)) for number, ask in did.asks]
            known = set(local.calls) - set(maze.locals[local.before].calls)
            assert known <= set(asked)
            histories += 1
    assert histories > 50


def test_the_order_in_which_choices_are_tried_changes_nothing_of_what_there_is() -> None:
    scope = SMALL_SCOPES[2]
    maze = StateSpace(scope)
    begin, _ = maze.begin(SETUP)
    seen, waiting = {maze.key(begin)}, [begin]
    for state in waiting:  # breadth first
        for choice in maze.choices(state):
            after, _ = maze.take(state, choice)
            if maze.key(after) not in seen:
                seen.add(maze.key(after))
                waiting.append(after)
    assert len(seen) == explore(scope).states


@pytest.mark.parametrize(
    ("name", "at", "check"),
    [
        ("looked before commit", 0, "V3"),
        ("no rearm", 1, "V3"),
        ("read before registering", 2, "V3"),
        ("no fence after unknown", 3, "Q3"),
    ],
)
def test_a_planted_bug_is_found(name: str, at: int, check: str) -> None:
    (bug,) = [bug for bug in BUGS if bug.name == name]
    with bug.planted():
        violations = explore(SMALL_SCOPES[at], stop_at=1).violations
    assert {violation.split(": ")[1] for violation in violations} == {check}


def test_the_limit_is_kept_and_told() -> None:
    explored = explore(SMALL_SCOPES[1], limit=50)
    assert explored.states == 50 and not explored.complete
