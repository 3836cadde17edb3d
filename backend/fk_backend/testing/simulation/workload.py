"""Plans from seeds: few clients, few paths, all operations, so that they meet as often as possible."""

from __future__ import annotations

from random import Random
from typing import Any, Callable, Dict, List, Sequence, Tuple

from ...core.acls import OPEN_ACL, digest_id
from ...core.model import Acl, Perms
from ...core.requests import Auth, Check, Close, Create, Delete, Flags, Multi, SetAcl, SetData
from ...core.watches import PERSISTENT, RECURSIVE
from ...session.ops import AddWatch, Exists, GetAcl, GetChildren, GetData, RemoveWatches, Sync
from .plan import (
    CRASH,
    DOUBLE_CRASH,
    FORGOTTEN,
    GARBAGE,
    INTERRUPT,
    JUMP,
    LATE,
    PART,
    PAUSE,
    POISON,
    STORM,
    WORLD,
    Fault,
    Guess,
    HangUp,
    Knobs,
    Lock,
    Plan,
    Steal,
    Step,
)

PATHS = ("/a", "/b", "/a/c", "/a/d", "/q", "/q/n-0000000000", "/q/n-0000000001", "/e")
PARENTS = ("/", "/a", "/b", "/q")
SECRET = "user:secret"
CLOSED_ACL = (Acl(Perms.ALL, "auth", ""),)
READ_ONLY_ACL = (Acl(Perms.READ | Perms.ADMIN, "world", "anyone"),)
HIDDEN_ACL = (Acl(Perms.ALL & ~Perms.READ, "world", "anyone"), Acl(Perms.READ, *digest_id(SECRET)))
"""Anybody may change it, and who knows the secret may read it."""
ADDRESS = "10.0.0.1"
"""Of every client."""
ALL = 1 << 20
"""A head that keeps so many bytes of triggers never forgets one in a run."""
LOCKS = "/locks"
RESOURCE = "/resource"
SETUP: Tuple[Any, ...] = (
    Create("/a", b"", OPEN_ACL, 0, 0, False),
    Create("/q", b"", OPEN_ACL, 0, 0, False),
    Create(LOCKS, b"", OPEN_ACL, 0, 0, False),
    Create(RESOURCE, b"", OPEN_ACL, 0, 0, False),
)


def _create(r: Random) -> Any:
    flags = r.choice((0, 0, 0, 1, 1, 2, 3, Flags.CONTAINER, Flags.TTL))
    path = r.choice(("/q/n-", "/a/s-", "/q/n-")) if flags in (2, 3) else r.choice(PATHS)
    data = r.choice((b"", b"x", b"yy", None))
    acl = r.choice((OPEN_ACL,) * 8 + (CLOSED_ACL, READ_ONLY_ACL))
    return Create(path, data, acl, flags, 300 if flags == Flags.TTL else 0, r.random() < 0.3)


def _delete(r: Random) -> Any:
    return Delete(r.choice(PATHS), r.choice((-1, -1, -1, 0, 1)))


def _set(r: Random) -> Any:
    return SetData(r.choice(PATHS), b"%d" % r.randrange(1000), r.choice((-1, -1, -1, 0, 1, 2)))


def _set_acl(r: Random) -> Any:
    return SetAcl(r.choice(PATHS), r.choice((OPEN_ACL, OPEN_ACL, READ_ONLY_ACL, CLOSED_ACL)), r.choice((-1, -1, 0)))


def _multi(r: Random) -> Any:
    makers: Sequence[Callable[[Random], Any]] = (_create, _delete, _set, _set)
    ops = [r.choice(makers)(r) for _ in range(r.randint(1, 3))]
    if r.random() < 0.4:
        ops.insert(r.randrange(len(ops) + 1), Check(r.choice(PATHS), r.choice((-1, -1, 0))))
    return Multi(tuple(ops))


def _both(r: Random) -> Any:
    """A multi that usually succeeds, on two nodes that are read together."""
    data = b"both %d" % r.randrange(1000)
    return Multi((SetData("/a", data, -1), r.choice((SetData("/q", data, -1), _create(r), _delete(r)))))


def _look(r: Random) -> Any:
    watch = r.random() < 0.65
    return r.choice(
        (
            Exists(r.choice(PATHS), watch),
            GetData(r.choice(PATHS), watch),
            GetChildren(r.choice(PARENTS), watch),
            GetChildren(r.choice(PARENTS), watch),
        )
    )


def _rare(r: Random) -> Any:
    return r.choice(
        (
            GetAcl(r.choice(PATHS)),
            Sync(r.choice(PATHS)),
            AddWatch(r.choice(PARENTS + PATHS), r.choice((PERSISTENT, RECURSIVE))),
            AddWatch(r.choice(PARENTS), RECURSIVE),
            RemoveWatches(r.choice(PATHS)),
            Auth("digest", SECRET),
            HangUp(),
            HangUp(),
            Steal(),
            Guess(),
            Lock(LOCKS, RESOURCE),
            Lock(LOCKS, RESOURCE),
            Close(),
        )
    )


