"""Properties of any program: how it is cut into batches and what was loaded first makes no difference."""

from __future__ import annotations

from typing import Any, Dict, List, Set, Tuple

from hypothesis import given
from hypothesis import strategies as st

from fk_backend.core.acls import OPEN_ACL, READ_ACL
from fk_backend.core.apply import apply, needs
from fk_backend.core.model import Acl
from fk_backend.core.needs import has_all, lacking
from fk_backend.core.overlay import View
from fk_backend.core.requests import (
    Attach,
    Auth,
    Call,
    Check,
    Close,
    Create,
    Delete,
    Expire,
    Multi,
    Reap,
    SetAcl,
    SetData,
)
from fk_backend.core.snapshot import Missing, Snapshot

from .world import PASSWORD, World

INBOXES = ("one", "two", "three")
paths = st.sampled_from(("/a", "/b", "/a/c", "/a/d", "/a/c/e", "/a/s-", "/b/", "//", "/", "/a/.", "x", ""))
versions = st.sampled_from((-1, -1, 0, 1))
acls = st.sampled_from((OPEN_ACL, OPEN_ACL, READ_ACL, (Acl(31, "auth", ""),), ()))
modes = st.sampled_from(((0, -1), (0, -1), (1, -1), (2, -1), (3, -1), (4, -1), (5, 1), (6, 10), (9, 0)))
creates = st.builds(lambda p, a, m, s: Create(p, b"x", a, m[0], m[1], s), paths, acls, modes, st.booleans())
ops = st.one_of(
    creates,
    creates,
    st.builds(Delete, paths, versions),
    st.builds(SetData, paths, st.sampled_from((None, b"", b"yy")), versions),
    st.builds(SetAcl, paths, acls, versions),
    st.builds(Check, paths, versions),
)
requests = st.one_of(
    *[ops] * 8,
    *[st.builds(Multi, st.lists(ops, max_size=4).map(tuple))] * 2,
    st.builds(Auth, st.sampled_from(("digest", "ip", "sasl")), st.sampled_from(("ann:1", "ben:2"))),
    st.builds(Reap, paths, st.sampled_from((0, 1_000, 10**15))),
    st.just(Close()),
)
SESSIONS = tuple(5 << 40 | n for n in (1, 2, 3))
own = st.builds(lambda n, request: Call(SESSIONS[n], INBOXES[n], request), st.integers(0, 2), requests)
foreign = st.one_of(
    st.builds(
        lambda s, i: Call(0, "", Attach(s, PASSWORD, i, None)), st.sampled_from(SESSIONS), st.sampled_from(INBOXES)
    ),
    st.builds(lambda s, b: Call(0, "", Expire(s, b)), st.sampled_from(SESSIONS), st.integers(0, 1)),
)
programs = st.lists(st.one_of(*[own] * 12, foreign), max_size=25)


def _world() -> World:
    world = World()
    for inbox in INBOXES:
        world.open(inbox)
    return world


def _state(world: World) -> Tuple[Any, ...]:
    ephemerals = {session: paths for session, paths in world.ephemerals.items() if paths}
    return world.zxid, world.nodes, world.sessions, ephemerals, world.reapable, world.triggers


def _everything(world: World) -> Snapshot:
    """A snapshot that lacks nothing."""
    known: Dict[str, Any] = dict.fromkeys(("/a", "/b", "/a/c", "/a/d", "/a/c/e"))
    known.update(("%s/s-%010d" % (above, n), None) for above in ("", "/a") for n in range(99))
    known.update(dict.fromkeys(("/s-", "/a/s-")))
    known.update(("%s/%010d" % (above, n), None) for above in ("", "/b", "/a", "/a/c") for n in range(99))
    for path in list(known):
        known.update(("%s%010d" % (path, n), None) for n in range(30))
    known.update(world.nodes)
    return Snapshot(
        world.zxid,
        known,
        {each: world.sessions.get(each) for each in SESSIONS},
        {each: frozenset(world.ephemerals.get(each, ())) for each in SESSIONS},
        dict.fromkeys(SESSIONS, 0),
        world.namespace_id,
    )


