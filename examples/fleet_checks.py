"""What has to hold of a run of the fleet, judged from what its workers told.

Rule upheld here: a check looks only at what was acknowledged, seen or written down by the workers, and at the counter;
it never takes the service's word for it.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Set

Event = Dict[str, Any]


class Verdict(NamedTuple):
    """One line of the summary."""

    held: bool
    title: str
    detail: str


class Killing(NamedTuple):
    """A worker that was killed, and when it was surely gone."""

    worker: str
    at: float


class Run(NamedTuple):
    """Everything that is known of a run."""

    events: List[Event]
    """What the workers told, as it was read; ``ending`` marks what came after they were asked to stop."""
    terms: List[Event]
    """The lines of the leaders' file, in its order."""
    counter: int
    """The shared counter at the end."""
    killing: Killing
    survivors: List[str]
    exit_codes: Dict[str, int]


def judge(run: Run) -> List[Verdict]:
    """All checks."""
    return [increments(run), leadership(run), takeover(run), configuration(run), membership(run), endings(run)]


def events_of(events: List[Event], event: str, worker: Optional[str] = None) -> List[Event]:
    """The events of that kind (and worker)."""
    return [one for one in events if one["event"] == event and worker in (None, one["worker"])]


def increments(run: Run) -> Verdict:
    """Every acknowledged increment is in the counter once; more only where a worker could not know."""
    values = [one["value"] for one in events_of(run.events, "incremented")]
    unsure = len(events_of(run.events, "unsure")) + 1  # one may have been on its way when its worker was killed
    twice = len(values) - len(set(values))
    held = not twice and len(values) <= run.counter <= len(values) + unsure
    detail = f"{len(values)} acknowledged, the counter is {run.counter}"
    return Verdict(held and bool(values), "no increment lost", detail + (f", {twice} OVERWRITTEN" if twice else ""))


def leadership(run: Run) -> Verdict:
    """Terms do not overlap, and each has a higher fence than the one before."""
    wrong = []
    fences: List[int] = []
    leader: Optional[Event] = None
    for line in run.terms:
        if line["event"] == "end":
            if leader is not None and leader["fence"] == line["fence"]:
                leader = None
            else:
                wrong.append(f"{line['worker']} ended a term that was not its own")
            continue
        if leader is not None and not (leader["worker"] == run.killing.worker and line["at"] >= run.killing.at):
            wrong.append(f"{line['worker']} began while {leader['worker']} led")
        if fences and line["fence"] <= fences[-1]:
            wrong.append(f"fence {line['fence']} after {fences[-1]}")
        fences.append(line["fence"])
        leader = line
    detail = f"{len(fences)} terms, fences {' < '.join(map(str, fences))}"
    return Verdict(not wrong and len(fences) > 1, "never two leaders", "; ".join(wrong) or detail)


def takeover(run: Run) -> Verdict:
    """Somebody else led after the leader was killed."""
    later = [line for line in run.terms if line["event"] == "begin" and line["at"] >= run.killing.at]
    title = "others took over"
    if not later or later[0]["worker"] == run.killing.worker:
        return Verdict(False, title, f"nobody led after {run.killing.worker} was killed")
    after = later[0]["at"] - run.killing.at
    return Verdict(True, title, f"{later[0]['worker']} led {after:.1f} s after {run.killing.worker} was killed")


def configuration(run: Run) -> Verdict:
    """Every worker saw revisions in order, none twice; those who stayed saw the last."""
    last = max((one["revision"] for one in events_of(run.events, "configured")), default=0)
    wrong = []
    skipped = 0
    for worker in sorted(run.exit_codes):
        seen = [one["revision"] for one in events_of(run.events, "config", worker)]
        if any(later <= earlier for earlier, later in zip(seen, seen[1:])):
            wrong.append(f"{worker} saw {seen}")
        if worker in run.survivors and (not seen or seen[-1] < last):
            wrong.append(f"{worker} did not see revision {last}")
        skipped += seen[-1] - seen[0] + 1 - len(seen) if seen else 0
    detail = f"{last} revisions, seen by all" + (f"; {skipped} overtaken before they were read" if skipped else "")
    return Verdict(not wrong and last > 1, "configuration in order", "; ".join(wrong) or detail)


def membership(run: Run) -> Verdict:
    """Everybody saw the whole party, then the party without the killed one."""
    wrong = []
    everybody: Set[str] = set(run.exit_codes)
    for worker in run.survivors:
        seen = [set(one["members"]) for one in events_of(run.events, "members", worker) if not one.get("ending")]
        if everybody not in seen:
            wrong.append(f"{worker} never saw all of them")
        if not seen or seen[-1] != set(run.survivors):
            wrong.append(f"{worker} saw {sorted(seen[-1]) if seen else 'nobody'} at the end")
    return Verdict(not wrong, "membership right", "; ".join(wrong) or f"at the end: {', '.join(run.survivors)}")


def endings(run: Run) -> Verdict:
    """Those who were asked to stop stopped, without an error."""
    bad = [f"{worker}: exit code {run.exit_codes[worker]}" for worker in run.survivors if run.exit_codes[worker]]
    silent = [f"{worker} did not say good-bye" for worker in run.survivors if not events_of(run.events, "left", worker)]
    detail = f"{len(run.survivors)} workers stopped in good order"
    return Verdict(not bad and not silent, "clean end", "; ".join(bad + silent) or detail)
