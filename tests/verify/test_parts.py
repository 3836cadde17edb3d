"""The parts of a run: what it spends, what it measures, what CloudWatch says, what is left, what is torn."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Optional

import pytest

from fk_backend.errors import DeploymentError
from fk_kazoo.__main__ import main
from fk_kazoo.commands.cost import Load, daily
from fk_kazoo.commands.cost_figures import FIGURES, PRICES
from fk_kazoo.verify import compatibility, leftovers, plan, usage
from fk_kazoo.verify.budget import RESERVE_USD, Ledger
from fk_kazoo.verify.compatibility import Ended
from fk_kazoo.verify.context import Window
from fk_kazoo.verify.latency import Samples, document, summary
from fk_kazoo.verify.load import is_torn
from fk_kazoo.verify.outcome import NotRun, NotShown

ROOT = Path(__file__).resolve().parents[2]
HOUR_S = 3600.0

# --- the budget -----------------------------------------------------------------------------------


def _ledger(budget_usd: float = 2.0) -> "tuple[Ledger, List[float]]":
    now = [0.0]
    return Ledger(budget_usd, lambda: now[0]), now


def test_what_is_asked_costs_at_least_what_the_model_says() -> None:
    ledger, _ = _ledger()
    assert ledger.spent_usd() == 0.0
    ledger.add(reads=20_000, writes=10_000)
    price = PRICES["current"]
    model = sum(daily(Load(20_000, 10_000, 0, 0), FIGURES, price).values()) - sum(
        daily(Load(0, 0, 0, 0), FIGURES, price).values()
    )
    assert ledger.spent_usd() >= model > 0.02


def test_a_deployment_costs_as_long_as_it_lives() -> None:
    ledger, now = _ledger()
    ledger.lives("a")
    now[0] = HOUR_S
    one = ledger.spent_usd()
    ledger.lives("b")
    ledger.ended("a")
    now[0] = 2 * HOUR_S
    assert ledger.spent_usd() == pytest.approx(2 * one)
    ledger.ended("b")
    now[0] = 3 * HOUR_S
    assert ledger.spent_usd() == pytest.approx(2 * one)
    assert one > sum(daily(Load(0, 0, 1, 0), FIGURES, PRICES["current"]).values()) / 24


def test_the_end_is_paid_for() -> None:
    ledger, _ = _ledger(0.5)
    assert not ledger.is_spent
    while not ledger.is_spent:
        ledger.add(writes=1000)
    assert 0.5 - RESERVE_USD <= ledger.spent_usd() < 0.5
    assert _ledger(RESERVE_USD)[0].is_spent


# --- latencies ------------------------------------------------------------------------------------


def test_latencies_have_the_form_of_those_that_the_simulations_take() -> None:
    known = json.loads((ROOT / "benchmarks" / "data" / "aws_latency_ms.json").read_text("utf-8"))
    samples = Samples()
    for ms in range(100, 0, -1):
        samples.add("dynamodb_put_item", 1024, float(ms))
    made = document(samples, "a test")
    assert set(made) == set(known)
    ours, theirs = (one["ops"]["dynamodb_put_item"] for one in (made, known))
    assert set(theirs) <= set(ours)
    assert set(ours["by_size"]["1024"]) == set(theirs["by_size"]["1024"])
    assert [ours["by_size"]["1024"][p] for p in ("n", "p1", "p50", "p99")] == [100, 1.0, 50.0, 99.0]


def test_one_sample_is_every_percentile() -> None:
    assert {value for key, value in summary([7.0]).items() if key != "n"} == {7.0}


# --- what was used --------------------------------------------------------------------------------


def _context(values: Dict[str, float], emulator: str = "") -> Any:
    """``values``: by metric, in each of its dimensions."""

    def get_metric_data(MetricDataQueries: List[Any], **_: Any) -> Any:  # noqa: N803 (boto3's)
        found = []
        for one in MetricDataQueries:
            metric = one["MetricStat"]["Metric"]["MetricName"]
            found.append({"Id": one["Id"], "Values": [values[metric]] if metric in values else []})
        return {"MetricDataResults": found}

    cloud = SimpleNamespace(client=lambda service: SimpleNamespace(get_metric_data=get_metric_data))
    account = SimpleNamespace(cloud=cloud, emulator=emulator)
    return SimpleNamespace(account=account, name="x", ledger=Ledger(1.0), window=Window(0.0, 60.0, 300, 300), wait=None)


COUNTED = {  # of 300 sets and 300 gets, over three tables and three functions, as the model has it
    "ConsumedWriteCapacityUnits": 300.0,
    "ConsumedReadCapacityUnits": 200.0,
    "Invocations": 100.0,
    "Duration": 300 * 27.2 / 3,
    "NumberOfMessagesSent": 300.0,
}


def test_what_was_counted_is_compared_with_the_model() -> None:
    figures = usage.used(_context(COUNTED))
    assert figures["counted"]["wru"] == 900 and figures["counted"]["invocations"] == 300
    assert 0.9 < figures["ratio"] < 1.1, figures
    with pytest.raises(AssertionError, match="where the model says"):
        usage.used(_context({**COUNTED, "ConsumedWriteCapacityUnits": 3000.0}))


def test_what_was_not_counted_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotShown, match="no figures of"):
        usage.used(_context({}, emulator="ministack"))
    monkeypatch.setattr(usage, "LATE_S", 0.0)
    with pytest.raises(NotRun, match="no figures of duration_ms"):
        usage.used(_context({**{key: value for key, value in COUNTED.items() if key != "Duration"}}))
    context = _context(COUNTED)
    context.window = None
    with pytest.raises(NotRun):
        usage.used(context)


# --- what is left ---------------------------------------------------------------------------------


def _refuse(cloud: Any, prefix: str) -> Any:
    raise DeploymentError("not allowed")


def test_what_is_left_is_found_and_what_cannot_be_seen_is_not_taken_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"table": lambda cloud, prefix: ["fk-v-state", "fk-other-state"], "alarm": _refuse, "role": lambda *_: []}
    monkeypatch.setattr(leftovers, "KINDS", kinds)
    cloud: Any = None
    assert leftovers.find(cloud, ["fk-v"]) == leftovers.Leftovers(["table fk-v-state"], {"alarm": "not allowed"})


def test_what_goes_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [["fk-v-inbox-1"], ["fk-v-inbox-1"], []]
    monkeypatch.setattr(leftovers, "KINDS", {"queue": lambda cloud, prefix: left.pop(0)})
    monkeypatch.setattr(leftovers, "PAUSE_S", 0.0)
    cloud: Any = None
    assert leftovers.wait_until_gone(cloud, ["fk-v"]) == leftovers.Leftovers([], {}) and not left


def test_all_kinds_of_a_deployment_are_looked_for() -> None:
    """Whatever a template makes has a kind here."""
    from fk_backend.providers.aws.template import template

    known = {
        "AWS::DynamoDB::Table": "table",
        "AWS::SQS::Queue": "queue",
        "AWS::S3::Bucket": "bucket",
        "AWS::Lambda::Function": "function",
        "AWS::Lambda::EventSourceMapping": "event source mapping of",
        "AWS::Logs::LogGroup": "log group of",
        "AWS::IAM::Role": "role",
        "AWS::IAM::ManagedPolicy": "policy",
        "AWS::CloudWatch::Alarm": "alarm",
        "AWS::CloudWatch::Dashboard": "dashboard",
        "AWS::Events::Rule": "rule",
    }
    parts = {"AWS::S3::BucketPolicy", "AWS::Lambda::Permission", "AWS::Lambda::Version", "AWS::Lambda::Alias"}
    used = {one["Type"] for one in template("x", ["a"])["Resources"].values()} - parts
    assert used <= set(known), "what `leftovers` does not look for: %s" % (used - set(known))
    assert {known[one] for one in used} | {"stack"} <= set(leftovers.KINDS)


# --- torn reads -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cversion", "pzxid", "count", "children", "torn"),
    [
        (0, 5, 0, [], False),
        (1, 6, 1, ["c"], False),
        (2, 7, 0, [], False),
        (0, 7, 0, [], True),  # the node before without its family
        (2, 5, 0, [], True),  # the node after with the family before
        (1, 6, 1, [], True),
        (2, 7, 0, ["c"], True),
        (1, 6, 0, ["c"], True),
        (3, 8, 1, ["c"], True),
    ],
)
def test_torn(cversion: int, pzxid: int, count: int, children: List[str], torn: bool) -> None:
    stat = SimpleNamespace(czxid=5, cversion=cversion, pzxid=pzxid, numChildren=count)
    assert is_torn(stat, children) is torn


# --- the command ----------------------------------------------------------------------------------


def test_it_asks_how_much_it_may_spend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--region", "eu-central-1"]) == 2
    assert "--budget 2" in capsys.readouterr().err


def test_a_check_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--emulator", "--only", "nothing"]) == 2
    assert "dead holder" in capsys.readouterr().err


def test_what_kazoos_tests_need_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatibility, "_found", lambda module: module not in ("pytest", "jks"))
    assert compatibility.suite_missing() == "pytest, pyjks missing: pip install 'fk_kazoo[aws,test]'"
    context: Any = None
    with pytest.raises(NotRun, match="pyjks missing"):
        compatibility.suite(context)


@pytest.mark.parametrize(
    "runs, found",
    [
        (["5 passed, 2 deselected in 3s"], {"passed": 5, "deselected": 2}),
        (["1 failed, 4 passed in 3s", "1 passed, 4 deselected in 1s"], {"passed": 4, "passed once more": 1}),
        (["1 failed, 4 passed in 3s", "1 failed, 4 deselected in 1s"], None),
        (["1 error in 1s"], None),
        (["5 deselected in 1s"], None),
    ],
    ids=["all pass", "one passes when it runs alone", "one fails twice", "an error", "none ran"],
)
def test_what_fails_of_kazoos_tests_runs_once_more(
    monkeypatch: pytest.MonkeyPatch, runs: List[str], found: Optional[Dict[str, int]]
) -> None:
    asked: List[List[str]] = []

    def ran(context: Any, command: List[str], within_s: float) -> Ended:
        asked.append(command)
        printed = runs[len(asked) - 1]
        return Ended(int("failed" in printed or "error" in printed), "...\n" + printed + "\n")

    monkeypatch.setattr(compatibility, "_run", ran)
    monkeypatch.setattr(compatibility, "suite_missing", lambda: "")
    context: Any = SimpleNamespace(scale=SimpleNamespace(quick=False), at=str)
    if found is None:
        with pytest.raises(AssertionError):
            compatibility.suite(context)
    else:
        assert compatibility.suite(context) == found
    assert ["--last-failed" in command for command in asked] == [False, True][: len(runs)]


def test_every_check_says_what_an_emulator_does_not_prove() -> None:
    assert all(one.proves_nothing_of and one.claim for one in plan.ALL)
    names = [one.name for one in plan.ALL]
    assert len(names) == len(set(names))
    in_lanes = [one.name for lane in plan.LANES for one in lane]
    assert sorted(in_lanes) == sorted(one.name for one in plan.TOGETHER)
