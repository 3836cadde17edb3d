"""Every call of a port that any operation makes, crashed before and after it: the calls are found by running.

One run without a crash says which calls there are; then there is one run for each of them and for each side of it.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ...core.acls import OPEN_ACL
from ...core.model import Acl, Perms
from ...core.requests import Auth, Check, Close, Create, Delete, Flags, Multi, SetAcl, SetData
from ...core.watches import PERSISTENT, RECURSIVE
from ...session.ops import AddWatch, Exists, GetAcl, GetChildren, GetData, RemoveWatches, Sync
from .checks import judge
from .plan import HangUp, Knobs, Lock, Plan, Step
from .run import run
from .workload import ALL, LOCKS, RESOURCE, SETUP
from .world import Process

CALM = Knobs(lag=0.005, slow=0.0, doubles=0.0, fresh=0.0, recent_bytes=ALL, visibility=0.5, timeouts_ms=(1000,))


def _create(path: str, flags: int = 0, with_stat: bool = False, ttl_ms: int = 0) -> Create:
    return Create(path, b"data", OPEN_ACL, flags, ttl_ms, with_stat)


KINDS: Dict[str, Tuple[Any, ...]] = {
    "create": (_create("/x"),),
    "create2": (_create("/x", with_stat=True),),
    "create ephemeral": (_create("/x", Flags.EPHEMERAL),),
    "create sequential": (_create("/q/n-", Flags.SEQUENTIAL),),
    "create container": (_create("/x", Flags.CONTAINER), _create("/x/y"), Delete("/x/y", -1)),
    "create ttl": (_create("/x", Flags.TTL, ttl_ms=100),),
    "delete": (Delete("/a", -1),),
    "set": (SetData("/a", b"1", -1),),
    "two sets": (SetData("/a", b"1", -1), SetData("/a", b"2", -1)),
    "set acl": (SetAcl("/a", (Acl(Perms.ALL, "world", "anyone"),), -1),),
    "multi": (Multi((Check("/a", -1), SetData("/a", b"m", -1), _create("/x"), Delete("/q", -1))),),
    "failing multi": (Multi((SetData("/a", b"m", -1), Delete("/none", -1))),),
    "auth": (Auth("digest", "user:secret"),),
    "exists": (Exists("/x", False), Exists("/x", True)),
    "get": (GetData("/a", False), GetData("/a", True)),
    "children": (GetChildren("/", False), GetChildren("/a", True)),
    "get acl": (GetAcl("/a"),),
    "sync": (Sync("/a"),),
    "watch": (AddWatch("/a", PERSISTENT), SetData("/a", b"w", -1)),
    "watch subtree": (AddWatch("/a", RECURSIVE), _create("/a/x")),
    "remove watches": (GetData("/a", True), RemoveWatches("/a")),
    "watched": (GetData("/a", True), GetChildren("/a", True), SetData("/a", b"w", -1), _create("/a/x")),
    "reattach": (_create("/x", Flags.EPHEMERAL), HangUp(), GetData("/a", True)),
    "close": (_create("/x", Flags.EPHEMERAL), GetData("/a", True), Close()),
    "lock": (Lock(LOCKS, RESOURCE),),
}
"""What a client asks, alone with a second one that watches and writes."""


class Crossing(NamedTuple):
    """One call of a port: of which process, how manieth of the run, and what."""

    number: int
    process: str
    call: str


class Covered(NamedTuple):
    """What was covered, and what broke."""

    kinds: int
    calls: int
    runs: int
    failures: List[str]
    by_call: Dict[str, int]
    """Role and call → how many of them were crashed."""


def scenario(kind: str, two_steps: bool) -> Plan:
    """A short run around one kind of operation."""
    ops = tuple(Step(0.3, op) for op in KINDS[kind])
    other = (Step(0.2, GetData("/a", True)), Step(0.6, SetData("/a", b"other", -1)), Step(0.61, GetChildren("/", True)))
    steps = (tuple(Step(0.0, op) for op in SETUP) + ops, other)
    return Plan(1, CALM._replace(two_steps=two_steps), steps, ())


def crossings(plan: Plan) -> List[Crossing]:
    """Every call of the run, from the first op of the kind on until all is quiet."""
    found: List[Crossing] = []

    def note(process: Process, port: str, name: str) -> Optional[str]:
        found.append(Crossing(len(found), process.name, "%s.%s" % (port, name)))
        return None

    run(plan, note)
    return found


def crash(plan: Plan, at: int, side: str) -> List[str]:
    """What breaks if the process dies at its call number ``at``, "before" or "after" its effect."""
    count = -1

    def kill(process: Process, port: str, name: str) -> Optional[str]:
        nonlocal count
        count += 1
        return side if count == at else None

    return ["%s: %s" % violation for violation in judge(run(plan, kill))]


def cover(kinds: Optional[List[str]] = None, every: int = 1) -> Covered:
    """Crashes every call of every kind (or every so manieth) before and after."""
    failures: List[str] = []
    by_call: Dict[str, int] = {}
    calls = runs = 0
    for kind in kinds or KINDS:
        for two_steps in (False, True):
            plan = scenario(kind, two_steps)
            for crossing in crossings(plan)[::every]:
                calls += 1
                role = crossing.process.split("-")[0] + " " + crossing.call
                by_call[role] = by_call.get(role, 0) + 1
                for side in ("before", "after"):
                    runs += 1
                    broken = crash(plan, crossing.number, side)
                    failures.extend("%s, %s %s: %s" % (kind, side, crossing, what) for what in broken[:2])
    return Covered(len(kinds or KINDS), calls, runs, failures, by_call)
