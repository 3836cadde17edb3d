"""Programs of several sessions for `compat_tests.differential`: up to fourteen steps of three sessions.

One grammar, a function of a `random.Random`: seeded, it makes thousands a second; given to hypothesis (`programs`),
what fails is made smaller.
"""

from __future__ import annotations

from random import Random
from typing import Any, Dict, List, Sequence, Set

from hypothesis import strategies as st

from compat_tests.differential.calls import ACLS, CREDENTIALS, PERSISTENT, RECURSIVE, SECRETS
from compat_tests.differential.runner import SLOTS, Program

PATHS = ("/a", "/b", "/a/c", "/a/d", "/a/c/e", "/b/c", "/s-", "/a/s-", "/a", "/a/c", "/a/s-0000000000", "/")
HOT_PATHS = ("/a", "/a", "/a/c", "/a/c", "/a/d", "/b", "/b/c")
"""What is met again and again where there are watches, so that many of them fire."""
ODD_PATHS = ("/a/é", "/a/.", "/a//c", "/a/\x01", "/none/x", "/a/", "/.x", "/zookeeper")
DATA = ("", "x", "yy")
VERSIONS = (-1, -1, -1, 0, 0, 1, 2)
FLAGS = (0, 0, 0, 1, 1, 2, 3)
MULTI_ACLS = ("open", "open", "open", "open", "open", "open", "read", "nothing")
MULTI_CALLS = ("create", "create", "delete", "set", "check")
WRITES = ("create",) * 4 + ("delete",) * 2 + ("set",) * 2 + ("multi",)
READS = ("get", "exists", "children")
RARE = ("sync", "container", "ttl", "get_acls", "set_acls")
ROOTS = ("/a", "/a/c", "/b")
"""What a program may begin with, so that more of it succeeds."""
STEPS = 14
MULTI = 4
PIPELINED = 6
"""Calls, at most, in a multi and without waiting in between."""


class _Grammar:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._watches = random.random() < 0.5
        self._secrets = random.random() < 0.5
        """Whether much may not be read by everybody, and that changes."""
        self._kinds: Sequence[Any] = [*WRITES, *READS, RARE, RARE]
        if self._watches:
            self._kinds = [*self._kinds, *READS, "add_watch", "set", "set", "delete"]
        if self._secrets:
            self._kinds = [*self._kinds, "set_acls", "set_acls"]

    def _one(self, of: Sequence[Any]) -> Any:
        return of[self._random.randrange(len(of))]

    def _path(self) -> str:
        if self._watches and self._random.randrange(5):
            hot: str = self._one(HOT_PATHS)
            return hot
        path: str = self._one(ODD_PATHS if self._random.randrange(8) == 0 else PATHS)
        return path

    def _call(self) -> List[Any]:
        name = self._one(self._kinds)
        if name == RARE:
            name = self._one(RARE)
        if name == "multi":
            return [name, [self._in_multi() for _ in range(self._random.randint(0, MULTI))]]
        return [name, self._path(), *self._arguments(name)]

    def _acl(self) -> str:
        if self._secrets and self._random.randrange(2):
            name: str = self._one(SECRETS)
            return name
        return "open" if self._random.randrange(4) else self._one(sorted(ACLS))

    def _arguments(self, name: str) -> List[Any]:
        one = self._one
        watch = one(("", "a", "a", "b")) if self._watches else ""
        acl = self._acl()
        arguments: Dict[str, List[Any]] = {
            "create": [one(DATA), acl, one(FLAGS), one((False, True))],
            "delete": [one(VERSIONS)],
            "set": [one(DATA), one(VERSIONS)],
            "get": [watch],
            "exists": [watch],
            "children": [watch, one((False, True))],
            "container": [one(DATA)],
            "ttl": [one(DATA), one((5, 6)), one((10**9, 0))],
            "set_acls": [acl, one(VERSIONS)],
            "add_watch": [one((PERSISTENT, RECURSIVE))],
        }
        return arguments.get(name, [])

    def _in_multi(self) -> List[Any]:
        one, name = self._one, self._one(MULTI_CALLS)
        arguments = {
            "create": [one(DATA), self._acl() if self._secrets else one(MULTI_ACLS), one(FLAGS)],
            "delete": [one(VERSIONS)],
            "set": [one(DATA), one(VERSIONS)],
            "check": [one(VERSIONS)],
        }
        return [name, self._path(), *arguments[name]]

    def _step(self) -> List[Any]:
        kind = self._random.randrange(13 if self._watches else 12)
        if self._secrets and self._random.randrange(12) == 0:
            kind = 11
        if kind < 8:
            return [self._call()]
        if kind < 10:
            calls = [self._call() for _ in range(self._random.randint(2, PIPELINED))]
            # Alone: until it is applied, a server judges what comes after it by the ACL that was there before.
            return [call for call in calls if call[0] != "set_acls"] or [["sync", "/a"]]
        if kind == 10:
            return [self._one(("end", "end", "reconnect"))]
        # Alone: a server answers it out of turn, which kazoo's client does not survive (xids do not match).
        return [["auth", self._one(CREDENTIALS)] if kind == 11 else ["remove_watches", self._one(PATHS)]]

    def program(self) -> Program:
        steps = [
            [self._random.randrange(SLOTS), self._step()]
            for _ in range(self._random.randint(8 * self._watches + 1, STEPS))
        ]
        roots = (
            [[0, [self._root(path) for path in ROOTS]]]
            if self._random.random() < (0.8 if self._watches else 0.5)
            else []
        )
        return [*roots, *_possible(steps)]

    def _root(self, path: str) -> List[Any]:
        acl = self._one(("hidden", "here", "open", "open")) if self._secrets else "open"
        return ["create", path, "", acl, 0, False]


