"""How long it takes until some check catches a planted bug: seeds, small scopes, crashes around single operations."""

from __future__ import annotations

import logging
import sys
import time
from random import Random
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.requests import Auth, Close, Create, Delete, SetAcl, SetData
from fk_backend.session.ops import Exists, GetChildren, GetData
from fk_backend.testing.simulation.checks import judge
from fk_backend.testing.simulation.crashes import crash, crossings, scenario
from fk_backend.testing.simulation.explore import SMALL_SCOPES, explore
from fk_backend.testing.simulation.plan import CRASH, DOUBLE_CRASH, PAUSE, STORM, Fault, HangUp, Plan, Step
from fk_backend.testing.simulation.run import run
from fk_backend.testing.simulation.workload import (
    ALL,
    HIDDEN_ACL,
    SECRET,
    SETUP,
    beside,
    combined,
    direct,
    flickering,
    invoked,
    plan,
)

from . import in_beside, in_combined, in_core, in_functions, in_invoked, in_session
from .bug import BUGS, Bug

FIRST_SEEDS, SEEDS = 150, 1000
CRASHED = ("two sets", "create")
"""Kinds of operations around which the writer is crashed at each of its calls."""
assert in_core and in_functions and in_session


class Catch(NamedTuple):
    """Which checks caught it, at which seed or scenario, after how many seconds of one core."""

    checks: List[str]
    where: str
    seconds: float


def hunt(bug: Bug, seeds: int = SEEDS) -> Optional[Catch]:
    """The first catch, or None if it got away."""
    logging.disable(logging.CRITICAL)
    started = time.process_time()
    try:
        with bug.planted():
            for where, checks in _tries(bug, seeds):
                if checks:
                    return Catch(sorted(checks), where, time.process_time() - started)
    finally:
        logging.disable(logging.NOTSET)
    return None


HINTS = {
    "expiry ignores beats": 188,
    "woken and not told": 113,
    "consumed before told": 17,
    "no sequence": 115,
    "newer registration dropped": 559,
    "forgets silently": 615,
    "one watcher is told": 151,
    "unheard stays": 77,
    "credential too early": 42,
    "heard too early": 2932,
    "told of secrets": 47,
    "judged afterwards": 142,
    "nothing new to tell": 1097,
    "cut message forgotten": 14,
    "opened again": 246,
    "rests too early": 29,
    "kept promise forgotten": 14,
    "invoked twice": 9,
    "moved session writes": 60,
    "unknown taken for definite": 20,
    "promise of nobody": 34,
    "kept promise not seen": 69,
    "withdrawn and committed": 56,
    "unknown taken for refused": 119,
    "combined twice": 125,
}
"""Seeds that caught what few seeds catch: tried first, so that a test need not look for them again."""
SCOPED = ("looked before commit", "no rearm")
"""What is rather met by taking every choice."""


def _deaf(seed: int) -> Plan:
    """Every third answer to a client is lost, so that it asks again while others go on."""
    chosen = plan(seed)
    storms = tuple(Fault(STORM, "client-%d" % number, 0.0, 4.0, "lost") for number in range(len(chosen.clients)))
    return chosen._replace(faults=storms)


def _thrifty(seed: int) -> Plan:
    """Beats are dear, and somebody owns something only for moments."""
    r = Random("%d thrifty" % seed)
    chosen = plan(seed)
    program = tuple(
        Step(round(at + offset, 4), op)
        for at in (1.0 + r.random() * 6 for _ in range(6))
        for offset, op in ((0.0, Create("/e", b"", OPEN_ACL, 1, 0, False)), (0.4, Delete("/e", -1)))
    )
    knobs = chosen.knobs._replace(charges_for_beats=True, poison=False, lag=0.03, slow=0.05, timeouts_ms=(1000,))
    return Plan(seed, knobs, (tuple(sorted(program, key=lambda step: step.at)),), ())