MAKERS: Tuple[Tuple[Callable[[Random], Any], int], ...] = (
    (_create, 6), (_delete, 4), (_set, 5), (_set_acl, 1), (_multi, 2), (_both, 2), (_look, 14), (_rare, 6),
)  # fmt: skip


def knobs(r: Random) -> Knobs:
    """Of one run."""
    return Knobs(
        lag=r.choice((0.002, 0.01, 0.03)),
        slow=r.choice((0.0, 0.01, 0.05)),
        doubles=r.choice((0.0, 0.1, 0.3)),
        batch=r.choice((1, 3, 10)),
        visibility=r.choice((0.3, 1.0, 3.0)),
        atomic_queries=r.random() < 0.6,
        rebatched=r.random() < 0.3,
        fresh=r.choice((0.0, 0.1, 0.5)),
        recent_bytes=r.choice((0, 30, 100, ALL, ALL, ALL)),
        two_steps=r.random() < 0.4,
        commit_calls=r.choice((1, 3, 500, 500)),
        timeouts_ms=tuple(r.choice(((1000,), (2000,), (3000, 1000)))),
    )


def steps(r: Random, count: int, span: float, first: bool) -> Tuple[Step, ...]:
    """Of one client: in bursts, so that they are pipelined."""
    found: List[Step] = [Step(0.0, op) for op in SETUP] if first else []
    at = 0.0 if first else r.random() * 0.3
    makers, weights = zip(*MAKERS)
    for _ in range(count):
        if r.random() < 0.5:
            at += r.random() * span * 2 / count
        found.append(Step(round(at, 4), r.choices(makers, weights)[0](r)))
    return tuple(found)


def faults(r: Random, count: int, clients: int, span: float) -> Tuple[Fault, ...]:
    """Some, while the clients are at it."""
    names = ["client-%d" % number for number in range(clients)]
    found: List[Fault] = []
    for _ in range(count):
        at = round(r.random() * span, 4)
        kind = r.choice((CRASH, CRASH, CRASH, PAUSE, PAUSE, PART, STORM, STORM, JUMP, LATE))
        who = r.choice(("writer", "writer", "heartbeat", *names))
        if kind == CRASH:
            found.append(Fault(kind, who, at, 0.0, r.choice(("before", "after"))))
        elif kind == PAUSE:
            found.append(Fault(kind, who, at, r.choice((0.1, 0.5, 1.5, 4.0))))
        elif kind == PART:
            found.append(Fault(kind, who, at, r.choice((0.2, 1.0, 3.0)), r.choice(("store", "queue", "inbox"))))
        elif kind == STORM:
            found.append(Fault(kind, who, at, r.choice((0.2, 1.0)), r.choice(("unavailable", "lost", "undone"))))
        elif kind == JUMP:
            found.append(Fault(kind, who, at, r.choice((-3600.0, -1.0, 1.0, 3600.0))))
        else:
            found.append(Fault(kind, "timer", at, r.choice((0.3, 1.0, 3.0)), r.choice(("", "twice"))))
    return tuple(sorted(found, key=lambda fault: fault.at))


SECRETS = 1_000_000_000
"""Seeds from here on are those of before, with ACLs and identities that change beside watches."""


def plan(seed: int) -> Plan:
    """The plan of a seed."""
    return _plan(seed) if seed < SECRETS else _with_secrets(seed)