@given(programs, st.data())
def test_how_it_is_cut_into_batches_makes_no_difference(program: List[Call], data: st.DataObject) -> None:
    """Results, zxids, triggers and the state after, at one time for all."""
    whole, cut = _world(), _world()
    results = whole.run(program)
    time_ms, done, cut_results = whole.now_ms, 0, []
    while done < len(program):
        size = data.draw(st.integers(1, len(program) - done))
        cut.now_ms = time_ms - 1
        cut_results += cut.run(program[done : done + size])
        done += size
    assert cut_results == results
    assert _state(cut) == _state(whole)


@given(programs, st.sets(paths))
def test_nothing_is_lacking_where_all_is_said_to_be_there(program: List[Call], unknown: Set[str]) -> None:
    """What tells it at once may say too little, and never too much."""
    snapshot = _everything(_world())
    for path in unknown:
        snapshot.nodes.pop(path, None)
    for call in program:
        found = lacking(snapshot, [call])
        if has_all(snapshot, [call]):
            assert not (found.paths or found.sessions or found.ephemerals or found.beats), call


@given(programs)
def test_what_was_loaded_first_makes_no_difference(program: List[Call]) -> None:
    """Loading on demand comes to the same as having it all; and apply changes neither snapshot nor calls."""
    world = _world()
    snapshot = _everything(world)
    before = repr((snapshot, program))
    outcome = apply(snapshot, program, world.now_ms + 1)
    assert repr((snapshot, program)) == before
    assert apply(snapshot, program, world.now_ms + 1) == outcome
    world.run(program)
    assert world.last == outcome


@given(programs)
def test_zxids_are_dense_and_results_carry_them(program: List[Call]) -> None:
    world = _world()
    start = world.zxid
    results = world.run(program)
    zxids = [start, *(each.zxid for each in results)]
    assert all(after - before in (0, 1) for before, after in zip(zxids, zxids[1:]))
    assert zxids[-1] == world.zxid
    assert all(after == before for (before, after), each in zip(zip(zxids, zxids[1:]), results) if each.code)


@given(programs)
def test_the_first_load_is_what_needs_says(program: List[Call]) -> None:
    """Nothing more, nothing less; an empty program needs nothing."""
    wanted = needs(program)
    try:
        apply(Snapshot(0), program, 0)
    except Missing as missing:
        assert vars(missing) == vars(wanted)
    else:
        assert not (wanted.paths or wanted.sessions or wanted.ephemerals or wanted.beats)


@given(st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=20), st.integers(0, 20))
def test_rollback_nests(steps: "List[int | None]", keep: int) -> None:
    """Whatever was done after a mark, marks inside it included, is gone after the rollback."""
    view = View(_everything(_world()), 0)
    seen = []
    marks = []
    for number, step in enumerate(steps):
        if step is None:
            marks.append(view.mark())
            seen.append(repr((view.changes, view.triggers)))
        else:
            path = "/a" if step % 2 else "/b"
            view.put_node(path, view.snapshot.nodes["/"][0]._replace(version=number))  # type: ignore[index]
            view.trigger(path, step, OPEN_ACL)
            if step == 4:
                view.remove_node(path)
    while marks:
        index = keep % len(marks)
        view.rollback(marks[index])
        assert repr((view.changes, view.triggers)) == seen[index]
        del marks[index:], seen[index:]


def test_a_guess_never_gets_out() -> None:
    """A sequential create whose final name was not loaded must not be answered, whatever else was."""
    world = _world()
    snapshot = _everything(world)
    del snapshot.nodes["/s-0000000000"], snapshot.nodes["/s-0000000001"]
    calls = [Call(SESSIONS[0], "one", Create("/s-", b"", OPEN_ACL, 2, -1, False))] * 2
    try:
        apply(snapshot, calls, 0)
    except Missing as missing:
        assert missing.paths == {"/s-0000000000", "/s-0000000001"}
        assert "s-0000000001" in str(missing)
    else:
        raise AssertionError("answered from a guess")