def _calm(seed: int) -> Plan:
    """Nothing goes wrong, one writer does everything, and nearly all data are blobs."""
    chosen = plan(seed)
    knobs = chosen.knobs._replace(
        inline_bytes=1, slow=0.0, fresh=0.0, visibility=3.0, poison=False, charges_for_beats=False
    )
    return chosen._replace(knobs=knobs, faults=())


def _secret(seed: int) -> Plan:
    """Who may read a node changes all the time, and so does who looks."""
    r = Random("%d secret" % seed)
    closed, opened, change = SetAcl("/a", HIDDEN_ACL, -1), SetAcl("/a", OPEN_ACL, -1), SetData("/a", b"", -1)
    child = (Create("/a/c", b"", HIDDEN_ACL, 0, 0, False), Delete("/a/c", -1))
    looks = (Exists("/a", True), GetChildren("/a", True), GetData("/q", False), SetData("/q", b"", -1))
    rare = (HangUp(), Auth("digest", SECRET), change)
    program = (*SETUP, *(r.choice((closed, opened, change, change, *child)) for _ in range(40)))
    writes = tuple(Step(round(number * 0.03, 4), op) for number, op in enumerate(program))
    looking = (Step(round(0.2 + r.random(), 4), r.choice((*looks, *rare))) for _ in range(40))
    knobs = plan(seed).knobs._replace(poison=False, charges_for_beats=False, recent_bytes=r.choice((0, 30, ALL)))
    return Plan(seed, knobs, (writes, tuple(sorted(looking, key=lambda step: step.at))), ())


def _apart(seed: int) -> Plan:
    """Two clients write in their own processes, one after the other, one in a storm, and a third one watches."""
    sets = [SetData("/a", b"%d" % number, -1) for number in range(20)]
    writes = tuple(Step(round(0.1 + number * 0.05, 4), op) for number, op in enumerate((*SETUP, *sets[:2])))
    storm = tuple(Step(round(0.5 + number * 0.05, 4), op) for number, op in enumerate(sets[2:]))
    looks = (Step(0.4, GetData("/a", True)), Step(1.0, GetData("/a", True)), Step(1.3, GetData("/a", True)))
    faults = (Fault(STORM, "client-1", 0.8, 0.2, "lost"),) if seed % 2 else ()
    knobs = direct(seed).knobs._replace(direct=1.0, poison=False, lag=0.002, slow=0.0, timeouts_ms=(3000,))
    return Plan(seed, knobs, (writes, storm, looks), faults)


def _meeting(seed: int) -> Plan:
    """Two clients change the same few nodes, one through the queue, one by invocations, and writers crash."""
    r = Random("%d meeting" % seed)
    made = invoked(seed)
    changes = (
        *(SetData("/a", b"%d" % number, -1) for number in range(3)),
        *(Create("/b", b"", OPEN_ACL, 0, 0, False), Delete("/b", -1), Create("/q/n-", b"", OPEN_ACL, 2, 0, False)),
    )
    bursts = [(round(0.3 + number * 0.25, 4), r.choice((1, 1, 2, 4))) for number in range(8)]
    piped = tuple(Step(at, r.choice(changes)) for at, count in bursts for _ in range(count))
    alone = tuple(Step(round(0.3 + number * 0.06, 4), r.choice(changes)) for number in range(30))
    looks = tuple(Step(round(0.3 + number * 0.2, 4), Exists(r.choice(("/a", "/b")), True)) for number in range(8))
    faults = [Fault(CRASH, "writer", round(0.3 + r.random() * 2, 4), 0.0, "after") for _ in range(r.choice((2, 5)))]
    faults += [Fault(STORM, "writer", round(0.3 + r.random() * 2, 4), 0.3, r.choice(("lost", "undone")))]
    faults += [Fault(PAUSE, "writer", round(0.3 + r.random() * 2, 4), 0.6)]
    knobs = made.knobs._replace(
        invoked=r.choice((0.7, 1.0)), lag=0.005, slow=0.02, visibility=0.3, commit_calls=r.choice((1, 2, 500)),
        two_steps=seed % 2 == 0, timeouts_ms=(3000,), charges_for_beats=seed % 3 == 0, rebatched=False, batch=3,
    )  # fmt: skip
    faults.sort(key=lambda fault: fault.at)
    programs = ((*(Step(0.0, op) for op in SETUP), *piped), alone, looks)
    return Plan(seed, knobs, programs, tuple(faults))