def _possible(program: Program) -> Program:
    """Without what kazoo or ZooKeeper can't do.

    - kazoo has no method that would set persistent watches again: a session that has one does not reconnect.
    - A watch of a session replaces its persistent one of another kind on the same path (ZOOKEEPER-4466): it sets none.
    - A sequential node "in" the place of the program is beside it, numbered together with those of other programs.
    """
    kept: Program = []
    persistent: Dict[int, Dict[str, str]] = {}
    listed: Dict[int, Set[str]] = {}
    for slot, calls in program:
        mine, lists = persistent.setdefault(slot, {}), listed.setdefault(slot, set())
        if calls == ["end"]:
            mine.clear()
            lists.clear()
        elif calls != ["reconnect"]:
            for call in calls:
                if call[0] == "add_watch":  # a recursive one would take over a list's watch and tell nothing of lists
                    call[2] = mine.setdefault(_plain(call[1]), PERSISTENT if _plain(call[1]) in lists else call[2])
                elif call[0] == "children" and call[2]:
                    lists.add(_plain(call[1]))
                elif call[0] == "multi":
                    call[1] = [part for part in call[1] if not _is_beside(part)]
            calls = [_without_watch(call) if call[0] in READS and _plain(call[1]) in mine else call for call in calls]
        if not (calls == ["reconnect"] and mine):
            kept.append([slot, calls])
    return kept


def _is_beside(part: List[Any]) -> bool:
    return part[0] == "create" and _plain(part[1]) == "/" and bool(part[4] & 2)


def _plain(path: str) -> str:
    """As kazoo sends it."""
    return path.replace("//", "/").rstrip("/") or "/"


def _without_watch(call: List[Any]) -> List[Any]:
    return [*call[:2], "", *call[3:]]


def program_of(random: Random) -> Program:
    """A program. The same numbers make the same one."""
    return _Grammar(random).program()


def drawn(count: int, seed: int) -> List[Program]:
    """So many different programs: the same ones for the same seed."""
    random, found = Random(seed), {}
    while len(found) < count:
        program = program_of(random)
        if program:
            found[repr(program)] = program
    return list(found.values())


programs: "st.SearchStrategy[Program]" = st.randoms(use_true_random=False).map(program_of).filter(bool)
