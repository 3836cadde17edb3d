"""First writes at once do not wait for the inbox that is made for their answers."""

from __future__ import annotations

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.requests import Create, SetData
from fk_backend.providers import contention
from fk_backend.testing.simulation import invoked
from fk_backend.testing.simulation.checks import judge
from fk_backend.testing.simulation.plan import Knobs, Plan, Step
from fk_backend.testing.simulation.run import run

LATE_S = 30.0
"""So late an inbox may be there that who waits for it is seen to."""
AT_ONCE = 5


@pytest.mark.parametrize("seed", range(4))
def test_first_writes_at_once_are_answered_before_there_is_an_inbox(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoked, "THROTTLED", 0.0)
    monkeypatch.setattr(contention, "PAUSE_S", 0.0)  # nobody leaves writes to the queue for having met the heartbeat
    made = Step(0.0, Create("/a", b"", OPEN_ACL, 0, 0, False))
    writes = tuple(Step(0.5, SetData("/a", b"%d" % number, -1)) for number in range(AT_ONCE))
    knobs = Knobs(invoked=1.0, charges_for_beats=True, late_inbox_s=LATE_S, slow=0.0, timeouts_ms=(60_000,))
    last = Step(40.0, SetData("/a", b"last", -1))  # until then nothing is made easy
    history = run(Plan(seed, knobs, ((made, *writes, last),), ()))
    assert not judge(history)
    asked = {entry.value.tag: entry.at for entry in history.log if entry.what == "asked"}
    said = [entry for entry in history.log if entry.what == "said" and entry.value.tag > 0]
    answers = [entry for entry in said if asked.get(entry.value.tag, 0.0) >= 0.5][:AT_ONCE]
    assert [entry.value.tag for entry in answers] == sorted(entry.value.tag for entry in answers)
    assert len(answers) == AT_ONCE and answers[-1].at < 0.5 + 1.0
    assert [entry.value.value.value[4] for entry in answers] == [1, 2, 3, 4, 5], "one after the other"