def _deserted(seed: int) -> Plan:
    """The last write of all is an invocation that dies after its commit, and its client with it. Others watch."""
    r = Random("%d deserted" % seed)
    made = invoked(seed)
    last = r.choice((SetData("/a", b"last", -1), Create("/b", b"", OPEN_ACL, 0, 0, False), Delete("/q", -1)))
    looks = (GetData("/a", True), Exists("/b", True), Exists("/q", True), GetChildren("/", True))
    watching = (*(Step(0.0, op) for op in SETUP), *(Step(round(1.0 + r.random(), 4), op) for op in looks))
    writing = (Step(1.0, SetData("/a", b"first", -1)), Step(4.0, last))
    fault = Fault(DOUBLE_CRASH, "client-1", 3.5, 0.0, "second" if seed % 2 and isinstance(last, SetData) else "first")
    knobs = made.knobs._replace(
        invoked=1.0,
        charges_for_beats=True,
        two_steps=seed % 4 < 3,
        poll_s=0.5,
        lag=0.005,
        slow=0.0,
        timeouts_ms=(3000,),
    )
    return Plan(seed, knobs, (tuple(sorted(watching, key=lambda step: step.at)), writing), (fault,))


def _last_write(seed: int) -> Plan:
    """As `_deserted`, but nobody dies, and nobody looks for what he was not told."""
    chosen = _deserted(seed)
    return chosen._replace(knobs=chosen.knobs._replace(poll_s=0.0), faults=())


def _beside(seed: int) -> Plan:
    """One client sends bursts to the host, two write beside it, one of which dies, and a fourth looks."""
    r = Random("%d beside" % seed)
    changes = (
        *(SetData("/a", b"%d" % number, -1) for number in range(3)),
        *(Create("/b", b"", OPEN_ACL, 0, 0, False), Delete("/b", -1), Create("/q/n-", b"", OPEN_ACL, 2, 0, False)),
    )
    bursts = [(round(0.3 + number * 0.25, 4), r.choice((1, 2, 4))) for number in range(8)]
    piped = tuple(Step(at, r.choice(changes)) for at, count in bursts for _ in range(count))
    alone = [
        tuple(Step(round(0.3 + n * 0.06 + r.random() / 20, 4), r.choice(changes)) for n in range(30)) for _ in "ab"
    ]
    looks = tuple(Step(round(0.3 + number * 0.2, 4), Exists(r.choice(("/a", "/b")), True)) for number in range(10))
    faults = [
        Fault(CRASH, "client-2", round(0.3 + r.random() * 2, 4), 0.0, r.choice(("before", "after"))) for _ in "abc"
    ]
    faults += [Fault(CRASH, "writer", round(0.3 + r.random() * 2, 4), 0.0, "after") for _ in "ab"]
    faults += [Fault(STORM, r.choice(("client-1", "writer")), round(0.3 + r.random() * 2, 4), 0.3, "lost")]
    knobs = beside(seed).knobs._replace(
        beside=1.0, lag=0.005, slow=0.02, commit_calls=r.choice((1, 2, 500)), timeouts_ms=(3000,), poison=False
    )
    programs = ((*(Step(0.0, op) for op in SETUP), *piped), *alone, looks)
    return Plan(seed, knobs, programs, tuple(sorted(faults, key=lambda fault: fault.at)))


