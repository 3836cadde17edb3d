"""What happens to a run from outside, as data: knobs, who asks what when, and which faults. Less of it is a plan, too.

A plan is made from a seed by `workload`. Latencies are not in it: they are drawn, from the seed, as the run goes.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple


class Knobs(NamedTuple):
    """What differs between deployments, within what the ports allow. Times in seconds."""

    lag: float = 0.01
    """The usual upper bound of a message's way between a process and a port."""
    slow: float = 0.01
    """How often it takes up to fifty times as long."""
    doubles: float = 0.05
    """How often a push arrives twice."""
    batch: int = 10
    """Messages handed to the writer at once, at most."""
    visibility: float = 2.0
    """After so long without an answer a batch is handed to somebody else, whatever the first one is doing."""
    atomic_queries: bool = True
    rebatched: bool = False
    """Whether a batch that comes again may be cut differently."""
    fresh: float = 0.1
    """How often a function is run by a new instance although an old one is idle."""
    recent_bytes: int = 4096
    """What the head keeps of triggers."""
    two_steps: bool = False
    """Whether one node's data is written after the head, in a commit of its own."""
    commit_calls: int = 500
    timeouts_ms: Tuple[int, ...] = (2000,)
    """Session timeouts of the clients, in turn."""
    inline_bytes: int = 0
    """Data above this are kept as blobs; 0: there are none."""
    charges_for_beats: bool = False
    """Sessions beat only while they own something, and the heartbeat rests while none does: as on AWS."""
    direct: float = 0.0
    """How often a client's write that is alone is done in its own process: see `direct`."""
    beside: float = 0.0
    """How often a client's write that is alone is done beside a host, as the host may begin to write: see `beside`."""
    combined: bool = False
    """Whether clients are processes of one machine, each with a queue of its own: see `local.combined`."""
    queued_s: float = 0.25
    """For how long one of them leaves its writes to its queue after it was in somebody's way."""
    invoked: float = 0.0
    """How often a client's write that is alone is done by a function that it invokes: see `invoked`."""
    late_inbox_s: float = 0.0
    """A new inbox takes nothing for up to so long. Only answers wait for it."""
    poll_s: float = 0.0
    """So often sessions look for what nobody told them; 0: as often as they do."""
    poison: bool = False
    """The writer has a bug: it fails on every message with a request of POISON."""

    @property
    def taken_by_commit(self) -> bool:
        """Whether a message is taken when it is committed, and not when it is sent: there is not one queue alone."""
        return self.invoked > 0 or self.combined


class Step(NamedTuple):
    """``at`` this time (seconds) a client does something: an op of a session, or one of the moves below."""

    at: float
    op: Any


class HangUp(NamedTuple):
    """The client hangs up and connects again."""


class Steal(NamedTuple):
    """Somebody else attaches to the client's session with the right password."""


class Guess(NamedTuple):
    """Somebody else attaches to the client's session with a wrong password."""


class Lock(NamedTuple):
    """Takes the lock at ``path``, writes its fence to ``resource``, and gives it back."""

    path: str
    resource: str


POISON = "/poison"

WORLD = "world"
CRASH = "crash"
"""The process dies at its first call of a port from then on; ``detail``: "before" or "after" its effect, or..."""
INTERRUPT = "interrupt"
"""... it is only interrupted, by a signal's handler that raises: where a thread of it writes by itself."""
PAUSE = "pause"
"""The process stands still for ``span`` seconds; ``who`` WORLD: all there are, as when a machine is suspended."""
PART = "part"
"""The process does not reach the port ``detail`` (store, queue, inbox) for ``span`` seconds."""
STORM = "storm"
"""Every third call of the process fails for ``span`` seconds: ``detail`` is unavailable, lost or undone."""
JUMP = "jump"
"""The process's wall clock jumps by ``span`` seconds."""
DOUBLE_CRASH = "desertion"
"""The next function that the client invokes dies after its commit (``detail``: its "first" or "second"), and so does
the client, for good: nobody attaches, and nobody writes, so that nothing is told for it."""
LATE = "late"
"""The timer is ``span`` seconds late; ``detail``: twice, to fire twice."""


FORGOTTEN = "forgotten"
"""What the processes of a machine know together of their fan-outs is lost, or is of earlier: as after a crash of it."""
GARBAGE = "garbage"
"""A hostile client stores and sends what is none of ours: see `hostile`. ``detail``: a seed."""


class Fault(NamedTuple):
    """One fault. ``who``: "writer", "heartbeat" (whichever instance runs then) or "client-N"."""

    kind: str
    who: str
    at: float
    span: float = 0.0
    detail: str = ""


class Plan(NamedTuple):
    """One run."""

    seed: int
    knobs: Knobs
    clients: Tuple[Tuple[Step, ...], ...]
    faults: Tuple[Fault, ...]

    @property
    def size(self) -> int:
        """Ops and faults."""
        return sum(map(len, self.clients)) + len(self.faults)
