"""A run, however it ends: everything is destroyed, every check has a result, and only what was seen has passed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, Dict

from fk_kazoo.verify.outcome import NotRun, NotShown
from fk_kazoo.verify.report import as_json, as_markdown, write
from fk_kazoo.verify.run import Wanted

from .conftest import Nowhere, Play, fine, until_it_ends


def _refuse(error: BaseException) -> Any:
    def call(context: Any) -> Dict[str, Any]:
        raise error

    return call


def test_everything_holds(play: Play) -> None:
    played = play()
    assert played.report.exit_code == 0
    assert {one.status for one in played.report.results} == {"held"}
    assert sorted(played.account.destroyed) == ["idle", "main"]
    assert played.account.done[-1] == "forget"
    assert "everything held" in as_markdown(played.report)


def test_what_does_not_hold_is_told_and_the_rest_goes_on(play: Play) -> None:
    played = play(measured=_refuse(AssertionError("the sky fell")), lanes=[_refuse(ValueError("odd")), fine])
    assert played.report.exit_code == 1
    assert played.status("measured") == played.status("lane 0") == "failed"
    assert played.status("lane 1") == played.status("used") == "held"
    text = as_markdown(played.report)
    assert "something did not hold" in text and "the sky fell" in text and "ValueError: odd" in text
    assert sorted(played.account.destroyed) == ["idle", "main"]


def test_what_can_not_be_done_has_not_passed(play: Play) -> None:
    played = play(lanes=[_refuse(NotRun("pytest missing: pip install it"))])
    assert played.report.exit_code == 3
    assert played.status("lane 0") == "not run"
    assert "not everything was run" in as_markdown(played.report)
    assert "pytest missing: pip install it" in as_markdown(played.report)


def test_what_was_not_asked_for_has_not_passed(play: Play) -> None:
    played = play(wanted=Wanted(2.0, only=["used"]))
    assert played.report.exit_code == 3
    assert (played.status("used"), played.status("idle")) == ("held", "not run")


def test_an_emulator_proves_nothing(play: Play) -> None:
    played = play(Nowhere("ministack"), used=_refuse(NotShown("nothing is billed")))
    assert played.report.exit_code == 0
    text = as_markdown(played.report)
    assert "**This was ministack. It is no proof of anything on AWS;**" in text
    assert "| used | not shown | 0 | it is used | the moon |" in text
    assert all(one.proves_nothing_of == "the moon" for one in played.report.results if one.name != "deployed")
    assert not any(one.proves_nothing_of for one in play().report.results)


def test_shortened_waits_are_told(play: Play) -> None:
    assert "The waits were shortened" in as_markdown(play(wanted=Wanted(2.0, quick=True)).report)
    assert "shortened" not in as_markdown(play().report)


def test_a_budget_that_is_too_small_deploys_nothing(play: Play) -> None:
    played = play(wanted=Wanted(0.01))
    assert not any(one.startswith(("deploy", "prepare")) for one in played.account.done)
    assert played.report.exit_code == 3
    assert "too small" in as_markdown(played.report)


def test_it_ends_before_the_budget_is_spent(play: Play) -> None:
    def spend(context: Any) -> Dict[str, Any]:
        context.ledger.add(writes=100_000)
        return until_it_ends(context)

    played = play(lanes=[spend, until_it_ends], wanted=Wanted(0.5))
    assert played.report.ended_early == "the budget of 0.50 USD is all but spent"
    assert played.status("lane 0") == played.status("lane 1") == "not run"
    assert sorted(played.account.destroyed) == ["idle", "main"]
    assert played.report.exit_code == 3
    assert "all but spent" in as_markdown(played.report)


def test_it_ends_in_time(play: Play) -> None:
    played = play(lanes=[until_it_ends], wanted=Wanted(2.0, minutes=2.01))
    assert played.report.ended_early == "the time was over"
    assert sorted(played.account.destroyed) == ["idle", "main"]


def test_interrupted_it_destroys_and_reports(play: Play) -> None:
    def interrupt(context: Any) -> Dict[str, Any]:
        os.kill(os.getpid(), signal.SIGINT)
        return until_it_ends(context)

    before = signal.getsignal(signal.SIGINT)
    played = play(lanes=[interrupt, until_it_ends], idle=until_it_ends)
    assert played.report.ended_early == "it was interrupted by SIGINT"
    assert {played.status(name) for name in ("idle", "lane 0", "lane 1")} == {"not run"}
    assert sorted(played.account.destroyed) == ["idle", "main"]
    assert played.report.exit_code == 3
    assert signal.getsignal(signal.SIGINT) == before


def test_a_deployment_that_fails_is_destroyed_with_the_other_one(play: Play) -> None:
    played = play(Nowhere(deploy=[RuntimeError("no quota")]))
    assert played.status("deployed") == "failed"
    assert played.status("measured") == "not run"
    assert sorted(played.account.destroyed) == ["idle", "main"]
    assert played.report.exit_code == 1


def test_who_does_not_end_is_not_waited_for(play: Play) -> None:
    import threading

    over = threading.Event()

    def deaf(context: Any) -> Dict[str, Any]:
        context.ending.now("a test")
        over.wait(60.0)
        return {}

    played = play(lanes=[deaf])
    over.set()
    assert played.status("lane 0") == "not run"
    assert sorted(played.account.destroyed) == ["idle", "main"]


def test_the_main_deployment_goes_while_the_other_one_is_idle(play: Play) -> None:
    account = Nowhere()

    def idle(context: Any) -> Dict[str, Any]:
        context.eventually(lambda: account.destroyed == ["main"], "it is gone", 10.0)
        return {}

    played = play(account, idle=idle)
    assert played.report.exit_code == 0, played.report


def test_what_cannot_be_destroyed_at_first_is_tried_again(play: Play) -> None:
    played = play(Nowhere(destroy=[RuntimeError("busy")]))
    assert played.report.exit_code == 0
    played = play(Nowhere(destroy=[RuntimeError("busy"), RuntimeError("still busy")]))
    assert played.report.exit_code == 1
    assert "still busy" in as_markdown(played.report)
    assert set(played.account.destroyed) == {"idle", "main"}


def test_what_is_left_is_no_success(play: Play) -> None:
    played = play(left=["queue fk-verify-1-inbox-2"])
    assert played.report.exit_code == 1
    assert "**Left:** queue fk-verify-1-inbox-2" in as_markdown(played.report)
    played = play(unknown={"alarm": "not allowed"})
    assert played.report.exit_code == 1
    text = as_markdown(played.report)
    assert "it is not known what is left" in text and "**Not looked at:** alarm: not allowed" in text


def test_the_report_has_everything(play: Play, tmp_path: Path) -> None:
    def measure(context: Any) -> Dict[str, Any]:
        context.samples.add("fk_kazoo_set", 1024, 50.0)
        return {"sets": 1}

    played = play(measured=measure)
    written = json.loads(as_json(played.report))
    assert {"format", "fk_kazoo", "began", "region", "budget_usd", "spent_usd", "results", "left", "latencies"} <= set(
        written
    )
    assert {"name", "claim", "status", "detail", "seconds", "figures", "proves_nothing_of"} == set(
        written["results"][0]
    )
    assert written["latencies"]["ops"]["fk_kazoo_set"]["by_size"]["1024"]["p50"] == 50.0
    assert next(one["figures"] for one in written["results"] if one["name"] == "measured") == {"sets": 1}
    assert 0 <= written["spent_usd"] < 2.0
    assert "| fk_kazoo_set | 1024 | 1 | 50.0 | 50.0 | 50.0 |" in as_markdown(played.report)
    files = write(played.report, tmp_path / "proof")
    assert [one.name for one in files] == ["proof.json", "proof.md"] and all(one.exists() for one in files)