def _combined(seed: int) -> Plan:
    """Clients of one machine write at the same times, and commit for each other.

    In every third run nothing goes wrong, but the host is kept at work; in another one somebody watches.
    """
    r = Random("%d combined" % seed)
    changes = (
        *(SetData("/a", b"%d" % number, -1) for number in range(3)),
        *(Create("/b", b"", OPEN_ACL, 0, 0, False), Delete("/b", -1), Create("/q/n-", b"", OPEN_ACL, 2, 0, False)),
    )
    meetings = [round(0.5 + number * 0.06, 4) for number in range(20)]
    programs = [tuple(Step(round(at + r.random() / 200, 4), r.choice(changes)) for at in meetings) for _ in range(4)]
    programs[0] = (*(Step(0.0, op) for op in SETUP), *programs[0])
    if seed % 3 == 0:
        programs[3] = tuple(step._replace(at=step.at + late) for step in programs[3] for late in (0.0, 0.0))
    elif seed % 3 == 1:
        looks = (GetData("/a", True), Exists("/b", True), GetChildren("/q", True))
        programs[3] = tuple(Step(at, r.choice(looks)) for at in meetings)
    faults = []
    for _ in range(10 if seed % 3 else 0):
        who, at = "client-%d" % r.randrange(4), round(r.choice(meetings) + r.random() / 60, 4)
        what = r.choice((CRASH, CRASH, CRASH, PAUSE, STORM))
        if what == CRASH:
            faults.append(Fault(CRASH, who, at, 0.0, r.choice(("before", "after"))))
        else:
            faults.append(Fault(what, who, at, r.choice((0.02, 0.35, 0.7)) if what == PAUSE else 0.02, "lost"))
    knobs = combined(seed).knobs._replace(lag=r.choice((0.001, 0.01)), slow=0.0, queued_s=0.01, timeouts_ms=(3000,))
    return Plan(seed, knobs, tuple(programs), tuple(sorted(faults, key=lambda fault: fault.at)))


def _in_turn(seed: int) -> Plan:
    """Two clients write what they watch themselves, beside a host or in turns with it; a third one only watches."""
    r = Random("%d in turn" % seed)
    changes = (
        *(SetData("/a", b"%d" % number, -1) for number in range(3)),
        *(Create("/b", b"", OPEN_ACL, 0, 0, False), Delete("/b", -1), Create("/q/n-", b"", OPEN_ACL, 2, 0, False)),
    )
    looks = (GetData("/a", True), Exists("/b", True), GetChildren("/q", True))
    programs = [
        tuple(Step(round(0.3 + n * 0.06 + r.random() / 20, 4), r.choice((*changes, *looks))) for n in range(40))
        for _ in "ab"
    ]
    watching = tuple(Step(round(0.3 + number * 0.2, 4), r.choice(looks)) for number in range(10))
    faults = (Fault(STORM, "client-1", round(0.3 + r.random() * 2, 4), 0.3, "lost"),) if seed % 3 == 0 else ()
    made = beside(seed).knobs._replace(beside=1.0) if seed % 2 else direct(seed).knobs._replace(direct=1.0)
    knobs = made._replace(
        lag=0.005,
        slow=0.02,
        timeouts_ms=(3000,),
        poison=False,
        recent_bytes=r.choice((0, 30, ALL)),
        charges_for_beats=False,
    )
    return Plan(seed, knobs, ((*(Step(0.0, op) for op in SETUP), *programs[0]), programs[1], watching), faults)


def _coming(seed: int) -> Plan:
    """Two clients open and close sessions beside a host all the time, and the heartbeat finds none at times."""
    r = Random("%d coming" % seed)
    programs = tuple(
        tuple(Step(round(0.3 + number * 0.12 + r.random() / 10, 4), Close()) for number in range(12)) for _ in "ab"
    )
    knobs = beside(seed).knobs._replace(beside=1.0, lag=0.01, slow=0.05, timeouts_ms=(1000,), poison=False)
    return Plan(seed, knobs, programs[: 1 + seed % 2], ())


def _returning(seed: int) -> Plan:
    """A client closes its session beside a host, is still for about as long as it takes to rest, and opens another."""
    r = Random("%d coming" % seed)
    closes = [1.0 + 2.5 * number for number in range(4)]
    pauses = [(round(at + r.random() * 0.15, 4), round(0.6 + r.random() * 0.8, 4)) for at in closes]
    faults = tuple(Fault(PAUSE, "client-0", at, span) for at, span in pauses)
    knobs = beside(seed).knobs._replace(beside=1.0, lag=0.03, slow=0.1, timeouts_ms=(1000,), poison=False)
    return Plan(seed, knobs, (tuple(Step(at, Close()) for at in closes),), faults)


