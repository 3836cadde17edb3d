"""Programs of several sessions for `compat_tests.differential`, drawn by hypothesis."""

from __future__ import annotations

from typing import Any, List, Tuple

from hypothesis import strategies as st

from compat_tests.differential.calls import ACLS, CREDENTIALS, PERSISTENT, READABLE, RECURSIVE
from compat_tests.differential.runner import SLOTS, Program

PATHS = ("/a", "/b", "/a/c", "/a/d", "/a/c/e", "/b/c", "/s-", "/a/s-", "/a", "/a/c", "/a/s-0000000000", "/")
ODD_PATHS = ("/a/é", "/a/.", "/a//c", "/a/\x01", "/none/x", "/a/", "/.x", "/zookeeper")
MULTI_CREATES = ("open", "open", "read", "nothing")

paths = st.one_of(*[st.sampled_from(PATHS)] * 7, st.sampled_from(ODD_PATHS))
data = st.sampled_from(("", "x", "yy"))
versions = st.sampled_from((-1, -1, -1, 0, 0, 1, 2))
flags = st.sampled_from((0, 0, 0, 1, 1, 2, 3))
multi_calls = st.one_of(
    st.tuples(st.just("create"), paths, data, st.sampled_from(MULTI_CREATES), flags),
    st.tuples(st.just("create"), paths, data, st.just("open"), flags),
    st.tuples(st.just("delete"), paths, versions),
    st.tuples(st.just("set"), paths, data, versions),
    st.tuples(st.just("check"), paths, versions),
)


def _calls(watching: bool) -> "st.SearchStrategy[Any]":
    names = st.one_of(*[st.just("open")] * 3, st.sampled_from(READABLE if watching else sorted(ACLS)))
    watch = st.sampled_from(("", "a", "a", "b")) if watching else st.just("")
    creates = st.tuples(st.just("create"), paths, data, names, flags, st.booleans())
    sets = st.tuples(st.just("set"), paths, data, versions)
    deletes = st.tuples(st.just("delete"), paths, versions)
    reads = [
        st.tuples(st.just("get"), paths, watch),
        st.tuples(st.just("exists"), paths, watch),
        st.tuples(st.just("children"), paths, watch, st.booleans()),
    ]
    rare = st.one_of(
        st.tuples(st.just("sync"), paths),
        st.tuples(st.just("container"), paths, data),
        st.tuples(st.just("ttl"), paths, data, st.sampled_from((5, 6)), st.sampled_from((10**9, 0))),
        st.tuples(st.just("get_acls"), paths),
        st.tuples(st.just("set_acls"), paths, names, versions),
    )
    multis = st.tuples(st.just("multi"), st.lists(multi_calls, max_size=4))
    kinds: List[Any] = [creates] * 4 + [deletes] * 2 + [sets] * 2 + reads * (2 if watching else 1) + [rare, multis]
    if watching:
        kinds.append(st.tuples(st.just("add_watch"), paths, st.sampled_from((PERSISTENT, RECURSIVE))))
    return st.one_of(*kinds)


def _steps(watching: bool) -> "st.SearchStrategy[Any]":
    one = st.lists(_calls(watching), min_size=1, max_size=1)
    several = st.lists(_calls(watching), min_size=2, max_size=6)
    alone = st.sampled_from((["end"], ["end"], ["reconnect"]))
    removing = st.tuples(st.just("remove_watches"), st.sampled_from(PATHS)).map(lambda call: [call])
    # Alone: a server answers it out of turn, which kazoo's client does not survive (xids do not match).
    auth = st.sampled_from(CREDENTIALS).map(lambda credential: [["auth", credential]])
    step = st.one_of(*[one] * 8, several, several, alone, auth, *([removing] if watching else []))
    return st.lists(st.tuples(st.integers(0, SLOTS - 1), step), min_size=1, max_size=14)


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _possible(program: Program) -> Program:
    """Without reconnects of sessions with persistent watches: kazoo has no method that would set those again."""
    kept, persistent = [], set()
    for slot, calls in program:
        if calls == ["end"]:
            persistent.discard(slot)
        elif any(call[0] == "add_watch" for call in calls):
            persistent.add(slot)
        if not (calls == ["reconnect"] and slot in persistent):
            kept.append([slot, calls])
    return kept


ROOTS: Tuple[List[Any], ...] = ([], [["create", path, "", "open", 0, False] for path in ("/a", "/a/c", "/b")])
"""What a program may begin with, so that more of it succeeds."""


def _rooted(program: Program, roots: List[Any]) -> Program:
    return [[0, roots], *program] if roots else program


programs: "st.SearchStrategy[Program]" = (
    st.builds(_rooted, st.booleans().flatmap(_steps), st.sampled_from(ROOTS))
    .map(_plain)
    .map(_possible)
    .filter(lambda program: len(program) > 0)
)
"""Every program has up to fourteen steps of three sessions."""