def _plan(seed: int) -> Plan:
    r = Random("%d plan" % seed)
    clients = r.randint(2, 4)
    span = r.choice((0.5, 1.5, 3.0))
    each = r.randint(3, 30 // clients)
    programs = tuple(steps(r, each, span, first=number == 0) for number in range(clients))
    made = Plan(seed, knobs(r), programs, faults(r, r.choice((0, 1, 2, 3, 5)), clients, span))
    return _deployment_variant(made, Random("%d peculiar" % seed), span)


def _deployment_variant(made: Plan, r: Random, span: float) -> Plan:
    """What only some deployments have. Drawn apart from the rest, which is the same with and without it."""
    chosen = made.knobs._replace(
        inline_bytes=r.choice((0, 0, 0, 1, 2)), charges_for_beats=r.random() < 0.25, poison=r.random() < 0.2
    )
    programs = made.clients
    if chosen.poison:  # who looks for poison waits for the writer, however long that takes
        chosen = chosen._replace(visibility=3.0)
        programs = tuple(_poisoned(r, program, span) for program in programs)
    troubles = made.faults
    if r.random() < 0.15:
        still = Fault(PAUSE, WORLD, round(r.random() * (span + 1.0), 4), r.choice((0.5, 1.5, 4.0)))
        troubles = tuple(sorted((*troubles, still), key=lambda fault: fault.at))
    return made._replace(knobs=chosen, clients=programs, faults=troubles)


def with_hostile(made: Plan) -> Plan:
    """The same with a hostile client in it, which stores and sends garbage. A run of its own."""
    r = Random("%d beset" % made.seed)
    span = max((step.at for program in made.clients for step in program), default=0.0)
    attacks = [
        Fault(GARBAGE, "hostile", round(r.random() * span, 4), 0.0, str(r.getrandbits(32)))
        for _ in range(r.randint(1, 4))
    ]
    return made._replace(faults=tuple(sorted((*made.faults, *attacks), key=lambda fault: fault.at)))


def _poisoned(r: Random, program: Tuple[Step, ...], span: float) -> Tuple[Step, ...]:
    found = list(program)
    for _ in range(r.choice((0, 1, 1, 2))):
        position = r.randint(len(SETUP), max(len(SETUP), len(found)))
        at = found[position - 1].at if 0 < position <= len(found) else round(r.random() * span, 4)
        found.insert(position, Step(at, r.choice((Delete(POISON, -1), SetData(POISON, b"x", -1)))))
    return tuple(found)


def _with_secrets(seed: int) -> Plan:
    """Much may not be read by everybody, and that changes, and so does who asks."""
    r = Random("%d secrets" % seed)
    made = _plan(seed - SECRETS)
    return made._replace(seed=seed, clients=tuple(_with_acls(r, program) for program in made.clients))


def _with_acls(r: Random, program: Tuple[Step, ...]) -> Tuple[Step, ...]:
    found: List[Step] = []
    for step in program:
        op = step.op
        if isinstance(op, Create) and op.path in PATHS and op.acl == OPEN_ACL and r.random() < 0.4:
            op = op._replace(acl=HIDDEN_ACL)
        found.append(step._replace(op=op))
        if r.random() < 0.2:
            other = SetAcl(r.choice(PATHS), r.choice((OPEN_ACL, HIDDEN_ACL, HIDDEN_ACL)), -1)
            found.append(Step(step.at, Auth("digest", SECRET) if r.random() < 0.15 else other))
    return tuple(found)


def _made(path: str) -> Create:
    return Create(path, b"x", OPEN_ACL, 0, 0, False)


_GONE, _AGAIN = Delete("/b/c", -1), (Delete("/b", -1), _made("/b"))
ROUNDS: Tuple[Tuple[Any, ...], ...] = (
    (_made("/b/c"), _GONE, *_AGAIN),
    (_made("/b/c"), _GONE, Multi(_AGAIN)),
    (_made("/b/c"), SetData("/b", b"y", -1), _GONE, Multi(_AGAIN)),
    (_made("/b/c"), Multi((_GONE, *_AGAIN))),
    (_made("/b/c"), Multi((_GONE, *_AGAIN, _made("/b/c"))), _GONE),
    (Multi((*_AGAIN, _made("/b/c"))), _GONE, SetData("/b", b"y", -1)),
)
"""Ways in which a node, and what its children change, come, go and come again; each leaves a node without children."""


def flickering(seed: int) -> Plan:
    """The plan of a seed in which a node comes and goes, commit by commit, while it is read row by row."""
    r = Random("%d flickering" % seed)
    rounds, looks = r.sample(ROUNDS, r.choice((1, 2))), r.sample((Exists, GetData, GetChildren), r.choice((1, 2)))
    program = (*SETUP, _made("/b"), *(op for _ in range(10) for op in r.choice(rounds)))
    apart = r.choice((0.002, 0.02))
    writes = tuple(Step(round(number * apart, 4), op) for number, op in enumerate(program))
    reads = [
        tuple(Step(round(0.1 + number * 0.03, 4), r.choice(looks)("/b", r.random() < 0.1)) for number in range(30))
        for _ in range(2)
    ]
    chosen = knobs(r)._replace(atomic_queries=False, lag=0.01, slow=r.choice((0.02, 0.1)), commit_calls=1, batch=10)
    return Plan(seed, chosen, (writes, *reads), ())


def hostile(seed: int) -> Plan:
    """The plan of a seed with a hostile client in it."""
    return with_hostile(plan(seed))


def direct(seed: int) -> Plan:
    """The plan of a seed in which clients write in their own processes, and have little in flight."""
    made, r = _plan(seed), Random("%d direct" % seed)
    programs = tuple(_apart(r, program) for program in made.clients)
    # Where the functions are at hand, everybody beats, and every item takes everything.
    knobs = made.knobs._replace(direct=r.choice((0.5, 0.9, 1.0)), charges_for_beats=False, inline_bytes=0)
    return made._replace(knobs=knobs, clients=programs)


def beside(seed: int) -> Plan:
    """The plan of a seed in which clients write beside a host, on its machine."""
    made, r = direct(seed), Random("%d beside" % seed)
    knobs = made.knobs._replace(direct=0.0, beside=made.knobs.direct, atomic_queries=True, two_steps=False)
    return made._replace(knobs=knobs._replace(fresh=r.choice((0.0, 0.1, 0.5))))


def combined(seed: int) -> Plan:
    """The plan of a seed in which clients are processes of one machine, which commit for each other."""
    made, r = beside(seed), Random("%d combined" % seed)
    if r.random() < 0.8:  # they meet all the time
        apart, watch = r.choice((0.02, 0.05, 0.1)), r.random() < 0.3
        made = made._replace(clients=tuple(_meeting(r, number, apart, watch) for number in range(r.randint(2, 4))))
    knobs = made.knobs._replace(
        combined=True,
        beside=1.0,
        lag=r.choice((0.0005, 0.002, 0.01)),
        commit_calls=500,
        visibility=3.0,
        queued_s=r.choice((0.25, 0.01)),
        poison=False,
    )
    span = max(step.at for program in made.clients for step in program)
    troubles = list(made.faults[: r.choice((0, 1, 3))])
    for _ in range(r.choice((0, 1, 2, 4, 8))):
        who, at = "client-%d" % r.randrange(len(made.clients)), round(r.random() * span, 4)
        if r.random() < 0.6:
            troubles.append(Fault(CRASH, who, at, 0.0, r.choice(("before", "after", INTERRUPT))))
        elif r.random() < 0.2:
            troubles.append(Fault(FORGOTTEN, WORLD, at, 0.0, r.choice(("0", "1", "2"))))
        elif r.random() < 0.6:
            troubles.append(Fault(PAUSE, who, at, r.choice((0.02, 0.1, 0.3, 0.6, 1.5))))
        else:
            troubles.append(Fault(STORM, who, at, r.choice((0.1, 0.3)), r.choice(("unavailable", "lost", "undone"))))
    return made._replace(knobs=knobs, faults=tuple(sorted(troubles, key=lambda fault: fault.at)))


def _meeting(r: Random, number: int, apart: float, watch: bool) -> Tuple[Step, ...]:
    """One client of several who write the same few nodes at nearly the same times, mostly one write at a time."""
    makers, weights = (_create, _delete, _set, _multi, _look, _rare), (6, 3, 8, 1, 2 * watch, watch)
    found: List[Step] = [Step(0.0, op) for op in SETUP] if number == 0 else []
    for meeting in range(r.randint(6, 20)):
        at = 0.5 + meeting * apart + r.choice((0.0, 0.002, 0.01)) * r.random()
        found.append(Step(round(at, 4), r.choices(makers, weights)[0](r)))
    return tuple(found)


def _apart(r: Random, program: Tuple[Step, ...]) -> Tuple[Step, ...]:
    """With pauses, in most of which what was asked before is answered."""
    late, found = 0.0, []
    for step in program:
        late += r.choice((0.0, 0.02, 0.1))
        found.append(step._replace(at=round(step.at + late, 4)))
    return tuple(found)


def invoked(seed: int) -> Plan:
    """The plan of a seed in which clients invoke the writer while the queue's is at work, too: as on AWS."""
    made, r = direct(seed), Random("%d invoked" % seed)
    # A writer that fails on a message is the queue's matter.
    knobs = made.knobs._replace(direct=0.0, invoked=made.knobs.direct, charges_for_beats=r.random() < 0.5, poison=False)
    knobs = knobs._replace(inline_bytes=r.choice((0, 0, 200)), fresh=r.choice((0.0, 0.3, 0.7)))
    if knobs.charges_for_beats:  # inboxes are made when they are needed, and who watches looks now and then
        knobs = knobs._replace(late_inbox_s=r.choice((0.0, 1.0)), poll_s=r.choice((0.5, 3.0)))
        number = r.randrange(len(made.clients))
        last_s = max((step.at for step in made.clients[number]), default=0.0)
        fault = Fault(
            DOUBLE_CRASH, "client-%d" % number, round(last_s * r.random(), 4), 0.0, r.choice(("first", "second"))
        )
        if r.random() < 0.4:
            made = made._replace(faults=tuple(sorted((*made.faults, fault), key=lambda each: each.at)))
    return made._replace(knobs=knobs)


WORLDS: Dict[str, Callable[[int], Plan]] = {
    "all": plan,
    "flickering": flickering,
    "hostile": hostile,
    "direct": direct,
    "beside": beside,
    "combined": combined,
    "invoked": invoked,
}
"""By name: what makes plans from seeds."""