WORLDS: Dict[str, Callable[[int], Plan]] = {
    "resent as new": _deaf,
    "a torn node is taken": flickering,
    "a removed family stays": flickering,
    "rests too soon": _thrifty,
    **dict.fromkeys(("nothing new to tell", "direct overtakes", "direct before events"), direct),
    "unknown as new": _apart,
    "blobs leak": _calm,
    **dict.fromkeys(in_invoked.NAMES, _meeting),
    **dict.fromkeys(in_invoked.DESERTED, _deserted),
    "invoked and not told": _last_write,
    **dict.fromkeys(("owner unheard", "invoked answer before events"), invoked),
    **dict.fromkeys(in_beside.NAMES, _beside),
    **dict.fromkeys(in_beside.IN_TURN, _in_turn),
    **dict.fromkeys(in_combined.NAMES, _combined),
    **dict.fromkeys(in_combined.STOPPED, combined),
    **dict.fromkeys(in_beside.COMING, _coming),
    "rests too early": _returning,
    **dict.fromkeys(
        (
            "everybody may know",
            "unheard stays",
            "told of secrets",
            "credential too early",
            "heard too early",
            "judged afterwards",
            "lists judged by the child",
        ),
        _secret,
    ),
}
"""What is met too rarely in the plans of `workload`."""


def _tries(bug: Bug, seeds: int) -> Iterator[Tuple[str, Set[str]]]:
    if bug.name in HINTS:
        world = WORLDS.get(bug.name, plan)
        yield "%s %d" % (_name(world), HINTS[bug.name]), _broken(HINTS[bug.name], world)
    if bug.name in WORLDS:
        for seed in range(seeds):
            yield "%s %d" % (_name(WORLDS[bug.name]), seed), _broken(seed, WORLDS[bug.name])
    if bug.name in SCOPED:
        yield from _scopes()
    for seed in range(min(seeds, FIRST_SEEDS)):
        yield "seed %d" % seed, _broken(seed)
    if seeds > FIRST_SEEDS:
        yield from _scopes()
    for kind in CRASHED if seeds > FIRST_SEEDS else ():
        chosen = scenario(kind, True)
        for crossing in crossings(chosen):
            if crossing.process.startswith("writer"):
                for side in ("before", "after"):
                    broken = {what.split(":")[0] for what in crash(chosen, crossing.number, side)}
                    yield "crash: %s, %s %s" % (kind, side, crossing.call), broken
    for seed in range(FIRST_SEEDS, seeds):
        yield "seed %d" % seed, _broken(seed)


def _name(world: Callable[[int], Plan]) -> str:
    return "seed" if world is plan else world.__name__.strip("_")


def _scopes() -> Iterator[Tuple[str, Set[str]]]:
    for scope in SMALL_SCOPES:
        found = explore(scope, 2500, stop_at=1).violations
        yield "scope: " + scope.name, {what.split(": ")[1] for what in found}


def _broken(seed: int, world: Callable[[int], Plan] = plan) -> Set[str]:
    return {violation.check for violation in judge(run(world(seed)))}


def table(first: int = 0, step: int = 1) -> str:
    """All of them (or every so manieth), as the documentation has it."""
    rows = ["| bug | what is wrong | caught by | at | seconds |", "| --- | --- | --- | --- | --- |"]
    for bug in BUGS[first::step]:
        catch = hunt(bug)
        if catch is None:
            rows.append("| %s | %s | **nothing** | | |" % (bug.name, bug.says))
        else:
            caught = ", ".join(catch.checks)
            rows.append("| %s | %s | %s | %s | %.1f |" % (bug.name, bug.says, caught, catch.where, catch.seconds))
        print(rows[-1], flush=True)
    return "\n".join(rows)


if __name__ == "__main__":
    table(*map(int, sys.argv[1:]))
    print(len(BUGS), "bugs")
