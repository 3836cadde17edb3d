"""The demo's summary can fail: each check finds the fault that it is there for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Set

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "examples"))

from fleet_checks import Killing, Run, judge

Change = Callable[[Dict[str, Any]], object]


def _event(worker: str, event: str, at: float = 0.0, **details: Any) -> Dict[str, Any]:
    return {"worker": worker, "event": event, "at": at, "ending": False, **details}


def _good() -> Dict[str, Any]:
    """ada leads and is killed at 5.0; bob takes over."""
    events: List[Dict[str, Any]] = [_event("ada", "incremented", value=1), _event("bob", "incremented", value=2)]
    for worker in ("ada", "bob"):
        events += [_event(worker, "members", members=["ada", "bob"])]
        events += [_event(worker, "config", revision=revision) for revision in (1, 2)]
    events += [_event("bob", "config", revision=3), _event("bob", "members", members=["bob"])]
    events += [_event("bob", "configured", revision=3), _event("bob", "left")]
    terms = [
        _event("bob", "begin", 1.0, fence=7),
        _event("bob", "end", 2.0, fence=7),
        _event("ada", "begin", 2.1, fence=9),
        _event("bob", "begin", 9.0, fence=12),
        _event("bob", "end", 10.0, fence=12),
    ]
    return {
        "events": events,
        "terms": terms,
        "counter": 2,
        "killing": Killing("ada", 5.0),
        "survivors": ["bob"],
        "exit_codes": {"ada": -9, "bob": 0},
    }


def _failed(change: Change) -> Set[str]:
    known = _good()
    change(known)
    return {verdict.title for verdict in judge(Run(**known)) if not verdict.held}


def test_a_good_run_holds() -> None:
    assert _failed(lambda known: None) == set()


def test_the_killed_worker_may_have_had_one_increment_on_its_way() -> None:
    assert _failed(lambda known: known.update(counter=3)) == set()
    assert _failed(lambda known: known.update(counter=4)) == {"no increment lost"}
    assert _failed(lambda known: (known.update(counter=4), known["events"].append(_event("bob", "unsure")))) == set()


@pytest.mark.parametrize(
    ("title", "change"),
    [
        ("no increment lost", lambda known: known.update(counter=1)),
        ("no increment lost", lambda known: known["events"].append(_event("bob", "incremented", value=2))),
        ("never two leaders", lambda known: known["terms"].pop(1)),
        ("never two leaders", lambda known: known["terms"][3].update(at=4.9)),
        ("never two leaders", lambda known: known["terms"][3].update(fence=8)),
        ("never two leaders", lambda known: known["terms"].insert(3, _event("bob", "end", 3.0, fence=7))),
        ("others took over", lambda known: known["terms"].__delitem__(slice(3, None))),
        ("configuration in order", lambda known: known["events"].append(_event("ada", "config", revision=1))),
        ("configuration in order", lambda known: known["events"].append(_event("bob", "configured", revision=4))),
        ("membership right", lambda known: known["events"].append(_event("bob", "members", members=["ada", "bob"]))),
        ("clean end", lambda known: known["exit_codes"].update(bob=1)),
        ("clean end", lambda known: known["events"].pop()),
    ],
)
def test_a_fault_is_found(title: str, change: Change) -> None:
    assert title in _failed(change)
